"""``--frames all``: animations and files of several pages are converted whole, frame by frame, in their order."""

import io
import json
import random
import subprocess
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.pixlate.conftest import Nearest, Run, load, nearest, noise, outputs

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.frames import InOrder
from pixlate.convert.preview import preview
from pixlate.convert.report import Report
from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.formats import BUILT_IN
from pixlate.images.picture import Pixels
from pixlate.inference.strength import blend
from pixlate.plugin.image_format import Frame
from pixlate.plugin.translator import Translator

ANIMATED = ("gif", "png", "webp")
SAVED: dict[str, dict[str, Any]] = {"gif": {}, "png": {}, "webp": {"lossless": True, "exact": True}}


def moving(count: int, alpha: bool = False) -> list[Image.Image]:
    """Return frames in which a red block moves over stripes, or over nothing."""
    frames = []
    for index in range(count):
        pixels = np.zeros((20, 31, 4), np.uint8)
        if not alpha:
            pixels[:, ::3] = (20, 60, 200, 255)
            pixels[..., 3] = 255
        pixels[4 + index % 7 : 11 + index % 7, 2 * index % 20 : 2 * index % 20 + 8] = (255, 10, 30, 255)
        frames.append(Image.fromarray(pixels if alpha else pixels[..., :3].copy()))
    return frames


def animate(path: Path, frames: list[Image.Image], durations: list[float], plays: int = 0, **options: Any) -> Path:
    """Have Pillow write an animation."""
    loop = plays - 1 if path.suffix == ".gif" else plays
    extra = SAVED[path.suffix[1:]] | options | ({} if path.suffix == ".gif" and plays == 1 else {"loop": max(0, loop)})
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, **extra)
    return path


def shown(path: Path) -> tuple[list[Pixels], list[float], int]:
    """Return what Pillow shows of an animation: premultiplied RGBA of each frame, durations in milliseconds, and how often it plays."""
    pixels, durations = [], []
    with Image.open(path) as image:
        loop = image.info.get("loop")
        plays = (1 if loop is None else loop + 1 if loop else 0) if image.format == "GIF" else int(loop or 0)
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            rgba = np.asarray(image.convert("RGBA"))
            pixels.append(np.where(rgba[..., 3:] > 0, rgba, 0))
            durations.append(float(image.info.get("duration") or 0))
    return pixels, durations, plays


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("plays", [0, 1, 3])
@pytest.mark.parametrize("format", ANIMATED)
def test_an_animation_is_converted_whole_with_durations_plays_and_transparency(format: str, plays: int, alpha: bool, tmp_path: Path, run: Run) -> None:
    durations = [40.0, 70.0, 100.0, 30.0, 250.0, 40.0]
    source = animate(tmp_path / f"a.{format}", moving(6, alpha), durations, plays, **({"disposal": 2} if format == "gif" and alpha else {}))
    summary = run(source, tmp_path / "out", frames="all", alpha="model", lossless=format == "webp")
    assert (summary.converted, summary.failed) == (1, 0)
    before, after = shown(source), shown(tmp_path / "out" / source.name)
    assert after[1:] == (durations, plays) == before[1:]
    for given, found in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(found, nearest(given[None], 2)[0])


def test_frames_that_are_parts_of_the_canvas_become_what_a_viewer_shows(tmp_path: Path, run: Run) -> None:
    """Pillow stores of each frame what differs, with every way of disposal."""
    for disposal in (0, 1, 2, 3):
        source = animate(tmp_path / f"{disposal}.gif", moving(7, alpha=disposal > 1), [50] * 7, disposal=disposal)
        assert run(source, tmp_path / "out", frames="all", alpha="model").converted == 1
        for given, found in zip(shown(source)[0], shown(tmp_path / "out" / source.name)[0], strict=True):
            np.testing.assert_array_equal(found, nearest(given[None], 2)[0])


