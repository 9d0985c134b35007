"""Whether the methods learn: Pix2Pix eight pairs by heart, CycleGAN a swap of colours from two sets without pairs. Writes the curves.

Pix2Pix: eight pairs of 64x64, a photograph's line drawing as source; the mean absolute error of the translated sources, of a range of 1, must fall under 0.05
within 400 steps. CycleGAN: 24 pictures and 24 others with red and blue exchanged; the mean absolute error of the round trip must
fall under 0.05, and the swap itself is measured on pictures that were not seen. Both are trained in 32 bits and as ``--precision auto`` chooses, from several seeds each,
whose spread is published; the median of ``auto`` may be worse by 0.005 at most, half a percent of the range.

Run: ``python benchmarks/bench_learning.py`` (no data needed)
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from common import Figure, save
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.testing import make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import Progress, train
from pixlate.training.run import RunOptions

ASKED = 0.05
TOLERANCE = 0.005
"""By which an error may be larger under ``--precision auto``."""
SETS = (("source", 24, 1), ("target", 24, 2), ("unseen", 8, 3))
"""Pictures of the colour swap: folder, count and seed."""
FIRST, SECOND = np.array([235, 90, 20]), np.array([120, 160, 60])
"""Colours of the pictures of the colour swap."""
PIX2PIX: dict[str, dict[str, Any]] = {
    "method_options": {"depth": 4, "channels": 32, "norm": "instance", "dropout": 0.0, "discriminator_channels": 16, "discriminator_layers": 2},
    "data": {"patch": 64, "resize": 0, "mirror": False, "hold_out": 0, "lines": 1.0},
    "training": {"steps": 400, "batch": 8, "learning_rate": 1e-3, "log_every": 10, "checkpoint_every": 400, "validate_every": 400},
}
CYCLEGAN: dict[str, dict[str, Any]] = {
    "method_options": {
        "channels": 8,
        "blocks": 1,
        "downsamplings": 0,
        "norm": "none",
        "initialisation": "xavier",
        "initial_gain": 1.0,
        "discriminator": ("pixel", "patch"),
        "discriminator_layers": 2,
        "discriminator_channels": 16,
        "discriminator_norm": "none",
        "identity_weight": 0.0,
    },
    "data": {"patch": 32, "resize": 0, "hold_out": 0},
    "training": {"steps": 800, "batch": 8, "learning_rate": 2e-3, "average_decay": 0.95, "log_every": 10, "checkpoint_every": 800},
}


def main() -> None:
    """Train both, print what they reached and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how often each is trained")
    options = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for precision, suffix in (("32-true", ""), ("auto", AUTO)):
                for name, learn in (("pix2pix", pix2pix), ("cyclegan", cyclegan)):
                    started = time.perf_counter()
                    found = learn(Path(folder) / f"{name}{suffix}-{seed}", precision, seed)
                    results.setdefault(name + suffix, []).append({"seed": seed, **found, "seconds": round(time.perf_counter() - started, 1)})
    rows = {"pix2pix_options": PIX2PIX, "cyclegan_options": CYCLEGAN, **results}
    save("learning", {"what": "whether the methods learn: mean absolute errors of a range of 1, by step", **rows}, figures(results))


AUTO = ", auto"
"""After the names of what was trained as ``--precision auto`` chooses."""
PUBLISHED = (
    ("pix2pix", "reached", "Pix2Pix on eight pairs, mean absolute error", ASKED),
    ("cyclegan", "reached", "CycleGAN on a swap of colours, error of the round trip", ASKED),
    ("cyclegan", "swap_error_on_unseen", "CycleGAN on a swap of colours, error of the swap on unseen pictures", None),
)


