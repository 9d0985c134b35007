"""Historical averaging."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.history import History
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]


def test_distance_is_from_the_mean_of_all_weights_so_far() -> None:
    first, second = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor(0.0))
    history = History(3.0, {"generators": [first, second]})
    values = ([1.0, 2.0], [4.0, 2.0], [1.0, 8.0])
    for step, value in enumerate(values):
        first.data.copy_(torch.tensor(value))
        second.data.fill_(step)
        history.update(step)
    mean = torch.tensor(values).mean(0)
    expected = 3.0 * (float((torch.tensor(values[-1]) - mean).square().sum()) + (2 - 1) ** 2)
    loss = history.losses("generators")["history_generators"]
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, first)
    torch.testing.assert_close(gradient, 2 * 3.0 * (first.detach() - mean))


def test_nothing_is_kept_without_a_weight() -> None:
    history = History(0.0, {"generators": [nn.Parameter(torch.zeros(2))]})
    history.update(0)
    assert history.losses("generators") == {} == history.state()


def test_means_are_in_the_checkpoint_where_they_are_kept(make_run: MakeRun, fit: Callable[..., object], tmp_path: Path) -> None:
    for name, weight in (("with", 1.0), ("without", 0.0)):
        fit(make_run("pix2pix", historical_averaging=weight), tmp_path / name)
    kept = load_checkpoint(tmp_path / "with").history
    assert {name.split("/")[0] for name in kept} == {"generators", "discriminators"}
    assert load_checkpoint(tmp_path / "without").history == {}
