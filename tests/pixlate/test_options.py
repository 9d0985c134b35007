"""Training options are refused early, with what was expected and what came."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from pixlate.errors import PixlateError
from pixlate.options import DataOptions, TrainingOptions, check_types


@pytest.mark.parametrize(
    ("owner", "values", "sentence"),
    [
        (DataOptions, {"patch": 0}, "--patch of at least 1, got 0"),
        (DataOptions, {"hold_out": -1}, "--hold-out of at least 0, got -1"),
        (DataOptions, {"rescale": ()}, "--rescale of fractions above 0 and up to 1, got ()"),
        (DataOptions, {"rescale": (1.0, 0.0)}, "--rescale of fractions above 0"),
        (DataOptions, {"rescale": (2.0,)}, "--rescale of fractions above 0"),
        (DataOptions, {"rescale": ("1",)}, "--rescale to be a list of numbers, got ('1',)"),
        (TrainingOptions, {"steps": 0}, "--steps of at least 1, got 0"),
        (TrainingOptions, {"steps": 2.5}, "--steps to be a whole number, got 2.5"),
        (TrainingOptions, {"steps": True}, "--steps to be a whole number, got True"),
        (TrainingOptions, {"batch": 0}, "--batch of at least 1"),
        (TrainingOptions, {"learning_rate": 0.0}, "--learning-rate above 0, got 0.0"),
        (TrainingOptions, {"learning_rate": float("nan")}, "--learning-rate to be a number, got nan"),
        (TrainingOptions, {"betas": (0.9, 1.0)}, "--betas of at least 0 and below 1, got 1.0"),
        (TrainingOptions, {"betas": (0.9,)}, "--betas to be 2 numbers, got (0.9,)"),
        (TrainingOptions, {"schedule": "step"}, "--schedule to be one of constant, cosine, linear, got 'step'"),
        (TrainingOptions, {"warm_up": -1}, "--warm-up of at least 0"),
        (TrainingOptions, {"average_decay": 1.0}, "--average-decay of at least 0 and below 1, got 1.0"),
        (TrainingOptions, {"gradient_clip": -0.5}, "--gradient-clip of at least 0, got -0.5"),
        (TrainingOptions, {"precision": "16-mixed"}, "--precision to be one of 32-true, bf16-mixed, got '16-mixed'"),
        (TrainingOptions, {"device": "gpu"}, "--device auto, cpu, cuda or cuda:N, got 'gpu'"),
        (TrainingOptions, {"device": "cuda:"}, "--device auto, cpu, cuda or cuda:N, got 'cuda:'"),
        (TrainingOptions, {"device": "cpu:0"}, "--device auto, cpu, cuda or cuda:N, got 'cpu:0'"),
        (TrainingOptions, {"seed": 2**32}, "--seed below 4294967296"),
        (TrainingOptions, {"seed": -1}, "--seed of at least 0"),
        (TrainingOptions, {"validate_every": 0}, "--validate-every of at least 1"),
        (TrainingOptions, {"checkpoint_every": 0}, "--checkpoint-every of at least 1"),
        (TrainingOptions, {"keep": 0}, "--keep of at least 1"),
        (TrainingOptions, {"log_every": 0}, "--log-every of at least 1"),
        (TrainingOptions, {"start_from": 3}, "--start-from to be a text, got 3"),
    ],
)
def test_option_out_of_its_range_is_refused(owner: type[Any], values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(f"expected {sentence}")):
        owner(**values)


@dataclass(frozen=True)
class Optional:
    depth: int | None = None
    names: tuple[str, ...] = ()
    size: Literal[1, "all"] = 1
    mirror: bool = True


@pytest.mark.parametrize("options", [Optional(), Optional(3, ("a", "b"), "all", False)])
def test_right_types_of_a_plugins_options_pass(options: Optional) -> None:
    check_types(options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (Optional(depth="3"), "--depth to be a whole number or nothing, got '3'"),  # type: ignore[arg-type]
        (Optional(size=True), "--size to be one of 1, all, got True"),  # type: ignore[arg-type]
        (Optional(mirror=1), "--mirror to be true or false, got 1"),  # type: ignore[arg-type]
        (Optional(names=["a"]), "--names to be a list, got ['a']"),  # type: ignore[arg-type]
    ],
)
def test_wrong_types_of_a_plugins_options_are_refused(options: Optional, sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(sentence)):
        check_types(options)
