"""Warnings on made-up trainings that go wrong, and none on those that go well."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from pixlate.training.monitor import COMPARED, ENOUGH, Monitor, ranking_accuracy

Observation = dict[str, Any]
PATIENCE = 20


def observation(**changes: Any) -> Observation:
    return {"verdicts": {}, "outputs": None, "targets": None, "movement": {}, **changes}


def watch(monitor: Monitor, make: Callable[[], Observation], observations: int = 3 * PATIENCE, first: int = 1) -> dict[int, list[str]]:
    """Return the warnings by the number of the observation, which is also its step."""
    every = {number: monitor.observe(number, **make()) for number in range(first, first + observations)}
    return {number: warnings for number, warnings in every.items() if warnings}


def logits(gap: float, shape: tuple[int, ...] = (1, 1, 30, 30)) -> tuple[Tensor, Tensor]:
    """Return logits of real and generated images whose means are ``gap`` deviations apart."""
    return torch.randn(shape) + gap, torch.randn(shape)


def pictures(count: int, contrast: float, height: int = 64, width: int = 48, channels: int = 3) -> Tensor:
    """Return plain pictures of random brightness around one half."""
    return (0.5 + contrast * (torch.rand(count, 1, 1, 1) - 0.5)).expand(count, channels, height, width) + 0.01 * torch.randn(count, channels, height, width)


@given(values=st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60))
@settings(deadline=None, max_examples=50)
def test_accuracy_is_the_area_under_the_roc_curve(values: list[tuple[int, bool]]) -> None:
    real, fake = ([float(value) for value, is_real in values if is_real is wanted] for wanted in (True, False))
    if real and fake:
        labels = torch.tensor([1] * len(real) + [0] * len(fake))
        expected = float(binary_auroc(torch.sigmoid(torch.tensor(real + fake, dtype=torch.float64)), labels))
        assert ranking_accuracy(torch.tensor(real).view(1, -1), torch.tensor(fake)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 30, 30), (16, 1)])
def test_discriminator_that_has_won_is_named_once(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    warnings = watch(Monitor(), lambda: observation(verdicts={"target": logits(8.0, shape)}))
    assert warnings == {
        20: [
            "discriminator target distinguishes real from generated images almost always (accuracy 1.00 for 20 observations up to step 20), so the generator "
            "learns little from it; lower --discriminator-learning-rate, add --augment color --augment translation or --smoothing 0.1"
        ]
    }


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.0])  # areas of 0.5, 0.76 and 0.92
@pytest.mark.parametrize("shape", [(1, 1, 30, 30), (16, 1), (1, 1)])
def test_discriminator_that_is_sometimes_wrong_has_not_won(gap: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    assert watch(Monitor(), lambda: observation(verdicts={"target": logits(gap, shape)}), 500) == {}


def test_discriminator_that_ranks_generated_images_higher_has_not_won() -> None:
    torch.manual_seed(0)
    assert watch(Monitor(), lambda: observation(verdicts={"target": logits(-8.0)})) == {}


def test_single_logits_need_more_observations_before_a_warning() -> None:
    torch.manual_seed(0)
    assert list(watch(Monitor(), lambda: observation(verdicts={"target": logits(12.0, (1, 1))}), 2 * COMPARED)) == [COMPARED]


def test_one_good_observation_starts_the_count_again() -> None:
    torch.manual_seed(0)
    gaps = iter([8.0] * (PATIENCE - 1) + [0.0] + [8.0] * PATIENCE)
    assert list(watch(Monitor(), lambda: observation(verdicts={"target": logits(next(gaps))}), 2 * PATIENCE)) == [2 * PATIENCE]


def test_each_discriminator_is_judged_by_its_own_verdicts() -> None:
    torch.manual_seed(0)
    warnings = watch(Monitor(), lambda: observation(verdicts={"source": logits(8.0), "target": logits(1.0)}))
    assert len(warnings) == 1 and "discriminator source distinguishes" in warnings[PATIENCE][0]


@pytest.mark.parametrize("batch", [1, 4, 40])
def test_identical_outputs_count_as_mode_collapse(batch: int) -> None:
    torch.manual_seed(0)
    warnings = watch(Monitor(), lambda: observation(outputs=pictures(batch, 0.0), targets=pictures(batch, 0.8)))
    (number,) = warnings
    assert number == PATIENCE - 1 + max(1, -(-ENOUGH // batch))
    assert warnings[number][0].startswith("outputs hardly differ from one another (mean difference 0.00")


@pytest.mark.parametrize("batch", [1, 4])
def test_outputs_half_as_varied_as_their_targets_are_not_mode_collapse(batch: int) -> None:
    torch.manual_seed(0)
    assert watch(Monitor(), lambda: observation(outputs=pictures(batch, 0.4), targets=pictures(batch, 0.8)), 200) == {}


def test_outputs_as_alike_as_their_targets_are_not_mode_collapse() -> None:
    torch.manual_seed(0)
    assert watch(Monitor(), lambda: observation(outputs=pictures(4, 0.0), targets=pictures(4, 0.03))) == {}


def test_blurred_outputs_are_not_mode_collapse() -> None:
    torch.manual_seed(0)

    def blurred() -> Observation:
        targets = torch.nn.functional.interpolate(torch.rand(2, 3, 16, 16), size=(64, 64), mode="nearest") * 0.5 + torch.rand(2, 3, 64, 64) * 0.5
        return observation(outputs=torch.nn.functional.avg_pool2d(targets, 9, 1, 4), targets=targets)

    assert watch(Monitor(), blurred) == {}


def test_outputs_and_targets_may_differ_in_size_and_channels() -> None:
    torch.manual_seed(0)
    make = lambda: observation(outputs=pictures(2, 0.0, 8, 9, channels=1), targets=pictures(2, 0.8, 32, 36))  # noqa: E731
    assert len(watch(Monitor(), make)) == 1


def test_diversity_is_the_mean_difference_of_two_pictures() -> None:
    torch.manual_seed(0)
    levels = [0.0, 0.2, 0.4, 1.0] * 2
    expected = sum(abs(one - other) for one in levels for other in levels) / (8 * 7)
    targets = torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 20, 20)
    ((message,),) = watch(Monitor(patience=1), lambda: observation(outputs=targets * 0, targets=targets), 1).values()
    assert f"(mean difference 0.000, that of the targets {expected:.3f}, for 1 observations up to step 1)" in message


def test_player_whose_weights_do_not_change_is_named_once() -> None:
    warnings = watch(Monitor(), lambda: observation(movement={"generators": 1e-9, "discriminators": 1e-4}))
    assert warnings == {
        20: [
            "the weights of the generators do not move (relative change below 1e-07 for 20 observations up to step 20), so they learn nothing; "
            "raise --learning-rate"
        ]
    }


def test_weights_that_change_now_and_then_give_no_warning() -> None:
    changes = iter(([0.0] * (PATIENCE - 1) + [1e-5]) * 10)
    assert watch(Monitor(), lambda: observation(movement={"generators": next(changes)}), 10 * PATIENCE) == {}


def test_numbers_that_are_not_finite_warn_of_nothing() -> None:
    nan = float("nan")
    assert watch(Monitor(), lambda: observation(verdicts={"target": (torch.tensor([nan]), torch.tensor([nan]))}, movement={"generators": nan})) == {}


def wrong_in_every_way() -> Observation:
    return observation(
        verdicts={"target": logits(8.0)},
        outputs=pictures(1, 0.02),
        targets=pictures(1, 0.8),
        movement={"generators": 0.0},
    )


@pytest.mark.parametrize("stop", [0, 5, 19, 20, 27, 40])
def test_resumed_monitor_warns_as_one_that_was_never_stopped(stop: int) -> None:
    torch.manual_seed(0)
    observations = [wrong_in_every_way() for _ in range(3 * PATIENCE)]
    expected = watch(Monitor(), iter(observations).__next__)
    assert sum(map(len, expected.values())) == 3

    every = iter(observations)
    before, after = Monitor(), Monitor()
    warnings = watch(before, every.__next__, stop)
    after.restore(json.loads(json.dumps(before.state())))
    assert after.state() == before.state()
    assert warnings | watch(after, every.__next__, 3 * PATIENCE - stop, first=stop + 1) == expected


def test_state_stays_small_enough_for_a_checkpoint() -> None:
    torch.manual_seed(0)
    monitor = Monitor()
    watch(monitor, lambda: observation(outputs=torch.rand(16, 3, 64, 64), targets=torch.rand(16, 3, 64, 64)))
    assert len(json.dumps(monitor.state())) < 40_000


def test_gradients_do_not_flow_through_the_monitor() -> None:
    real = torch.ones(4, requires_grad=True)
    image = torch.rand(2, 3, 16, 16, requires_grad=True)
    Monitor().observe(1, {"target": (real, real * 2)}, image, image * 2, {})
    assert real.grad is None and image.grad is None


def test_patience_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a patience of at least 1, got 0"):
        Monitor(patience=0)
