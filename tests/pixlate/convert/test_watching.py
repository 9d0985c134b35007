"""Folders that are watched: what comes is converted once it is whole, until Ctrl-C. Each step begins when the one before is done, so nothing waits for a time."""

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import pytest
from tests.pixlate.conftest import Nearest, Run, command, folder, load, nearest, noise, outputs, save, stamps, tree

from pixlate import ConvertOptions, PixlateError, convert
from pixlate.convert import choosing, watching
from pixlate.convert.report import Report, Result, Summary
from pixlate.places.changes import Changes, is_remote, is_temporary
from pixlate.places.journal import Job, Journal
from pixlate.plugin.place import Version
from pixlate.plugin.translator import Translator

Step = Callable[[], object]


def old(path: Path) -> Path:
    """Let a file be one that was written an hour ago."""
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 3600))
    return path


class Script:
    """Takes one step each time nothing is left to do, and then ends the conversion as Ctrl-C does; it remembers the results."""

    def __init__(self, *steps: Step) -> None:
        self.steps: list[Step] = [*steps, lambda: signal.raise_signal(signal.SIGINT)]
        self.results: list[Result] = []

    def __call__(self, report: Report) -> None:
        if report.last is not None:
            self.results.append(report.last)
        if report.watching:
            self.steps.pop(0)()

    @property
    def told(self) -> list[tuple[str, str]]:
        """Name of the source and status of each result, in the order in which they came."""
        return [(Path(result.source).name, result.status) for result in self.results]


@pytest.fixture(autouse=True)
def _quickly_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SETTLED_S", 0.05)


@pytest.fixture
def watch(use: Callable[[Translator], Path]) -> "Watching":
    model = use(Nearest())

    def start(source: Path | str, out: Path, *steps: Step, **options: Any) -> tuple[Summary, Script]:
        script = Script(*steps)
        return convert(source, out, model, ConvertOptions(watch=True, threads=2, **options), script), script

    return start


Watching = Callable[..., tuple[Summary, Script]]


