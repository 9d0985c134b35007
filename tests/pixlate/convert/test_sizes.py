"""``--scale``, ``--width``, ``--height``, ``--long-side`` and ``--megapixels``: what is asked is what is written, with as many runs of the model as it takes."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.pixlate.conftest import NEAREST, Nearest, Run, folder, load, nearest, noise, save, write_onnx

import pixlate
from pixlate.cli import main
from pixlate.convert import ConvertOptions, convert, room
from pixlate.convert.conversion import settings_digest
from pixlate.convert.preview import DryRun, preview
from pixlate.convert.report import Report
from pixlate.convert.sizes import SLACK, Sizes
from pixlate.errors import PixlateError
from pixlate.images import Metadata, Picture, read_picture, write_picture
from pixlate.images.resize import resized
from pixlate.inference.executor import Executor
from pixlate.inference.strength import blend
from pixlate.options.output_size import LARGEST_SIDE, OutputSize
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator

Sides = st.integers(1, 20_000)


def sized(scale: int, width: int, height: int, asked: Mapping[str, Any]) -> Any:
    options = ConvertOptions(**asked)
    return Sizes(options, Executor(Nearest(ModelSpec(scale=scale, tiling_exact=True, halo=0)), "auto", "auto")).of(width, height)


@given(Sides, Sides, Sides, Sides)
def test_width_and_height_are_those_asked_for_and_proportions_are_kept(width: int, height: int, wide: int, high: int) -> None:
    found = OutputSize(width=wide).of(width, height)
    assert found == (wide, max(1, int(height * wide / width + 0.5)))
    assert OutputSize(height=high).of(width, height) == (max(1, int(width * high / height + 0.5)), high)
    both = OutputSize(width=wide, height=high).of(width, height)
    assert both is not None
    assert both[0] <= wide and both[1] <= high
    assert both[0] == wide or both[1] == high


@given(Sides, Sides, Sides)
def test_the_longer_side_is_the_one_asked_for(width: int, height: int, side: int) -> None:
    found = OutputSize(long_side=side).of(width, height)
    assert found is not None
    assert max(found) == side
    assert abs(found[0] * height - found[1] * width) <= max(width, height)  # within a pixel


@given(st.integers(50, 20_000), st.integers(50, 20_000), st.floats(0.01, 500))
def test_megapixels_are_met_to_within_what_a_row_and_a_column_have(width: int, height: int, megapixels: float) -> None:
    found = OutputSize(megapixels=megapixels).of(width, height)
    assert found is not None
    assert abs(found[0] * found[1] - megapixels * 1e6) <= sum(found) + 1


@given(Sides, Sides, st.floats(0.001, 64))
def test_a_scale_is_of_the_source_and_no_side_is_below_one(width: int, height: int, scale: float) -> None:
    found = OutputSize(scale=scale).of(width, height)
    assert found is not None
    assert all(side >= 1 and (side == 1 or abs(side - own * scale) <= 0.5 + 1e-6) for side, own in zip(found, (width, height), strict=True))


@pytest.mark.parametrize(("asked", "said"), [
    ({"width": 0}, "expected --width from 1 to 1000000 pixels, got 0; choose one in between"),
    ({"height": -4}, "expected --height from 1 to 1000000 pixels, got -4"),
    ({"long_side": LARGEST_SIDE + 1}, "expected --long-side from 1 to 1000000 pixels, got 1000001"),
    ({"scale": 0}, "expected --scale above 0 and of at most 64, got 0"),
    ({"scale": 65}, "expected --scale above 0 and of at most 64, got 65"),
    ({"megapixels": -1.5}, "expected --megapixels above 0 and of at most 100000, got -1.5"),
    ({"scale": float("nan")}, "expected --scale to be a finite number, got nan"),
    ({"megapixels": float("inf")}, "expected --megapixels to be a finite number, got inf"),
    ({"width": 2.5}, "expected --width to be a whole number or nothing, got 2.5"),
    ({"scale": 2, "width": 30}, "got --scale and --width; leave one out"),
    ({"height": 2, "long_side": 30, "megapixels": 1}, "got --height and --long-side and --megapixels; leave one out"),
])  # fmt: skip
def test_a_size_that_cannot_be_is_a_sentence(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(PixlateError, match=said.replace("(", r"\(")):
        ConvertOptions(**asked)


@pytest.mark.parametrize("asked", [{"scale": 2}, {"width": 30, "height": 40}, {"long_side": 30}, {"megapixels": 0.5}])
def test_each_kind_shapes_outputs_and_nothing_asked_leaves_earlier_folders_finished(asked: dict[str, Any], tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.write_bytes(b"m")
    assert settings_digest(model, ConvertOptions(**asked)) != settings_digest(model, ConvertOptions())
    assert settings_digest(model, ConvertOptions(scale=2)) == settings_digest(model, ConvertOptions(scale=2.0))


@pytest.mark.parametrize(("scale", "asked", "runs", "made"), [
    (2, {"scale": 1.5}, 1, 2), (2, {"scale": 2}, 1, 2), (2, {"scale": 2 * SLACK}, 1, 2), (2, {"scale": 2.2}, 2, 4), (2, {"scale": 4}, 2, 4), (2, {"scale": 8}, 3, 8),
    (2, {"scale": 20}, 3, 8), (4, {"long_side": 1600}, 2, 16), (4, {"width": 50}, 1, 4), (1, {"scale": 3}, 1, 1), (8, {"scale": 64}, 2, 64), (16, {"scale": 64}, 1, 16),
])  # fmt: skip
def test_the_model_runs_again_where_the_size_asked_for_exceeds_what_it_makes(scale: int, asked: dict[str, Any], runs: int, made: int) -> None:
    found = sized(scale, 100, 60, asked)
    assert found.lane == ("" if runs == 1 else f"{runs} runs")
    assert found.made == (100 * made, 60 * made)
    assert found.executor.spec.scale == made
    assert any("twice" in note or "three times" in note for note in found.notes) == (runs > 1)


def test_what_the_filter_must_add_is_noted() -> None:
    assert sized(1, 100, 60, {"scale": 3}).notes == (
        "the model does not enlarge, so the rest up to the size asked for is Lanczos' filter, which adds no detail",
    )
    assert "the model enlarges 8 times at most, so the rest" in sized(2, 100, 60, {"scale": 20}).notes[1]
    assert sized(2, 100, 60, {"scale": 1.5}).notes == ()
    assert sized(2, 100, 60, {}).notes == ()


def test_pictures_of_one_folder_run_as_often_as_each_needs(tmp_path: Path, run: Run) -> None:
    sides = {"a.png": (6, 9), "b.png": (30, 40), "c.png": (90, 120), "d.png": (5, 5)}
    for name, (height, width) in sides.items():
        save(tmp_path / "in" / name, height, width)
    report = tmp_path / "report.json"
    summary = run(tmp_path / "in", tmp_path / "out", long_side=80, report=report)
    assert summary.converted == 4
    for name, (height, width) in sides.items():
        runs = 1 if max(height, width) >= 40 else 3
        pixels = nearest(np.asarray(load(tmp_path / "in" / name))[None], 2**runs)[0]
        right = resized(Picture(pixels), OutputSize(long_side=80).of(width, height) or (0, 0))
        np.testing.assert_array_equal(np.asarray(load(tmp_path / "out" / name)), right.pixels)
    assert summary.notes["the model runs three times, one run after another, since the size asked for exceeds what it makes in one"] == 2
    files = {Path(item["source"]).name: item for item in json.loads(report.read_text())["files"]}
    assert {name: item["output_size"] for name, item in files.items()} == {"a.png": [80, 53], "b.png": [80, 60], "c.png": [80, 60], "d.png": [80, 80]}


def test_a_conversion_is_the_picture_of_the_model_resized(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "a.png", 20, 31)
    assert run(tmp_path / "a.png", tmp_path / "plain").converted == 1
    assert run(tmp_path / "a.png", tmp_path / "smaller", scale=1.5).converted == 1
    plain = read_picture(tmp_path / "plain/a.png", max_pixels=10**6)
    np.testing.assert_array_equal(read_picture(tmp_path / "smaller/a.png", max_pixels=10**6).pixels, resized(plain, (47, 30)).pixels)
    assert run(tmp_path / "a.png", tmp_path / "same", scale=2).converted == 1
    assert (tmp_path / "same/a.png").read_bytes() == (tmp_path / "plain/a.png").read_bytes()


def test_strength_is_mixed_before_the_picture_is_resized(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "a.png", 20, 31)
    assert run(tmp_path / "a.png", tmp_path / "out", scale=3, strength=0.4).converted == 1
    pixels = noise(20, 31)
    right = resized(Picture(blend(nearest(pixels[None], 4)[0], pixels, 0.4)), (93, 60))
    np.testing.assert_array_equal(read_picture(tmp_path / "out/a.png", max_pixels=10**6).pixels, right.pixels)


@pytest.mark.parametrize("scale", [0.5, 1.4, 3.3])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["grey", "grey alpha", "colour alpha"])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_strips_give_the_file_of_the_whole_picture(format: str, kind: str, deep: bool, scale: float, use: Callable[[Translator], Path], tmp_path: Path) -> None:
    dtype = np.uint16 if deep else np.uint8
    alpha = noise(157, 211, 1, 1, dtype)[:, :, 0] if kind.endswith("alpha") else None
    write_picture(Picture(noise(157, 211, 1 if kind.startswith("grey") else 3, 0, dtype), alpha, Metadata(dpi=(300.0, 300.0))), tmp_path / "in.png", "png")
    tiles: tuple[tuple[str, Literal["off"] | int], ...] = (("strips", 64), ("whole", "off"))
    for out, tile in tiles:
        options = ConvertOptions(threads=2, tile=tile, format=format, scale=scale)
        assert convert(tmp_path / "in.png", tmp_path / out, use(Nearest()), options).converted == 1
    suffix = {"png": ".png", "tiff": ".tif"}[format]
    first, second = (read_picture(next((tmp_path / out).glob(f"in{suffix}*")), max_pixels=10**7) for out in ("strips", "whole"))
    assert first.metadata == second.metadata
    np.testing.assert_array_equal(first.samples, second.samples)
    assert first.pixels.shape[:2] == (int(157 * scale + 0.5), int(211 * scale + 0.5))
    assert first.pixels.dtype == dtype


@pytest.mark.parametrize("alpha", ["bicubic", "model"])
def test_hidden_colours_never_show_at_any_size(alpha: str, tmp_path: Path, run: Run) -> None:
    pixels = noise(10, 12, 4)
    pixels[:, 5:, 3], pixels[:, :5, 3] = 0, noise(10, 5, 1, 7)[:, :, 0]
    pixels[:, :5, :3], pixels[:, 5:, :3] = 90, 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for scale in (0.7, 1.5, 5):
        assert run(tmp_path / "a.png", tmp_path / f"{scale}", scale=scale, alpha=alpha).converted == 1
        found = np.asarray(load(tmp_path / f"{scale}/a.png"))
        assert (found[:, :, :3][found[:, :, 3] > 0] == 90).all()


def test_exif_says_the_size_that_was_written(tmp_path: Path, run: Run) -> None:
    image = Image.fromarray(noise(20, 30))
    exif = image.getexif()
    exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003] = 30, 20
    image.save(tmp_path / "a.jpg", exif=exif)
    assert run(tmp_path / "a.jpg", tmp_path / "out", width=50).converted == 1
    with Image.open(tmp_path / "out/a.jpg") as found:
        assert found.size == (50, 33)
        assert {number: found.getexif().get_ifd(0x8769)[number] for number in (0xA002, 0xA003)} == {0xA002: 50, 0xA003: 33}


def test_the_size_of_a_turned_picture_is_that_of_the_upright_one(tmp_path: Path, run: Run) -> None:
    image = Image.fromarray(noise(20, 30))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert run(tmp_path / "a.jpg", tmp_path / "out", width=50).converted == 1
    assert load(tmp_path / "out/a.jpg").size == (50, 75)


def test_a_format_refuses_the_size_that_would_be_written_and_not_what_the_model_makes(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "a.png", 10, 9000)
    summary = run(tmp_path / "a.png", tmp_path / "long", format="webp")
    assert "expected sides of at most 16383 pixels in WebP, got 18000 x 20" in summary.failures[0][1]
    assert run(tmp_path / "a.png", tmp_path / "short", format="webp", width=16383).converted == 1
    assert "got 16384 x 18" in run(tmp_path / "a.png", tmp_path / "longer", format="webp", width=16384).failures[0][1]


def test_what_does_not_fit_into_memory_is_refused_with_its_size(use: Callable[[Translator], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "granted_memory", lambda: 1_000_000)
    source, model = save(tmp_path / "in.png", 200, 300), Nearest()
    for options in ({"format": "webp", "tile": 64}, {"tile": "off"}):
        summary = convert(source, tmp_path / "out", use(model), ConvertOptions(width=450, threads=1, **options))
        assert "one of 450 x 300 pixels takes about 0.00185 GB" in summary.failures[0][1]  # 180,000 + 720,000 + 405,000 + 540,000 bytes
    assert model.shapes == []
    assert convert(source, tmp_path / "out", use(Nearest()), ConvertOptions(width=450, threads=1, tile=64)).converted == 1


def test_dry_run_says_sizes_and_that_the_model_would_run_again(
    use: Callable[[Translator], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "in/small.png", 20, 30)
    save(tmp_path / "in/large.png", 200, 300)
    words = ["convert", tmp_path / "in", tmp_path / "out", "--model", use(Nearest()), "--width", "300", "--dry-run"]
    monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, words)])
    assert main() == 0
    printed = capsys.readouterr().out
    assert "30x20 -> 300x200" in printed and "300x200 -> 300x200" in printed
    assert "note on 1 file: the model runs three times, one run after another" in printed
    assert "0.12 million pixels of output" in printed
    assert not (tmp_path / "out").exists()


def test_time_and_progress_count_every_run(use: Callable[[Translator], Path], tmp_path: Path) -> None:
    source, model = folder(tmp_path / "in", 2, 30, 40), use(Nearest())
    found = DryRun([source], tmp_path / "out", model, ConvertOptions(width=160))
    list(found.files())
    assert found._work == {"2 runs": 2 * 1200}
    seen: list[Report] = []
    assert convert(source, tmp_path / "out", model, ConvertOptions(width=160, threads=1), seen.append).converted == 2
    progress = seen[-1].progress
    assert (progress.fraction, progress.pixels_left, progress.work(40, 30)) == (1.0, 0.0, 1200 * 5)
    assert progress._tiles == progress._translated == 2 * 1200 * 5  # each pixel once, and the four made of it once


def test_previews_of_python_have_the_sizes_too(use: Callable[[Translator], Path], tmp_path: Path) -> None:
    (found,) = preview([save(tmp_path / "a.png", 20, 30)], tmp_path / "out", use(Nearest()), ConvertOptions(scale=1.5))
    assert (found.source_size, found.output_size, found.notes) == ((30, 20), (45, 30), ())


@pytest.mark.parametrize("size", [{"scale": 1.3}, {"scale": 0.4}, {"width": 900}])
def test_a_sheet_shows_the_same_place_before_and_after(size: Mapping[str, Any], tmp_path: Path, run: Run) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 600).astype(np.uint8)[None, :, None], (400, 600, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", tmp_path / "out", sheet=tmp_path / "sheet.png", **size).converted == 1
    sheet = np.asarray(load(tmp_path / "sheet.png").convert("L")).astype(int)
    before, after = sheet[60:200, 14:200], sheet[60:200, 14 + 372 : 200 + 372]
    assert np.abs(before - after).max() <= 2


def test_real_models_run_again_for_a_larger_size_and_python_takes_it_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 12, 16)
    summary = pixlate.convert(tmp_path / "a.png", tmp_path / "out", "upscale-x2", scale=3.5, device="cpu")
    assert summary.converted == 1
    assert load(tmp_path / "out/a.png").size == (56, 42)
    made = pixlate.load("upscale-x2", "cpu")(pixlate.load("upscale-x2", "cpu")(noise(12, 16)[None]))[0]
    np.testing.assert_array_equal(np.asarray(load(tmp_path / "out/a.png")), resized(Picture(made), (56, 42)).pixels)


def test_a_chain_runs_its_enlarging_model_again(tmp_path: Path, onnx_model: Path) -> None:
    save(tmp_path / "a.png", 12, 16)
    same = write_onnx(tmp_path / "larger.onnx", replace(NEAREST, method="larger"))
    summary = pixlate.convert(tmp_path / "a.png", tmp_path / "out", onnx_model, then=(same,), scale=8, device="cpu")
    np.testing.assert_array_equal(np.asarray(load(tmp_path / "out/a.png")), nearest(noise(12, 16)[None], 8)[0])
    assert any("runs twice" in note for note in summary.notes)


def test_every_frame_of_an_animation_has_the_size_asked_for_and_the_model_runs_again_for_each(tmp_path: Path, run: Run) -> None:
    frames = [Image.fromarray(np.full((20, 30, 3), 40 * number, np.uint8)) for number in range(1, 5)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    summary = run(tmp_path / "a.png", tmp_path / "out", frames="all", scale=3, report=tmp_path / "report.json")
    assert summary.converted == 1
    with Image.open(tmp_path / "out/a.png") as found:
        assert (getattr(found, "n_frames", 1), found.size) == (4, (90, 60))
        for number in range(4):
            found.seek(number)
            assert np.unique(np.asarray(found.convert("RGB"))).tolist() == [40 * (number + 1)]
    assert any("runs twice" in note for note in summary.notes)
    (item,) = json.loads((tmp_path / "report.json").read_text())["files"]
    assert item["output_size"] == [90, 60]
