"""The same command again does nothing twice, whatever happened in between, and takes nothing of the user's."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pixlate.conftest import Run, folder, outputs, save, stamps, tree

from pixlate.convert.report import Summary
from pixlate.errors import PixlateError
from pixlate.places.journal import Job, Journal, ReadOnlyJournal
from pixlate.places.local import NO_LOCKS, NO_SYNC, LocalPlace, LocalStore
from pixlate.places.paths import digest_file, version_of
from pixlate.plugin.translator import Translator
from pixlate.system.folder import Folder

JOB = Job(LocalPlace(""), "a.png", "png")


def record(root: Path, journal: Journal, name: str, content: bytes, source: Path) -> None:
    """Finish one output by hand."""
    part = journal.parts / "abcd"
    part.write_bytes(content)
    journal.finish(Job(LocalPlace(str(source)), name, "png"), part, version_of(str(source)))


def held(journal: Journal) -> LocalStore:
    assert isinstance(journal.store, LocalStore)
    return journal.store


def journal_of(out: Path) -> Path:
    return out / ".pixlate" / "journal.jsonl"


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in journal_of(out).read_text().splitlines()]


def test_the_same_command_again_does_nothing_and_says_so(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 7), tmp_path / "out"
    assert run(source, out).converted == 7
    before, files = stamps(out), tree(out)
    journal = journal_of(out).stat()
    summary = run(source, out)
    assert (summary.converted, summary.finished_before, summary.exit_code) == (0, 7, 0)
    assert stamps(out) == before
    assert tree(out) == files
    assert (journal_of(out).stat().st_ino, journal_of(out).stat().st_mtime_ns) == (journal.st_ino, journal.st_mtime_ns)


def test_a_changed_source_is_converted_again_and_the_others_are_not(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 5), tmp_path / "out"
    run(source, out)
    before = stamps(out)
    save(source / "1" / "001.png", 8, 4, seed=99)
    summary = run(source, out)
    assert (summary.converted, summary.finished_before) == (1, 4)
    assert {name for name, stamp in stamps(out).items() if before[name] != stamp} == {"1/001.png"}


def test_a_source_that_was_only_touched_is_converted_again(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    run(source, out)
    os.utime(source / "0" / "000.png", ns=(1, 1))
    assert run(source, out).converted == 1
    assert run(source, out).finished_before == 2


def test_a_foreign_file_is_kept_and_counted_as_a_failure(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 3), tmp_path / "out"
    foreign = save(out / "0" / "000.png", seed=50)
    kept = foreign.read_bytes()
    summary = run(source, out)
    assert (summary.converted, summary.failed, summary.exit_code) == (2, 1, 1)
    assert "it was kept" in summary.failures[0][1]
    assert foreign.read_bytes() == kept


def test_an_output_that_the_user_changed_is_not_overwritten(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    run(source, out)
    changed = bytearray((out / "0" / "000.png").read_bytes())
    changed[-1] ^= 1
    (out / "0" / "000.png").write_bytes(changed)
    assert run(source, out).failed == 1
    assert (out / "0" / "000.png").read_bytes() == changed


@pytest.mark.parametrize("kind", ["folder", "broken link", "link to a foreign file"])
def test_anything_that_exists_under_an_outputs_name_is_kept(kind: str, tmp_path: Path, run: Run) -> None:
    source, out = save(tmp_path / "in" / "a.png").parent, tmp_path / "out"
    target = out / "a.png"
    out.mkdir()
    if kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nothing" if kind == "broken link" else save(tmp_path / "mine.png"))
    for mode in ("resume", "skip"):
        summary = run(source, out, on_exists=mode)
        assert (summary.failed, summary.skipped) == ((1, 0) if mode == "resume" else (0, 1))
        assert target.is_dir() if kind == "folder" else target.is_symlink()


def test_skip_keeps_every_existing_file_even_where_the_source_has_changed(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 3), tmp_path / "out"
    save(out / "0" / "000.png", seed=50)
    run(source, out)
    save(source / "1" / "001.png", 8, 4, seed=99)
    save(source / "new.png")
    before = stamps(out)
    summary = run(source, out, on_exists="skip")
    assert (summary.converted, summary.skipped, summary.failed) == (1, 3, 0)
    assert {name: stamp for name, stamp in stamps(out).items() if name in before} == before


def test_overwrite_replaces_every_file_and_not_what_a_link_leads_to(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 3), tmp_path / "out"
    mine = save(tmp_path / "mine.png", seed=50)
    kept = mine.read_bytes()
    (out / "0").mkdir(parents=True)
    (out / "0" / "000.png").symlink_to(mine)
    run(source, out)
    before = stamps(out)
    summary = run(source, out, on_exists="overwrite")
    assert (summary.converted, summary.failed) == (3, 0)
    assert all(before[name][0] != inode for name, (inode, _) in stamps(out).items())
    assert mine.read_bytes() == kept
    assert run(source, out).finished_before == 3


def test_overwrite_replaces_a_file_that_is_read_only(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    save(out / "0" / "000.png").chmod(0o444)
    assert run(source, out, on_exists="overwrite").converted == 1


@pytest.mark.parametrize("other", [{"quality": 50}, {"strip_metadata": True}, {"model": "another"}])
def test_other_settings_on_one_folder_are_failures_that_say_so(other: dict[str, object], tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    run(source, out)
    before = stamps(out)
    if "model" in other:
        other = {"model": tmp_path / "another.model"}
        (tmp_path / "another.model").write_bytes(b"other weights")
    summary = run(source, out, **other)
    assert summary.failed == 2
    assert all("another model or other options" in reason for _, reason in summary.failures)
    assert stamps(out) == before


@pytest.mark.parametrize("same", [{"threads": 1}, {"batch": 3}, {"tile": 64}])
def test_options_that_do_not_shape_the_output_change_nothing(same: dict[str, object], tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    run(source, out)
    assert run(source, out, **same).finished_before == 2


def test_the_finished_tree_does_not_depend_on_the_number_of_threads(tmp_path: Path, use: Callable[[Translator], Path], run: Run) -> None:
    source = folder(tmp_path / "in", 20)
    trees = []
    for threads, batch in ((1, "auto"), (2, "auto"), (7, 4)):
        assert run(source, tmp_path / f"out{threads}", threads=threads, batch=batch).exit_code == 0
        trees.append(tree(tmp_path / f"out{threads}"))
    assert trees[0] == trees[1] == trees[2]
    assert ".pixlate/journal.jsonl" in trees[0]


def test_journal_lines_are_sorted_and_unique_with_digests_of_the_files(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 9), tmp_path / "out"
    for _ in range(2):
        run(source, out, on_exists="overwrite")
    entries = lines(out)
    assert [entry["name"] for entry in entries] == sorted(outputs(out))
    assert all(entry["sha256"] == digest_file(out / str(entry["name"])) for entry in entries)
    assert tree(out / ".pixlate").keys() == {"journal.jsonl"}


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_journal_cut_anywhere_loses_no_more_than_the_line_it_was_cut_in(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("out")
    source = root / "source"
    source.write_bytes(b"x")
    with Journal(LocalStore(root), "settings") as journal:
        for number in range(4):
            record(root, journal, f"{number}", b"content" * number, source)
    whole = journal_of(root).read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    journal_of(root).write_bytes(whole[:cut])
    complete = len([line for line in whole[:cut].split(b"\n") if line.endswith(b"}")])
    journal = Journal(LocalStore(root), "settings")  # continues, and is killed: no clean end
    record(root, journal, "later", b"more", source)
    held(journal)._file.close()
    after = ReadOnlyJournal(LocalStore(root), "settings")
    states = [after.state(Job(LocalPlace(""), name, "png"), version_of(str(source))) for name in ("0", "1", "2", "3", "later")]
    assert states == ["finished"] * complete + ["foreign"] * (4 - complete) + ["finished"]


@settings(max_examples=30, deadline=None)
@given(noise=st.binary(max_size=60))
def test_garbage_left_by_a_crash_in_the_journal_is_ignored(noise: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("out")
    source = root / "source"
    source.write_bytes(b"x")
    with Journal(LocalStore(root), "settings") as journal:
        record(root, journal, "a.png", b"content", source)
    journal_of(root).write_bytes(b'{"name": 1}\n[1]\nnull\n\xff\xfe\0\n' + journal_of(root).read_bytes() + noise)
    with Journal(LocalStore(root), "settings") as journal:
        assert journal.state(JOB, version_of(str(source))) == "finished"
    assert [entry["name"] for entry in lines(root)] == ["a.png"]


def test_after_a_crash_between_line_and_rename_the_old_output_is_still_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal has the new content already, and the old file still exists: it is ours, and stale."""
    source, root = save(tmp_path / "a.png"), tmp_path / "out"
    with Journal(LocalStore(root), "settings") as journal:
        record(root, journal, "a.png", b"old", source)
    save(source, 3, 3, seed=2)
    killed = Journal(LocalStore(root), "settings")
    with monkeypatch.context() as patched:
        patched.setattr(Folder, "replace", lambda *names: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            record(root, killed, "a.png", b"new", source)
    held(killed)._file.close()
    assert (root / "a.png").read_bytes() == b"old"
    with Journal(LocalStore(root), "settings") as journal:
        assert list(journal.parts.iterdir()) == []
        assert journal.state(JOB, version_of(str(source))) == "stale"
        record(root, journal, "a.png", b"new", source)
    assert len(lines(root)) == 1
    assert ReadOnlyJournal(LocalStore(root), "settings").state(JOB, version_of(str(source))) == "finished"


def test_after_a_crash_between_line_and_rename_a_new_output_is_still_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, root = save(tmp_path / "a.png"), tmp_path / "out"
    killed = Journal(LocalStore(root), "settings")
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", lambda part, target, **folders: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            record(root, killed, "a.png", b"new", source)
    held(killed)._file.close()
    assert ReadOnlyJournal(LocalStore(root), "settings").state(JOB, version_of(str(source))) == "new"


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_while_its_output_is_written_is_kept_and_counted_as_a_failure(
    links: bool, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = folder(tmp_path / "in", 3), tmp_path / "out"
    put, mine = LocalStore.put, out / "0" / "000.png"

    def put_late(self: LocalStore, part: Path, name: str, fresh: bool) -> None:
        if self.root / name == mine:
            mine.write_bytes(b"mine")
        put(self, part, name, fresh)

    monkeypatch.setattr(LocalStore, "put", put_late)
    if not links:
        monkeypatch.setattr(os, "link", lambda part, target, **folders: (_ for _ in ()).throw(PermissionError(errno.EPERM, "no links here")))
    summary = run(source, out)
    assert (summary.converted, summary.failed, summary.exit_code) == (2, 1, 1)
    assert "come to exist meanwhile" in summary.failures[0][1]
    assert mine.read_bytes() == b"mine"
    assert [path.name for path in (out / ".pixlate").iterdir()] == ["journal.jsonl"]


def test_a_file_that_appears_with_the_content_of_the_output_is_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, put = save(tmp_path / "in.png"), LocalStore.put

    def put_twice(self: LocalStore, part: Path, name: str, fresh: bool) -> None:
        shutil.copyfile(part, self.root / name)
        put(self, part, name, fresh)

    monkeypatch.setattr(LocalStore, "put", put_twice)
    with Journal(LocalStore(tmp_path / "out"), "s") as journal:
        record(tmp_path, journal, "a.png", b"content", source)
        assert not list(journal.parts.iterdir())


def test_a_crash_after_the_rename_leaves_the_output_finished(tmp_path: Path) -> None:
    source, root = save(tmp_path / "a.png"), tmp_path / "out"
    killed = Journal(LocalStore(root), "settings")
    record(root, killed, "a.png", b"new", source)
    held(killed)._file.close()
    assert ReadOnlyJournal(LocalStore(root), "settings").state(JOB, version_of(str(source))) == "finished"


def test_after_a_failed_rename_the_old_output_is_still_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, root = save(tmp_path / "a.png"), tmp_path / "out"
    with Journal(LocalStore(root), "settings") as journal:
        record(root, journal, "a.png", b"old", source)
        save(source, 3, 3, seed=2)
        with monkeypatch.context() as patched:
            patched.setattr(Folder, "replace", lambda *names: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(OSError, match="No space"):
                record(root, journal, "a.png", b"new", source)
    assert ReadOnlyJournal(LocalStore(root), "settings").state(JOB, version_of(str(source))) == "stale"


def test_a_partly_written_journal_line_is_followed_by_a_new_line(tmp_path: Path) -> None:
    class Full:
        """Takes ten bytes and no more, as a full disk does."""

        def __init__(self, inner: object) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def write(self, data: bytes) -> object:
            return self.inner.write(data[:10])  # type: ignore[attr-defined]

    source, root = save(tmp_path / "a.png"), tmp_path / "out"
    journal = Journal(LocalStore(root), "settings")
    real = held(journal)._file
    held(journal)._file = Full(real)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        record(root, journal, "a.png", b"a", source)
    held(journal)._file = real
    record(root, journal, "b.png", b"b", source)
    real.close()
    assert not (root / "a.png").exists()
    assert ReadOnlyJournal(LocalStore(root), "settings").state(Job(LocalPlace(""), "b.png", "png"), version_of(str(source))) == "finished"


def test_a_second_conversion_into_one_folder_is_refused(tmp_path: Path, use: Callable[[Translator], Path], run: Run) -> None:
    source, out = folder(tmp_path / "in", 3), tmp_path / "out"
    second: list[str] = []

    def try_second(report: object) -> None:
        if not second:
            with pytest.raises(PixlateError, match="another conversion is writing into") as caught:
                run(source, out, report=tmp_path / "second.json")
            second.append(str(caught.value))

    assert run(source, out, watch=try_second).converted == 3
    assert second
    assert not (tmp_path / "second.json").exists()
    assert run(source, out).finished_before == 3


def test_a_refused_second_conversion_leaves_the_first_ones_report_and_parts(tmp_path: Path) -> None:
    with Journal(LocalStore(tmp_path), "settings") as journal:
        (journal.parts / "being written").touch()
        with pytest.raises(PixlateError):
            Journal(LocalStore(tmp_path), "settings")
        assert (journal.parts / "being written").exists()


def test_a_process_that_waited_for_the_lock_opens_the_compacted_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second opens the journal, the first then ends and replaces it: the lock of a file that is gone is worth nothing."""
    from pixlate.system import locking

    source = save(tmp_path / "a.png")
    first = Journal(LocalStore(tmp_path), "settings")
    record(tmp_path, first, "b", b"b", source)
    record(tmp_path, first, "a", b"a", source)
    real, tries = locking.lock_file, 0

    def lock(file: object) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            first.__exit__(None)
        real(file)  # type: ignore[arg-type]

    monkeypatch.setattr(locking, "lock_file", lock)
    with Journal(LocalStore(tmp_path), "settings") as second:
        assert tries == 2
        record(tmp_path, second, "c", b"c", source)
        with pytest.raises(PixlateError, match="another conversion"):
            Journal(LocalStore(tmp_path), "settings")
    assert [line["name"] for line in lines(tmp_path)] == ["a", "b", "c"]


def test_the_output_folder_may_be_a_link(tmp_path: Path, run: Run) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    source = folder(tmp_path / "in", 3)
    assert run(source, tmp_path / "out").converted == 3
    assert run(source, tmp_path / "real").finished_before == 3


def test_a_moved_output_folder_and_source_are_continued(tmp_path: Path, run: Run) -> None:
    run(folder(tmp_path / "in", 3), tmp_path / "out")
    shutil.move(tmp_path / "in", tmp_path / "in2")
    shutil.move(tmp_path / "out", tmp_path / "out2")
    assert run(tmp_path / "in2", tmp_path / "out2").finished_before == 3


def test_a_deleted_output_is_made_again(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 3), tmp_path / "out"
    run(source, out)
    before = tree(out)
    (out / "1" / "001.png").unlink()
    summary: Summary = run(source, out)
    assert (summary.converted, summary.finished_before) == (1, 2)
    assert tree(out) == before


def test_an_unreadable_output_is_treated_as_foreign(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixlate.places import local as module

    source, out = folder(tmp_path / "in", 1), tmp_path / "out"
    run(source, out)
    monkeypatch.setattr(module, "digest_file", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with Journal(LocalStore(out), "x") as journal:
        assert journal.state(Job(LocalPlace(""), "0/000.png", "png"), version_of(str(source / "0" / "000.png"))) == "foreign"


def test_a_deeply_nested_line_is_skipped_like_any_damaged_one(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    run(source, out)
    with journal_of(out).open("ab") as journal:
        journal.write(b"[" * 100_000 + b"\n")
    again = run(source, out)
    assert (again.converted, again.failed, again.finished_before) == (0, 0, 2)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS])
def test_a_mount_without_locks_or_syncing_is_used_with_a_note(number: int, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def lacking(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", lacking)
    monkeypatch.setattr(os, "fsync", lacking)
    monkeypatch.setattr(os, "link", lacking)
    source, out = folder(tmp_path / "in", 3), tmp_path / "out"
    summary = run(source, out, report=tmp_path / "report.json")
    assert (summary.converted, summary.exit_code) == (3, 0)
    assert summary.cautions == [NO_LOCKS, NO_SYNC]
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["cautions"] == [NO_LOCKS, NO_SYNC]
    assert run(source, out).finished_before == 3


def test_other_errors_of_locks_and_syncing_are_no_notes(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    source = folder(tmp_path / "in", 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        assert run(source, tmp_path / "out").failures[0][1].startswith("the file could not be written (Input/output error)")
    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(PixlateError, match=r"cannot be written \(Input/output error\)"):
        run(source, tmp_path / "out")


def test_a_film_that_is_done_removes_nothing_that_another_begins_with(tmp_path: Path) -> None:
    """Each removes the folder of all where it is the last, while another makes it."""
    store, failures = LocalStore(tmp_path), list[OSError]()
    store.hold()

    def begin_and_end(name: str) -> None:
        try:
            for _ in range(500):
                store.kept(name, "0123")
                store.drop_kept(name)
        except OSError as error:
            failures.append(error)

    threads = [Thread(target=begin_and_end, args=(f"{number}.mp4",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.release(None)
    assert failures == []
