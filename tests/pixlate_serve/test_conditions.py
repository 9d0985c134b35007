"""Models that take more than the picture: conditions in the query."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.pixlate.conftest import write_conditional
from tests.pixlate_serve.conftest import Application, error_of, file, pixels_of

from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelInput
from pixlate_onnx.runner import OnnxTranslator

Start = Callable[..., Application]
BLACK = file(np.zeros((4, 5, 3), np.uint8))
HAIR = ModelInput("hair", "label", choices=("black", "grey", "blond"))


@pytest.fixture
def application(start: Start, tmp_path: Path) -> Application:
    inputs = [HAIR, ModelInput("style", "vector", length=2, default=(0.0, 0.0)), ModelInput("z", "noise", length=1)]
    labelled = OnnxTranslator(write_conditional(tmp_path / "model.onnx", inputs), "cpu")
    plain = OnnxTranslator(write_conditional(tmp_path / "plain.onnx", [HAIR]), "cpu")
    return start({"labelled": labelled, "plain": plain})


def test_query_sets_the_conditions(application: Application) -> None:
    for choice, level in (("black", 0), ("grey", 64), ("blond", 128)):
        answer = application.translate(BLACK, "plain", query=f"?hair={choice}&format=png")
        assert answer.status_code == 200
        assert (pixels_of(answer.content) == level).all()


def test_noise_is_that_of_the_seed(application: Application) -> None:
    levels = [
        pixels_of(application.translate(BLACK, "labelled", query=f"?hair=blond{more}").content)[0, 0, 0] for more in ("", "&seed=0", "&seed=1", "&seed=2")
    ]
    assert levels[0] == levels[1] and len(set(levels)) > 1


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "expected one of black, grey, blond for the label hair, got none; add ?hair=black"),
        ("?hair=red", "expected one of black, grey, blond for hair, got 'red'; choose one of these"),
        ("?hair=grey&age=3", "expected a condition that this model takes (hair), got age; leave it out"),
        ("?hair=grey&hair=black", "expected ?NAME=VALUE, once for each name, got hair twice"),
        ("?hair=grey&seed=1&seed=2", "expected ?NAME=VALUE, once for each name, got seed twice"),
        ("?hair=grey&format=png&format=jpeg", "expected ?NAME=VALUE, once for each name, got format twice"),
        ("?hair=grey&seed=-1", "expected ?seed= to be a whole number from 0 on, got '-1'"),
    ],
)
def test_wrong_conditions_are_refused_in_one_sentence(application: Application, query: str, sentence: str) -> None:
    status, code, message = error_of(application.translate(BLACK, "plain", query=query))
    assert (status, code) == (400, "wrong_condition") and message.startswith(sentence)


def test_models_list_their_conditions(application: Application) -> None:
    described = application.send("GET", "/v1/models/plain").json()
    assert described["conditions"] == [
        {"name": "hair", "kind": "label", "channels": 0, "side": 0, "length": 0, "choices": ["black", "grey", "blond"], "default": None},
    ]


def test_model_of_a_mask_fills_what_is_transparent(start: Start, tmp_path: Path) -> None:
    model = OnnxTranslator(write_conditional(tmp_path / "model.onnx", [ModelInput("hole", "mask"), HAIR]), "cpu")
    application = start({"filling": model})
    picture = np.full((4, 5, 4), (10, 20, 30, 255), np.uint8)
    picture[1:3, 2:, 3] = 0
    answer = application.translate(file(picture), "filling", query="?hair=blond")
    filled = pixels_of(answer.content)
    assert answer.status_code == 200 and filled.shape == (4, 5, 3)
    assert (filled[1:3, 2:] == 128).all()
    hole = picture[:, :, 3] == 0
    np.testing.assert_array_equal(filled[~hole], picture[~hole][:, :3])
    for opaque in (BLACK, file(np.full((4, 5, 4), 255, np.uint8))):
        status, code, message = error_of(application.translate(opaque, "filling", query="?hair=blond"))
        assert (status, code) == (422, "no_mask") and message.startswith(
            "expected a picture that is transparent where the model is to fill it, got an opaque one"
        )
    status, _, message = error_of(application.translate(file(picture), "filling", query="?hair=blond&hole=1"))
    assert status == 400 and message == "expected a label or vector, got the mask hole; it is what is transparent in the picture"


def test_model_of_two_masks_is_refused_at_the_start(start: Start, tmp_path: Path) -> None:
    model = OnnxTranslator(write_conditional(tmp_path / "model.onnx", [ModelInput("hole", "mask")]), "cpu")
    model.spec = replace(model.spec, inputs=(*model.spec.inputs, ModelInput("edge", "mask")))
    with pytest.raises(PixlateError, match="expected a model of at most one mask, got hole and edge"):
        start({"filling": model})
