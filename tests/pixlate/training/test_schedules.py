"""What changes over a run, against closed forms."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.errors import PixlateError
from pixlate.options import TrainingOptions
from pixlate.plugin.spec import ModelSpec
from pixlate.training.run import RunOptions
from pixlate.training.schedules import Growth, Schedule
from pixlate.training.trainer import Trainer

runs = st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)).map(lambda pair: (pair[0], pair[1] % pair[0]))


@given(runs)
def test_constant_rate_stays(run: tuple[int, int]) -> None:
    steps, step = run
    assert Schedule(TrainingOptions(schedule="constant"), steps).factor(step) == 1


@given(runs)
def test_cosine_rate_is_half_a_cosine(run: tuple[int, int]) -> None:
    steps, step = run
    expected = math.cos(math.pi * step / (2 * steps)) ** 2  # cos(x / 2)^2 = (1 + cos x) / 2
    assert Schedule(TrainingOptions(schedule="cosine"), steps).factor(step) == pytest.approx(expected, abs=1e-12)


def test_cosine_rate_restarts_each_period() -> None:
    schedule = Schedule(TrainingOptions(schedule="cosine", periods=4), 400)
    single = Schedule(TrainingOptions(schedule="cosine"), 100)
    assert [schedule.factor(step) for step in range(400)] == pytest.approx([single.factor(step % 100) for step in range(400)])


def test_rate_and_second_beta_end_where_r3gan_has_them() -> None:
    schedule = Schedule(TrainingOptions(schedule="cosine", schedule_end=0.25, betas=(0.0, 0.9), beta_end=0.99), 100)
    assert [schedule.factor(step) for step in (0, 50, 99)] == pytest.approx([1.0, 0.625, 0.25], abs=1e-3)
    assert [schedule.second_beta(step) for step in (0, 25, 50, 99)] == pytest.approx([0.9, 0.9 + 0.09 * (1 - 0.5**0.5) / 2, 0.945, 0.99], abs=1e-4)


def test_linear_rate_is_constant_for_half_the_run_then_falls_to_zero() -> None:
    schedule = Schedule(TrainingOptions(schedule="linear"), 200)
    assert [schedule.factor(step) for step in (0, 50, 100, 125, 150, 199)] == [1, 1, 1, 0.75, 0.5, pytest.approx(0.01)]


def test_rate_falls_once_an_epoch_over_the_last_epochs_as_in_the_published_code() -> None:
    constant, falling, images = 3, 4, 5
    options = TrainingOptions(steps=0, epochs=constant + falling, decay_epochs=falling, schedule="linear", batch=1)
    schedule = Schedule(options, options.total_steps(images), images)
    published = [1.0 - max(0, epoch + 1 - constant) / float(falling + 1) for epoch in range(constant + falling)]  # lambda_rule of networks.py
    assert [schedule.factor(step) for step in range(35)] == pytest.approx([rate for rate in published for _ in range(images)])
    assert published[:4] == [1, 1, 1, 0.8]


def test_step_rate_is_multiplied_at_each_milestone() -> None:
    schedule = Schedule(TrainingOptions(schedule="step", milestones=(0.25, 0.5), decay=0.1), 100)
    assert [schedule.factor(step) for step in (0, 24, 25, 49, 50, 99)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=40))
def test_plateau_rate_falls_after_so_many_validations_that_are_no_better(patience: int, validations: list[bool]) -> None:
    schedule = Schedule(TrainingOptions(schedule="plateau", patience=patience, decay=0.5), 100)
    streaks = "".join("b" if better else "w" for better in validations).split("b")
    for better in validations:
        schedule.validated(better)
    assert schedule.factor(7) == 0.5 ** sum(len(streak) // patience for streak in streaks)


def test_plateau_schedule_resumes_from_its_state() -> None:
    options = TrainingOptions(schedule="plateau", patience=3, decay=0.5)
    before, after = Schedule(options, 100), Schedule(options, 100)
    for better in (True, False, False, False, False, False):
        before.validated(better)
    after.restore(before.state())
    assert after.factor(0) == 0.5
    after.validated(False)
    assert after.factor(0) == 0.25


def test_other_schedules_ignore_validation() -> None:
    schedule = Schedule(TrainingOptions(schedule="constant"), 100)
    for _ in range(50):
        schedule.validated(False)
    assert schedule.factor(0) == 1


def test_warm_up_rises_linearly_and_then_leaves_the_rate() -> None:
    schedule = Schedule(TrainingOptions(schedule="constant", warm_up=4), 100)
    assert [schedule.factor(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


@given(runs, st.sampled_from(["constant", "cosine", "linear", "step", "plateau"]), st.integers(0, 1000))
def test_rate_is_above_zero_and_never_above_the_initial_one(run: tuple[int, int], schedule: str, warm_up: int) -> None:
    steps, step = run
    factor = Schedule(TrainingOptions(schedule=schedule, warm_up=warm_up), steps).factor(step)  # type: ignore[arg-type]
    assert 0 < factor <= 1


@given(st.integers(0, 5), st.integers(1, 7), st.integers(2, 10**6))
def test_side_doubles_from_the_first_to_the_last_over_half_of_the_run(doublings: int, first: int, steps: int) -> None:
    growth = Growth(first, first << doublings, steps, ModelSpec())
    sides = [growth.side(step) for step in range(0, steps, max(1, steps // 1000))]
    assert sides == sorted(sides) and sides[0] == first
    assert growth.side(-(-steps // 2)) == growth.side(steps - 1) == first << doublings
    if doublings and steps > 2 * doublings:
        assert {first << stage for stage in range(doublings + 1)} == {
            growth.side(step) for step in (stage * steps // (2 * doublings) + 1 for stage in range(doublings + 1))
        }


def test_nothing_grows_where_nothing_is_asked_for() -> None:
    growth = Growth(0, 96, 10, ModelSpec())
    assert {growth.side(step) for step in range(10)} == {96}


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        (48, 32, "--grow-from to double up to --patch, 32, got 48; 16 would"),
        (12, 32, "--grow-from to double up to --patch, 32, got 12"),
        (4, 32, "--grow-from of at least 8 and a multiple of 8, as the network takes, got 4"),
        (8, 32, "patches of at least 12 pixels a side, which the discriminators take, got 8; raise --grow-from"),
    ],
)
def test_first_side_that_does_not_fit_is_refused(first: int, last: int, sentence: str) -> None:
    with pytest.raises(PixlateError, match=f"expected {sentence}"):
        Growth(first, last, 100, ModelSpec(scale=2, multiple=8, minimum=8), judged=23)


@pytest.mark.parametrize(
    ("first", "last", "multiple", "advice"),
    [
        (9, 32, 1, "16 or 8 would"),
        (4, 18, 1, "9 would"),
        (4, 18, 2, "leave it out, or change --patch"),
        (3, 17, 1, "leave it out, or change --patch"),
        (3, 1, 1, "leave it out, or change --patch"),
    ],
)
def test_sides_that_are_advised_are_those_that_fit(first: int, last: int, multiple: int, advice: str) -> None:
    with pytest.raises(PixlateError, match=f"got {first}; {advice}$"):
        Growth(first, last, 100, ModelSpec(multiple=multiple, minimum=multiple))


@pytest.mark.parametrize("method", ["srgan", "pix2pix", "cyclegan"])
def test_batches_of_a_run_grow(
    method: str, make_run: Callable[..., RunOptions], fit: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    batch = Trainer._batch

    def watched(self: Trainer, step: int) -> Any:
        found = batch(self, step)
        seen.append((found["source"].shape[-1], found["target"].shape[-1] // self.gan.spec().scale))
        return found

    monkeypatch.setattr(Trainer, "_batch", watched)
    small = {"patch": 8, "grow_from": 2} if method == "srgan" else {"patch": 32, "grow_from": 8, "discriminator_layers": 1, "pool": 2}
    fit(make_run(method, steps=8, **small), tmp_path)
    first = 2 if method == "srgan" else 8
    assert seen == [(first << min(2, step // 2),) * 2 for step in range(8)]


def test_each_new_side_fades_in_over_half_of_its_steps() -> None:
    growth = Growth(8, 32, 40, ModelSpec())
    assert {step: growth.side(step) for step in (0, 9, 10, 19, 20, 39)} == {0: 8, 9: 8, 10: 16, 19: 16, 20: 32, 39: 32}
    assert [growth.faded(step) for step in (0, 9, 10, 12, 15, 19, 20, 22, 25, 39)] == pytest.approx([1, 1, 0, 0.4, 1, 1, 0, 0.4, 1, 1])
    assert Growth(0, 32, 40, ModelSpec()).faded(0) == 1
