"""Small runs that the tests of this folder share."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.testing import make_photographs
from pixlate.training.checkpoint import newest
from pixlate.training.engine import Progress, train
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
SHARED: dict[str, Any] = {"hold_out": 1, "workers": 1, "steps": 4, "batch": 2, "log_every": 1, "device": "cpu"}
JUDGED: dict[str, Any] = {"channels": 8, "discriminator_channels": 8, "discriminator_layers": 2, "patch": 32, "resize": 36}
SMALL: dict[str, dict[str, Any]] = {
    "pix2pix": {**JUDGED, "depth": 3},
    "cyclegan": {**JUDGED, "blocks": 1, "channels": 4},
    "cut": {**JUDGED, "blocks": 1, "channels": 4, "nce_patches": 16, "projection_channels": 8},
    "inpaint": {"channels": 4, "discriminator_channels": 4, "patch": 16, "resize": 20},
    "dcgan": {"channels": 4, "discriminator_channels": 4, "latent": 6, "patch": 16, "resize": 20},
    "stargan": {
        "channels": 4,
        "most_channels": 8,
        "downsamplings": 1,
        "style_length": 6,
        "latent_length": 5,
        "mapping_channels": 8,
        "mapping_learning_rate": 1e-4,
        "patch": 16,
    },
    "style": {"channels": 4, "blocks": 1, "style_size": 32, "patch": 16, "resize": 20, "epochs": 0},
    "srgan": {"scale": 2, "network": "msrresnet", "stages": "pixel", "channels": 8, "blocks": 1, "patch": 8},
}
"""Options of small runs; those of another method are srgan's."""


class CrashError(Exception):
    """Raised by a watcher to end a run abruptly, as a crash does."""


@dataclass
class Fitted:
    """What came of a run."""

    finished: bool = False
    progress: list[Progress] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photographs(tmp_path_factory.mktemp("photographs"), 5, 48, 56)


@pytest.fixture(scope="session")
def negatives(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of the photographs' negatives, under the same names."""
    folder = tmp_path_factory.mktemp("negatives")
    for path in photographs.iterdir():
        Image.fromarray(255 - np.array(Image.open(path))).save(folder / path.name)
    return folder


@pytest.fixture(scope="session")
def domains(photographs: Path, negatives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of both, each a domain."""
    folder = tmp_path_factory.mktemp("domains")
    for name, path in (("negative", negatives), ("photograph", photographs)):
        shutil.copytree(path, folder / name)
    return folder


@pytest.fixture(scope="session")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of random weights for VGG19's first two convolutions."""
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    generator = torch.Generator().manual_seed(0)
    state = {"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,), "features.2.weight": (64, 64, 3, 3), "features.2.bias": (64,)}
    save_file({name: torch.randn(shape, generator=generator) * 0.05 for name, shape in state.items()}, path)
    return path


@pytest.fixture(scope="session")
def make_run(photographs: Path, negatives: Path, domains: Path) -> MakeRun:
    """Return options of a small run of a method; options are given by name, whichever dataclass they belong to, and None takes the method's default."""

    def make(method: Method | str = "srgan", folders: tuple[Path, ...] | None = None, **changes: Any) -> RunOptions:
        chosen = installed().offered(Method)[method] if isinstance(method, str) else method
        small = {**SHARED, **SMALL.get(chosen.name, SMALL["srgan"])}
        if chosen.name == "style":
            small["style"] = str(min(photographs.iterdir()))
        values = {name: value for name, value in {**small, **changes}.items() if value is not None}
        owners = (chosen.options, chosen.data.options, chosen.training)
        assert changes.keys() - small.keys() <= {item.name for owner in owners for item in fields(owner)}
        parts: list[Any] = [replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values}) for owner in owners]
        photographs_alone = ("degraded", "masked", "images", "photographs")
        usual = (domains,) if chosen.data.name == "domains" else (photographs,) if chosen.data.name in photographs_alone else (photographs, negatives)
        return RunOptions(chosen, parts[0], folders or usual, parts[1], parts[2])

    return make


@pytest.fixture(scope="session")
def fit() -> Callable[..., Fitted]:
    """Return a function that trains, and crashes after the step ``crash`` where that is given."""

    def run(options: RunOptions, folder: Path, crash: int = 0, resume: bool = False) -> Fitted:
        fitted = Fitted()

        def watch(progress: Progress) -> None:
            fitted.progress.append(progress)
            if progress.step == crash:
                raise CrashError

        try:
            fitted.finished = train(options, folder, watch, fitted.warnings.append, resume=resume)
        except CrashError:
            return fitted
        assert not crash, f"never came to step {crash}"
        return fitted

    return run


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """Return a function that gives the digest of every file of a run's newest checkpoint."""

    def of(run: Path) -> dict[str, str]:
        folder = newest(run / "checkpoints")
        assert folder is not None
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    return of


@pytest.fixture(scope="session")
def lines() -> Callable[..., list[dict[str, Any]]]:
    """Return a function that returns the log of a run, optionally of one kind."""

    def of(run: Path, kind: str = "") -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        return [entry for entry in entries if kind in ("", entry["kind"])]

    return of


@pytest.fixture(scope="session")
def logged(lines: Callable[..., list[dict[str, Any]]]) -> Callable[[Path, str], dict[int, float]]:
    """Return a function that gives step -> value of one entry of a log."""

    def of(run: Path, name: str) -> dict[int, float]:
        return {line["step"]: line[name] for line in lines(run) if name in line}

    return of
