"""``convert --then``: models one after another give what converting twice through files gives, with one journal and one report."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.pixlate.conftest import NEAREST, Nearest, nearest, noise, outputs, save, write_conditional, write_onnx

import pixlate
from pixlate.cli import main
from pixlate.convert import ConvertOptions, convert
from pixlate.convert.conversion import settings_digest
from pixlate.errors import PixlateError
from pixlate.images import Metadata, Picture, Pixels, read_picture, write_picture
from pixlate.inference import models
from pixlate.inference.ready import identified
from pixlate.plugin.spec import ModelInput, ModelSpec
from pixlate.plugin.translator import Translator


class Softened(Nearest):
    """Enlarges, and mixes each pixel with its neighbours, so that the order of models and the rounding between them show."""

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        assert pixels is not None
        padded = np.pad(pixels.astype(np.uint32), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        mixed = (2 * padded[:, 1:-1, 1:-1] + padded[:, :-2, 1:-1] + padded[:, 1:-1, 2:] + padded[:, 2:, 2:]) // 5
        return super().__call__(mixed.astype(pixels.dtype))


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two model files: ``clean`` of scale 1, and ``larger`` of scale 2."""
    clean = Softened(ModelSpec(method="clean", tiling_exact=True, halo=1, keeps_grey=True, multiple=2))
    made: dict[str, Translator] = {"clean": clean, "larger": Softened(replace(NEAREST, halo=1))}
    for name in made:
        (tmp_path / f"{name}.model").write_bytes(name.encode())
    monkeypatch.setattr(models, "load", lambda model, device, *_, **__: made[Path(model).stem])
    return tmp_path / "clean.model", tmp_path / "larger.model"


@pytest.mark.parametrize("tile", ["off", 40])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["grey", "grey alpha", "colour", "colour alpha"])
def test_a_chain_gives_the_bytes_of_two_conversions_through_png(kind: str, deep: bool, tile: Any, two: tuple[Path, Path], tmp_path: Path) -> None:
    dtype = np.uint16 if deep else np.uint8
    alpha = np.maximum(noise(63, 85, 1, 1, dtype)[:, :, 0], 1) if kind.endswith("alpha") else None
    pixels = noise(63, 85, 1 if kind.startswith("grey") else 3, 0, dtype)
    write_picture(Picture(pixels, alpha, Metadata(dpi=(300.0, 300.0), comments=("of a test",))), tmp_path / "a.png", "png")
    first, second = two
    options: dict[str, Any] = {"tile": tile, "threads": 2, "strip_metadata": True}
    assert pixlate.convert(tmp_path / "a.png", tmp_path / "once", first, then=(second,), **options).converted == 1
    assert pixlate.convert(tmp_path / "a.png", tmp_path / "between", first, **options).converted == 1
    assert pixlate.convert(tmp_path / "between/a.png", tmp_path / "twice", second, **options).converted == 1
    one, other = (read_picture(tmp_path / name, max_pixels=10**6) for name in ("once/a.png", "twice/a.png"))
    np.testing.assert_array_equal(one.samples, other.samples)
    if tile == "off":  # else the rows that are compressed together differ
        assert (tmp_path / "once/a.png").read_bytes() == (tmp_path / "twice/a.png").read_bytes()
    assert [*outputs(tmp_path / "once")] == ["a.png"]


def test_real_models_give_the_bytes_of_two_conversions_too(tmp_path: Path, data: Path) -> None:
    source = sorted((data / "set5").iterdir())[0]
    picture = read_picture(source, max_pixels=10**8)
    write_picture(replace(picture, pixels=picture.pixels[40:97, 50:115]), tmp_path / "a.png", "png")
    options: dict[str, Any] = {"device": "cpu", "runtime": "onnxruntime", "strip_metadata": True, "format": "png"}
    pixlate.convert(tmp_path / "a.png", tmp_path / "once", "clean", then=("photo-x2",), **options)
    pixlate.convert(tmp_path / "a.png", tmp_path / "between", "clean", **options)
    pixlate.convert(tmp_path / "between/a.png", tmp_path / "twice", "photo-x2", **options)
    assert (tmp_path / "once/a.png").read_bytes() == (tmp_path / "twice/a.png").read_bytes()


