"""``convert --strength``: outputs blended with their sources, on the way of a folder."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from tests.pixlate.conftest import NEAREST, Nearest, Run, load, nearest, noise, outputs, write_conditional, write_onnx

import pixlate
from pixlate.cli import main
from pixlate.convert import ConvertOptions, convert
from pixlate.convert.conversion import settings_digest
from pixlate.errors import PixlateError
from pixlate.evaluation.metrics import psnr_luma
from pixlate.images import ImageFile
from pixlate.images.picture import Pixels
from pixlate.inference.ready import identified
from pixlate.inference.strength import blend, enlarged
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator


def pixels_of(path: Path) -> Pixels:
    with ImageFile(path, max_pixels=10**6) as file:
        return file.read().pixels


def bicubic(source: Pixels, scale: int = 2) -> Pixels:
    return np.dstack([enlarged(source[:, :, channel], scale) for channel in range(source.shape[2])])


def test_strength_one_and_none_give_the_same_bytes_and_zero_the_bicubic_source(tmp_path: Path, run: Run) -> None:
    source = tmp_path / "a.png"
    Image.fromarray(noise(20, 31)).save(source)
    for name, options in (("none", {}), ("one", {"strength": 1}), ("zero", {"strength": 0}), ("half", {"strength": 0.5})):
        assert run(source, tmp_path / name, **options).converted == 1
    made = {name: (tmp_path / name / "a.png").read_bytes() for name in ("none", "one")}
    assert made["none"] == made["one"]
    np.testing.assert_array_equal(pixels_of(tmp_path / "zero" / "a.png"), bicubic(noise(20, 31)))
    np.testing.assert_array_equal(pixels_of(tmp_path / "half" / "a.png"), blend(nearest(noise(20, 31)[None], 2)[0], noise(20, 31), 0.5))


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 3)])
def test_sixteen_bits_and_grey_are_blended_at_their_own_depth(shape: tuple[int, ...], tmp_path: Path, run: Run) -> None:
    pixels = noise(9, 14, 3 if len(shape) == 3 else 1, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels.reshape(shape), photometric="rgb" if len(shape) == 3 else "minisblack")
    assert run(tmp_path / "a.tif", tmp_path / "out", strength=0.3).converted == 1
    found = pixels_of(tmp_path / "out" / "a.tif")
    np.testing.assert_array_equal(found, blend(nearest(pixels[None], 2)[0], pixels, 0.3))


@pytest.mark.parametrize("alpha", ["bicubic", "model"])
def test_opacity_has_the_strength_of_its_own_way_and_hidden_colours_never_show(alpha: str, tmp_path: Path, run: Run) -> None:
    pixels = noise(10, 10, 4)
    pixels[:, 5:, 3], pixels[:, :5, 3] = 0, noise(10, 5, 1, 7)[:, :, 0]
    pixels[:, :5, :3], pixels[:, 5:, :3] = 90, 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", tmp_path / "out", strength=0.5, alpha=alpha).converted == 1
    found, opacity = np.asarray(load(tmp_path / "out" / "a.png")), pixels[:, :, 3:]
    expected = enlarged(opacity[:, :, 0], 2) if alpha == "bicubic" else blend(nearest(opacity[None], 2)[0], opacity, 0.5)[:, :, 0]
    np.testing.assert_array_equal(found[:, :, 3], expected)
    assert (found[:, :, :3] == 90).all()


@pytest.mark.parametrize("exact", [True, False])
def test_tiles_give_the_picture_of_the_whole(exact: bool, tmp_path: Path) -> None:
    spec = ModelSpec(scale=2, tiling_exact=exact, halo=0 if exact else 32)
    model = write_onnx(tmp_path / "model.onnx", spec)
    Image.fromarray(noise(150, 190)).save(tmp_path / "a.png")
    for tile in (80, "off"):
        options = ConvertOptions(tile=tile, strength=0.4, device="cpu", format="png")
        assert convert(tmp_path / "a.png", tmp_path / f"out-{tile}", model, options).converted == 1
    np.testing.assert_array_equal(pixels_of(tmp_path / "out-80" / "a.png"), pixels_of(tmp_path / "out-off" / "a.png"))


def test_output_comes_nearer_to_the_models_with_the_strength(tmp_path: Path, run: Run) -> None:
    Image.fromarray(noise(24, 24)).save(tmp_path / "a.png")
    model = nearest(noise(24, 24)[None], 2)[0]
    figures = []
    for strength in (0, 0.25, 0.5, 0.75, 1):
        run(tmp_path / "a.png", tmp_path / f"{strength}", strength=strength)
        figures.append(psnr_luma(pixels_of(tmp_path / f"{strength}" / "a.png"), model, 0))
    assert figures == sorted(figures) and len(set(figures)) == 5


def test_summary_report_and_sheet_say_the_strength(tmp_path: Path, run: Run) -> None:
    Image.fromarray(noise(24, 24)).save(tmp_path / "a.png")
    summary = run(tmp_path / "a.png", tmp_path / "out", strength=0.5, report=tmp_path / "report.json", sheet=tmp_path / "sheet.png")
    assert summary.strength == "at strength 0.5"
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["strength"] == "at strength 0.5"
    nothing = run(tmp_path / "a.png", tmp_path / "nothing", strength=0)
    assert any("strength 0 leaves nothing of the model" in caution for caution in nothing.cautions)
    assert not run(tmp_path / "a.png", tmp_path / "all").strength


def test_sheet_names_model_and_version_and_strength(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise(24, 24)).save(tmp_path / "a.png")
    drawn: list[str] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, place, text, *rest: drawn.append(text))
    options = ConvertOptions(strength=0.5, sheet=tmp_path / "sheet.png", device="cpu")
    assert convert(tmp_path / "a.png", tmp_path / "out", "upscale-x4", options).converted == 1
    assert drawn[1] == f"{identified('upscale-x4')} at strength 0.5"
    assert "@" in drawn[1]


@pytest.mark.parametrize(("strength", "said"), [(None, ""), (1, ""), (0.5, " at strength 0.5"), (-0.0, " at strength 0")])
def test_dry_run_says_the_strength_and_that_zero_leaves_nothing(
    strength: float | None, said: str, tmp_path: Path, onnx_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    words = ["pixlate", "convert", tmp_path / "a.png", tmp_path / "out", "--model", onnx_model, "--device", "cpu", "--dry-run"]
    words += [] if strength is None else ["--strength", strength]
    monkeypatch.setattr(sys, "argv", [*map(str, words)])
    assert main() == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith(f"1 file{said}, 0 would fail") and ("note: strength 0 leaves nothing" in printed) == (strength == 0)
    monkeypatch.setattr(sys, "argv", [*map(str, words), "--json"])
    assert main() == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["strength"]) == (str(onnx_model), said.strip())


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_picture_says_which_model_made_it_and_how(name: str, tmp_path: Path, onnx_model: Path) -> None:
    Image.fromarray(noise(24, 24)).save(tmp_path / name)
    ready, file = identified("upscale-x2"), onnx_model.name
    plain = ConvertOptions(device="cpu")
    cases: list[tuple[str | Path, ConvertOptions, str]] = [
        ("upscale-x2", plain, f"Pixlate {ready}"),
        ("upscale-x2", replace(plain, strength=0.5), f"Pixlate {ready} at strength 0.5"),
        ("upscale-x2", replace(plain, strength=0.5, blend_with="upscale-x2"), f"Pixlate {ready} blended with {ready} at strength 0.5"),
        (onnx_model, replace(plain, strength=1), f"Pixlate {file}"),
    ]
    for number, (model, options, expected) in enumerate(cases):
        out = tmp_path / f"{number}"
        assert convert(tmp_path / name, out, model, options).converted == 1
        assert f'AISystemUsed="{expected}"'.encode() in (out / name).read_bytes()
    assert convert(tmp_path / name, tmp_path / "bare", onnx_model, replace(plain, strip_metadata=True)).converted == 1
    assert b"AISystemUsed" not in (tmp_path / "bare" / name).read_bytes()


def test_picture_of_which_nothing_is_the_models_is_not_called_made_by_one(tmp_path: Path) -> None:
    source, model = tmp_path / "a.png", write_conditional(tmp_path / "same.onnx", [])
    Image.fromarray(noise(8, 8)).save(source)
    for strength, count in ((0.0, 0), (0.5, 1)):
        out = tmp_path / f"{strength}"
        assert convert(source, out, model, ConvertOptions(strength=strength, device="cpu")).converted == 1
        assert (out / "a.png").read_bytes().count(b"compositeWithTrainedAlgorithmicMedia") == count


def test_journal_of_outputs_without_a_strength_still_matches(tmp_path: Path, run: Run) -> None:
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", tmp_path / "out").converted == 1
    assert run(tmp_path / "a.png", tmp_path / "out", strength=1).finished_before == 1
    assert run(tmp_path / "a.png", tmp_path / "out", strength=0.5).failed == 1
    assert run(tmp_path / "a.png", tmp_path / "out", strength=0.5, on_exists="overwrite").converted == 1
    assert run(tmp_path / "a.png", tmp_path / "out", strength=0.5).finished_before == 1
    assert list(outputs(tmp_path / "out")) == ["a.png"]


@given(strengths=st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True))
def test_each_strength_has_settings_of_its_own(strengths: list[float]) -> None:
    digests = {settings_digest(Path(__file__), ConvertOptions(strength=strength)) for strength in strengths}
    assert len(digests) == 2


@pytest.mark.parametrize("strength", [-0.01, 1.01, float("nan"), "much", True])
def test_strength_outside_0_to_1_is_one_sentence(strength: float) -> None:
    with pytest.raises(PixlateError, match=r"expected --strength (from 0 to 1|to be)"):
        ConvertOptions(strength=strength)


def test_model_of_other_channels_is_refused_before_anything_is_written(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    model = use(Nearest(ModelSpec(scale=2, channels_in=1, channels_out=3)))
    with pytest.raises(PixlateError, match="as many channels as it takes for a strength below 1, got one that takes 1 and gives 3; leave the strength out"):
        run(tmp_path / "a.png", tmp_path / "out", model=model, strength=0.5)
    assert not (tmp_path / "out").exists()


def test_command_blends(tmp_path: Path, onnx_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def pixlate_convert(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", "convert", *map(str, words)])
        return main()

    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    words = tmp_path / "a.png", tmp_path / "out", "--model", onnx_model, "--device", "cpu"
    assert pixlate_convert(*words, "--strength", 0.5) == 0
    assert "at strength 0.5" in capsys.readouterr().out
    np.testing.assert_array_equal(pixels_of(tmp_path / "out" / "a.png"), pixlate.load(onnx_model, "cpu", strength=0.5)(noise(8, 8)[None])[0])
    assert pixlate_convert(*words, "--strength", 2) == 2
    assert "expected --strength from 0 to 1 (the model alone), got 2.0" in capsys.readouterr().err


def test_evaluation_measures_blended_outputs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from pixlate.evaluation.measure import evaluate

    model = write_onnx(tmp_path / "model.onnx", NEAREST)
    (tmp_path / "photos").mkdir()
    Image.fromarray(noise(40, 48)).save(tmp_path / "photos" / "a.png")
    found = {strength: evaluate(model, [tmp_path / "photos"], metrics=["psnr"], strength=strength, device="cpu") for strength in (None, 0.0, 0.5, 1.0)}
    assert found[None].figures[0].value == found[1.0].figures[0].value
    assert len({found[strength].figures[0].value for strength in (0.0, 0.5, 1.0)}) == 3
    assert found[0.5].model == f"{model} at strength 0.5" and found[None].model == str(model)
