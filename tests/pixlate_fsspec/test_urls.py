"""Sources and outputs at URLs: the same pictures, the same safety, and a network that fails."""

import errno
import hashlib
import importlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from unittest.mock import ANY

import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from tests.pixlate.conftest import Nearest, command, folder, save, tree
from tests.pixlate_fsspec.stores import Bucket, Faulty

from pixlate.cli.convert import convert as convert_command
from pixlate.convert import ConvertOptions, convert
from pixlate.convert.preview import preview
from pixlate.convert.report import Report, Summary
from pixlate.errors import PixlateError
from pixlate.places.local import LocalPlace, locate
from pixlate.plugin.translator import Translator
from pixlate.system.text import shown
from pixlate_fsspec import lease, retries
from pixlate_fsspec.url import Url, md5_of, version_of

REGISTRY = importlib.import_module("fsspec.registry")  # the package has a mapping of that name
STORES: tuple[type[MemoryFileSystem], ...] = (MemoryFileSystem, Faulty, Bucket)


class Run(Protocol):
    """Converts with the stand-in model between any paths and URLs."""

    def __call__(self, source: str | Path | Sequence[str | Path], out: str | Path, **options: object) -> Summary: ...


@pytest.fixture(name="run")
def run_anywhere(run: Run) -> Run:
    return run


@pytest.fixture(autouse=True)
def empty_stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give each test empty stores, no waits, and a folder for temporary files that must be empty at its end."""
    for protocol, store in (("faulty", Faulty), ("gs", Bucket)):
        monkeypatch.setitem(REGISTRY._registry, protocol, store)
    for store in STORES:
        store.store.clear()
        store.pseudo_dirs[:] = [""]
    for store in (Faulty, Bucket):
        monkeypatch.setattr(store, "fault", staticmethod(lambda operation, path: None))
        monkeypatch.setattr(store, "calls", [])
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.001)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    yield
    assert [path for path in temporary.iterdir() if path.name.startswith("pixlate")] == []


def fail(monkeypatch: pytest.MonkeyPatch, fault: Callable[[str, str], None], store: type[Faulty] = Bucket) -> None:
    monkeypatch.setattr(store, "fault", staticmethod(fault))


def upload(root: Path, url: str) -> str:
    """Copy a folder to a URL."""
    place = locate(url)
    assert isinstance(place, Url)
    for path in root.rglob("*"):
        if path.is_file():
            place.child(path.relative_to(root).as_posix()).write(path.read_bytes())
    return url


def stored(url: str, journal: bool = False) -> dict[str, bytes]:
    """Return every file below a URL; with ``journal`` Pixlate's own too."""
    place = locate(url)
    assert isinstance(place, Url)
    found = {url.key: url.read() for url in place.below()} if place.kind() == "folder" else {}
    return found if journal else {name: content for name, content in found.items() if not name.startswith(".pixlate/")}


def converted(out: str | Path) -> dict[str, bytes]:
    """Return the outputs, local or at a URL."""
    if isinstance(out, str):
        return stored(out)
    return {name: content for name, content in tree(out).items() if content is not None and not name.startswith(".pixlate")}


def entries(url: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in stored(url, journal=True)[".pixlate/journal.jsonl"].splitlines()]


# the same pictures


@pytest.mark.parametrize("out", ["path", "memory://bucket/out", "faulty://server/out", "gs://bucket/out", "local://{tmp_path}/far"])
@pytest.mark.parametrize("source", ["path", "memory://bucket/in", "faulty://server/in", "gs://bucket/in", "local://{tmp_path}/in"])
def test_any_source_to_any_output_gives_the_same_tree_of_the_same_bytes(source: str, out: str, tmp_path: Path, run: Run) -> None:
    photos = folder(tmp_path / "in", 7)
    save(photos / "odd [1] {x} 50% #2?" / "ü日本 'a'*.jpg", seed=9)
    run(photos, tmp_path / "expected")
    url = None if source == "path" else source.format(tmp_path=tmp_path)
    start = photos if url is None else url if "local" in url else upload(photos, url)
    end: str | Path = tmp_path / "out" if out == "path" else out.format(tmp_path=tmp_path)
    for summary in (run(start, end), run(start, end)):
        assert (summary.exit_code, summary.failures) == (0, [])
    assert summary.finished_before == 8
    assert converted(end) == converted(tmp_path / "expected")
    assert len(converted(end)) == 8
    if isinstance(end, str):
        assert [name for name in stored(end, journal=True) if name.startswith(".pixlate")] == [".pixlate/journal.jsonl"]
        assert [entry["name"] for entry in entries(end)] == sorted(converted(end))


