"""Averaged weights against closed forms."""

import pytest
import torch
from torch import nn

from pixlate.plugin.gan import GAN
from pixlate.training.averaging import WeightAverage


def one_weight(value: float) -> GAN:
    gan = GAN({"source_to_target": nn.Linear(1, 1, bias=False)})
    set_weight(gan, value)
    return gan


def set_weight(gan: GAN, value: float) -> None:
    with torch.no_grad():
        next(gan.parameters()).fill_(value)


def test_average_of_a_constant_step_is_a_geometric_sum() -> None:
    gan = one_weight(0.0)
    average = WeightAverage(gan, 0.05)  # below (1 + step) / (10 + step), so it is in force from the start
    set_weight(gan, 1.0)
    for step in range(3):
        average.update(gan, step)
    assert next(average.module.parameters()).item() == pytest.approx(1 - 0.05**3, abs=1e-6)


def test_early_steps_are_averaged_over_fewer() -> None:
    gan = one_weight(0.0)
    average = WeightAverage(gan, 0.999)
    expected = 0.0
    for step, value in enumerate([3.0, -1.0, 2.0, 8.0]):
        set_weight(gan, value)
        average.update(gan, step)
        expected += (1 - (1 + step) / (10 + step)) * (value - expected)
    assert next(average.module.parameters()).item() == pytest.approx(expected, rel=1e-5)


def test_late_steps_decay_as_asked() -> None:
    gan = one_weight(0.0)
    average = WeightAverage(gan, 0.9)
    set_weight(gan, 1.0)
    average.update(gan, 1000)
    assert next(average.module.parameters()).item() == pytest.approx(0.1, rel=1e-5)


def test_decay_of_zero_follows_the_weights_exactly() -> None:
    gan = one_weight(0.1)
    average = WeightAverage(gan, 0.0)
    set_weight(gan, 1 / 3)
    average.update(gan, 5)
    assert torch.equal(next(average.module.parameters()), next(gan.parameters()))


def test_buffers_are_copied_and_the_average_is_frozen_in_eval_mode() -> None:
    gan = GAN({"source_to_target": nn.BatchNorm2d(2)})
    average = WeightAverage(gan, 0.999)
    gan.generators["source_to_target"](torch.rand(4, 2, 3, 3))
    average.update(gan, 0)
    assert all(torch.equal(mine, own) for mine, own in zip(average.module.buffers(), gan.buffers(), strict=True))
    assert not average.module.training and not any(parameter.requires_grad for parameter in average.module.parameters())
    assert gan.training
