"""Folders of these formats through the whole conversion, with a model that gives back what it takes."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import Nearest, outputs
from tests.pixlate.images.conftest import exif_block, photograph
from tests.pixlate_formats import test_exr, test_psd
from tests.pixlate_formats.conftest import read, written
from tests.pixlate_formats.raws import dng

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.preview import preview
from pixlate.convert.report import Summary
from pixlate.errors import PixlateError
from pixlate.images import Metadata, Picture
from pixlate.inference import models
from pixlate.plugin.spec import ModelSpec

Convert = Callable[..., Summary]
LIGHT = "scene-linear light was given sRGB's curve{} for the model, in 16 bits, and its output turned back to light"


@pytest.fixture
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Convert:
    """Write files and convert them in this process."""
    translator = Nearest(ModelSpec(method="identity", scale=1, tiling_exact=True, halo=0, keeps_grey=True))
    monkeypatch.setattr(models, "load", lambda model, device, *_, **__: translator)
    (tmp_path / "a.model").write_bytes(b"a model")

    def run(files: dict[str, bytes], **options: Any) -> Summary:
        (tmp_path / "in").mkdir(exist_ok=True)
        for name, data in files.items():
            (tmp_path / "in" / name).write_bytes(data)
        return convert(tmp_path / "in", tmp_path / "out", tmp_path / "a.model", ConvertOptions(threads=2, **options))

    return run


def test_a_folder_of_all_formats_converts_and_what_is_only_read_becomes_png(tmp_path: Path, converted: Convert) -> None:
    picture = Picture(photograph(), None, Metadata(exif=exif_block()))
    files = {
        "a.heic": written(picture, "heic", lossless=True)[0],
        "b.jxl": written(picture, "jxl", lossless=True)[0],
        "c.exr": written(picture, "exr", lossless=True)[0],
        "d.dng": dng(),
        "e.psd": test_psd.document(test_psd.planes_of(photograph()), 3),
    }
    summary = converted(files, lossless=True)
    assert (summary.converted, summary.failed) == (5, 0), summary.failures
    found = outputs(tmp_path / "out")
    assert sorted(found) == ["a.heic", "b.jxl", "c.exr", "d.png", "e.png"]
    for name in ("a.heic", "b.jxl", "e.png"):
        assert np.array_equal(read(found[name]).pixels, photograph()), name
    assert read(found["d.png"]).pixels.dtype == np.uint16
    assert summary.notes["written as PNG, since .dng can only be read"] == 1
    assert all(b"Camera works" in read(found[name]).metadata.exif for name in ("a.heic", "b.jxl"))
    again = converted({}, lossless=True)
    assert (again.converted, again.finished_before) == (0, 5)


@pytest.mark.parametrize("name", ["a.exr", "a.tiff"])
@pytest.mark.parametrize("peak", [40.0, 1000.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_light_keeps_its_range_through_a_model_within_four_parts_in_ten_thousand(
    tmp_path: Path, converted: Convert, name: str, peak: float, channels: int
) -> None:
    light = test_exr.light(channels, peak)
    summary = converted({name: written(Picture(light, peak=peak, lossless=True), name[2:])[0]})
    assert summary.converted == 1, summary.failures
    picture = read(tmp_path / "out" / name)
    assert picture.pixels.dtype == np.float32 and picture.pixels.shape == light.shape
    assert picture.pixels.max() == pytest.approx(peak, rel=1e-6)
    bright = light > 0.5
    assert np.abs(picture.pixels - light)[~bright].max() < 2e-5, "half a level of 16 bits of sRGB"
    assert np.abs(picture.pixels / light - 1)[bright].max() < 4e-4
    assert summary.notes == {LIGHT.format(f", and highlights up to {peak:.4g} compressed,"): 1}


def test_an_opacity_goes_around_the_model_with_its_light(tmp_path: Path, converted: Convert) -> None:
    alpha = np.full((48, 64), 0.25, np.float32)
    alpha[:24] = 1
    converted({"a.exr": written(Picture(test_exr.light(), alpha, peak=40.0, lossless=True), "exr")[0]})
    picture = read(tmp_path / "out" / "a.exr")
    assert picture.alpha is not None and np.abs(picture.alpha - alpha).max() < 1e-5
    assert np.abs(picture.pixels / test_exr.light() - 1)[test_exr.light() > 0.5].max() < 1e-3


@pytest.mark.parametrize("format", ["heic", "jxl", "exr"])
def test_photographs_become_files_of_these_formats(tmp_path: Path, converted: Convert, format: str) -> None:
    summary = converted({"a.png": written(Picture(photograph()), "png")[0]}, format=format)
    assert summary.converted == 1, summary.failures
    assert read(tmp_path / "out" / f"a.{format}").pixels.shape == (48, 64, 3)


def test_light_becomes_png_where_that_is_asked_with_a_note(tmp_path: Path, converted: Convert) -> None:
    summary = converted({"a.exr": test_exr.made({"RGB": test_exr.light()})}, format="png")
    assert "PNG holds no light beyond white; highlights up to 40 were compressed" in summary.notes
    assert read(tmp_path / "out" / "a.png").pixels.dtype == np.uint16


def test_a_format_that_is_only_read_is_refused_as_output(converted: Convert) -> None:
    with pytest.raises(PixlateError, match=r"^expected a format of .*, got 'raw'; name one of them with --format$"):
        converted({"a.png": written(Picture(photograph()), "png")[0]}, format="raw")


def test_a_damaged_file_costs_itself_alone(converted: Convert) -> None:
    whole = written(Picture(photograph()), "heic")[0]
    summary = converted({"a.heic": whole, "b.heic": whole[: len(whole) // 2], "c.heic": whole})
    assert (summary.converted, summary.failed) == (2, 1)
    assert summary.failures[0][1].startswith("the image is truncated or damaged (")


def test_a_sheet_shows_light_as_displays_do(tmp_path: Path, converted: Convert) -> None:
    summary = converted({"a.exr": test_exr.made({"RGB": test_exr.light()})}, sheet=tmp_path / "sheet.png")
    assert summary.sheet and read(tmp_path / "sheet.png").pixels.shape[2] == 3


def test_light_is_resized_as_light_within_its_range(tmp_path: Path, converted: Convert) -> None:
    light = np.full((40, 60, 3), 0.25, np.float32)
    light[:, 30:] = 8
    summary = converted({"a.exr": written(Picture(light, peak=8.0, lossless=True), "exr")[0]}, width=30)
    assert summary.converted == 1, summary.failures
    picture = read(tmp_path / "out" / "a.exr")
    assert picture.pixels.shape == (20, 30, 3) and picture.pixels.max() == pytest.approx(8, rel=1e-4) and picture.pixels.min() >= 0
    assert np.abs(picture.pixels[:, :10] - 0.25).max() < 2e-3 and picture.pixels.mean() == pytest.approx(light.mean(), rel=0.02), "the light stays as much"


@pytest.mark.parametrize("format", [None, "webp", "mp4"])
def test_an_animation_in_jpeg_xl_is_refused_where_all_frames_are_wanted_and_single_pictures_are_not(
    format: str | None, tmp_path: Path, converted: Convert
) -> None:
    moving = imagecodecs.jpegxl_encode(np.stack([photograph(), photograph()[::-1]]), lossless=True)
    still = {} if format == "mp4" else {"still.jxl": written(Picture(photograph()), "jxl")[0]}
    summary = converted({"moving.jxl": bytes(moving), **still}, frames="all", format=format)
    assert summary.converted == len(still)
    assert [reason for _, reason in summary.failures] == [
        "expected a single picture in a JPEG XL file, got an animation, which is not converted whole; convert it to APNG first, or use --frames first"
    ]
    words = ConvertOptions(frames="all", format=format, on_exists="overwrite")
    planned = {Path(each.source).name: each.action for each in preview([tmp_path / "in"], tmp_path / "out", tmp_path / "a.model", words)}
    assert planned.pop("moving.jxl").startswith("fail: expected a single picture") and set(planned) == set(still), "as a dry run says"


def test_an_animated_avif_converts_whole_to_what_holds_several_pictures(tmp_path: Path, converted: Convert) -> None:
    stream = BytesIO()
    first, *others = (Image.fromarray(np.roll(photograph(), 9 * index, axis=1)) for index in range(4))
    first.save(stream, "AVIF", save_all=True, append_images=others, duration=[40, 50, 60, 70])
    assert converted({"a.avif": stream.getvalue()}, frames="all", format="webp").failed == 0
    with Image.open(tmp_path / "out" / "a.webp") as image:
        assert getattr(image, "n_frames", 1) == 4
        durations = []
        for index in range(4):
            image.seek(index)
            image.load()
            durations.append(image.info["duration"])
    assert durations == [40, 50, 60, 70]
    (sentence,) = (reason for _, reason in converted({}, frames="all", on_exists="overwrite").failures)
    assert sentence.startswith("expected a format that holds several pictures (png, webp, tiff, gif") and sentence.endswith(
        "use --format webp or --frames first"
    )