def test_several_sources_of_several_kinds_go_into_one_folder(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "a.png")
    upload(folder(tmp_path / "in", 2), "gs://bucket/in")
    upload(folder(tmp_path / "in2", 3), "memory://in2")
    MemoryFileSystem().rm("/in2/0/000.png")
    MemoryFileSystem().rm("/in2/1/001.png")
    summary = run([tmp_path / "a.png", "gs://bucket/in", "memory://in2"], "gs://bucket/out")
    assert (summary.converted, summary.exit_code) == (4, 0)
    assert sorted(stored("gs://bucket/out")) == ["0/000.png", "1/001.png", "2/002.png", "a.png"]


def test_one_file_becomes_one_file(tmp_path: Path, run: Run) -> None:
    upload(save(tmp_path / "in" / "a.png").parent, "gs://bucket/in")
    run("gs://bucket/in/a.png", "gs://bucket/big.png")
    run("gs://bucket/in/a.png", tmp_path / "big.png")
    run(tmp_path / "in" / "a.png", "memory://big.png")
    big = (tmp_path / "big.png").read_bytes()
    assert stored("gs://bucket")["big.png"] == stored("memory://")["big.png"] == big
    with pytest.raises(PixlateError, match="does not end as an image's"):
        run("gs://bucket/in/a.png", "gs://bucket/big.pngg")
    with pytest.raises(PixlateError, match=r"expected a folder for the output, got the file gs://bucket/big\.png"):
        run("gs://bucket/in", "gs://bucket/big.png")


@pytest.mark.parametrize("pattern", ["*.png", "**/*.png", "x/*", "x/**", "**/y/*", "?/[bd].*", "*/*/*", "no*"])
def test_a_glob_matches_as_on_a_disk(pattern: str, tmp_path: Path, run: Run) -> None:
    for name in ("a.png", "x/b.png", "x/d.jpg", "x/y/c.png", ".h/e.png"):
        save(tmp_path / "in" / name)
    upload(tmp_path / "in", "gs://bucket/in")
    if pattern == "no*":
        with pytest.raises(PixlateError, match=re.escape("found none among 0 files")):
            run("gs://bucket/in/no*", tmp_path / "out")
        return
    run(tmp_path / "in" / pattern, tmp_path / "expected")
    run(f"gs://bucket/in/{pattern}", tmp_path / "out")
    assert converted(tmp_path / "out") == converted(tmp_path / "expected")


def test_a_million_files_are_in_memory_once_since_the_listing_is_dropped_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = upload(folder(tmp_path / "in", 7), "memory://in")
    listings, dropped = [], []
    find = MemoryFileSystem.find

    def recorded(system: MemoryFileSystem, *arguments: object, **named: object) -> object:
        listings.append(find(system, *arguments, **named))
        return listings[-1]

    monkeypatch.setattr(MemoryFileSystem, "find", recorded)
    monkeypatch.setattr(MemoryFileSystem, "invalidate_cache", lambda system, path=None: dropped.append(path))
    files = list(locate(url).files(locate(tmp_path / "out").store(), []))
    assert [file.relative.as_posix() for file in files] == sorted(path.relative_to(tmp_path / "in").as_posix() for path in (tmp_path / "in").rglob("*.png"))
    assert listings == [{}]
    assert "/in" in dropped
    assert all(isinstance(file.file, Url) and file.file.key is str(file.relative) for file in files)


def test_files_come_folder_by_folder_as_on_a_disk_whatever_their_names_have_beside_the_slash(tmp_path: Path) -> None:
    names = ["a-b/x.png", "a.png", "a/x.png", "a/x-1/y.png", "a/x/y.png", "a!/x.png", "b.png"]
    for name in names:
        save(tmp_path / "in" / name)
    out = locate(tmp_path / "out").store()
    here, there = ([found.relative.as_posix() for found in locate(place).files(out, [])] for place in (tmp_path / "in", upload(tmp_path / "in", "memory://in")))
    assert there == sorted(names, key=lambda name: name.split("/")) == here