def test_what_is_there_comes_first_then_what_comes_and_what_changes(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    summary, script = watch(source, out, lambda: save(source / "new.png", 4, 5, seed=7), lambda: save(source / "new.png", 3, 8, seed=8))
    assert [status for _, status in script.told] == ["converted"] * 4
    assert [name for name, _ in script.told][2:] == ["new.png", "new.png"]
    assert (summary.converted, summary.failed, summary.not_reached, summary.planned, summary.exit_code) == (4, 0, 0, 4, 0)
    assert (nearest(noise(3, 8, seed=8)[None], 2)[0] == load(out / "new.png")).all()
    assert set(outputs(out)) == {"0/000.png", "1/001.png", "new.png"}


def test_an_empty_folder_waits_for_its_first_picture(tmp_path: Path, watch: Watching) -> None:
    source = tmp_path / "in"
    source.mkdir()
    summary, _ = watch(source, tmp_path / "out", lambda: save(source / "first.png"))
    assert (summary.converted, summary.exit_code) == (1, 0)


def test_an_empty_folder_waits_with_a_ready_model_too(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    summary = convert(source, tmp_path / "out", "upscale-x2", ConvertOptions(watch=True, device="cpu"), Script(lambda: save(source / "first.png")))
    assert (summary.converted, summary.exit_code) == (1, 0)
    assert load(tmp_path / "out" / "first.png").size == (18, 12)


def test_the_model_is_loaded_once(tmp_path: Path, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from pixlate.inference import models

    source, loads = folder(tmp_path / "in", 1), list[object]()
    model = use(Nearest())
    load_once = models.load

    def counted(*given: Any, **named: Any) -> object:
        loads.append(given)
        return load_once(*given, **named)

    monkeypatch.setattr(models, "load", counted)
    script = Script(lambda: save(source / "a.png"), lambda: save(source / "b.png"))
    assert convert(source, tmp_path / "out", model, ConvertOptions(watch=True), script).converted == 3
    assert len(loads) == 1


def test_a_file_is_converted_once_it_no_longer_grows(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    source, whole = tmp_path / "in", save(tmp_path / "whole.png", 40, 40).read_bytes()
    source.mkdir()
    pieces = iter([whole[at : at + 700] for at in range(0, len(whole), 700)])
    growing = source / "growing.png"
    ask = Changes.next

    def next_while_written(changes: Changes) -> set[str]:
        piece = next(pieces, b"") if growing.exists() else b""
        if piece:
            with growing.open("ab") as file:
                file.write(piece)
        return ask(changes)

    monkeypatch.setattr(Changes, "next", next_while_written)
    monkeypatch.setattr(watching, "SETTLED_S", 0.5)
    summary, script = watch(source, tmp_path / "out", growing.touch)
    assert (script.told, summary.exit_code) == ([("growing.png", "converted")], 0)
    assert load(tmp_path / "out" / "growing.png").size == (80, 80)


def test_a_file_that_is_there_at_the_start_and_grows_is_converted_once_whole(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    source, whole = tmp_path / "in", save(tmp_path / "whole.png", 40, 40).read_bytes()
    source.mkdir()
    (source / "growing.png").write_bytes(whole[:999])
    ask, pieces = Changes.next, iter([whole[999:2000], whole[2000:]])

    def next_while_written(changes: Changes) -> set[str]:
        with (source / "growing.png").open("ab") as file:
            file.write(next(pieces, b""))
        return ask(changes)

    monkeypatch.setattr(Changes, "next", next_while_written)
    monkeypatch.setattr(watching, "SETTLED_S", 5.0)  # so that the first look comes before
    summary, script = watch(source, tmp_path / "out", lambda: None)
    assert (script.told, summary.exit_code) == ([("growing.png", "converted")], 0)


def test_a_file_that_is_renamed_into_the_folder_is_whole_at_once(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SETTLED_S", 600.0)
    source, beside = tmp_path / "in", old(save(tmp_path / "beside.png"))
    source.mkdir()
    summary, script = watch(source, tmp_path / "out", lambda: beside.rename(source / "renamed.png"))
    assert (script.told, summary.exit_code) == ([("renamed.png", "converted")], 0)


def test_a_restart_converts_what_has_come_meanwhile_and_nothing_twice(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    watch(source, out, lambda: save(source / "a.png"))
    before = stamps(out)
    old(save(source / "b.png"))
    summary, _ = watch(source, out, lambda: save(source / "c.png"))
    assert (summary.converted, summary.finished_before) == (2, 3)
    assert {name: stamp for name, stamp in stamps(out).items() if name in before} == before


def test_a_file_that_is_touched_without_a_change_is_not_converted_again(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"

    def touch() -> None:
        (source / "0" / "000.png").chmod(0o600)
        save(source / "other.png")

    summary, script = watch(source, out, touch)
    assert [name for name, _ in script.told] == ["000.png", "other.png"]
    assert summary.finished_before == 0


def test_a_bad_file_is_reported_and_counts_once_when_it_is_fixed(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    report = tmp_path / "report.json"
    bad = source / "bad.png"
    summary, script = watch(source, out, lambda: bad.write_bytes(b"no picture"), lambda: bad.write_bytes(b"none either"), lambda: save(bad), report=report)
    assert script.told == [("000.png", "converted"), ("bad.png", "failed"), ("bad.png", "failed"), ("bad.png", "converted")]
    assert (summary.converted, summary.failed, summary.failures, summary.planned, summary.exit_code) == (2, 0, [], 2, 0)
    assert [file["status"] for file in json.loads(report.read_text())["files"]] == ["converted", "failed", "failed", "converted"]


def test_a_file_that_stays_bad_gives_exit_code_1(tmp_path: Path, watch: Watching) -> None:
    source = folder(tmp_path / "in", 1)
    summary, _ = watch(source, tmp_path / "out", lambda: (source / "bad.png").write_bytes(b"no picture"), lambda: save(source / "good.png"))
    assert (summary.converted, summary.failed, summary.exit_code) == (2, 1, 1)


def test_a_file_that_is_removed_meanwhile_is_no_failure(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    is_work = watching.Watch._is_work

    def removed_then(self: watching.Watch, job: Job, version: Version) -> bool:
        work = is_work(self, job, version)
        if job.source.endswith("gone.png"):
            Path(job.source).unlink()
        return work

    monkeypatch.setattr(watching.Watch, "_is_work", removed_then)
    summary, script = watch(source, out, lambda: save(source / "gone.png"))
    assert script.results[-1].reason == watching.REMOVED
    assert (summary.converted, summary.skipped, summary.exit_code) == (1, 1, 0)


def test_outputs_stay_when_their_source_is_removed(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"

    def swap() -> None:
        (source / "0" / "000.png").unlink()
        save(source / "next.png")

    watch(source, out, swap)
    assert set(outputs(out)) == {"0/000.png", "next.png"}


def test_folders_that_are_made_moved_in_or_linked_later_are_watched(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    elsewhere = save(tmp_path / "elsewhere" / "deep" / "b.png").parent.parent
    linked = save(tmp_path / "linked" / "c.png").parent
    summary, _ = watch(
        source,
        out,
        lambda: save(source / "made" / "below" / "a.png"),
        lambda: elsewhere.rename(source / "moved"),
        lambda: save(source / "moved" / "deep" / "later.png"),
        lambda: (source / "link").symlink_to(linked),
    )
    assert set(outputs(out)) == {"0/000.png", "made/below/a.png", "moved/deep/b.png", "moved/deep/later.png", "link/c.png"}
    assert (summary.converted, summary.failed) == (5, 0)


def test_hidden_temporary_and_other_files_are_left_alone(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"

    def clutter() -> None:
        for name in (".hidden.png", "~lock.png", "half.part.png", "half.png.crdownload", "notes.txt", ".sync/a.png"):
            (source / name).parent.mkdir(exist_ok=True)
            save(tmp_path / "x.png").rename(source / name)
        save(source / "z.png")

    summary, _ = watch(source, out, clutter)
    assert set(outputs(out)) == {"0/000.png", "z.png"}
    assert summary.exit_code == 0


def test_what_exclude_names_is_left_out_later_too(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    watch(source, out, lambda: [save(source / "drafts" / "a.png"), save(source / "b.gif"), save(source / "c.png")], exclude=("drafts", "*.gif"))
    assert set(outputs(out)) == {"0/000.png", "c.png"}


def test_an_output_folder_inside_the_source_is_not_watched(tmp_path: Path, watch: Watching) -> None:
    source = folder(tmp_path / "in", 1)
    _, script = watch(source, source / "out", lambda: save(source / "a.png"), lambda: save(source / "b.png"))
    assert [name for name, _ in script.told] == ["000.png", "a.png", "b.png"]
    assert set(outputs(source / "out")) == {"0/000.png", "a.png", "b.png"}


def test_outputs_of_another_conversion_below_the_source_are_no_sources(tmp_path: Path, watch: Watching, run: Run) -> None:
    source, other = folder(tmp_path / "in", 1), tmp_path / "other"
    save(other / "x.png")
    watch(source, tmp_path / "out", lambda: [run(other, source / "made"), save(source / "y.png")])
    assert set(outputs(tmp_path / "out")) == {"0/000.png", "y.png"}
    assert set(outputs(source / "made")) == {"x.png"}


def test_two_files_that_would_give_one_output_are_told_apart(tmp_path: Path, watch: Watching) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    old(save(source / "a.png"))
    _, script = watch(source, out, lambda: save(source / "a.jpg"), format="webp")
    assert script.told == [("a.png", "converted"), ("a.jpg", "failed")]
    assert script.results[1].reason == f"a.webp is already what {source}/a.png gives; rename one of the two"
    assert load(out / "a.webp").size == (18, 12)


def test_a_name_is_free_once_its_source_is_removed(tmp_path: Path, watch: Watching) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    old(save(source / "a.png"))

    def replace() -> None:
        (source / "a.png").unlink()
        save(source / "a.bmp", 5, 5)

    _, script = watch(source, out, replace, format="webp")
    assert script.told == [("a.png", "converted"), ("a.bmp", "converted")]
    assert load(out / "a.webp").size == (10, 10)


def test_names_by_a_template_are_made_of_what_comes_too(tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    watch(source, out, lambda: save(source / "a.png"), name="{stem}@{model}{suffix}")
    assert set(outputs(out)) == {"0/000@stand-in.png", "a@stand-in.png"}


def test_a_glob_watches_for_what_it_names(tmp_path: Path, watch: Watching) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    old(save(source / "first" / "a.png"))
    watch(f"{source}/*/*.png", out, lambda: [save(source / "b.png"), save(source / "second" / "c.jpg"), save(source / "second" / "d.png")])
    assert set(outputs(out)) == {"first/a.png", "second/d.png"}


def test_a_single_file_is_converted_whenever_it_is_saved(tmp_path: Path, watch: Watching) -> None:
    drawing = old(save(tmp_path / "in" / "drawing.png"))

    def save_as_editors_do() -> None:
        save(drawing.with_name("beside.png"))
        save(drawing.with_name(".drawing.png"), 5, 5).replace(drawing)

    _, script = watch(drawing, tmp_path / "big.png", save_as_editors_do)
    assert script.told == [("drawing.png", "converted")] * 2
    assert load(tmp_path / "big.png").size == (10, 10)


def test_a_path_relative_to_the_folder_one_is_in_is_watched(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path / "in", 1)
    monkeypatch.chdir(source)
    _, script = watch(Path(), tmp_path / "out", lambda: save(source / "a.png"), lambda: save(source / "0" / "000.png", 5, 5))
    assert script.told == [("000.png", "converted"), ("a.png", "converted"), ("000.png", "converted")]


def _removed(source: Path) -> None:
    shutil.rmtree(source)


def _moved(source: Path) -> None:
    source.rename(source.with_name("elsewhere"))


def _replaced(source: Path) -> None:
    source.rename(source.with_name("elsewhere"))
    source.mkdir()


@pytest.mark.parametrize("vanish", [_removed, _moved, _replaced])
def test_a_watched_folder_that_vanishes_ends_it_in_words(vanish: Callable[[Path], None], tmp_path: Path, watch: Watching) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    summary, _ = watch(source, out, lambda: vanish(source))
    assert summary.stopped == f"the watched folder {source} has been removed, moved or replaced; give the same command again once it is there"
    assert (summary.converted, summary.exit_code) == (1, 1)
    assert set(tree(out)) == {".pixlate", ".pixlate/journal.jsonl", "0", "0/000.png"}


def test_a_full_disk_ends_it_in_words_with_nothing_half_written(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    summary, _ = watch(source, out, lambda: [monkeypatch.setattr(Journal, "finish", full), save(source / "a.png")])
    assert summary.stopped == "the output folder takes no more (No space left on device); free some space and run the same command again"
    assert (summary.converted, summary.failed, summary.exit_code) == (1, 1, 1)
    assert set(tree(out)) == {".pixlate", ".pixlate/journal.jsonl", "0", "0/000.png"}


def test_fail_fast_ends_it(tmp_path: Path, watch: Watching) -> None:
    source = folder(tmp_path / "in", 1)
    summary, _ = watch(source, tmp_path / "out", lambda: (source / "bad.png").write_bytes(b"no"), fail_fast=True)
    assert (summary.stopped, summary.exit_code) == ("stopped at the first failure, as --fail-fast asks", 1)


def test_a_burst_of_changes_is_followed_by_a_walk(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    monkeypatch.setattr(watching, "BURST", 1)
    monkeypatch.setattr(Changes, "next", lambda self: {str(source / "told.txt")})
    watch(source, out, lambda: save(source / "lost.png"))
    assert set(outputs(out)) == {"0/000.png", "lost.png"}


def test_what_comes_while_the_model_is_loaded_is_found(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    monkeypatch.setattr(watching, "loaded", lambda task: [old(save(source / "meanwhile.png")), choosing.loaded(task)][1])
    monkeypatch.setattr(Changes, "next", lambda self: set())
    watch(source, out, lambda: None)
    assert set(outputs(out)) == {"0/000.png", "meanwhile.png"}


def test_the_report_ends_it_from_outside(tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    source = folder(tmp_path / "in", 2)

    def watch(report: Report) -> None:
        if report.watching:
            report.interrupt()

    summary = convert(source, tmp_path / "out", use(Nearest()), ConvertOptions(watch=True), watch)
    assert (summary.exit_code, summary.interrupted) == (0, False)


def test_the_sheet_is_written_at_the_end(tmp_path: Path, watch: Watching) -> None:
    source = folder(tmp_path / "in", 1)
    summary, _ = watch(source, tmp_path / "out", lambda: save(source / "a.png"), sheet=tmp_path / "sheet.png")
    assert summary.sheet == str(tmp_path / "sheet.png")
    assert load(tmp_path / "sheet.png").width == 756


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limit": 3}, "expected --watch, which goes on until Ctrl-C, or --limit, which ends after so many images, got both; leave out one"),
        ({"dry_run": True}, "expected --watch, which goes on until Ctrl-C, or --dry-run, which writes nothing, got both; leave out one"),
        (
            {"name": "{number:03}{suffix}"},
            "expected --name without {number} for --watch, since files come in no order, got both; use {stem}, which stays the same",
        ),
    ],
)
def test_options_that_end_by_themselves_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PixlateError) as refused:
        ConvertOptions(watch=True, **options)
    assert str(refused.value) == words


def test_without_the_extra_a_sentence_says_what_to_install(watch: Watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(PixlateError, match=r"--watch needs watchfiles, and watchfiles is missing; run: pip install '"):
        watch(folder(tmp_path / "in", 1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_url_is_refused(watch: Watching, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(
        PixlateError, match="expected a folder of this machine to watch, got memory://photos; leave out --watch, and give the same command from"
    ):
        watch("memory://photos", tmp_path / "out")


def test_a_folder_that_is_not_there_is_refused(watch: Watching, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected a folder to watch, but \S+/none is not there; make it first"):
        watch(tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_the_system_does_not_watch_is_refused(watch: Watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def limited(*_: object, **__: object) -> Iterator[set[tuple[int, str]]]:
        raise OSError("OS file watch limit reached.")
        yield set()

    monkeypatch.setattr("watchfiles.watch", limited)
    with pytest.raises(PixlateError, match=r"the system watches no such folder \(OS file watch limit reached.\); close programs that watch many"):
        watch(folder(tmp_path / "in", 1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_engine_and_a_watch_that_is_no_function_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="expected the threads of this process for --watch, got --engine ray; leave out one"):
        convert(tmp_path, tmp_path / "out", "upscale-x2", ConvertOptions(watch=True), engine="ray")
    with pytest.raises(
        PixlateError, match=r"expected watch to be a function .* got True; to watch the source, write options=pixlate.ConvertOptions\(watch=True\)"
    ):
        convert(tmp_path, tmp_path / "out", "upscale-x2", watch=cast("Any", True))


@pytest.mark.parametrize("name", [".a.png", "~a.png", "a.png~", "a.png.part", "a.PART.png", "a.crdownload", "a.tmp", "a.tmp.png", "a\n.tmp"])
def test_names_of_unfinished_files_are_known(name: str) -> None:
    assert is_temporary(name)


@pytest.mark.parametrize("name", ["a.png", "part.png", "a part.png", "#1.png", "tmp.jpg", "a~b.png", "apart.png"])
def test_names_of_finished_files_are_known(name: str) -> None:
    assert not is_temporary(name)


def test_network_drives_are_known_by_their_file_system(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    share = tmp_path / "a share"
    (share / "below").mkdir(parents=True)
    lines = ["1 0 8:1 / / rw - ext4 /dev/sda rw", f"2 1 0:1 / {str(share).replace(' ', chr(92) + '040')} rw shared:1 - nfs4 host:/photos rw"]
    mounts.write_text("\n".join(lines))
    assert is_remote(share, mounts)
    assert is_remote(share / "below", mounts)
    assert not is_remote(tmp_path, mounts)
    assert not is_remote(tmp_path, tmp_path / "none")


def test_a_network_drive_is_looked_through_every_second(tmp_path: Path, watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate.places.changes.is_remote", lambda folder: True)
    monkeypatch.setattr("pixlate.places.changes.POLL_MS", 50)
    source = folder(tmp_path / "in", 1)
    _, script = watch(source, tmp_path / "out", lambda: save(source / "far" / "a.png"))
    assert script.told == [("000.png", "converted"), ("a.png", "converted")]


def lines(stream: IO[str] | None) -> Iterator[str]:
    """Yield lines of a running command; those of its progress, which a slow machine prints, are left out."""
    assert stream is not None
    return (line.rstrip("\n") for line in stream if "million pixels to do" not in line and not line.startswith("loading "))


def test_the_command_prints_a_line_of_json_for_each_file_and_ends_with_0(tmp_path: Path, onnx_model: Path) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    process = command(source, out, "--model", onnx_model, "--watch", "--json")
    told = map(json.loads, lines(process.stdout))
    assert next(told)["source"] == str(source / "0" / "000.png")
    save(source / "new.png")
    assert [next(told)[name] for name in ("status",)] == ["converted"]
    process.send_signal(signal.SIGINT)
    summary = next(told)
    assert (summary["converted"], summary["exit_code"], summary["interrupted"], list(told)) == (2, 0, False, [])
    process.communicate(timeout=120)
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_that_it_watches_and_reports_failures_at_once(number: signal.Signals, tmp_path: Path, onnx_model: Path) -> None:
    source, out = old(save(tmp_path / "in" / "a.png")).parent, tmp_path / "out"
    process = command(source, out, "--model", onnx_model, "--watch")
    told = lines(process.stderr)
    assert next(told) == f"watching {source}: 1 converted, Ctrl-C ends it"
    (source / "bad.png").write_bytes(b"")
    assert next(told) == f"failed: {source}/bad.png -> {out}/bad.png (the file is empty; copy it again from its source)"
    assert next(told) == f"watching {source}: 1 converted, 1 failed, Ctrl-C ends it"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (1, "")
    assert stdout.startswith("1 converted at ") and f"1 failed, into {out}\n" in stdout


def test_a_command_that_is_killed_goes_on_where_it_was(tmp_path: Path, onnx_model: Path) -> None:
    source, out = old(save(tmp_path / "in" / "a.png")).parent, tmp_path / "out"
    process = command(source, out, "--model", onnx_model, "--watch", "--verbose")
    told = lines(process.stderr)
    assert next(told).startswith(f"converted: {source}/a.png -> {out}/a.png 9x6 -> 18x12")
    process.kill()
    process.communicate(timeout=120)
    before = stamps(out)
    old(save(source / "b.png"))
    process = command(source, out, "--model", onnx_model, "--watch", "--verbose")
    told = lines(process.stderr)
    assert sorted(next(told).split(":")[0] for _ in range(2)) == ["converted", "finished before"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert stamps(out)["a.png"] == before["a.png"]


def test_quiet_prints_failures_alone(tmp_path: Path, onnx_model: Path) -> None:
    source, out = old(save(tmp_path / "in" / "a.png")).parent, tmp_path / "out"
    (source / "bad.png").write_bytes(b"")
    old(source / "bad.png")
    process = command(source, out, "--model", onnx_model, "--watch", "--quiet")
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first == f"failed: {source}/bad.png -> {out}/bad.png (the file is empty; copy it again from its source)\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120) == ("", "")
    assert process.returncode == 1