def test_report_sheet_picture_and_summary_name_the_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = save(tmp_path / "a.png", 24, 24), tmp_path / "out"
    words = [
        "convert",
        source,
        out,
        "--model",
        "upscale-x2",
        "--then",
        "night-to-day",
        "--strength",
        "0.5",
        "--report",
        tmp_path / "report.json",
        "--device",
        "cpu",
    ]
    monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, words)])
    assert main() == 0
    chain = f"{identified('upscale-x2')} then {identified('night-to-day')}"
    assert f"by {chain} at strength 0.5" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["model"] == chain
    assert f"Pixlate {chain} at strength 0.5".encode() in read_picture(out / "a.png", max_pixels=10**6).metadata.xmp


def test_dry_run_names_the_chain_and_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["convert", save(tmp_path / "a.png", 8, 8), tmp_path / "out", "--model", "upscale-x2", "--then", "upscale-x2", "--device", "cpu", "--dry-run"]
    monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, words)])
    assert main() == 0
    printed = capsys.readouterr().out
    assert "8x8 -> 32x32" in printed
    assert f"1 file by {identified('upscale-x2')} then {identified('upscale-x2')}" in printed


def test_another_chain_counts_as_other_settings_and_the_same_one_as_finished(two: tuple[Path, Path], tmp_path: Path) -> None:
    source, (first, second) = save(tmp_path / "a.png"), two
    assert convert(source, tmp_path / "out", first, ConvertOptions(then=(second,))).converted == 1
    assert convert(source, tmp_path / "out", first, ConvertOptions(then=(second,))).finished_before == 1
    assert convert(source, tmp_path / "out", first, ConvertOptions(then=(second, first))).failed == 1
    assert settings_digest(first, ConvertOptions()) == settings_digest(first, ConvertOptions(then=()))


def test_no_report_takes_the_place_of_a_model_of_the_chain(two: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"--report .*larger.model would take the place of the model"):
        convert(save(tmp_path / "a.png"), tmp_path / "out", two[0], ConvertOptions(then=(two[1],), report=two[1]))


def test_a_model_that_is_not_there_or_takes_a_mask_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    with pytest.raises(PixlateError, match="got 'foto-x2'; did you mean photo-x2"):
        convert(source, tmp_path / "out", "photo-x2", ConvertOptions(then=("foto-x2",)))
    filling = write_conditional(tmp_path / "fill.onnx", [ModelInput("mask", "mask")])
    with pytest.raises(PixlateError, match=r"expected --then models that take an image alone, got .*fill.onnx, which needs mask"):
        convert(source, tmp_path / "out", "photo-x2", ConvertOptions(then=(str(filling),), device="cpu"))
    assert not (tmp_path / "out").exists()


def test_conditions_are_those_of_the_first_model(tmp_path: Path) -> None:
    label = write_conditional(tmp_path / "label.onnx", [ModelInput("hair", "label", choices=("none", "some"))])
    larger = write_onnx(tmp_path / "larger.onnx", NEAREST)
    options = ConvertOptions(then=(larger,), set=("hair=some",), device="cpu", format="png")
    assert convert(save(tmp_path / "a.png", 5, 7), tmp_path / "out", label, options).converted == 1
    lifted = np.clip(np.rint(noise(5, 7) + 0.25 * 255), 0, 255).astype(np.uint8)  # by a quarter for the second name
    np.testing.assert_array_equal(read_picture(tmp_path / "out/a.png", max_pixels=1000).pixels, nearest(lifted[None], 2)[0])


def test_a_chain_opens_beside_a_model_that_no_common_runtime_takes(use: Callable[[Translator], Path], tmp_path: Path) -> None:
    """A stand-in's file is of no runtime, as files that a plugin opens by itself are."""
    model = use(Nearest())
    assert convert(save(tmp_path / "a.png"), tmp_path / "out", model, ConvertOptions(then=(write_onnx(tmp_path / "b.onnx", NEAREST),))).converted == 1
    assert read_picture(tmp_path / "out/a.png", max_pixels=10_000).pixels.shape == (24, 36, 3)