def test_hidden_and_other_files_are_left_out_and_counted_as_on_a_disk(tmp_path: Path, run: Run) -> None:
    for name in ("a.png", ".b.png", ".git/c.png"):
        save(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").touch()
    upload(tmp_path / "in", "gs://bucket/in")
    assert run("gs://bucket/in", tmp_path / "out").ignored == run(tmp_path / "in", tmp_path / "out2").ignored == {".txt": 1, "hidden": 1}


def test_keys_that_are_not_valid_paths_fail_alone_and_write_nowhere(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    content = save(tmp_path / "a.png").read_bytes()
    keys = ["good.png", "../evil.png", "x/../../evil.png", "/evil.png", "x//b.png", "./c.png", "nul\0.png"]
    monkeypatch.setattr(Bucket, "find", lambda self, path, **options: {f"/bucket/in/{key}": {"type": "file", "size": 1} for key in keys})
    monkeypatch.setattr(Bucket, "get_file", lambda self, path, target: Path(target).write_bytes(content))
    Bucket.store["/bucket/in/good.png"] = None
    for out in (tmp_path / "deep" / "out", "memory://deep/out"):
        summary = run("gs://bucket/in", out)
        assert (summary.converted, summary.failed) == (1, 6)
        assert all("no path of an output can be made" in reason for _, reason in summary.failures)
        assert list(converted(out)) == ["good.png"]
    assert [path.name for path in tmp_path.rglob("evil*")] == []


def test_a_name_of_undecodable_bytes_fails_alone_at_a_url(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "in" / "good.png")
    save(tmp_path / "in" / os.fsdecode(b"bad\xff.png"))
    summary = run(tmp_path / "in", "gs://bucket/out")
    assert (summary.converted, summary.failed) == (1, 1)
    assert "a name at a URL must be" in summary.failures[0][1]


def test_two_images_that_would_give_one_output_are_refused(tmp_path: Path, run: Run) -> None:
    upload(save(tmp_path / "in" / "a.png").parent, "gs://bucket/in")
    upload(save(tmp_path / "in2" / "a.jpg").parent, "gs://bucket/in")
    with pytest.raises(PixlateError, match=r"would both give a\.png"):
        run("gs://bucket/in", "gs://bucket/out", format="png")
    assert stored("gs://bucket/out", journal=True) == {}


def test_names_are_case_sensitive_where_the_store_is(tmp_path: Path, run: Run) -> None:
    for name in ("a.png", "A.png"):
        save(tmp_path / "in" / name)
    run(tmp_path / "in", "gs://bucket/out")
    assert sorted(stored("gs://bucket/out")) == ["A.png", "a.png"]


def test_an_image_at_a_url_is_not_replaced_by_its_own_conversion(tmp_path: Path, run: Run) -> None:
    upload(folder(tmp_path / "in", 2), "gs://bucket/in")
    with pytest.raises(PixlateError, match="expected an output folder other than the source"):
        run("gs://bucket/in", "gs://bucket/in/")
    with pytest.raises(PixlateError, match="replaced by its own conversion"):
        run("gs://bucket/in/**/*.png", "gs://bucket/in")


def test_an_output_folder_below_the_source_is_skipped(tmp_path: Path, run: Run) -> None:
    upload(folder(tmp_path / "in", 3), "gs://bucket/in")
    for expected in (3, 0):
        summary = run("gs://bucket/in", "gs://bucket/in/out")
        assert (summary.planned, summary.converted) == (3, expected)


# the same safety


def test_a_changed_source_is_converted_again_and_the_others_are_not(tmp_path: Path, run: Run) -> None:
    upload(folder(tmp_path / "in", 4), "memory://in")
    run("memory://in", "gs://bucket/out")
    upload(save(tmp_path / "new" / "1" / "001.png", 8, 4, seed=99).parent.parent, "memory://in")
    summary = run("memory://in", "gs://bucket/out")
    assert (summary.converted, summary.finished_before, summary.failed) == (1, 3, 0)
    assert run("memory://in", "gs://bucket/out").finished_before == 4


def test_files_written_or_changed_by_others_are_kept(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 3), "gs://bucket/out"
    Bucket().pipe_file("/bucket/out/0/000.png", b"mine")
    assert run(source, out).failed == 1
    theirs = bytearray(stored(out)["1/001.png"])
    theirs[-1] ^= 1
    Bucket().pipe_file("/bucket/out/1/001.png", bytes(theirs))
    summary = run(source, out)
    assert (summary.failed, summary.finished_before) == (2, 1)
    assert stored(out)["0/000.png"] == b"mine"
    assert stored(out)["1/001.png"] == bytes(theirs)
    assert run(source, out, on_exists="skip").skipped == 3
    assert run(source, out, on_exists="overwrite").converted == 3
    assert run(source, out).finished_before == 3


def test_other_settings_are_failures_that_say_so(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", 2)
    run(source, "gs://bucket/out")
    summary = run(source, "gs://bucket/out", quality=50)
    assert summary.failed == 2
    assert all("another model or other options" in reason for _, reason in summary.failures)


def test_outputs_are_recognised_by_the_stores_checksum_without_being_downloaded(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import base64

    real = MemoryFileSystem.ls

    def ls(self: Bucket, path: str, detail: bool = True, **options: object) -> object:
        listed = real(self, path, detail=True, **options)
        for info in listed:
            if info["type"] == "file":
                info["md5Hash"] = base64.b64encode(hashlib.md5(self.store[info["name"]].getvalue()).digest()).decode()
        return listed if detail else [info["name"] for info in listed]

    monkeypatch.setattr(Bucket, "ls", ls)
    source = folder(tmp_path / "in", 3)
    run(source, "gs://bucket/out")
    Bucket.calls.clear()
    assert run(source, "gs://bucket/out").finished_before == 3
    assert [path for operation, path in Bucket.calls if operation == "get"] == []
    Bucket().pipe_file("/bucket/out/0/000.png", b"x" * len(stored("gs://bucket/out")["0/000.png"]))
    assert run(source, "gs://bucket/out").failed == 1


@pytest.mark.parametrize("store", [Faulty, Bucket])
def test_killed_at_any_operation_the_same_command_ends_with_the_same_tree_and_nothing_twice(
    store: type[Faulty], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes dead at every operation in turn, with lock, entries and parts left as they are."""
    source = folder(tmp_path / "in", 4)
    url = f"{store.protocol}://bucket/"
    run(source, f"{url}expected", threads=1)
    count, expected = len(store.calls), stored(f"{url}expected", journal=True)
    for moment in range(0, count, 3):
        out, left = f"{url}out{moment}", iter(range(moment))

        def dead(operation: str, path: str, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise ConnectionError("the machine is gone")

        fail(monkeypatch, dead, store)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(retries, "ATTEMPTS", 1)
            with suppress(PixlateError):
                run(source, out, threads=1)
        fail(monkeypatch, lambda operation, path: None, store)
        done = stored(out)
        assert all(content == expected[name] for name, content in done.items()), "a file that is not whole"
        store.calls.clear()
        summary = run(source, out, threads=1)
        assert (summary.exit_code, summary.finished_before) == (0, len(done))
        assert stored(out, journal=True) == expected
        assert not [path for operation, path in store.calls if operation in ("put", "mv") and path.removeprefix(f"/bucket/out{moment}/") in done]


def test_the_same_command_continues_at_once_after_sigkill(tmp_path: Path, onnx_model: Path) -> None:
    import time

    source, out = folder(tmp_path / "in", 60, 200, 200), f"local://{tmp_path}/out"
    process = command(source, out, "--model", onnx_model, "--threads", 1)
    while process.poll() is None and len(converted(tmp_path / "out")) < 3:
        time.sleep(0.01)
    assert process.poll() is None
    process.kill()
    process.communicate(timeout=120)
    done = len(converted(tmp_path / "out"))
    assert (tmp_path / "out" / ".pixlate" / "lock.json").exists()
    for path in (tmp_path / "temporary").iterdir():  # a kill leaves them
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    process = command(source, out, "--model", onnx_model)
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (0, "")
    assert f"{60 - done} converted" in stdout
    assert f"{done} finished before" in stdout
    assert tree(tmp_path / "out" / ".pixlate").keys() == {"journal.jsonl"}


def test_a_folder_that_0_1_wrote_and_a_crash_left_is_continued(tmp_path: Path, run: Run) -> None:
    """Its journal has the lines of earlier runs, sorted; ``entries`` has an object for each output since, named by the digest of its name."""
    source, out = folder(tmp_path / "in", 4), "gs://bucket/out"
    run(source, out)
    lines = stored(out, journal=True)[".pixlate/journal.jsonl"].splitlines(keepends=True)
    Bucket().pipe_file("/bucket/out/.pixlate/journal.jsonl", b"".join(lines[:2]))
    for line in lines[2:]:
        key = hashlib.sha256(json.loads(line)["name"].encode()).hexdigest()[:32]
        Bucket().pipe_file(f"/bucket/out/.pixlate/entries/{key}.json", line)
    Bucket().pipe_file(f"/bucket/out/.pixlate/parts/{'0' * 32}.json", b"half a picture")
    summary = run(source, out)
    assert (summary.finished_before, summary.converted, summary.failed) == (4, 0, 0)
    assert stored(out, journal=True)[".pixlate/journal.jsonl"] == b"".join(lines)
    assert [name for name in stored(out, journal=True) if name.startswith(".pixlate")] == [".pixlate/journal.jsonl"]


def test_after_a_kill_between_entry_and_output_the_old_output_is_still_recognised(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path / "in", 2)
    run(source, "gs://bucket/out")
    save(source / "0" / "000.png", 8, 4, seed=99)

    def puts_fail(operation: str, path: str) -> None:
        if operation == "put" and path.endswith("000.png"):
            raise ConnectionError("gone")

    fail(monkeypatch, puts_fail)
    for _ in range(2):
        assert run(source, "gs://bucket/out").failed == 1
    fail(monkeypatch, lambda operation, path: None)
    assert run(source, "gs://bucket/out").converted == 1
    run(source, tmp_path / "expected")
    assert stored("gs://bucket/out") == converted(tmp_path / "expected")


def test_an_output_that_another_writes_meanwhile_is_kept(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    source = folder(tmp_path / "in", 1)
    model = use(Nearest(before=lambda pixels: Bucket().pipe_file("/bucket/out/0/000.png", b"mine")))
    summary = convert(source, "gs://bucket/out", model)
    assert "has come to exist meanwhile" in summary.failures[0][1]
    assert stored("gs://bucket/out") == {"0/000.png": b"mine"}


def test_stores_without_atomic_writes_get_a_temporary_file_and_a_rename(tmp_path: Path, run: Run) -> None:
    run(folder(tmp_path / "in", 3), "faulty://server/out")
    written = [(operation, path) for operation, path in Faulty.calls if operation in ("put", "write", "mv") and "out/.pixlate" not in path]
    assert [operation for operation, _ in written] == ["mv"] * 3


def test_a_store_that_cannot_rename_onto_an_existing_file_is_supported(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Faulty.mv

    def mv(self: Faulty, path1: str, path2: str, **options: object) -> None:
        if self.exists(path2):
            raise FileExistsError(path2)
        real(self, path1, path2)

    monkeypatch.setattr(Faulty, "mv", mv)
    source = folder(tmp_path / "in", 2)
    run(source, "faulty://server/out")
    assert run(source, "faulty://server/out", on_exists="overwrite").converted == 2


# one conversion at a time


def test_a_second_conversion_into_one_folder_is_refused(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", 3)
    refused: list[object] = []

    def second(report: Report) -> None:
        if not refused:
            with pytest.raises(PixlateError, match=f"another conversion is writing into gs://bucket/out .process {os.getpid()} on ") as caught:
                run(source, "gs://bucket/out")
            refused.append(caught)

    assert run(source, "gs://bucket/out", watch=second).converted == 3
    assert refused


def holder(**told: object) -> None:
    Bucket().pipe_file("/bucket/out/.pixlate/lock.json", json.dumps({"host": "far", "process": 1, "token": "x", "machine": "other", "beat": 1} | told).encode())


def test_the_lease_of_a_process_killed_on_this_machine_is_taken_over_at_once(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRY", 1000)
    gone = 4_000_000  # above any process number
    holder(machine=lease._machine(), process=gone)
    assert run(folder(tmp_path / "in", 1), "gs://bucket/out").converted == 1


@pytest.mark.parametrize("process", [os.getppid(), 10**30, "4000000", None], ids=["running", "no number of a process", "text", "missing"])
def test_the_lease_of_a_process_that_may_be_running_is_watched(process: object, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRY", 0.02)
    watched: list[float] = []
    monkeypatch.setattr("pixlate_fsspec.lease.time.sleep", watched.append)
    holder(machine=lease._machine(), process=process)
    assert run(folder(tmp_path / "in", 1), "gs://bucket/out").converted == 1
    assert watched


def test_the_lease_of_another_machine_is_taken_over_only_when_its_heartbeat_stops(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRY", 0.2)
    source, beats = folder(tmp_path / "in", 1), 0

    def beating(operation: str, path: str) -> None:
        nonlocal beats
        if operation == "read" and path.endswith("lock.json"):
            beats += 1
            MemoryFileSystem.pipe_file(Bucket(), path, json.dumps({"host": "far", "process": 7, "since": "noon", "token": "x", "beat": beats}).encode())

    holder()
    fail(monkeypatch, beating)
    with pytest.raises(PixlateError, match=r"another conversion is writing into gs://bucket/out \(process 7 on far, since noon\)"):
        run(source, "gs://bucket/out")
    fail(monkeypatch, lambda operation, path: None)
    assert run(source, "gs://bucket/out").converted == 1


def test_a_conversion_that_lost_its_lease_writes_no_more(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, use: Callable[[Translator], Path]) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.01)

    def taken_over(pixels: object) -> None:
        holder(token="another")
        for thread in threading.enumerate():
            if thread.name == "lease":  # it ends when it finds the token of another
                thread.join(60)

    summary = convert(folder(tmp_path / "in", 2), "gs://bucket/out", use(Nearest(before=taken_over)))
    assert summary.failed == 2
    assert "has taken over gs://bucket/out" in summary.failures[0][1]
    assert stored("gs://bucket/out") == {}
    assert "another" in stored("gs://bucket/out", journal=True)[".pixlate/lock.json"].decode()


# a network that fails


def test_transient_errors_are_retried(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(folder(tmp_path / "in", 5), "gs://bucket/in")
    failed: set[tuple[str, str]] = set()

    def every_first_time(operation: str, path: str) -> None:
        if (operation, path) not in failed:
            failed.add((operation, path))
            raise [ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError("slow"), OSError("503 Slow Down"), RuntimeError("a client's own")][
                len(failed) % 4
            ]

    fail(monkeypatch, every_first_time)
    assert run("gs://bucket/in", "gs://bucket/out").exit_code == 0
    assert {operation for operation, _ in failed} >= {"info", "ls", "read", "get", "write", "put", "rm"}
    run(tmp_path / "in", tmp_path / "expected")
    fail(monkeypatch, lambda operation, path: None)
    assert stored("gs://bucket/out") == converted(tmp_path / "expected")


def test_an_output_whose_response_was_lost_is_not_a_foreign_file(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real, lost = Bucket.put_file, set()

    def put(self: Bucket, lpath: str, rpath: str, mode: str = "overwrite", **options: object) -> None:
        real(self, lpath, rpath, mode=mode, **options)
        if rpath not in lost:
            lost.add(rpath)
            raise TimeoutError("the answer was lost")

    monkeypatch.setattr(Bucket, "put_file", put)
    assert run(folder(tmp_path / "in", 3), "gs://bucket/out").converted == 3


@pytest.mark.parametrize(
    ("operation", "error", "reason"),
    [
        ("get", ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "cannot be fetched (Connection reset by peer)"),
        ("get", FileNotFoundError("x"), "there is no such file; it may have been moved"),
        ("get", PermissionError("Forbidden"), "cannot be fetched (access denied: Forbidden)"),
        ("put", TimeoutError("timed out"), "cannot be written (timed out)"),
        ("put", PermissionError(errno.EACCES, "AccessDenied"), "cannot be written (access denied: AccessDenied)"),
    ],
)
def test_a_persistent_error_fails_one_file_with_its_reason(
    operation: str, error: Exception, reason: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder(tmp_path / "in", 5), "gs://bucket/in")

    def one(which: str, path: str) -> None:
        if which == operation and path.endswith("001.png"):
            raise error

    fail(monkeypatch, one)
    summary = run("gs://bucket/in", "gs://bucket/out")
    assert (summary.converted, summary.failed, summary.exit_code) == (4, 1, 1)
    assert summary.failures[0][0] == "gs://bucket/in/1/001.png"
    assert reason in summary.failures[0][1]
    fail(monkeypatch, lambda operation, path: None)
    assert run("gs://bucket/in", "gs://bucket/out").converted == 1


def test_a_truncated_download_fails_alone(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(folder(tmp_path / "in", 3), "gs://bucket/in")
    real = Bucket.get_file

    def cut(self: Bucket, rpath: str, lpath: str, **options: object) -> None:
        real(self, rpath, lpath, **options)
        if rpath.endswith("001.png"):
            os.truncate(lpath, 60)

    monkeypatch.setattr(Bucket, "get_file", cut)
    summary = run("gs://bucket/in", tmp_path / "out")
    assert (summary.converted, summary.failed) == (2, 1)


def test_a_full_quota_stops_and_the_same_command_continues(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path / "in", 30)

    def full(operation: str, path: str) -> None:
        if operation == "put" and len(stored_names()) >= 5:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    def stored_names() -> list[str]:
        return [path for path in Bucket.store if path.startswith("/bucket/out/") and "/.pixlate/" not in path]

    fail(monkeypatch, full)
    summary = run(source, "gs://bucket/out", threads=1)
    assert "the output folder takes no more" in summary.stopped
    assert (summary.converted, summary.exit_code) == (5, 1)
    assert summary.not_reached > 10
    fail(monkeypatch, lambda operation, path: None)
    summary = run(source, "gs://bucket/out")
    assert (summary.finished_before, summary.converted) == (5, 25)


class NoCredentialsError(Exception):
    """As botocore raises."""


@pytest.mark.parametrize("place", ["source", "out", "out journal", "out listing"])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCredentialsError("Unable to locate credentials"), "no credentials: Unable to locate credentials"),
        (PermissionError(errno.EACCES, "Access Denied"), "access denied: Access Denied"),
        (OSError("Forbidden: https://storage/b/bucket"), "access denied: Forbidden"),
        (ConnectionError("Cannot connect to host"), "Cannot connect to host"),
    ],
)
def test_an_unusable_url_is_refused_before_anything_is_written(
    place: str, error: Exception, words: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder(tmp_path / "in", 2), "gs://bucket/in")
    before = dict(Bucket.store)

    def denied(operation: str, path: str) -> None:
        where = {"source": "bucket/in", "out": "bucket/out", "out journal": "lock.json", "out listing": ".pixlate/entries"}[place]
        if where in path and (place != "out journal" or operation == "write") and operation != "rm":
            raise error

    fail(monkeypatch, denied)
    report = tmp_path / "report.json"
    with pytest.raises(PixlateError, match=f"cannot be used .{re.escape(words)}") as caught:
        run("gs://bucket/in", "gs://bucket/out", report=report)
    assert str(caught.value).startswith("gs://bucket/" + ("in" if place == "source" else "out"))
    assert "\n" not in str(caught.value)
    assert Bucket.store == before
    assert not report.exists()


def test_a_read_only_output_url_is_refused(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def reading_only(operation: str, path: str) -> None:
        if operation in ("write", "put"):
            raise NotImplementedError

    fail(monkeypatch, reading_only)
    with pytest.raises(PixlateError, match="this kind of URL can only be read"):
        run(folder(tmp_path / "in", 1), "gs://bucket/out")


# what is missing, misspelled or secret


def test_without_fsspec_the_extra_is_named(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate_fsspec.url.import_module", lambda name: (_ for _ in ()).throw(ModuleNotFoundError("No module named 'fsspec'", name="fsspec")))
    with pytest.raises(PixlateError, match=re.escape("run: pip install 'pixlate[remote]'")):
        run("s3://bucket/in", tmp_path / "out")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosuch://bucket", "whose protocol nosuch is not known"),
        ("gs://nothing/here", "expected a file, a folder or a glob, but gs://nothing/here does not exist"),
        (Path("s3://bucket/in"), "was a URL and has lost a slash"),
    ],
)
def test_a_url_that_does_not_exist_is_refused_in_one_sentence(url: str, message: str, tmp_path: Path, run: Run) -> None:
    with pytest.raises(PixlateError, match=message):
        run(url, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["s3fs", "gcsfs"])
def test_a_protocol_whose_package_is_missing_names_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = {"s3fs": "s3", "gcsfs": "gs"}[package]
    monkeypatch.delitem(REGISTRY._registry, protocol, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PixlateError, match=f"{protocol}://bucket needs the package {package}, which is missing; run: pip install {package}"):
        locate(f"{protocol}://bucket")


@pytest.mark.parametrize("option", ["report", "sheet"])
def test_report_and_sheet_are_files_of_this_machine(option: str) -> None:
    with pytest.raises(PixlateError, match=f"expected --{option} to name a file of this machine"):
        ConvertOptions(**{option: Path("s3://bucket/a.png")})  # type: ignore[arg-type]


def test_an_output_inside_an_archive_is_refused(tmp_path: Path, run: Run) -> None:
    with pytest.raises(PixlateError, match="expected the output at a URL without ::"):
        run(folder(tmp_path / "in", 1), "dir://x::memory://bucket")


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("sftp://me:secret@host/photos", "sftp://me@host/photos"),
        ("https://host/a.png?signature=secret", "https://host/a.png"),
        ("zip://*.png::ftp://me:secret@host/a.zip", "zip://*.png::ftp://me@host/a.zip"),
        ("s3://bucket/a b?c#d@e:f", "s3://bucket/a b?c#d@e:f"),
        ("photos/a:b@c", "photos/a:b@c"),
    ],
)
def test_passwords_and_signatures_are_not_printed(url: str, printed: str) -> None:
    assert shown(url) == printed


def test_file_urls_are_paths_of_this_machine(tmp_path: Path) -> None:
    assert locate(f"file://{tmp_path}/a b") == LocalPlace(str(tmp_path / "a b"))


def test_an_archive_is_read_as_a_folder(tmp_path: Path, run: Run) -> None:
    import zipfile

    photos = folder(tmp_path / "in", 4)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, content in tree(photos).items():
            if content is not None:
                archive.writestr(f"inside/{name}", content)
    run(photos, tmp_path / "expected")
    summary = run(f"zip://inside::{tmp_path}/photos.zip", tmp_path / "out")
    assert (summary.failures, summary.converted) == ([], 4)
    assert converted(tmp_path / "out") == converted(tmp_path / "expected")


def test_checksums_and_times_are_read_from_every_stores_metadata() -> None:
    assert md5_of({"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'}) == "d41d8cd98f00b204e9800998ecf8427e"
    assert md5_of({"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}) == "d41d8cd98f00b204e9800998ecf8427e"
    assert md5_of({"content_settings": {"content_md5": bytearray.fromhex("d41d8cd98f00b204e9800998ecf8427e")}}) == "d41d8cd98f00b204e9800998ecf8427e"
    assert md5_of({"ETag": '"d41d8cd98f00b204e9800998ecf8427e-3"'}) == md5_of({"ETag": "0x8D"}) == md5_of({}) == ""
    one, two = version_of({"size": 3, "ETag": "a", "mtime": 1}), version_of({"size": 3, "ETag": "b", "mtime": 1})
    assert one != two
    assert version_of({"size": 3, "mtime": 1.5}).mtime == 1_500_000_000
    assert version_of({"size": 3, "mtime": 0, "created": 2.5}).mtime == 0  # of an archive that keeps no times
    assert version_of({"size": None}).size == 0


# as users call it


def test_a_dry_run_reads_no_picture_and_writes_nothing(tmp_path: Path, run: Run) -> None:
    upload(folder(tmp_path / "in", 3), "gs://bucket/in")
    run("gs://bucket/in/0", "gs://bucket/out/0")
    before = dict(Bucket.store)
    Bucket.calls.clear()
    items = list(preview(["gs://bucket/in"], "gs://bucket/out", tmp_path / "stand-in.model", ConvertOptions(dry_run=True)))
    assert [(item.output, item.action) for item in items] == [("0/000.png", "fail: exists"), ("1/001.png", "convert"), ("2/002.png", "convert")]
    assert Bucket.store == before
    assert {operation for operation, _ in Bucket.calls} <= {"info", "ls", "read"}


def test_report_sheet_and_summary_name_the_urls(tmp_path: Path, run: Run, use: Callable[[Translator], Path], capfd: pytest.CaptureFixture[str]) -> None:
    upload(folder(tmp_path / "in", 3), "gs://bucket/in")
    Bucket().pipe_file("/bucket/in/empty.png", b"")
    options = ConvertOptions(report=tmp_path / "report.json", sheet=tmp_path / "sheet.png")
    assert convert_command("gs://bucket/in", "gs://bucket/out", model=str(use(Nearest())), options=options) == 1
    stdout, stderr = capfd.readouterr()
    assert "into gs://bucket/out\n" in stdout
    assert stderr == "failed: gs://bucket/in/empty.png: the file is empty; copy it again from its source\n"
    written = json.loads((tmp_path / "report.json").read_text())
    assert sorted(file["source"] for file in written["files"])[0] == "gs://bucket/in/0/000.png"
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_fail_fast_stops(tmp_path: Path, run: Run) -> None:
    upload(folder(tmp_path / "in", 30), "gs://bucket/in")
    Bucket().pipe_file("/bucket/in/0/000.png", b"")
    summary: Summary = run("gs://bucket/in", "gs://bucket/out", fail_fast=True, threads=1)
    assert summary.stopped
    assert summary.not_reached > 0


def test_local_copies_are_few_however_long_the_folder(tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    upload(folder(tmp_path / "in", 40), "gs://bucket/in")
    most = 0

    def count(pixels: object) -> None:
        nonlocal most
        most = max(most, sum(path.is_file() for path in (tmp_path / "temporary").rglob("*")))

    model = use(Nearest(before=count))
    assert convert("gs://bucket/in", "gs://bucket/out", model, ConvertOptions(threads=2)).exit_code == 0
    assert most <= 4


def test_paths_of_this_machine_load_no_fsspec(tmp_path: Path) -> None:
    import subprocess

    save(tmp_path / "a.png")
    code = (
        f"import sys, pixlate\nassert pixlate.convert({str(tmp_path / 'a.png')!r}, {str(tmp_path / 'out')!r}, model='upscale-x2').converted == 1\n"
        "print([name for name in ('fsspec', 'ray') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120).stdout == "[]\n"


@pytest.mark.parametrize("name", [".pixlate", ".pixlate/parts", ".pixlate/entries", ".pixlate/journal.jsonl", "1"])
def test_a_link_below_an_output_on_a_disk_is_not_followed(name: str, tmp_path: Path, run: Run) -> None:
    source, out, elsewhere = folder(tmp_path / "in", 2), tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ("0" * 32 + ".json")).write_bytes(b"precious")
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(elsewhere)
    if name == "1":
        assert run(source, f"local://{out}").failures == [(str(source / "1" / "001.png"), ANY)]
    else:
        with pytest.raises(PixlateError, match=f"{out / name} is a link, and Pixlate follows none"):
            run(source, f"local://{out}")
    assert tree(elsewhere) == {"0" * 32 + ".json": b"precious"}


def test_outputs_of_an_earlier_conversion_below_a_url_are_left_out(tmp_path: Path, run: Run) -> None:
    upload(folder(tmp_path / "in", 2), "memory://nest")
    run("memory://nest", "memory://nest/b/out")
    summary = run("memory://nest", "memory://far")
    assert (summary.converted, summary.ignored) == (2, {"outputs of an earlier conversion in memory://nest/b/out": 2})
    assert run("memory://nest/b/out", "memory://chained").converted == 2
    run("memory://nest/0", "memory://nest/out")
    assert run("memory://nest/*/*.png", "memory://matched").ignored == {"outputs of an earlier conversion in memory://nest/out": 1}
