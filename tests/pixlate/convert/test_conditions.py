"""Conversions with models that take conditions besides the image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import folder, load, noise, outputs, save, stamps, write_conditional

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.conversion import settings_digest
from pixlate.convert.preview import preview
from pixlate.convert.report import Summary
from pixlate.errors import PixlateError
from pixlate.inference.conditions import noise as drawn
from pixlate.plugin.spec import ModelInput

HAIR = ModelInput("hair", "label", choices=("black", "grey", "blond"))
HOLE = ModelInput("hole", "mask")
NOISE = ModelInput("z", "noise", length=2)
LOOK = ModelInput("look", "reference", channels=3, side=2)


def run(source: Path, out: Path, model: Path, **options: Any) -> Summary:
    return convert(source, out, model, ConvertOptions(threads=2, device="cpu", **options))


def mask(path: Path, height: int = 6, width: int = 9, mode: str = "L") -> np.ndarray:
    """Write a random mask; return where it fills."""
    path.parent.mkdir(parents=True, exist_ok=True)
    filled = noise(height, width, 1, seed=len(path.name))[:, :, 0] < 99
    Image.fromarray(np.where(filled, 255, 0).astype(np.uint8)).convert(mode).save(path)
    return filled


def test_set_chooses_the_value_of_a_label(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [HAIR])
    Image.new("RGB", (9, 6)).save(tmp_path / "black.png")
    for choice, level in (("black", 0), ("blond", 128)):
        assert run(tmp_path / "black.png", tmp_path / choice, model, set=(f"hair={choice}",)).converted == 1
        assert (np.array(load(tmp_path / choice / "black.png")) == level).all()


def test_masks_are_found_by_their_relative_names_in_any_format_and_form_of_unicode(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [HOLE])
    places = {"a.png": "a.bmp", "below/b.png": "below/b.png", "below/\u00e9.png": "below/e\u0301.png"}
    for index, name in enumerate(places):
        save(tmp_path / "in" / name, seed=index)
    filled = {name: mask(tmp_path / "masks" / own, mode="RGB" if own.startswith("a") else "L") for name, own in places.items()}
    summary = run(tmp_path / "in", tmp_path / "out", model, mask=tmp_path / "masks", suffix="_filled")
    assert summary.converted == 3
    for name, holes in filled.items():
        source, output = (np.array(load(path)) for path in (tmp_path / "in" / name, tmp_path / "out" / name.replace(".png", "_filled.png")))
        np.testing.assert_array_equal(output, np.where(holes[:, :, None], 255, source))


def test_image_whose_mask_is_missing_or_of_another_size_fails_alone(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [HOLE])
    for name in ("good", "missing", "small"):
        save(tmp_path / "in" / f"{name}.png")
    mask(tmp_path / "masks" / "good.png")
    mask(tmp_path / "masks" / "small.png", 5, 9)
    summary = run(tmp_path / "in", tmp_path / "out", model, mask=tmp_path / "masks")
    assert (summary.converted, summary.failed) == (1, 2)
    reasons = {Path(source).stem: reason for source, reason in summary.failures}
    assert reasons["missing"].startswith("expected a mask named missing in ") and "found none; add it, or take the image out" in reasons["missing"]
    assert "expected a mask of 9x6 as the image, got" in reasons["small"] and "of 9x5; resize it" in reasons["small"]


def test_a_mask_that_cannot_be_read_is_named_and_fails_its_image_alone(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [HOLE])
    for name in ("good", "text", "nan"):
        save(tmp_path / "in" / f"{name}.png")
    mask(tmp_path / "masks" / "good.png")
    (tmp_path / "masks" / "text.png").write_text("hello")
    np.save(tmp_path / "masks" / "nan.npy", np.full((6, 9), np.nan, np.float32))
    summary = run(tmp_path / "in", tmp_path / "out", model, mask=tmp_path / "masks")
    assert (summary.converted, summary.failed) == (1, 2)
    reasons = {Path(source).stem: reason for source, reason in summary.failures}
    assert f"the mask {tmp_path / 'masks' / 'text.png'} cannot be used: expected PNG" in reasons["text"]
    assert f"the mask {tmp_path / 'masks' / 'nan.npy'} cannot be used: expected numbers as samples, got some that are none (NaN)" in reasons["nan"]


@pytest.mark.parametrize("number", ["1e39", "-1e39", "nan", "inf", "1e400"])
def test_a_number_that_no_float32_holds_is_refused(number: str, tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [ModelInput("style", "vector", length=1)])
    save(tmp_path / "in" / "a.png")
    with pytest.raises(PixlateError, match=f"expected one number for style, got '{number}'"):
        run(tmp_path / "in", tmp_path / "out", model, set=(f"style={number}",))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "expected a mask, hole, for each image, got none; name their folder with --mask FOLDER"),
        ({"mask": Path("nowhere")}, "expected a folder of images, got"),
        ({"mask": "others"}, "with the names of the images, such as a, got none of them; name another folder"),
        ({"mask": "others", "set": ("hair=blond",)}, "expected a condition that this model takes (hole), got hair"),
        ({"mask": "others", "set": ("hair",)}, "expected --set NAME=VALUE, once for each name, got 'hair'"),
        ({"mask": "others", "seed": 7}, "expected no seed for a model that takes no noise, got 7; leave it out"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [HOLE])
    save(tmp_path / "in" / "a.png")
    mask(tmp_path / "others" / "b.png")
    given = {name: tmp_path / value if name == "mask" else value for name, value in options.items()}
    with pytest.raises(PixlateError) as caught:
        run(tmp_path / "in", tmp_path / "out", model, **given)
    assert sentence in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_noise_belongs_to_the_image_whatever_it_runs_with_so_that_a_resumed_folder_is_the_same(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [NOISE])
    source = folder(tmp_path / "in", 12)
    assert run(source, tmp_path / "whole", model, batch=4).converted == 12
    assert run(source / "1", tmp_path / "parts" / "1", model).converted == 4
    assert run(source, tmp_path / "alone", model, batch=1).converted == 12
    whole, alone = ({name: path.read_bytes() for name, path in outputs(tmp_path / out).items()} for out in ("whole", "alone"))
    assert whole == alone
    assert run(source, tmp_path / "other", model, seed=1).converted == 12
    assert whole != {name: path.read_bytes() for name, path in outputs(tmp_path / "other").items()}


def test_a_seed_that_is_set_gives_every_image_the_same_noise(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [NOISE])
    for name, level in (("a", 100), ("b", 110)):
        save(tmp_path / "in" / f"{name}.png")
        Image.new("RGB", (6, 6), (level,) * 3).save(tmp_path / "in" / f"{name}.png")
    added = {}
    for seed in (2, 9):
        assert run(tmp_path / "in", tmp_path / str(seed), model, set=(f"seed={seed}",)).converted == 2
        first = float(drawn(NOISE, f"{seed}/")[0])
        found = [float(np.array(load(tmp_path / str(seed) / f"{name}.png"))[0, 0, 0]) for name in ("a", "b")]
        assert found == pytest.approx([np.clip(level + 255 * first, 0, 255) for level in (100, 110)], abs=1)
        added[seed] = found
    assert added[2] != added[9]


def look(path: Path, levels: object, **options: Any) -> Path:
    """Write a picture of 2 x 2 squares of 8 pixels of these levels."""
    Image.fromarray(np.kron(np.array(levels, np.uint8)[:, :, None], np.ones((8, 8, 3), np.uint8))).save(path, **options)
    return path


def test_reference_is_read_upright_over_white_and_at_the_side_of_the_model(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [LOOK])
    Image.new("RGB", (6, 6)).save(tmp_path / "black.png")
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    look(tmp_path / "plain.png", [[60, 0], [0, 200]])
    look(tmp_path / "turned.jpg", [[60, 0], [0, 200]], exif=upside_down, quality=100)
    Image.new("RGBA", (9, 5), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    for name, level in (("plain.png", 60), ("turned.jpg", 200), ("clear.png", 255)):
        assert run(tmp_path / "black.png", tmp_path / f"out-{Path(name).stem}", model, set=(f"look={tmp_path / name}",)).converted == 1
        found = np.array(load(tmp_path / f"out-{Path(name).stem}" / "black.png")).astype(int)
        assert abs(found - level).max() <= 20 and found.std() == 0


def test_another_picture_under_the_name_of_the_reference_is_another_setting(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [LOOK])
    source = folder(tmp_path / "in", 2)
    reference = look(tmp_path / "look.png", [[60, 0], [0, 200]])
    given = {"set": (f"look={reference}",)}
    assert run(source, tmp_path / "out", model, **given).converted == 2
    assert run(source, tmp_path / "out", model, **given).finished_before == 2
    moved = reference.rename(tmp_path / "moved.png")
    assert run(source, tmp_path / "out", model, set=(f"look={moved}",)).finished_before == 2
    look(moved, [[70, 0], [0, 200]])
    assert "made with another model or other options" in run(source, tmp_path / "out", model, set=(f"look={moved}",)).failures[0][1]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("grey.png", "expected a picture of 3 channels for look, got {folder}/grey.png of 1; convert it or choose another"),
        ("gone.png", "the look {folder}/gone.png cannot be used: "),
        ("broken.png", "the look {folder}/broken.png cannot be used: "),
        ("", "expected a picture for the reference look, got none; add --set look=FILE"),
    ],
)
def test_reference_that_cannot_be_used_is_refused_before_anything_is_written(name: str, sentence: str, tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [LOOK])
    save(tmp_path / "in" / "a.png")
    Image.new("L", (8, 8)).save(tmp_path / "grey.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    with pytest.raises(PixlateError) as caught:
        run(tmp_path / "in", tmp_path / "out", model, set=(f"look={tmp_path / name}",) if name else ())
    assert sentence.format(folder=tmp_path) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_conditions_are_settings_of_the_folder_only_where_they_are_given(tmp_path: Path) -> None:
    model = write_conditional(tmp_path / "model.onnx", [ModelInput("hair", "label", choices=("black", "blond"), default="black")])
    source = folder(tmp_path / "in", 3)
    assert run(source, tmp_path / "out", model).converted == 3
    before = stamps(tmp_path / "out")
    assert run(source, tmp_path / "out", model).finished_before == 3
    other = run(source, tmp_path / "out", model, set=("hair=blond",))
    assert (other.failed, stamps(tmp_path / "out")) == (3, before)
    assert "made with another model or other options" in other.failures[0][1]
    digests = {
        settings_digest(model, ConvertOptions(**options))
        for options in ({}, {"seed": 0}, {"set": ()}, {"seed": 1}, {"set": ("hair=blond",)}, {"mask": tmp_path})
    }
    assert len(digests) == 4


def test_a_condition_given_its_own_default_is_the_setting_that_leaves_it_out(tmp_path: Path) -> None:
    label = ModelInput("hair", "label", choices=("black", "blond"), default="black")
    model = write_conditional(tmp_path / "model.onnx", [label, ModelInput("style", "vector", length=2, default=(0.5, -1.0))])
    source = folder(tmp_path / "in", 3)
    assert run(source, tmp_path / "out", model).converted == 3
    for given in (("hair=black",), ("style=0.50,-1",), ("style=.5,-1.0", "hair=black")):
        assert run(source, tmp_path / "out", model, set=given).finished_before == 3
        assert {item.action for item in preview([source], tmp_path / "out", model, ConvertOptions(set=given))} == {"finished before"}
    assert run(source, tmp_path / "out", model, set=("hair=black", "style=0.5,-2")).failed == 3
    assert run(source, tmp_path / "other", model, set=("style=0.5,-2",)).converted == 3
    assert run(source, tmp_path / "other", model, set=("style=0.5,-2", "hair=black")).finished_before == 3