def figures(results: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """Return what is published: the medians of the seeds."""
    found: list[Figure] = []
    for name, key, what, required in PUBLISHED:
        plain, auto = ([run[key] for run in results[side]] for side in (name, name + AUTO))
        precision = results[name + AUTO][0]["precision"]
        found += [
            Figure(f"{what}, {words}", statistics.median(errors), "", min(errors), max(errors), len(errors), bar, better="less")
            for words, errors, bar in (("32 bits", plain, required), (f"--precision auto ({precision})", auto, required))
        ]
        found.append(
            Figure(f"{what}: median under auto less that in 32 bits", statistics.median(auto) - statistics.median(plain), "", required=TOLERANCE, better="less")
        )
    return found


def pix2pix(folder: Path, precision: str, seed: int) -> dict[str, Any]:
    """Learn eight pairs by heart."""
    options = run_options("pix2pix", (make_photographs(folder / "photographs", 8, 64, 64),), PIX2PIX, precision, seed)
    losses = trained(options, folder / "run")
    curve = {step: round(values["l1"] / options.method_options.l1_weight / 2, 4) for step, values in losses.items()}  # from [-1, 1]
    first = next((step for step, error in curve.items() if error < ASKED), None)
    reached = {"reached": min(curve.values()), "first_step_under": first, "last": curve[max(curve)]}
    return {"precision": chosen(folder / "run"), **reached, "curve": curve}


def cyclegan(folder: Path, precision: str, seed: int) -> dict[str, Any]:
    """Learn to exchange red and blue."""
    source, target, unseen = (warm(make_photographs(folder / name, count, 64, 64, seed)) for name, count, seed in SETS)
    swapped(target)
    options = run_options("cyclegan", (source, target), CYCLEGAN, precision, seed)
    losses = trained(options, folder / "run")
    weight = 2 * 2 * options.method_options.cycle_weight  # the mean of both ways, from [-1, 1]
    curve = {step: round((values["cycle_source"] + values["cycle_target"]) / weight, 4) for step, values in losses.items()}
    gan = options.method.build(options.method_options)
    gan.load_state_dict(load_checkpoint(folder / "run").average)
    network = gan.exported().eval()
    errors, unchanged = [], []
    for path in sorted(unseen.iterdir()):
        with Image.open(path) as image:
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            errors.append(float((network(pixels) - pixels.flip(1)).abs().mean()))
        unchanged.append(float((pixels - pixels.flip(1)).abs().mean()))
    swap = {"swap_error_on_unseen": round(float(np.mean(errors)), 4), "of_unchanged_pictures": round(float(np.mean(unchanged)), 4)}
    return {"precision": chosen(folder / "run"), "reached": curve[max(curve)], **swap, "curve": curve}


def run_options(name: str, folders: tuple[Path, ...], changes: dict[str, dict[str, Any]], precision: str, seed: int) -> RunOptions:
    """Return the method's defaults with some options changed."""
    method = installed().offered(Method)[name]
    parts = {"method_options": method.options(), "data": method.data.options(), "training": method.training()}
    made: dict[str, Any] = {key: replace(part, **changes[key]) for key, part in parts.items()}
    return RunOptions(method, made["method_options"], folders, made["data"], replace(made["training"], precision=precision, seed=seed))


def chosen(run: Path) -> str:
    """Return the arithmetic that a run was trained in."""
    precision: str = RunOptions.load(run, installed().offered(Method)).training.precision
    return precision


def trained(options: RunOptions, run: Path) -> dict[int, dict[str, float]]:
    """Train, and return the losses by step."""
    seen: dict[int, dict[str, float]] = {}

    def watch(progress: Progress) -> None:
        if progress.losses:
            seen[progress.step] = progress.losses

    train(options, run, watch, print)
    return seen


def warm(folder: Path) -> Path:
    """Map all pixels between two colours, of which the first is far more common, so that the two sets alone determine how red and blue are exchanged."""
    return changed(folder, lambda pixels: FIRST + (pixels.mean(axis=2, keepdims=True) / 255) ** 3 * (SECOND - FIRST))


def swapped(folder: Path) -> Path:
    """Exchange red and blue in all files of a folder."""
    return changed(folder, lambda pixels: pixels[:, :, ::-1])


def changed(folder: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Path:
    """Replace the pixels of all files of a folder."""
    for path in folder.iterdir():
        with Image.open(path) as image:
            pixels = np.array(image)
        Image.fromarray(np.ascontiguousarray(change(pixels).astype(np.uint8))).save(path)
    return folder


if __name__ == "__main__":
    main()
