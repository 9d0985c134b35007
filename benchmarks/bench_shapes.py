"""Whether StarGAN v2 learns to change a domain and keep the rest: shapes in three colours, which are the domains, and two textures. Writes the curve, and a sheet for the guide.

Discs, squares and triangles of 16 pixels, plain or striped. Of shapes that were not seen, brought to each domain with noise, it measures the share whose colour is that of the domain, and how far the coloured pixels
are those of the source's shape (intersection over union). The sheet has sources in rows and seeds in columns: one style for each column, the same for all sources.

Run: ``python benchmarks/bench_shapes.py [--sheet docs/sheets/method-stargan.webp]`` (no data needed)
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from common import Figure, save
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions

SIDE, GROUND, COLOURED, ZOOM, SEEDS = 16, 235, 60, 48, 6
COLOURS = {"blue": (40, 80, 220), "green": (40, 190, 70), "red": (220, 50, 50)}
OPTIONS: dict[str, Any] = {
    "channels": 16,
    "most_channels": 64,
    "downsamplings": 1,
    "style_length": 16,
    "latent_length": 8,
    "mapping_channels": 64,
    "mapping_learning_rate": 1e-4,
    "patch": SIDE,
    "crop": 0.0,
    "hold_out": 0,
    "workers": 1,
    "steps": 240,
    "batch": 8,
    "learning_rate": 1e-3,
    "average_decay": 0.98,
    "checkpoint_every": 40,
    "keep": 6,
    "device": "cpu",
}
RIGHT, OVERLAP = 0.7, 0.45
"""Share of right colours, and mean overlap of shapes, that the trained network must reach; those of an untrained one are about 0.4 and 0.2."""
Pixels = NDArray[np.uint8]


def shape(colour: tuple[int, ...], draw: np.random.Generator) -> tuple[Pixels, NDArray[np.bool_]]:
    """Return a shape on a light ground, (SIDE, SIDE, 3), and where it is."""
    down, across = np.mgrid[:SIDE, :SIDE]
    x, y = draw.uniform(0.35, 0.65, 2) * SIDE
    radius = draw.uniform(0.2, 0.32) * SIDE
    inside = [
        (across - x) ** 2 + (down - y) ** 2 < radius**2,
        np.maximum(abs(across - x), abs(down - y)) < 0.9 * radius,
        (down - y < 0.8 * radius) & (down - y > 2 * abs(across - x) - radius),
    ][int(draw.integers(3))]
    paint = np.broadcast_to(np.array(colour) * draw.uniform(0.85, 1.1), (SIDE, SIDE, 3))
    if draw.random() < 0.5:
        paint = np.where(((across + down) // 2 % 2 == 0)[:, :, None], paint, 0.55 * paint)
    ground = GROUND + draw.normal(0, 3, (SIDE, SIDE, 1))
    return np.clip(np.where(inside[:, :, None], paint, ground), 0, 255).astype(np.uint8), inside


def write(folder: Path, count: int = 60) -> Path:
    """Write a folder of shapes for each colour; return the folder."""
    draw = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(shape(colour, draw)[0]).save(folder / name / f"{index:03}.png")
    return folder


def unseen(count: int = 12) -> list[tuple[Pixels, NDArray[np.bool_]]]:
    """Return shapes of each colour that training did not see."""
    draw = np.random.default_rng(99)
    return [shape(colour, draw) for colour in COLOURS.values() for _ in range(count)]


def made(gan: Any, sources: list[Pixels], label: int, latent: torch.Tensor) -> Pixels:
    """Return sources in a domain, with noise (sources, length)."""
    images = torch.from_numpy(np.stack(sources)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        translated = gan.exports()["latent"].module.eval()(images, latent, torch.full((len(images),), label))
    levels: Pixels = (translated * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return levels


def measured(gan: Any) -> dict[str, float]:
    """Return the share of unseen shapes that take the colour asked for, and the mean overlap of what is coloured with the shape."""
    shapes = unseen()
    latent = torch.randn(len(shapes), OPTIONS["latent_length"], generator=torch.Generator().manual_seed(0))
    hues = {name: np.array(colour) / max(colour) for name, colour in COLOURS.items()}
    right, overlaps = [], []
    for label, name in enumerate(COLOURS):
        for output, (_, inside) in zip(made(gan, [source for source, _ in shapes], label, latent), shapes, strict=True):
            levels = output.astype(float)
            coloured = levels.max(axis=2) - levels.min(axis=2) > COLOURED
            overlaps.append((coloured & inside).sum() / (coloured | inside).sum())
            mean = levels[inside].mean(axis=0)
            nearest = min(hues, key=lambda each: float(abs(mean / mean.max() - hues[each]).sum()))
            right.append(nearest == name and coloured[inside].mean() > 0.5)
    return {"right_colour": round(float(np.mean(right)), 3), "overlap": round(float(np.mean(overlaps)), 3)}


def run_options(folder: Path, seed: int = 0, **changes: Any) -> RunOptions:
    """Return the options of the run."""
    method, values = installed().offered(Method)["stargan"], {**OPTIONS, "seed": seed, **changes}
    owners = (method.options, method.data.options, method.training)
    parts: list[Any] = [replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values}) for owner in owners]
    return RunOptions(method, parts[0], (folder,), parts[1], parts[2]).with_facts()


def checkpoints(options: RunOptions, run: Path) -> Iterator[tuple[int, Any]]:
    """Yield the averaged networks of each checkpoint, with its step."""
    for path in sorted((run / "checkpoints").glob("step-*")):
        gan = options.build()
        gan.load_state_dict(load_checkpoint(path).average)
        yield int(path.name.removeprefix("step-")), gan


def sheet(gan: Any) -> Image.Image:
    """Return sources in rows, and beside each what it becomes in each domain with each of some seeds."""
    shapes = [source for source, _ in unseen(2)]
    latent = torch.randn(SEEDS, OPTIONS["latent_length"], generator=torch.Generator().manual_seed(1))
    columns = [shapes]
    for label in range(len(COLOURS)):
        columns += [list(made(gan, shapes, label, one.expand(len(shapes), -1))) for one in latent]
    pixels = np.concatenate([np.concatenate(column, axis=0) for column in columns], axis=1)
    return Image.fromarray(pixels).resize((pixels.shape[1] * ZOOM // SIDE, pixels.shape[0] * ZOOM // SIDE), Image.Resampling.NEAREST)


def main() -> None:
    """Train, print what was reached and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="file of the sheet")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        options = run_options(write(Path(name) / "shapes"))
        curve: dict[int, Mapping[str, float]] = {0: measured(options.build())}
        started = time.process_time()
        train(options, Path(name) / "run", lambda _: None, lambda _: None)
        seconds = time.process_time() - started
        for step, gan in checkpoints(options, Path(name) / "run"):
            curve[step] = measured(gan)
    if chosen.sheet:
        sheet(gan).save(chosen.sheet, quality=85)
    last = curve[max(curve)]
    figures = [
        Figure("StarGAN v2 on shapes: share whose colour is that of the domain", last["right_colour"], "", required=RIGHT, better="more"),
        Figure("StarGAN v2 on shapes: overlap of the coloured pixels with the shape", last["overlap"], "", required=OVERLAP, better="more"),
    ]
    save(
        "shapes",
        {"what": "whether StarGAN v2 changes the domain and keeps the shape, by step", "options": OPTIONS, "processor_seconds": round(seconds), "curve": curve},
        figures,
    )


if __name__ == "__main__":
    main()
