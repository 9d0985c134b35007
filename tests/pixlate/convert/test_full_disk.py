"""A disk that takes no more: nothing damaged stays, and the message says what to do."""

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from PIL import Image
from tests.pixlate.conftest import Run, command, folder, load, outputs, save, tree

from pixlate.convert import pipeline
from pixlate.convert.report import Report
from pixlate.convert.sheet import Sheet
from pixlate.errors import PixlateError
from pixlate.images import write_picture
from pixlate.places.journal import Journal


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


def sound(out: Path) -> int:
    """Return how many outputs there are; all of them decode, and nothing else is left behind."""
    for path in outputs(out).values():
        load(path)
    assert tree(out / ".pixlate").keys() <= {"journal.jsonl"}
    return len(outputs(out))


def test_a_full_disk_stops_the_conversion_cleanly_and_it_resumes_once_there_is_room(disk: Path, tmp_path: Path, onnx_model: Path) -> None:
    source, out = folder(tmp_path / "in", 24, 60, 70), disk / "out"
    process = command(source, out, "--model", onnx_model)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "the output folder takes no more (No space left on device); free some space and run the same command again" in stderr
    assert "the file could not be written (No space left on device)" in stderr
    done = sound(out)
    assert 0 < done < 24
    assert f"{done} converted" in stdout
    assert "not reached" in stdout
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
    process = command(source, out, "--model", onnx_model)
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert f"{done} finished before" in stdout
    assert sound(out) == 24


def test_a_disk_without_room_for_the_journal_is_refused_or_stops_cleanly(disk: Path, tmp_path: Path, run: Run) -> None:
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096) == 4096:
            pass
        raise OSError(errno.ENOSPC, "No space left on device")
    try:
        summary = run(folder(tmp_path / "in", 4), disk / "out")
        assert summary.converted == 0
        assert summary.exit_code == 1
    except PixlateError as error:
        assert "No space left on device" in str(error)


def test_a_read_only_output_is_refused_with_exit_code_2(disk: Path, tmp_path: Path, onnx_model: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    process = command(folder(tmp_path / "in", 2), disk / "out", "--model", onnx_model)
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (2, "")
    assert stderr == f"pixlate: the output folder {disk / 'out'} cannot be written (Read-only file system); choose another or change its permissions\n"


def test_a_read_only_folder_for_report_or_sheet_is_refused_before_anything_is_written(disk: Path, tmp_path: Path, run: Run) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for option in ("report", "sheet"):
        with pytest.raises(PixlateError, match=rf"the {option} .* cannot be written \(Read-only file system\); choose another path for --{option}"):
            run(folder(tmp_path / "in", 1), tmp_path / "out", **{option: disk / "x.png"})
    assert not (tmp_path / "out").exists()


def test_a_full_disk_under_the_report_is_a_failure_that_says_so_and_the_images_are_converted(disk: Path, tmp_path: Path, run: Run) -> None:
    with (disk / "filler").open("wb") as file:
        file.write(b"\0" * (256 * 1024 - 4096))
    summary = run(folder(tmp_path / "in", 30), tmp_path / "out", report=disk / "report.json")
    assert (summary.converted, summary.failed, summary.exit_code) == (30, 0, 1)
    assert summary.unwritten == f"the report {disk / 'report.json'} could not be written (No space left on device)"
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_no_space_for_one_file_stops_and_leaves_no_part(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, simulated where a picture is written: half the file, then no more."""
    real, count = write_picture, 0

    def full(picture: object, path: Path, format: str, **options: Any) -> tuple[str, ...]:
        nonlocal count
        count += 1
        if count < 5:
            return real(picture, path, format, **options)  # type: ignore[arg-type]
        path.write_bytes(b"half a pic")
        raise PixlateError("the file could not be written (No space left on device)") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipeline, "write_picture", full)
    summary = run(folder(tmp_path / "in", 40), tmp_path / "out", threads=1)
    assert summary.converted == 4
    assert summary.failed == 1
    assert summary.not_reached == 40 - 4 - summary.failed
    assert summary.exit_code == 1
    assert "No space left on device" in summary.stopped
    assert sound(tmp_path / "out") == 4


def test_a_part_that_cannot_even_be_removed_does_not_hang(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*arguments: object, **options: object) -> tuple[str, ...]:
        raise OSError(errno.EROFS, "Read-only file system")

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.parent.name == "parts":
            gone()

    monkeypatch.setattr(pipeline, "write_picture", gone)
    monkeypatch.setattr(Path, "unlink", unlink)
    summary = run(folder(tmp_path / "in", 3), tmp_path / "out", threads=1)
    assert summary.exit_code == 1
    assert "takes no more (Read-only file system)" in summary.stopped


def test_an_error_of_one_file_alone_does_not_stop_the_others(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Journal.finish

    def finish(self: Journal, job: object, part: Path, source: os.stat_result) -> None:
        if getattr(job, "name", "") == "1/001.png":
            raise OSError(errno.EIO, "Input/output error")
        real(self, job, part, source)  # type: ignore[arg-type]

    monkeypatch.setattr(Journal, "finish", finish)
    summary = run(folder(tmp_path / "in", 4), tmp_path / "out")
    assert (summary.converted, summary.failed, summary.not_reached) == (3, 1, 0)
    assert summary.failures[0][1] == "the output cannot be written (Input/output error); check space and permissions"
    assert sound(tmp_path / "out") == 3


def test_a_report_that_fails_in_the_middle_is_dropped_and_the_earlier_one_kept(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "report.json"
    report.write_text("earlier")
    real = Report._write

    def write(self: Report, text: str, last: bool = False) -> None:
        if "001.png" in text and self._draft is not None:
            inner = self._draft.file

            class Full:
                close = staticmethod(inner.close)

                def write(self, text: str) -> int:
                    raise OSError(errno.ENOSPC, "No space left on device")

            self._draft.file = Full()  # type: ignore[assignment]
        real(self, text, last)

    monkeypatch.setattr(Report, "_write", write)
    summary = run(folder(tmp_path / "in", 4), tmp_path / "out", report=report)
    assert (summary.converted, summary.exit_code) == (4, 1)
    assert "the report" in summary.unwritten
    assert report.read_text() == "earlier"
    assert not list(tmp_path.glob(".*.part"))


def test_a_sheet_that_cannot_be_written_is_a_failure_and_the_images_are_converted(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, file: str | Path | IO[bytes], format: str | None = None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = folder(tmp_path / "in", 2)
    real = Sheet._drawn

    def drawn(self: Sheet) -> Image.Image:
        monkeypatch.setattr(Image.Image, "save", full)
        return real(self)

    monkeypatch.setattr(Sheet, "_drawn", drawn)
    summary = run(source, tmp_path / "out", sheet=tmp_path / "sheet.png", report=tmp_path / "report.json")
    assert (summary.converted, summary.exit_code) == (2, 1)
    assert summary.unwritten == f"the sheet {tmp_path / 'sheet.png'} could not be written (No space left on device)"
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["unwritten"] == summary.unwritten
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("option", ["report", "sheet"])
def test_a_folder_under_the_name_of_report_or_sheet_is_refused_before_anything_is_written(option: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "x.png").mkdir()
    save(tmp_path / "in" / "a.png")
    before = tree(tmp_path)
    with pytest.raises(PixlateError, match=rf"the {option} .*x\.png cannot be written \(Is a directory\)"):
        run(tmp_path / "in", tmp_path / "out", **{option: tmp_path / "x.png"})
    assert tree(tmp_path) == before
