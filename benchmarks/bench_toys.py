"""Whether methods learn what they are for, on drawn landscapes, and what that looks like: errors on pictures that were not seen, by step, and a sheet of each for the guide.

CUT and CycleGAN learn a grade, day to night, from landscapes by day and others by night; Pix2Pix learns to colour grey ones; SRGAN's first stage and distillation (from ``upscale-x2``) learn to double the sides of small ones.
The networks are small, so that each takes less than a minute of one core. An error is the mean absolute difference from what is wanted, of a range of 1. A sheet has sources, outputs and what is wanted, from above.

Run: ``python benchmarks/bench_toys.py [--methods cut] [--sheets docs/sheets]`` (no data needed)
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from common import RESULTS, Figure, save
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions

Pixels = NDArray[np.float32]
"""(height, width, 3) in [0, 1]."""
SIDE, FINE, POINTS, SHOWN, ZOOM = 64, 4, 8, 6, 96
"""Sides of the landscapes, how many times larger they are drawn, points of a curve, pictures of a sheet and their sides there."""
ADVERSARIAL: dict[str, Any] = {"channels": 12, "discriminator_channels": 16, "patch": 32, "resize": 0, "batch": 4, "learning_rate": 2e-3, "average_decay": 0.95}
COLOURS: dict[str, Any] = ADVERSARIAL | {
    "blocks": 1,
    "downsamplings": 1,
    "norm": "none",
    "skip": True,
    "initialisation": "xavier",
    "initial_gain": 1.0,
    "discriminator": ("pixel",),
    "discriminator_norm": "none",
}
UPSCALER: dict[str, Any] = {
    "scale": 2,
    "network": "msrresnet",
    "channels": 16,
    "blocks": 2,
    "patch": 16,
    "batch": 8,
    "learning_rate": 2e-3,
    "average_decay": 0.95,
    "steps": 400,
}
HOLE = (slice(24, 42), slice(20, 38))
"""Rows and columns of what is to be filled in a landscape."""


@dataclass(frozen=True)
class Toy:
    """What a method learns."""

    options: Mapping[str, Any]
    required: float
    """Error that the trained network must be under."""
    source: Callable[[Pixels], Pixels]
    """Makes the source of an unseen landscape."""
    wanted: Callable[[Pixels], Pixels]
    """Makes what the network should make of it."""
    two_sets: bool = False
    """Whether landscapes by night are a second folder."""
    method: str = ""
    """The method, where the toy is named after another network of it."""
    hole: tuple[slice, ...] = (slice(None),)
    """Rows and columns that a model fills, and where errors are measured."""


def landscape(seed: int) -> Image.Image:
    """Return hills under a sky, with trees and a house, of colours that differ."""
    draw_from, side = np.random.default_rng(seed), SIDE * FINE
    image = Image.new("RGB", (side, side))
    draw = ImageDraw.Draw(image)

    def colour(red: float, green: float, blue: float, spread: float = 25) -> tuple[int, ...]:
        return tuple(int(np.clip(value + draw_from.uniform(-spread, spread), 0, 255)) for value in (red, green, blue))

    for row, level in enumerate(np.linspace(0, 1, side)):
        draw.line((0, row, side, row), (int(120 + 110 * level), int(175 + 50 * level), int(240 - 30 * level)))
    for base, tone in ((0.45, (120, 140, 150)), (0.6, (120, 165, 90)), (0.78, (200, 180, 90))):
        phase, wave = draw_from.uniform(0, 6), draw_from.uniform(1, 3)
        line = [(x, side * (base + 0.08 * np.sin(phase + wave * 6 * x / side) + 0.04 * np.sin(3 * phase + 17 * x / side))) for x in range(0, side + 1, 4)]
        draw.polygon([(0, side), *line, (side, side)], colour(*tone))
    for _ in range(int(draw_from.integers(2, 6))):
        x, y, radius = draw_from.uniform(0, side), draw_from.uniform(0.6, 0.9) * side, draw_from.uniform(0.04, 0.09) * side
        draw.rectangle((x - radius / 5, y, x + radius / 5, y + 2 * radius), "#4a3728")
        draw.ellipse((x - radius, y - 1.4 * radius, x + radius, y + radius), colour(40, 90, 40))
    x, y, wide = draw_from.uniform(0.1, 0.7) * side, draw_from.uniform(0.6, 0.7) * side, draw_from.uniform(0.15, 0.22) * side
    draw.rectangle((x, y, x + wide, y + 0.8 * wide), colour(230, 220, 200))
    draw.polygon([(x - 0.15 * wide, y), (x + wide / 2, y - wide / 2), (x + 1.15 * wide, y)], colour(170, 60, 40))
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def by_night(pixels: Pixels) -> Pixels:
    """Return the grade that CUT and CycleGAN are to find."""
    return (pixels * (0.3, 0.38, 0.55) + (0.0, 0.02, 0.1)).astype(np.float32)


def reduced(pixels: Pixels) -> Pixels:
    """Return a picture of half the sides, as SRGAN's data kind makes it."""
    small = Image.fromarray((pixels * 255).round().astype(np.uint8)).resize((SIDE // 2, SIDE // 2), Image.Resampling.BICUBIC)
    return unit(small)


def with_hole(pixels: Pixels) -> Pixels:
    """Return a picture with a black square, which is to be filled."""
    erased = pixels.copy()
    erased[HOLE] = 0
    return erased


def in_grey(pixels: Pixels) -> Pixels:
    """Return the luma of a picture, (height, width, 1), as ``--grey`` makes sources."""
    return unit(as_image(pixels).convert("L"))[:, :, None]


def same(pixels: Pixels) -> Pixels:
    """Return the picture."""
    return pixels


TOYS: dict[str, Toy] = {
    "pix2pix": Toy(
        {**ADVERSARIAL, "grey": True, "channels_in": 1, "depth": 4, "norm": "instance", "dropout": 0.0, "discriminator_layers": 2, "patch": 64, "steps": 400},
        0.1,
        in_grey,
        same,
    ),
    "cyclegan": Toy({**COLOURS, "cycle_weight": 1.0, "identity_weight": 0.0, "steps": 400}, 0.08, same, by_night, two_sets=True),
    "cut": Toy({**COLOURS, "nce_patches": 64, "projection_channels": 32, "steps": 400}, 0.08, same, by_night, two_sets=True),
    "inpaint": Toy(
        {**ADVERSARIAL, "adversarial_weight": 0.01, "discriminator_channels": 8, "strokes": 0, "box": 0.35, "patch": 64, "steps": 320},
        0.09,
        with_hole,
        same,
        hole=HOLE,
    ),
    "srgan": Toy({**UPSCALER, "stages": "pixel", "pixel": "l1"}, 0.012, reduced, same),
    "distill": Toy({**UPSCALER, "teacher": "upscale-x2", "crops": 1, "crop_side": 32, "cache_folder": "lessons"}, 0.012, reduced, same),
    "swin": Toy(
        {**UPSCALER, "network": "swin", "groups": 1, "heads": 2, "tail": "direct", "stages": "pixel", "pixel": "l1"}, 0.03, reduced, same, method="srgan"
    ),
}


def main() -> None:
    """Train all, print what they reached and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=TOYS, default=list(TOYS), help="those trained, while the file keeps what it has of others")
    parser.add_argument("--sheets", type=Path, help="folder for the sheets")
    chosen = parser.parse_args()
    sheets = chosen.sheets.resolve() if chosen.sheets else None
    torch.set_num_threads(1)
    path = RESULTS / "toys.json"
    before = json.loads(path.read_text()) if set(chosen.methods) < set(TOYS) and path.is_file() else {"methods": {}, "figures": []}
    rows: dict[str, dict[str, Any]] = before["methods"]
    figures = [Figure(**figure) for figure in before["figures"] if figure["what"].partition(" ")[0] not in chosen.methods]
    for name in chosen.methods:
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            rows[name], sheet = learnt(name, TOYS[name], Path(folder))
        figures.append(Figure(f"{name} on its toy, error on unseen pictures", rows[name]["reached"], "", required=TOYS[name].required, better="less"))
        if sheets and not TOYS[name].method:
            sheet.save(sheets / f"method-{name}.webp", quality=85)
    save(
        "toys",
        {"what": "Whether methods learn what they are for: mean absolute error on unseen drawn pictures, of a range of 1, by step", "methods": rows},
        figures,
    )


def learnt(name: str, toy: Toy, folder: Path) -> tuple[dict[str, Any], Image.Image]:
    """Train a method on its toy; return its errors, and its sheet."""
    sets = [(folder / "first", 1000, same), *([(folder / "second", 2000, toy.wanted)] if toy.two_sets else [])]
    for path, seed, change in sets:
        path.mkdir()
        for index in range(24):
            as_image(change(unit(landscape(seed + index)))).save(path / f"{index:02}.png")
    options = run_options(name, tuple(path for path, _, _ in sets), toy)
    began = time.process_time()
    train(options, folder / "run", lambda progress: None, print)
    seconds = time.process_time() - began
    unseen = [unit(landscape(3000 + index)) for index in range(8)]
    sources, wanted = ([change(pixels) for pixels in unseen] for change in (toy.source, toy.wanted))
    gan: Any = options.build()
    outputs = {0: translated(gan, sources, toy.hole)}
    for path in sorted((folder / "run" / "checkpoints").glob("step-*")):
        gan.load_state_dict(load_checkpoint(path).average)
        outputs[int(path.name.removeprefix("step-"))] = translated(gan, sources, toy.hole)
    curve = {
        step: round(float(np.mean([abs(one - other)[toy.hole].mean() for one, other in zip(made, wanted, strict=True)])), 4) for step, made in outputs.items()
    }
    last = max(curve)
    return {"untrained": curve[0], "reached": curve[last], "processor_seconds": round(seconds, 1), "curve": curve}, sheet_of(sources, outputs[last], wanted)


def run_options(name: str, folders: tuple[Path, ...], toy: Toy) -> RunOptions:
    """Return the options of a toy's run, which keeps a checkpoint for each point of the curve."""
    method = installed().offered(Method)[toy.method or name]
    every = toy.options["steps"] // POINTS
    values = {**toy.options, "hold_out": 0, "workers": 1, "device": "cpu", "checkpoint_every": every, "keep": POINTS}
    parts: list[Any] = [
        replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values})
        for owner in (method.options, method.data.options, method.training)
    ]
    return RunOptions(method, parts[0], folders, parts[1], parts[2])