@pytest.mark.parametrize("format", ANIMATED)
def test_an_animation_can_change_its_format(format: str, tmp_path: Path, run: Run) -> None:
    source = animate(tmp_path / "a.gif", moving(5), [50, 60, 70, 80, 90], 3)
    assert run(source, tmp_path / f"a.out.{format}", frames="all", lossless=format == "webp").converted == 1
    pixels, durations, plays = shown(tmp_path / f"a.out.{format}")
    assert (durations, plays) == ([50, 60, 70, 80, 90], 3)
    for given, found in zip(shown(source)[0], pixels, strict=True):
        np.testing.assert_array_equal(found, nearest(given[None], 2)[0])


def test_durations_that_gif_cannot_hold_add_up_to_the_length_of_the_animation(tmp_path: Path, run: Run) -> None:
    source = animate(tmp_path / "a.png", moving(30), [1000 / 30] * 30)
    run(source, tmp_path / "a.gif", frames="all")
    assert sum(shown(tmp_path / "a.gif")[1]) == 1000
    source = animate(tmp_path / "fast.png", moving(30), [1000 / 60] * 30)
    summary = run(source, tmp_path / "fast.gif", frames="all")
    assert set(shown(tmp_path / "fast.gif")[1]) == {20} and any("50 frames a second" in note for note in summary.notes)


def test_only_what_changes_is_stored(tmp_path: Path, run: Run) -> None:
    """A still picture of noise with one moving point is hardly larger than the first frame."""
    frames = [noise(100, 120) for _ in range(10)]
    for index, frame in enumerate(frames):
        frame[50, index] = 255
    one, ten = ([Image.fromarray(frame) for frame in frames[:count]] for count in (1, 10))
    one[0].save(tmp_path / "one.png")
    animate(tmp_path / "ten.png", ten, [50] * 10)
    run([tmp_path / "one.png", tmp_path / "ten.png"], tmp_path / "out", frames="all")
    assert (tmp_path / "out" / "ten.png").stat().st_size < 1.4 * (tmp_path / "out" / "one.png").stat().st_size


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pages_keep_their_depth_size_and_what_each_says_of_itself(kind: type[np.uint8] | type[np.uint16], tmp_path: Path, run: Run) -> None:
    pages = [noise(9 + index, 14 - index, 3 if index % 2 else 1, seed=index, dtype=kind) for index in range(5)]
    with tifffile.TiffWriter(tmp_path / "scan.tif") as writer:
        for index, page in enumerate(pages):
            writer.write(
                page if index % 2 else page[..., 0],
                photometric="rgb" if index % 2 else "minisblack",
                resolution=(100 + index, 100 + index),
                resolutionunit="INCH",
                metadata=None,
                description=f"page {index}",
                software=f"scanner {index}",
            )
    summary = run(tmp_path / "scan.tif", tmp_path / "out", frames="all")
    assert (summary.converted, summary.notes) == (1, {})
    with tifffile.TiffFile(tmp_path / "out" / "scan.tif") as file:
        assert len(file.pages) == 5
        for index, (given, written) in enumerate(zip(pages, file.pages, strict=True)):
            found = written.asarray()
            np.testing.assert_array_equal(found.reshape(*found.shape[:2], -1), nearest(given[None], 2)[0])
            assert isinstance(written, tifffile.TiffPage)
            assert written.tags["ImageDescription"].value == f"page {index}" and written.tags["Software"].value == f"scanner {index}"
            assert written.tags["XResolution"].value == (1000 * (100 + index), 1000)


