"""Whether DCGAN learns to draw digits: how many of 200 pictures from noise can be read, by step. Writes the curve.

The digits are those of ``plugins/pixlate_dcgan/recipes/digits.py``, and so is what counts as read: as near to a digit that was trained on as 19 of 20 digits that are drawn again.

Digits of 16x16 and a network of 16 feature maps, so that it takes half a minute of a core; ``--preset`` measures the preset ``quick`` in its place, which takes four.

Run: ``python benchmarks/bench_sampling.py`` (no data needed)
"""

import argparse
import tempfile
import time
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from common import Figure, save
from pixlate.inference.conditions import noise
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate_dcgan.recipes.digits import draw_digits, read

DRAWN = 200
POINTS = 8
"""Points of the curve."""
SMALL: dict[str, Any] = {
    "channels_out": 1,
    "channels": 16,
    "discriminator_channels": 16,
    "latent": 32,
    "patch": 16,
    "resize": 16,
    "batch": 32,
    "learning_rate": 1e-3,
    "average_decay": 0.95,
    "steps": 1200,
}


def main() -> None:
    """Train, print what was reached and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--preset", action="store_true", help="measure the preset quick")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        digits, run = draw_digits(Path(folder) / "digits"), Path(folder) / "run"
        method = installed().offered(Method)["dcgan"]
        table = tomllib.loads(method.presets["quick"].read_text())["train"]["dcgan"] if options.preset else SMALL
        chosen = run_options(method, table, digits, options.seed)
        started = time.process_time()
        train(chosen, run, lambda progress: None, print)
        seconds = time.process_time() - started
        curve = {int(path.name.split("-")[1]): counts(chosen, path, Path(folder) / path.name, digits) for path in sorted((run / "checkpoints").glob("step-*"))}
    last = curve[max(curve)]
    figures = [
        Figure(f"DCGAN on digits, of {DRAWN} pictures those that can be read", sum(last.values()), "", required=0.3 * DRAWN),
        Figure("DCGAN on digits, of ten digits those that are among them", sum(count > 0 for count in last.values()), "", required=10),
        Figure("DCGAN on digits, training", round(seconds), "s of a core", better="less"),
    ]
    rows = {"options": table, "drawn": DRAWN, "curve": curve}
    save("sampling", {"what": "how many pictures from noise can be read as each digit, by step", **rows}, figures)


def run_options(method: Method, table: dict[str, Any], digits: Path, seed: int) -> RunOptions:
    """Return options with a checkpoint for each point of the curve."""
    table = table | {"checkpoint_every": table["steps"] // POINTS, "keep": POINTS, "validate_every": 10**6, "seed": seed, "device": "cpu"}
    owners = (method.options, method.data.options, method.training)
    parts: list[Any] = [replace(owner(), **{item.name: table[item.name] for item in fields(owner) if item.name in table}) for owner in owners]
    return RunOptions(method, parts[0], (digits,), parts[1], parts[2])


def counts(options: RunOptions, checkpoint: Path, out: Path, digits: Path) -> dict[str, int]:
    """Return how many pictures of a checkpoint's averaged generator can be read, as each digit."""
    gan = options.build()
    gan.load_state_dict(load_checkpoint(checkpoint).average)
    ((_, export),) = gan.exports().items()
    (condition,) = export.spec.conditions
    given = torch.from_numpy(np.stack([noise(condition, f"1/{number}") for number in range(1, DRAWN + 1)]))
    with torch.no_grad():
        pictures = (export.module.eval()(given)[:, 0] * 255).round().to(torch.uint8).numpy()
    out.mkdir()
    for number, pixels in enumerate(pictures, 1):
        Image.fromarray(pixels).save(out / f"{number:06}.png")
    return read(out, digits)


if __name__ == "__main__":
    main()
