"""Learning rates against closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.options import TrainingOptions
from pixlate.training.schedules import learning_rate

runs = st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)).map(lambda pair: (pair[0], pair[1] % pair[0]))


@given(runs)
def test_constant_rate_stays(run: tuple[int, int]) -> None:
    steps, step = run
    assert learning_rate(step, TrainingOptions(steps=steps, learning_rate=0.5, schedule="constant")) == 0.5


@given(runs)
def test_cosine_rate_is_half_a_cosine(run: tuple[int, int]) -> None:
    steps, step = run
    expected = 0.5 * math.cos(math.pi * step / (2 * steps)) ** 2  # cos(x / 2)^2 = (1 + cos x) / 2
    assert learning_rate(step, TrainingOptions(steps=steps, learning_rate=0.5, schedule="cosine")) == pytest.approx(expected, abs=1e-12)


def test_linear_rate_is_constant_for_half_the_run_then_falls_to_zero() -> None:
    options = TrainingOptions(steps=200, learning_rate=1.0, schedule="linear")
    assert [learning_rate(step, options) for step in (0, 50, 100, 125, 150, 199)] == [1, 1, 1, 0.75, 0.5, pytest.approx(0.01)]


def test_warm_up_rises_linearly_and_then_leaves_the_rate() -> None:
    options = TrainingOptions(steps=100, learning_rate=1.0, schedule="constant", warm_up=4)
    assert [learning_rate(step, options) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


@given(runs, st.sampled_from(["constant", "cosine", "linear"]), st.integers(0, 1000))
def test_rate_is_above_zero_and_never_above_the_initial_one(run: tuple[int, int], schedule: str, warm_up: int) -> None:
    steps, step = run
    rate = learning_rate(step, TrainingOptions(steps=steps, learning_rate=2e-4, schedule=schedule, warm_up=warm_up))  # type: ignore[arg-type]
    assert 0 < rate <= 2e-4
