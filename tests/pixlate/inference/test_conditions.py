"""What the user says of a model's conditions becomes arrays, or is refused in one sentence."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.pixlate.conftest import noise as samples

from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.conditions import Conditions, checked, noise, parse
from pixlate.inference.executor import Executor
from pixlate.plugin.spec import ModelInput, ModelSpec

IMAGE = ModelInput("image", "image")
HAIR = ModelInput("hair", "label", choices=("black", "blond"))
STYLE = ModelInput("style", "vector", length=2, default=(0.5, -1.0))
NOISE = ModelInput("z", "noise", length=8)
HOLE = ModelInput("hole", "mask")
LOOK = ModelInput("look", "reference", channels=3, side=4)


def spec(*conditions: ModelInput, **fields: Any) -> ModelSpec:
    return ModelSpec(inputs=(IMAGE, *conditions), **fields)


def test_labels_become_their_index_and_vectors_their_numbers() -> None:
    found = Conditions.of(spec(HAIR, STYLE), {"hair": "blond", "style": "1,2.5"}).arrays("a")
    assert found["hair"].dtype == np.int64 and found["hair"] == 1
    np.testing.assert_array_equal(found["style"], np.array([1, 2.5], np.float32))


def test_what_has_a_default_may_be_left_out() -> None:
    np.testing.assert_array_equal(Conditions.of(spec(STYLE), {}).arrays("a")["style"], np.array([0.5, -1], np.float32))


@pytest.mark.parametrize(
    ("conditions", "given", "masks", "sentence"),
    [
        ((HAIR,), {}, False, "expected one of black, blond for the label hair, got none; add --set hair=black"),
        ((HAIR,), {"hair": "red"}, False, "expected one of black, blond for hair, got 'red'; choose one of these"),
        ((HAIR,), {"hair": "black", "age": "3"}, False, "expected a condition that this model takes (hair), got age; leave it out"),
        ((), {"hair": "black"}, False, "expected no condition, since this model takes none, got hair"),
        ((STYLE,), {"style": "1"}, False, "expected 2 numbers with commas between for style, got '1'; write: --set style=0,0"),
        ((STYLE,), {"style": "1,x"}, False, "expected 2 numbers with commas between for style, got '1,x'"),
        ((STYLE,), {"style": "1,inf"}, False, "expected 2 numbers with commas between for style, got '1,inf'"),
        ((NOISE,), {"z": "1"}, False, "expected a label or vector for --set, got the noise z; it is drawn: choose other draws with --seed"),
        ((NOISE,), {"seed": "-1"}, False, "expected --set seed= to be a whole number from 0 on, without --seed, got '-1'; write: --set seed=3"),
        ((NOISE,), {"seed": "1" * 19}, False, "expected --set seed= to be a whole number from 0 on, without --seed, got '1111111111111111111'"),
        ((HAIR,), {"hair": "black", "seed": "3"}, False, "expected no seed for a model that takes no noise, got 3; leave it out"),
        ((LOOK,), {}, False, "expected a picture for the reference look, got none; add --set look=FILE where the command reads files"),
        ((LOOK,), {"look": "/etc/passwd.png"}, False, "expected a picture for the reference look, got /etc/passwd.png; add --set look=FILE"),
        ((HOLE,), {"hole": "1"}, True, "expected a label or vector for --set, got the mask hole; give masks with --mask FOLDER"),
        ((HOLE,), {}, False, "expected a mask, hole, for each image, got none; name their folder with --mask FOLDER"),
        ((), {}, True, "expected a model that takes a mask for --mask, got one that takes none; leave it out"),
        ((HOLE, ModelInput("other", "mask")), {}, True, "expected a model of at most one mask, got hole and other"),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(conditions: tuple[ModelInput, ...], given: Mapping[str, str], masks: bool, sentence: str) -> None:
    with pytest.raises(PixlateError) as caught:
        Conditions.of(spec(*conditions), given, masks=masks)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(("texts", "came"), [(["hair"], "'hair'"), (["=x"], "'=x'"), (["a=1", "a=2"], "a twice")])
def test_condition_texts_have_the_form_name_value_and_occur_once(texts: list[str], came: str) -> None:
    with pytest.raises(PixlateError, match=f"expected --set NAME=VALUE, once for each name, got {came}"):
        parse(texts)
    assert parse(["hair=a=b", "style="]) == {"hair": "a=b", "style": ""}


def test_noise_belongs_to_the_name_of_the_image_and_the_seed() -> None:
    draw = Conditions.of(spec(NOISE), {}, 0).arrays
    assert draw("a/b")["z"].shape == (8,) and draw("a/b")["z"].dtype == np.float32
    np.testing.assert_array_equal(draw("a/b")["z"], draw("a/b")["z"])
    assert (draw("a/b")["z"] != draw("a/c")["z"]).all()
    assert (draw("a/b")["z"] != Conditions.of(spec(NOISE), {}, 1).arrays("a/b")["z"]).all()
    np.testing.assert_allclose(noise(NOISE, "0/a/b")[:3], [0.31911618, 0.84408200, -0.34956604], rtol=1e-5)  # on any machine


def test_a_seed_among_the_conditions_draws_noise_once_for_all_images() -> None:
    draw = Conditions.of(spec(HAIR, NOISE), {"hair": "blond", "seed": "3"}).arrays
    np.testing.assert_array_equal(draw("a")["z"], draw("b")["z"])
    np.testing.assert_array_equal(draw("a")["z"], Conditions.of(spec(NOISE), {}, 3).arrays("")["z"])  # as a server draws it
    assert (draw("a")["z"] != Conditions.of(spec(NOISE), {"seed": "4"}).arrays("a")["z"]).all()
    with pytest.raises(PixlateError, match="without --seed, got --seed 7 too; write: --set seed=3"):
        Conditions.of(spec(NOISE), {"seed": "3"}, 7)


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        (np.zeros((2, 4, 4, 1), np.uint8), "expected uint8 or float (2, 4, 4, 3) for look, got uint8 (2, 4, 4, 1)"),
        (np.zeros((2, 5, 4, 3), np.uint8), "expected uint8 or float (2, 4, 4, 3) for look, got uint8 (2, 5, 4, 3)"),
        (np.full((2, 4, 4, 3), 1.5), "expected uint8 or float (2, 4, 4, 3) in [0, 1] for look, got 1.5 to 1.5"),
    ],
)
def test_reference_arrays_of_another_shape_or_range_are_refused(look: Any, sentence: str) -> None:
    with pytest.raises(PixlateError) as caught:
        checked(spec(LOOK), 2, (9, 9), {"look": look})
    assert str(caught.value).startswith(sentence)


def test_noise_of_another_length_is_refused() -> None:
    with pytest.raises(PixlateError, match=r"expected float \(2, 8\) for z, got float64 \(2, 7\); change it"):
        checked(spec(NOISE), 2, (9, 9), {"z": np.zeros((2, 7))})


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        ({}, "expected whole numbers (2,) from 0 to 1 for hair, got none"),
        ({"hair": np.array([0, 2])}, "expected whole numbers (2,) from 0 to 1 for hair, got 0 to 2"),
        ({"hair": np.array([0])}, "expected whole numbers (2,) from 0 to 1 for hair, got int64 (1,)"),
        ({"hair": np.array([0.0, 1.0])}, "expected whole numbers (2,) from 0 to 1 for hair, got float64 (2,)"),
        ({"hair": np.array([0, 1]), "hole": np.zeros((2, 4, 4, 1))}, "expected uint8 or float (2, 4, 5, 1) for hole, got float64 (2, 4, 4, 1)"),
        ({"hair": np.array([0, 1]), "hole": np.zeros((2, 4, 5, 1), np.uint16)}, "expected uint8 or float (2, 4, 5, 1) for hole, got uint16"),
        ({"hair": np.array([0, 1]), "hole": np.full((2, 4, 5, 1), 255.0)}, "expected uint8 or float (2, 4, 5, 1) in [0, 1] for hole, got 255.0 to 255.0"),
        ({"hair": np.array([0, 1]), "hole": np.full((2, 4, 5, 1), np.nan)}, "expected uint8 or float (2, 4, 5, 1) in [0, 1] for hole, got nan to nan"),
        (
            {"hair": np.array([0, 1]), "hole": np.ones((2, 4, 5, 1)), "style": np.array([[0, np.nan], [0, 1]])},
            "expected float (2, 2) of finite numbers for style, got nan to nan",
        ),
        (
            {"hair": np.array([0, 1]), "hole": np.ones((2, 4, 5, 1)), "style": np.array([[0, np.inf], [0, 1]])},
            "expected float (2, 2) of finite numbers for style, got 0.0 to inf",
        ),
        ({"hair": [[0], [0, 1]]}, "expected whole numbers (2,) from 0 to 1 for hair, got a list of lists of different lengths; change it"),
        ({"hair": np.array([0, 1]), "hole": np.zeros((2, 4, 5, 1)), "age": np.zeros(2)}, "expected a condition that this model takes (hair, hole, style)"),
        ({"hair": np.array([0, 1]), "hole": np.full((2, 4, 5, 1), 255.0)}, "expected uint8 or float (2, 4, 5, 1) in [0, 1] for hole, got 255.0 to 255.0"),
        ({"hair": np.array([0, 1]), "hole": np.full((2, 4, 5, 1), np.nan)}, "expected uint8 or float (2, 4, 5, 1) in [0, 1] for hole, got nan to nan"),
        ({"hair": np.array([0, 1]), "hole": np.zeros((2, 4, 5, 1)), "style": np.full((2, STYLE.length), 1e39)}, "expected float (2, "),
        ({"hair": np.array([0, 1]), "hole": np.zeros((2, 4, 5, 1)), "style": np.full((2, STYLE.length), np.nan)}, "expected float (2, "),
    ],
)
def test_arrays_of_another_kind_shape_or_range_are_refused(conditions: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError) as caught:
        checked(spec(HAIR, HOLE, STYLE), 2, (4, 5), conditions)
    assert str(caught.value).startswith(sentence)


def test_masks_take_the_type_of_the_file() -> None:
    mask = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
    for given in (mask, mask / 255):
        assert checked(spec(HOLE, io="uint8"), 1, (1, 2), {"hole": given})["hole"].tolist() == mask.tolist()
        found = checked(spec(HOLE), 1, (1, 2), {"hole": given})["hole"]
        assert found.dtype == np.float32 and found.ravel().tolist() == [0, 1]


class Filling:
    """Puts 100 * label + the first number of a vector where the mask is 255."""

    spec = spec(HAIR, HOLE, STYLE, tiling_exact=True, halo=3)
    device = "cpu"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, pixels: Pixels | None, **conditions: Any) -> Pixels:
        assert pixels is not None
        self.batches.append(len(pixels))
        value = 100 * conditions["hair"] + conditions["style"][:, 0]
        filled: Pixels = np.where(conditions["hole"] == 255, value[:, None, None, None], pixels).astype(np.uint8)
        return filled


@pytest.mark.parametrize(("tile", "bucket"), [("off", "off"), (40, "off"), ("off", 64), (40, 7)])
def test_masks_are_padded_and_tiled_with_the_image_and_other_conditions_repeated(tile: Any, bucket: Any) -> None:
    model = Filling()
    executor = Executor(model, tile, 4, bucket)
    images = [samples(50 + index, 61, seed=index) for index in range(3)]
    masks = [np.where(samples(50 + index, 61, 1, seed=9 + index) < 99, 255, 0).astype(np.uint8) for index in range(3)]
    given = [{"hair": np.array(index % 2), "hole": mask, "style": np.array([index, 7], np.float32)} for index, mask in enumerate(masks)]
    groups = [[0, 1, 2]] if bucket == 64 else [[0], [1], [2]]
    for group in groups:
        outputs = executor.translate([images[index] for index in group], conditions=[given[index] for index in group])
        for index, output in zip(group, outputs, strict=True):
            np.testing.assert_array_equal(output, np.where(masks[index] == 255, 100 * (index % 2) + index, images[index]))
    assert max(model.batches) == (1 if (tile, bucket) == ("off", "off") else 3 if bucket == 64 else 4)