def test_pages_of_16_bits_become_an_animation_of_16_bits(tmp_path: Path, run: Run) -> None:
    pages = np.stack([noise(9, 14, 3, seed=index, dtype=np.uint16) for index in range(4)])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    run(tmp_path / "a.tif", tmp_path / "a.png", frames="all")
    with ImageFile(tmp_path / "a.png", max_pixels=10**6) as file:
        found = [frame.picture.pixels for frame in file.frames(whole=True) if isinstance(frame, Frame)]
    np.testing.assert_array_equal(np.stack(found), nearest(pages, 2))
    if which("ffmpeg") is None:
        pytest.skip("no ffmpeg to compare with")
    words = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.png"), "-vsync", "0", "-f", "rawvideo", "-pix_fmt", "rgb48le", "-"]
    decoded = np.frombuffer(subprocess.run(words, check=True, capture_output=True).stdout, "<u2")
    np.testing.assert_array_equal(decoded.reshape(4, 18, 28, 3), nearest(pages, 2))


def test_without_the_option_the_first_frame_is_converted_and_a_note_says_so(tmp_path: Path, run: Run) -> None:
    source = animate(tmp_path / "a.gif", moving(6), [50] * 6)
    for options, advice in (({}, "; --frames all converts every one"), ({"frames": "first"}, "")):
        summary = run(source, tmp_path / f"out{len(options)}", **options)
        assert next(iter(summary.notes)) == f"first of 6 frames{advice}"
        np.testing.assert_array_equal(shown(tmp_path / f"out{len(options)}" / "a.gif")[0], nearest(np.stack(shown(source)[0][:1]), 2))


def test_single_pictures_are_converted_as_without_the_option(tmp_path: Path, run: Run) -> None:
    for name in ("a.png", "b.gif", "c.tif", "d.webp", "e.jpg", "f.bmp"):
        Image.fromarray(noise(9, 14)).save(tmp_path / name)
    names = sorted(tmp_path.glob("?.*"))
    names = [name for name in names if name.suffix != ".model"]
    for options in ({}, {"frames": "all"}):
        assert run(names, tmp_path / f"out{len(options)}", **options).converted == 6
    assert {name: path.read_bytes() for name, path in outputs(tmp_path / "out0").items()} == {
        name: path.read_bytes() for name, path in outputs(tmp_path / "out1").items()
    }


def test_a_damaged_page_is_left_out_and_named_and_the_others_are_converted(tmp_path: Path, run: Run) -> None:
    pages = [noise(40, 50, seed=index) for index in range(4)]
    images = [Image.fromarray(page) for page in pages]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:], compression="tiff_deflate")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset = file.pages[2].dataoffsets[0]
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[offset + 20 : offset + 400] = bytes(380)
    (tmp_path / "a.tif").write_bytes(data)
    summary = run(tmp_path / "a.tif", tmp_path / "out", frames="all")
    assert summary.converted == 1 and any(note.startswith("page 3 could not be read and was left out: ") for note in summary.notes)
    with Image.open(tmp_path / "out" / "a.tif") as image:
        assert getattr(image, "n_frames", 1) == 3
        for index, page in enumerate((0, 1, 3)):
            image.seek(index)
            np.testing.assert_array_equal(np.asarray(image), nearest(pages[page][None], 2)[0])


@pytest.mark.parametrize("format", ["gif", "png"])
def test_an_animation_that_ends_too_soon_is_converted_as_far_as_it_goes(format: str, tmp_path: Path, run: Run) -> None:
    frames = [Image.fromarray(noise(40, 50, 1, seed=index)[..., 0]) for index in range(6)]
    source = animate(tmp_path / f"a.{format}", frames, [50] * 6)
    whole = shown(source)[0]
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 3 // 5])
    summary = run(source, tmp_path / "out", frames="all")
    assert summary.converted == 1 and any("on were left out, since they cannot be read" in note for note in summary.notes)
    found = shown(tmp_path / "out" / source.name)[0]
    assert 2 <= len(found) <= 4
    np.testing.assert_array_equal(np.stack(found), nearest(np.stack(whole[: len(found)]), 2))


