"""A film that is interrupted or killed at any moment goes on behind its last piece, without a lost or doubled frame."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.pixlate.conftest import Nearest, Run, command, outputs, tree
from tests.pixlate_video.conftest import film, hashes, times

from pixlate.convert import ConvertOptions, conversion, convert
from pixlate.convert.report import Report
from pixlate.images.picture import Pixels
from pixlate.plugin.translator import Translator
from pixlate_video.encoder import SEGMENT

Make = Callable[..., None]
COUNT = 3 * SEGMENT + 40
SOURCE = f"testsrc2=size=64x48:rate=30:duration={COUNT / 30}"
PATIENCE = 120


def stopped_after(source: Path, out: Path, count: int, use: Callable[[Translator], Path], **options: Any) -> int:
    """Convert until the model has seen so many frames, as Ctrl-C does; return how many it has seen in the end."""
    runs: list[conversion.Run] = []
    seen: list[int] = []
    original = conversion.Run.__init__

    def remembered(self: conversion.Run, *arguments: Any) -> None:
        runs.append(self)
        original(self, *arguments)

    def look(pixels: Pixels) -> None:
        seen.append(len(pixels))
        if sum(seen) >= count:
            runs[0].stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion.Run, "__init__", remembered)
        convert(source, out, use(Nearest(before=look)), ConvertOptions(threads=2, batch=4, **options))
    return sum(seen)


def test_an_interrupted_film_goes_on_behind_its_last_piece_and_is_the_same(ffmpeg: Make, tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    sound = ("-f", "lavfi", "-i", f"sine=440:duration={COUNT / 30}", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac")
    source = film(ffmpeg, tmp_path / "a.mp4", *sound, source=SOURCE)
    assert convert(source, tmp_path / "whole", use(Nearest()), ConvertOptions(threads=2, batch=4)).converted == 1
    out = tmp_path / "out"
    seen = stopped_after(source, out, 2 * SEGMENT + 60, use)
    assert seen < COUNT and outputs(out) == {}
    assert len(list(out.glob(".pixlate/kept/*/*/*.segment"))) == 2
    again: list[int] = []
    summary = convert(source, out, use(Nearest(before=lambda pixels: again.append(len(pixels)))), ConvertOptions(threads=2, batch=4))
    assert sum(again) == summary.frames == COUNT - 2 * SEGMENT, "the speed that is printed is that of this run"
    assert (out / "a.mp4").read_bytes() == (tmp_path / "whole" / "a.mp4").read_bytes()
    assert len(times(out / "a.mp4")) == COUNT and hashes(out / "a.mp4", "a") == hashes(source, "a")
    assert tree(out) == tree(tmp_path / "whole"), "something is left over"


def test_pieces_of_other_settings_or_another_source_are_not_used(ffmpeg: Make, tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4", source=SOURCE)
    out = tmp_path / "out"
    stopped_after(source, out, SEGMENT + 60, use)
    kept = list(out.glob(".pixlate/kept/*/*"))
    assert stopped_after(source, out, SEGMENT + 60, use, quality=80) > SEGMENT
    others = list(out.glob(".pixlate/kept/*/*"))
    assert len(kept) == len(others) == 1 and kept != others
    film(ffmpeg, source, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "30", source=SOURCE)
    assert stopped_after(source, out, 10**9, use, quality=80) == COUNT


def test_a_piece_that_is_damaged_or_a_link_is_done_again(ffmpeg: Make, tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4", source=SOURCE)
    convert(source, tmp_path / "whole", use(Nearest()), ConvertOptions())
    for damage in ("cut", "flip", "link", "text"):
        out = tmp_path / damage
        stopped_after(source, out, 2 * SEGMENT + 60, use)
        _, second = sorted(out.glob(".pixlate/kept/*/*/*.segment"))
        data = second.read_bytes()
        if damage == "link":
            (tmp_path / "mine").write_bytes(data)
            second.unlink()
            second.symlink_to(tmp_path / "mine")
        else:
            second.write_bytes({"cut": data[:-7], "flip": data[:50] + bytes([data[50] ^ 1]) + data[51:], "text": b"notes of mine"}[damage])
        assert stopped_after(source, out, 10**9, use) == COUNT - SEGMENT
        assert (out / "a.mp4").read_bytes() == (tmp_path / "whole" / "a.mp4").read_bytes()
        if damage == "link":
            assert (tmp_path / "mine").read_bytes() == data


def test_a_film_that_only_lacks_its_last_step_is_not_translated_again(
    ffmpeg: Make, tmp_path: Path, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixlate_video import writer

    source = film(ffmpeg, tmp_path / "a.mp4", source=SOURCE)

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "put_together", fail)
        assert convert(source, tmp_path / "out", use(Nearest()), ConvertOptions()).failed == 1
    assert stopped_after(source, tmp_path / "out", 10**9, use) == 0
    assert len(times(tmp_path / "out" / "a.mp4")) == COUNT


@pytest.mark.slow
def test_a_film_killed_many_times_is_the_same_as_one_that_was_not(ffmpeg: Make, onnx_model: Path, tmp_path: Path) -> None:
    count = 8 * SEGMENT + 31
    sound = ("-f", "lavfi", "-i", f"sine=440:duration={count / 30}", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac")
    source = film(ffmpeg, tmp_path / "a.mp4", *sound, source=f"testsrc2=size=192x144:rate=30:duration={count / 30}")
    words = ("--runtime", "onnxruntime", "--model", onnx_model)
    process = command(source, tmp_path / "whole", *words)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    out, draw, kills, in_the_middle = tmp_path / "out", random.Random(4), 0, 0
    while True:
        before = pieces(out)
        process = command(source, out, *words)
        if kills < 6:
            until(process, out, before + draw.choice((0, 1, 1, 2)))
            time.sleep(draw.random() * 0.4)  # the moment is meant to be arbitrary
            process.send_signal(draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
        process.communicate(timeout=PATIENCE)
        assert pieces(out) >= before or outputs(out), "a piece was lost"
        if process.returncode == 0:
            break
        kills += 1
        in_the_middle += 0 < pieces(out) < 8
    assert kills >= 3 and in_the_middle >= 2, "the kills came too late to show anything"
    assert (out / "a.mp4").read_bytes() == (tmp_path / "whole" / "a.mp4").read_bytes()
    assert len(times(out / "a.mp4")) == count
    assert not (out / ".pixlate" / "kept").exists()


def pieces(out: Path) -> int:
    return len(list(out.glob(".pixlate/kept/*/*/*.segment")))


def until(process: "subprocess.Popen[str]", out: Path, count: int) -> None:
    """Wait until that many pieces exist, or the process has ended."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and pieces(out) < count:
        assert time.monotonic() < deadline, "the conversion hangs"
        time.sleep(0.002)  # all that is seen of the process is its pieces


def test_a_resumed_film_is_counted_whole(ffmpeg: Make, tmp_path: Path, use: Callable[[Translator], Path], run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4", source=SOURCE)
    stopped_after(source, tmp_path / "out", SEGMENT + 60, use)
    shown: list[tuple[int, int]] = []
    reports: list[Report] = []

    def look(pixels: Pixels) -> None:
        if reports:
            shown.append(reports[0].progress.frames)

    model = use(Nearest(before=look))
    summary = convert(source, tmp_path / "out", model, ConvertOptions(report=tmp_path / "r.json"), reports.append)
    assert summary.converted == 1 and f'"frames": {COUNT}' in (tmp_path / "r.json").read_text()
    assert shown[-1][1] == COUNT and shown[-1][0] >= SEGMENT
