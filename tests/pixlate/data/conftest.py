"""What tests of training data share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the images are too small for more


@pytest.fixture
def save_pipeline(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a file as ``albumentations.save`` does, of one transform with its arguments, and gives its path."""

    def save(name: str, **arguments: Any) -> str:
        path = tmp_path / "pipeline.json"
        path.write_text(json.dumps({"__version__": "2.0.8", "transform": {"__class_fullname__": name, **arguments}}))
        return str(path)

    return save
