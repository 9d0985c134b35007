"""Whether DCGAN learns to draw digits: how many of 200 pictures from noise can be read, by step, with the preset ``quick``. Writes the curve.

The digits are those of ``plugins/pixlate_dcgan/recipes/digits.py``, and so is what counts as read: as near to a digit that was trained on as 19 of 20 digits that are drawn again.

Run: ``python benchmarks/bench_sampling.py`` (no data needed; four minutes of a core for a seed)
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
EVERY = 250


def main() -> None:
    """Train, print what was reached and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        digits, run = draw_digits(Path(folder) / "digits"), Path(folder) / "run"
        chosen = run_options(digits, options.seed)
        started = time.process_time()
        train(chosen, run, lambda progress: None, print)
        seconds = time.process_time() - started
        curve = {int(path.name.split("-")[1]): counts(chosen, path, Path(folder) / path.name, digits) for path in sorted((run / "checkpoints").glob("step-*"))}
    last = curve[max(curve)]
    figures = [
        Figure(f"DCGAN on digits, of {DRAWN} pictures those that can be read", sum(last.values()), "", required=0.4 * DRAWN),
        Figure("DCGAN on digits, of ten digits those that are among them", sum(count > 0 for count in last.values()), "", required=10),
        Figure("DCGAN on digits, training", round(seconds), "s of a core", better="less"),
    ]
    rows = {"preset": tomllib.loads(chosen.method.presets["quick"].read_text())["train"]["dcgan"], "drawn": DRAWN, "curve": curve}
    save("sampling", {"what": "how many pictures from noise can be read as each digit, by step", **rows}, figures)


def run_options(digits: Path, seed: int) -> RunOptions:
    """Return the preset's options, with a checkpoint for each point of the curve."""
    method = installed().offered(Method)["dcgan"]
    table: dict[str, Any] = tomllib.loads(method.presets["quick"].read_text())["train"]["dcgan"]
    table |= {"checkpoint_every": EVERY, "keep": 100, "validate_every": 10**6, "seed": seed, "device": "cpu"}
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