def test_a_file_without_a_readable_page_fails_alone(tmp_path: Path, run: Run) -> None:
    images = [Image.fromarray(noise(40, 50, seed=index)) for index in range(3)]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:], compression="tiff_deflate")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for page in file.pages:
            data[page.dataoffsets[0] : page.dataoffsets[0] + 100] = bytes(100)
    (tmp_path / "a.tif").write_bytes(data)
    images[0].save(tmp_path / "b.tif")
    summary = run([tmp_path / "a.tif", tmp_path / "b.tif"], tmp_path / "out", frames="all")
    assert (summary.converted, summary.failed) == (1, 1) and "none of its pages can be read" in summary.failures[0][1]
    assert list(outputs(tmp_path / "out")) == ["b.tif"]


def test_a_format_of_one_picture_is_refused_before_anything_is_read(tmp_path: Path, run: Run) -> None:
    source = animate(tmp_path / "a.gif", moving(3), [50] * 3)
    with pytest.raises(PixlateError, match=r"expected a format that holds several pictures \(png, webp, tiff, gif.*\) for --frames all, got JPEG"):
        run(source, tmp_path / "out", frames="all", format="jpeg")
    assert not (tmp_path / "out").exists()


def test_an_animation_whose_own_format_is_only_read_fails_with_formats_that_can_be_written(tmp_path: Path, run: Run) -> None:
    frames = moving(3)
    frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:], duration=50)
    summary = run(tmp_path / "a.avif", tmp_path / "out", frames="all")
    assert summary.failed == 1 and "got AVIF; use --format webp" in summary.failures[0][1]
    assert run(tmp_path / "a.avif", tmp_path / "out", frames="all", format="webp").converted == 1
    assert len(shown(tmp_path / "out" / "a.webp")[0]) == 3


def test_strength_blends_every_frame_with_its_own_source(tmp_path: Path, run: Run) -> None:
    pages = np.stack([noise(9, 14, 3, seed=index) for index in range(4)])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    run(tmp_path / "a.tif", tmp_path / "out", frames="all", strength=0.5)
    for given, found in zip(pages, tifffile.imread(tmp_path / "out" / "a.tif"), strict=True):
        np.testing.assert_array_equal(found, blend(nearest(given[None], 2)[0], given, 0.5))


@pytest.mark.parametrize("alpha", ["bicubic", "model"])
def test_opacity_of_every_frame_is_enlarged_as_asked(alpha: str, tmp_path: Path, run: Run) -> None:
    pages = [Image.fromarray(noise(9, 14, 4, seed=index)) for index in range(3)]
    for index, page in enumerate(pages):
        page.save(tmp_path / f"{index}.png")
    tifffile.imwrite(tmp_path / "a.tif", np.stack([np.asarray(page) for page in pages]), photometric="rgb", extrasamples=["unassalpha"])
    run([tmp_path / f"{index}.png" for index in range(3)], tmp_path / "single", alpha=alpha)
    run(tmp_path / "a.tif", tmp_path / "out", frames="all", alpha=alpha)
    for index, found in enumerate(tifffile.imread(tmp_path / "out" / "a.tif")):
        np.testing.assert_array_equal(found, np.asarray(load(tmp_path / "single" / f"{index}.png")))


def test_a_second_run_does_nothing_and_other_frames_are_other_settings(tmp_path: Path, run: Run) -> None:
    source = animate(tmp_path / "a.gif", moving(3), [50] * 3)
    assert run(source, tmp_path / "out", frames="all").converted == 1
    assert run(source, tmp_path / "out", frames="all").finished_before == 1
    assert run(source, tmp_path / "out").failed == 1


