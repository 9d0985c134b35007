"""Small runs that the tests of this folder share."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pixlate.method import Method
from pixlate.plugins import installed
from pixlate.testing import make_photographs, small_options
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
SMALL: dict[str, Any] = {"scale": 2, "patch": 8, "hold_out": 1, "steps": 4, "batch": 2, "log_every": 1, "device": "cpu"}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photographs(tmp_path_factory.mktemp("photographs"), 5, 48, 56)


@pytest.fixture(scope="session")
def make_run(photographs: Path) -> MakeRun:
    """Return options of a small run of ``srgan`` or another method; options are given by name, whichever dataclass they belong to."""

    def make(method: Method | None = None, **changes: Any) -> RunOptions:
        chosen = method or installed().methods()["srgan"]
        changes = {**SMALL, **changes}
        parts: list[Any] = [
            replace(part, **{item.name: changes[item.name] for item in fields(part) if item.name in changes})
            for part in (small_options(chosen), chosen.data(), chosen.training())
        ]
        known = {item.name for part in parts for item in fields(part)}
        assert changes.keys() - SMALL.keys() <= known
        return RunOptions(chosen, parts[0], (photographs,), parts[1], parts[2])

    return make
