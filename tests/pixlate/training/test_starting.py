"""Weights of another run are taken over where they fit, and refused where none does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pixlate.errors import PixlateError
from pixlate.training.checkpoint import load_checkpoint, newest
from pixlate.training.run import RunOptions
from pixlate.training.starting import take_over

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]


def test_body_of_x2_is_taken_over_into_x4(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(tail="direct", average_decay=0.9, learning_rate=1e-2), tmp_path / "x2")
    fit(make_run(scale=4, tail="direct", patch=6, steps=1, learning_rate=1e-12, average_decay=0.0, start_from=str(tmp_path / "x2")), tmp_path / "x4")
    small, large = load_checkpoint(tmp_path / "x2").average, load_checkpoint(tmp_path / "x4").weights
    same = {name for name in small if small[name].shape == large[name].shape}
    assert {name.split(".")[2] for name in same} == {"head", "body"}
    assert {name.split(".")[2] for name in small.keys() - same} == {"tail"}
    assert all(torch.allclose(small[name], large[name], atol=1e-9) for name in same)
    folder = newest(tmp_path / "x2" / "checkpoints")
    assert folder is not None
    assert torch.equal(load_checkpoint(folder).average["generators.source_to_target.head.0.weight"], small["generators.source_to_target.head.0.weight"])


def test_starting_from_weights_of_another_network_is_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    gan = make_run().method.build(make_run().method_options)
    with pytest.raises(PixlateError, match="no tensor has a matching name and shape; check --start-from"):
        take_over(gan, {"generators.source_to_target.head.0.weight": torch.zeros(1), "other": torch.zeros(3)})
    with pytest.raises(PixlateError, match=r"expected a run or a checkpoint with weights, got .*/missing; name the folder given to --out"):
        fit(make_run(start_from=str(tmp_path / "missing")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