def test_the_report_counts_frames_and_progress_is_in_frames_and_pixels(tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    source = animate(tmp_path / "a.gif", moving(12), [50] * 12)
    reports: list[Report] = []
    seen: list[tuple[tuple[int, int], float]] = []

    def look(pixels: Pixels) -> None:
        if reports:
            seen.append((reports[0].progress.frames, reports[0].progress.fraction))

    model = use(Nearest(before=look))
    options = ConvertOptions(frames="all", threads=1, batch=1, report=tmp_path / "report.json")
    convert(source, tmp_path / "out", model, options, reports.append)
    written = [frames for frames, _ in seen if frames[1]]
    assert {count for _, count in written} == {12} and [done for done, _ in written] == sorted(done for done, _ in written)
    assert [fraction for _, fraction in seen] == pytest.approx([index / 12 for index in range(12)])
    assert json.loads((tmp_path / "report.json").read_text())["files"][0]["frames"] == 12


def test_a_dry_run_counts_the_frames(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    model = use(Nearest())
    sources: list[str | Path] = [animate(tmp_path / f"a.{format}", moving(7), [50] * 7) for format in ANIMATED]
    moving(7)[0].save(tmp_path / "p.tif", save_all=True, append_images=moving(7)[1:])
    found = list(preview([*sources, tmp_path / "p.tif"], tmp_path / "out", model, ConvertOptions(dry_run=True, frames="all", suffix="_x")))
    assert [item.frames for item in found] == [7, 7, 7, 7]


def test_a_model_that_fails_on_a_frame_fails_the_file_and_leaves_nothing(tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    def fail(pixels: Pixels) -> None:
        if (pixels == 77).all():
            raise PixlateError("it does not like this one")

    pages = np.stack([noise(9, 14, 3, seed=index) for index in range(5)])
    pages[3] = 77
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    summary = convert(tmp_path / "a.tif", tmp_path / "out", use(Nearest(before=fail)), ConvertOptions(frames="all", threads=2))
    assert summary.failures == [(str(tmp_path / "a.tif"), "frame 4: it does not like this one")]
    assert outputs(tmp_path / "out") == {} and not list((tmp_path / "out" / ".pixlate").glob("*/*"))


def test_an_interrupted_animation_leaves_nothing_and_the_same_command_converts_it(tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    from pixlate.convert import conversion

    source = animate(tmp_path / "a.gif", moving(40), [50] * 40)
    runs: list[conversion.Run] = []
    original = conversion.Run.__init__

    def remembered(self: conversion.Run, *arguments: Any) -> None:
        runs.append(self)
        original(self, *arguments)

    seen: list[int] = []

    def stop(pixels: Pixels) -> None:
        seen.append(len(pixels))
        if sum(seen) >= 10:
            runs[0].stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion.Run, "__init__", remembered)
        summary = convert(source, tmp_path / "out", use(Nearest(before=stop)), ConvertOptions(frames="all", threads=1, batch=1))
    assert (summary.converted, summary.failed, summary.not_reached) == (0, 0, 1)
    assert outputs(tmp_path / "out") == {} and sum(seen) < 40
    assert convert(source, tmp_path / "out", use(Nearest()), ConvertOptions(frames="all")).converted == 1


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    def peak(count: int) -> int:
        pixels = [np.full((120, 160), 10 * (index % 20), np.uint8) for index in range(count)]
        animate(tmp_path / f"{count}.gif", [Image.fromarray(each) for each in pixels], [50] * count)
        model = use(Nearest())
        tracemalloc.start()
        try:
            options = ConvertOptions(frames="all", threads=1, batch=1, format="png")
            assert convert(tmp_path / f"{count}.gif", tmp_path / f"out{count}", model, options).converted == 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(8)  # what is imported on the first run
    few, many = peak(40), peak(240)
    assert many < 1.3 * few + 1_000_000, (few, many)


def test_the_sheet_shows_the_first_frame(tmp_path: Path, run: Run) -> None:
    source = animate(tmp_path / "a.gif", moving(5), [50] * 5)
    summary = run(source, tmp_path / "out", frames="all", sheet=tmp_path / "sheet.png")
    assert summary.sheet and load(tmp_path / "sheet.png").size[0] > 31


def test_a_picture_for_programs_without_animation_is_left_out_and_noted(tmp_path: Path, run: Run) -> None:
    frames = moving(4)
    Image.fromarray(noise(20, 31)).save(tmp_path / "a.png", save_all=True, append_images=frames, default_image=True, duration=[50] * 4)
    summary = run(tmp_path / "a.png", tmp_path / "out", frames="all")
    assert any("programs that show no animation" in note for note in summary.notes)
    found = shown(tmp_path / "out" / "a.png")[0]
    np.testing.assert_array_equal(np.stack(found)[..., :3], nearest(np.stack([np.asarray(frame) for frame in frames]), 2))


def test_metadata_of_an_animation_are_kept(tmp_path: Path, run: Run) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a moving block"
    for format in ("png", "webp"):
        animate(tmp_path / f"a.{format}", moving(3), [50] * 3, exif=exif)
    animate(tmp_path / "a.gif", moving(3), [50] * 3, comment=b"by hand")
    run([tmp_path / f"a.{format}" for format in ANIMATED], tmp_path / "out", frames="all", suffix="_x")
    for path in (tmp_path / "a.png", tmp_path / "a.webp"):
        with Image.open(tmp_path / "out" / f"a_x{path.suffix}") as image:
            assert image.getexif()[0x010E] == "a moving block" and getattr(image, "n_frames", 1) == 3
    with Image.open(tmp_path / "out" / "a_x.gif") as image:
        assert image.info["comment"] == b"by hand"


@pytest.mark.parametrize("seed", range(20))
def test_what_is_finished_in_any_order_is_handled_in_order_and_never_too_far_ahead(seed: int) -> None:
    draw = random.Random(seed)
    handled: list[int] = []
    with ThreadPoolExecutor(3) as pool, ThreadPoolExecutor(4) as workers:
        order: InOrder[int] = InOrder(pool, handled.append, lambda item: None, 5, lambda: False)
        waiting: list[int] = []
        for _ in range(60):
            number = order.enter()
            assert number is not None and number - len(handled) <= 5
            waiting.append(number)
            if len(waiting) == 5 or draw.random() < 0.5:
                draw.shuffle(waiting)
                for each in waiting:
                    workers.submit(order.put, each, each)
                waiting.clear()
        for each in waiting:
            order.put(each, each)
        order.join()
    assert handled == list(range(60))


def test_an_error_of_a_writer_ends_the_reading_and_drops_what_is_on_its_way() -> None:
    dropped: list[int] = []

    def fail(number: int) -> None:
        if number == 3:
            raise OSError("the disk is gone")

    with ThreadPoolExecutor(1) as pool:
        order: InOrder[int] = InOrder(pool, fail, dropped.append, 100, lambda: False)
        for _ in range(6):
            order.enter()
        for number in (5, 4, 3, 2, 1, 0):
            order.put(number, number)
        with pytest.raises(OSError, match="the disk is gone"):
            order.join()
    assert dropped == [4, 5]


@pytest.mark.parametrize("format", ANIMATED)
def test_frames_that_any_bytes_claim_never_crash(format: str, tmp_path: Path) -> None:
    """Every frame of a damaged animation is a frame, or a sentence."""
    source = animate(tmp_path / f"a.{format}", moving(4), [50] * 4)
    data, draw = source.read_bytes(), random.Random(3)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 1, 4))):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            with ImageFile(bytes(damaged[: draw.choice((len(damaged), draw.randrange(len(damaged)) + 1))]), max_pixels=10**5, formats=BUILT_IN) as file:
                for frame in file.frames(whole=True):
                    assert not isinstance(frame, Frame) or frame.picture.pixels.size
        except PixlateError as error:
            assert str(error)


def test_a_stream_of_bytes_is_read_frame_by_frame() -> None:
    stream = io.BytesIO()
    frames = moving(3)
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=50)
    with ImageFile(stream.getvalue(), max_pixels=1000) as file:
        assert [frame.count for frame in file.frames(whole=True) if isinstance(frame, Frame)] == [3, 3, 3]
        assert [frame.count for frame in file.frames(whole=True, skip=2) if isinstance(frame, Frame)] == [3]
