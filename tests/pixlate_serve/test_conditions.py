"""Models that take more than the picture: conditions in the query."""

from collections.abc import Callable
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
        ("?hair=grey&age=3", "expected hair as names of conditions, which this model takes, got age; leave it out"),
        ("?hair=grey&hair=black", "expected ?NAME=VALUE, once for each name, got hair twice"),
        ("?hair=grey&seed=-1", "expected ?seed= to be a whole number from 0 on, got '-1'"),
    ],
)
def test_wrong_conditions_are_refused_in_one_sentence(application: Application, query: str, sentence: str) -> None:
    status, code, message = error_of(application.translate(BLACK, "plain", query=query))
    assert (status, code) == (400, "wrong_condition") and message.startswith(sentence)


def test_models_tell_their_conditions(application: Application) -> None:
    described = application.send("GET", "/v1/models/plain").json()
    assert described["conditions"] == [
        {"name": "hair", "kind": "label", "channels": 0, "length": 0, "choices": ["black", "grey", "blond"], "default": None},
    ]


def test_model_of_a_mask_is_refused_at_the_start(start: Start, tmp_path: Path) -> None:
    model = OnnxTranslator(write_conditional(tmp_path / "model.onnx", [ModelInput("hole", "mask")]), "cpu")
    with pytest.raises(
        PixlateError, match="expected a model without a mask, since requests hold one picture, got filling, which takes hole; use pixlate convert"
    ):
        start({"filling": model})