def translated(gan: Any, sources: Sequence[Pixels], hole: tuple[slice, ...]) -> list[Pixels]:
    """Return what the exported generator makes of pictures, and of a mask of the hole where it takes one."""
    export = next(iter(gan.exports().values()))
    export.module.eval()
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[0, 0][hole] = 1
    with torch.no_grad():
        return [export({"source": torch.from_numpy(pixels).permute(2, 0, 1)[None], "mask": mask})[0].permute(1, 2, 0).numpy() for pixels in sources]


def sheet_of(*rows: Sequence[Pixels]) -> Image.Image:
    """Return pictures of one size, enlarged without interpolation, a row for each sequence."""
    sheet = Image.new("RGB", (SHOWN * (ZOOM + 4) - 4, len(rows) * (ZOOM + 4) - 4), "white")
    for down, row in enumerate(rows):
        for across, pixels in enumerate(row[:SHOWN]):
            sheet.paste(as_image(pixels).resize((ZOOM, ZOOM), Image.Resampling.NEAREST), (across * (ZOOM + 4), down * (ZOOM + 4)))
    return sheet


def unit(image: Image.Image) -> Pixels:
    """Return pixels in [0, 1]."""
    return (np.array(image) / 255).astype(np.float32)


def as_image(pixels: Pixels) -> Image.Image:
    """Return the picture of pixels in [0, 1], of one channel or three."""
    return Image.fromarray((np.broadcast_to(pixels, (*pixels.shape[:2], 3)) * 255).round().astype(np.uint8))


if __name__ == "__main__":
    main()
