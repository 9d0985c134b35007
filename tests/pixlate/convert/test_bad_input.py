"""One bad file never stops the others, and each is reported with a clear sentence."""

import json
import os
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from tests.pixlate.conftest import Nearest, Run, folder, load, outputs, save

from pixlate.convert import conversion, pipeline
from pixlate.convert.budget import ByteBudget
from pixlate.convert.plan import make_plan
from pixlate.convert.report import Report
from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images import BUILT_IN, ImageFile, Picture, write_picture
from pixlate.images.picture import Pixels
from pixlate.inference.executor import Executor
from pixlate.inference.pictures import to_model
from pixlate.plugin.image_format import Frame, ImageFormat
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate.system.signals import StopOnSignal


def huge_header() -> bytes:
    """A PNG of 60,000 x 60,000 pixels by its header."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT" + b"\0" * 40


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Good images and one of each kind of bad one."""
    root = folder(tmp_path / "in", 5)
    whole = save(tmp_path / "whole.png", 40, 40).read_bytes()
    (root / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (root / "truncated.jpg").write_bytes(save(tmp_path / "whole.jpg", 40, 40).read_bytes()[:900])
    (root / "empty.png").touch()
    (root / "text.png").write_text("this is no image, whatever its name says")
    (root / "huge.png").write_bytes(huge_header())
    (root / "really png.jpg").write_bytes(whole)
    return root


BAD = {
    "truncated.png": r"truncated or damaged",
    "truncated.jpg": r"truncated or damaged",
    "empty.png": r"the file is empty",
    "text.png": r"expected PNG, got a file that is none of",
    "huge.png": r"expected at most 200 million pixels, got 60000 x 60000 = 3600 million; raise the limit with --max-pixels",
}


def test_bad_files_are_reported_and_the_others_converted(mixed: Path, tmp_path: Path, run: Run) -> None:
    report = tmp_path / "report.json"
    summary = run(mixed, tmp_path / "out", report=report)
    assert (summary.converted, summary.failed, summary.not_reached, summary.exit_code) == (6, len(BAD), 0, 1)
    reasons = {Path(source).name: reason for source, reason in summary.failures}
    assert reasons.keys() == BAD.keys()
    for name, pattern in BAD.items():
        assert re.search(pattern, reasons[name])
        assert not (tmp_path / "out" / name).exists()
    written = json.loads(report.read_text())
    assert sorted(file["source"] for file in written["files"]) == sorted(str(path) for path in mixed.rglob("*") if path.is_file())
    assert {Path(file["source"]).name: file["reason"] for file in written["files"] if file["status"] == "failed"} == reasons
    assert written["summary"]["converted"] == 6
    assert all(file["output_size"] for file in written["files"] if file["status"] == "converted")


def test_a_png_named_jpg_is_converted_to_what_its_name_says_with_a_note(mixed: Path, tmp_path: Path, run: Run) -> None:
    summary = run(mixed / "really png.jpg", tmp_path / "out")
    assert load(tmp_path / "out" / "really png.jpg").format == "JPEG"
    assert summary.notes["the file is PNG inside, whatever its name says"] == 1


def test_fail_fast_stops_at_the_first_failure(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", 60)
    (source / "0" / "000.png").write_bytes(b"")
    summary = run(source, tmp_path / "out", fail_fast=True, threads=1)
    assert summary.failed == 1
    assert summary.not_reached > 40
    assert summary.stopped == "stopped at the first failure, as --fail-fast asks"
    assert summary.converted + summary.failed + summary.not_reached == summary.planned == 60
    assert len(outputs(tmp_path / "out")) == summary.converted


def test_max_pixels_lowers_and_raises_the_limit(tmp_path: Path, run: Run) -> None:
    source = save(tmp_path / "in" / "a.png", 10, 10).parent
    assert "100 = " not in (reason := run(source, tmp_path / "out", max_pixels=99).failures[0][1])
    assert "10 x 10" in reason
    assert run(source, tmp_path / "out", max_pixels=100).converted == 1
    (source / "huge.png").write_bytes(huge_header())
    [(_, reason)] = run(source / "huge.png", tmp_path / "out", max_pixels=100).failures
    assert "at most 0.0001 million pixels" in reason


def test_a_raised_limit_lets_a_huge_header_through_to_the_decoder(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding 3.6 billion pixels is too slow for a test: that the decoder is called is enough."""
    source = tmp_path / "huge.png"
    source.write_bytes(huge_header())
    asked: list[Path] = []

    def decoder(file: ImageFile, channels: int, **_: object) -> Frame:
        asked.append(source)
        raise PixlateError("decoded")

    monkeypatch.setattr(ImageFile, "first", decoder)
    assert run(source, tmp_path / "out", max_pixels=4_000_000_000).failures == [(str(source), "decoded")]
    assert asked == [source]


@pytest.fixture
def nobody() -> Iterator[None]:
    """Give up root's rights, which pass over permission bits, for the length of a test."""
    if os.geteuid() != 0:
        yield  # permission bits count already
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_file_that_may_not_be_read_is_reported(tmp_path: Path, run: Run, request: pytest.FixtureRequest) -> None:
    source = folder(tmp_path / "in", 3)
    (source / "0" / "000.png").chmod(0)
    (source / "1").chmod(0)
    (tmp_path / "out").mkdir(mode=0o777)
    (tmp_path / "out").chmod(0o777)
    for path in (tmp_path, *tmp_path.parents):  # pytest keeps its folders to their owner
        if path.stat().st_mode & 0o077 == 0:
            path.chmod(0o755)
    request.getfixturevalue("nobody")
    summary = run(source, tmp_path / "out")
    os.seteuid(os.getuid())
    (source / "1").chmod(0o755)
    reasons = {Path(path).name: reason for path, reason in summary.failures}
    assert reasons == {
        "000.png": "permission denied; make the file readable for this user",
        "1": "the folder cannot be read (Permission denied); check its path and permissions",
    }
    assert (summary.converted, summary.exit_code) == (1, 1)


def test_an_output_folder_that_may_not_be_written_is_refused(tmp_path: Path, run: Run, request: pytest.FixtureRequest) -> None:
    source = folder(tmp_path / "in", 1)
    (tmp_path / "out").mkdir(mode=0o555)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o077 == 0:
            path.chmod(0o755)
    request.getfixturevalue("nobody")
    with pytest.raises(PixlateError, match=r"output folder .* cannot be written \(Permission denied\)"):
        run(source, tmp_path / "out")


def test_files_that_vanish_after_the_plan_are_reported(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path / "in", 6)
    real = make_plan

    def planned(*arguments: object) -> object:
        plan = real(*arguments)  # type: ignore[arg-type]
        (source / "0" / "000.png").unlink()
        return plan

    monkeypatch.setattr(conversion, "make_plan", planned)
    summary = run(source, tmp_path / "out")
    assert (summary.converted, summary.failed) == (5, 1)
    assert summary.failures[0][1].startswith("there is no such file; it may have been moved")


def test_a_file_that_vanishes_while_it_is_read_is_reported(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path / "in", 2)

    def opened(path: Path, **options: Any) -> ImageFile:
        if path.name == "000.png":
            path.unlink()
        return ImageFile(path, **options)

    monkeypatch.setattr(pipeline, "ImageFile", opened)
    summary = run(source, tmp_path / "out")
    assert (summary.converted, summary.failed) == (1, 1)
    assert "no such file" in summary.failures[0][1]


def test_a_file_that_grows_while_it_is_read_is_converted_again_by_the_next_run(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "in" / "a.png")

    def opened(path: Path, **options: Any) -> ImageFile:
        file = ImageFile(path, **options)
        save(source, 20, 20, seed=5)  # larger than the header said a moment ago
        return file

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "ImageFile", opened)
        assert run(source.parent, tmp_path / "out").converted == 1
    assert run(source.parent, tmp_path / "out").converted == 1
    assert load(tmp_path / "out" / "a.png").size == (40, 40)
    assert run(source.parent, tmp_path / "out").finished_before == 1


def test_grey_and_colour_pictures_of_one_size_go_through_a_model_of_grey_ones(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    use(Nearest(ModelSpec(scale=2, channels_in=1, channels_out=1)))
    for number in range(6):
        load(save(tmp_path / "in" / f"{number}.png")).convert("RGB" if number % 2 else "L").save(tmp_path / "in" / f"{number}.png")
    summary = run(tmp_path / "in", tmp_path / "out", batch=6, threads=4)
    assert (summary.converted, summary.failed) == (6, 0)


def test_output_that_the_format_cannot_hold_is_refused_before_the_model_runs(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    ran: list[tuple[int, ...]] = []
    use(Nearest(ModelSpec(channels_in=5, channels_out=5), before=lambda pixels: ran.append(pixels.shape)))
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", np.zeros((8, 9, 5), np.uint8))
    sentence = "channels of uint8 or uint16 in PNG, got 5 of uint8; use --format tiff or npy"
    with pytest.raises(PixlateError, match=sentence):
        run(tmp_path / "in", tmp_path / "out", format="png")
    assert not (tmp_path / "out").exists() and not ran
    write_picture(Picture(np.zeros((8, 9, 1), np.uint8)), tmp_path / "in" / "grey.png", "png")
    summary = run(tmp_path / "in", tmp_path / "arrays")
    assert summary.converted == 1 and summary.failures[0][1].endswith(sentence)
    assert [shape[0] for shape in ran] == [1]


@pytest.mark.parametrize("raised", [RuntimeError, SystemExit, GeneratorExit])
def test_a_decoder_with_a_bug_costs_its_file_alone(raised: type[BaseException], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises: a reading thread that ended without a word would leave the conversion waiting for ever."""
    source = folder(tmp_path / "in", 4)

    def buggy(path: Path, **options: Any) -> ImageFile:
        if path.name == "001.png":
            raise raised("boom")
        return ImageFile(path, **options)

    monkeypatch.setattr(pipeline, "ImageFile", buggy)
    summary = run(source, tmp_path / "out")
    assert (summary.converted, summary.failed) == (3, 1)
    assert summary.failures[0][1] == f"unexpected {raised.__name__}: boom; please report it with the file"


@pytest.mark.parametrize("raised", [MemoryError(), PixlateError("not for this model")])
def test_a_picture_that_cannot_be_made_ready_fails_alone(raised: Exception, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(picture: Picture, spec: ModelSpec) -> Pixels:
        if picture.pixels.shape[0] == 11:
            raise raised
        return to_model(picture, spec)

    monkeypatch.setattr(pipeline, "to_model", refuse)
    for index, height in enumerate((10, 11, 12)):
        save(tmp_path / "in" / f"{index}.png", height, 9)
    summary = run(tmp_path / "in", tmp_path / "out")
    assert (summary.converted, summary.failed) == (2, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e300])
def test_floating_point_samples_beyond_white_are_clipped_and_those_that_are_no_numbers_refused(value: float, tmp_path: Path, run: Run) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", np.full((5, 7, 3), value))
    save(tmp_path / "in" / "b.png")
    summary = run(tmp_path / "in", tmp_path / "out", format="png")
    assert (summary.converted, summary.failed) == ((1, 1) if np.isnan(value) else (2, 0))
    assert not summary.failures or "expected numbers as samples, got some that are none (NaN); replace them" in summary.failures[0][1]


def test_an_encoder_with_a_bug_costs_its_file_alone(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(picture: Picture, path: Path, format: str, **options: Any) -> tuple[str, ...]:
        if len(picture.pixels) == 14:
            path.write_bytes(b"half")
            raise SystemExit("boom")
        return write_picture(picture, path, format, **options)

    monkeypatch.setattr(pipeline, "write_picture", buggy)
    source = folder(tmp_path / "in", 4)
    save(source / "bug.png", 7, 7)
    summary = run(source, tmp_path / "out")
    assert (summary.converted, summary.failed) == (4, 1)
    assert not (tmp_path / "out" / "bug.png").exists()
    assert [path.name for path in (tmp_path / "out" / ".pixlate").iterdir()] == ["journal.jsonl"]


def test_a_plugins_format_is_read_within_the_budget(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is not known before it is read; more than the budget holds goes through one by one."""
    lock, most, now = threading.Lock(), 0, 0

    def read(path: Path) -> Picture:
        return Picture(np.zeros((20, 20, 3), np.uint8))

    offered = {**BUILT_IN, ".npy": ImageFormat("npy", (".npy",), read)}
    monkeypatch.setattr(conversion, "installed", type("Plugins", (), {"image_formats": lambda self, films=False: offered}))
    monkeypatch.setattr(pipeline, "BUDGET", 1000)
    real = ByteBudget.take

    def take(self: ByteBudget, count: int) -> int:
        nonlocal most, now
        taken = real(self, count)
        with lock:
            now += 1
            most = max(most, taken)
        return taken

    monkeypatch.setattr(ByteBudget, "take", take)
    (tmp_path / "in").mkdir()
    for number in range(5):
        (tmp_path / "in" / f"{number}.npy").touch()
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary.converted == 5
    assert summary.notes == {"written as PNG, since .npy can only be read": 5}
    assert most == 1000
    assert now == 10


def test_a_bug_in_a_translator_costs_the_picture_it_fails_on_and_no_other(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    def buggy(pixels: Pixels) -> None:
        if pixels.shape[1] == 7:
            raise ValueError("a bug")

    use(Nearest(before=buggy))
    source = folder(tmp_path / "in", 30)
    save(source / "1" / "bug.png", 7, 7)
    before = threading.active_count()
    summary = run(source, tmp_path / "out")
    ((failed, reason),) = summary.failures
    assert (Path(failed).name, summary.converted) == ("bug.png", 30)
    assert reason == "the model failed on this picture (ValueError: a bug); report it to whoever made the model"
    assert threading.active_count() == before
    assert list((tmp_path / "out" / ".pixlate").iterdir()) == [tmp_path / "out" / ".pixlate" / "journal.jsonl"]
    for path in outputs(tmp_path / "out").values():
        load(path)
    (source / "1" / "bug.png").unlink()
    assert run(source, tmp_path / "out").exit_code == 0


@pytest.mark.parametrize("wrong", [lambda pixels: pixels, lambda pixels: pixels.repeat(2, 1).repeat(2, 2).astype(float), lambda pixels: None])
def test_a_model_that_gives_another_shape_or_type_than_its_spec_says_writes_nothing(
    wrong: Callable[[Pixels], Pixels], tmp_path: Path, run: Run, use: Callable[[Translator], Path]
) -> None:
    class Wrong(Nearest):
        def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
            assert pixels is not None
            return wrong(pixels)

    use(Wrong())
    summary = run(folder(tmp_path / "in", 3), tmp_path / "out")
    assert (summary.converted, summary.failed) == (0, 3)
    assert all("of the model, as its spec says, got" in reason for _, reason in summary.failures)
    assert outputs(tmp_path / "out") == {}


def test_a_bug_in_the_callers_progress_callback_ends_the_threads_too(tmp_path: Path, run: Run) -> None:
    def watch(report: Report) -> None:
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        run(folder(tmp_path / "in", 30), tmp_path / "out", watch=watch)
    assert threading.active_count() == before


def test_readers_waiting_for_memory_budget_end_with_the_conversion(
    tmp_path: Path, run: Run, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BUDGET", 10)

    def buggy(executor: object, *arguments: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Executor, "translate", buggy)
    use(Nearest())
    before = threading.active_count()
    with pytest.raises(ValueError, match="a bug"):
        run(folder(tmp_path / "in", 30), tmp_path / "out", threads=4)
    assert threading.active_count() == before


def test_one_image_too_large_for_the_device_or_the_memory_fails_alone(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    def full(pixels: Pixels) -> None:
        if pixels.shape[1] == 7:
            raise OutOfDeviceMemory("full")
        if pixels.shape[1] == 8:
            raise MemoryError

    use(Nearest(before=full))
    source = folder(tmp_path / "in", 3)
    save(source / "device.png", 7, 7)
    save(source / "memory.png", 8, 8)
    summary = run(source, tmp_path / "out")
    reasons = {Path(path).name: reason for path, reason in summary.failures}
    assert summary.converted == 3
    assert "the memory of cpu does not hold even a tile" in reasons["device.png"]
    assert "does not fit in memory" in reasons["memory.png"]


def test_an_interruption_waits_for_one_tile_and_not_for_a_whole_large_image(
    tmp_path: Path, run: Run, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    tiles, before, noticed, ask = 0, signal.getsignal(signal.SIGINT), threading.Event(), StopOnSignal._ask

    def answer(stop: StopOnSignal, number: int, frame: FrameType | None) -> None:
        ask(stop, number, frame)
        noticed.set()

    def second_tile(pixels: Pixels) -> None:
        nonlocal tiles
        tiles += 1
        if tiles == 2:
            os.kill(os.getpid(), signal.SIGINT)
            assert noticed.wait(60)  # the model runs in a thread of its own, and the signal arrives in the main one

    monkeypatch.setattr(StopOnSignal, "_ask", answer)
    use(Nearest(before=second_tile))
    save(tmp_path / "in" / "large.png", 400, 400)
    summary = run(tmp_path / "in", tmp_path / "out", tile=32)
    assert (summary.interrupted, summary.not_reached, summary.exit_code) == (True, 1, 130)
    assert tiles == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_conversions_run_in_a_thread_that_cannot_catch_signals(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", 4)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(run(source, tmp_path / "out").converted))
    thread.start()
    thread.join(60)
    assert found == [4]
