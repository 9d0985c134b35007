"""Speed of ``pixlate convert``, as whole processes.

- ceiling: how near 200 photographs in JPEG, to JPEG, come to a bare loop of the same runtime over arrays in memory, which does nothing else (``bare.py``): the command's seconds of
  one photograph and of some give those of 200, start included, where 200 would take long; loop and command take turns, so that a machine that slows down slows both.
- start: seconds of ``pixlate --help``, of one small image through each shipped upscaler, and of one through a U-Net-256 whose digest is remembered.

What people use instead is in ``bench_peers.py``. Run: ``PIXLATE_DATA=... python benchmarks/bench_convert.py``
"""

import argparse
import os
import shutil
import sys
import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common import TURNS, Figure, Turns, in_turns, save, timed
from generators import NAMES, RUNTIMES, TITLES, export, kinds, pictures
from pixlate_export.options import ExportOptions

LARGE = 200
"""Photographs of the folder whose speed is measured."""
OF_BARE: dict[str, dict[str, float]] = {
    "upscale-x4": {"required": 0.95, "aim": 0.98},
    "resnet-9": {"required": 0.95, "aim": 0.98},
    "unet-256": {"required": 0.85, "aim": 0.9},
}
UPSCALERS = ("upscale-x2", "upscale-x4", "photo-x2", "photo-x4", "photo-x4-free")
"""Shipped models that enlarge."""
PIXLATE = [sys.executable, "-m", "pixlate"]


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8, help="about how long the bare loop may take in a turn")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each side")
    parser.add_argument("--models", nargs="*", default=list(OF_BARE), help="networks to measure")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        figures = start(work)
        for model in options.models:
            for runtime, arithmetic in kinds():
                row, figure = ceiling(model, work, options.seconds, options.turns, runtime, arithmetic)
                rows.append(row)
                figures.append(figure)
    save("convert", {"what": "`pixlate convert`, process start to end, over a bare loop of the same runtime; start", "seconds": rows}, figures)


def ceiling(name: str, work: Path, budget_s: float, turns: int, runtime: str, arithmetic: str) -> tuple[dict[str, Any], Figure]:
    """Return the seconds of the command on one photograph and on some, and of the bare loop, turn by turn, and how near the command comes to the loop on many."""
    model = generator(name, work) if name in NAMES else name
    chosen = ["--runtime", runtime, "--arithmetic", arithmetic]
    out = work / "out"

    def sources(count: int) -> Path:
        return pictures(name, work / f"{name}-{count}", count, ".jpg")

    def convert(folder: Path) -> float:
        shutil.rmtree(out, ignore_errors=True)
        return timed([*PIXLATE, "convert", folder, out, "--model", model, "--device", "cpu", *chosen]).seconds

    def loop(folder: Path) -> float:
        return float(timed([sys.executable, Path(__file__).with_name("bare.py"), model, folder, *chosen]).output)

    convert(sources(1))  # fills the cache of compiled models
    images = int(min(LARGE, max(8, budget_s / loop(sources(2)) * 2)))
    seen = in_turns({"one": partial(convert, sources(1)), "some": partial(convert, sources(images)), "loop": partial(loop, sources(images))}, turns)
    many = [some + (some - one) / (images - 1) * (LARGE - images) for one, some in zip(seen.seen["one"], seen.seen["some"], strict=True)]
    loops = [seconds / images * LARGE for seconds in seen.seen["loop"]]
    words = f"{TITLES[name]}, {LARGE} photographs, {RUNTIMES[runtime]} in {arithmetic}: `convert` over a bare loop"
    figure = Turns({"convert": many, "loop": loops}).times(words, "convert", "loop", **OF_BARE.get(name, {}))
    return {"model": name, "runtime": runtime, "arithmetic": arithmetic, "images": images, **seen.to_json()}, figure


def generator(name: str, work: Path) -> Path:
    """Return the file of a generator, which is written once."""
    path = work / f"{name}-float32-uint8.onnx"
    return path if path.is_file() else export(name, work, ExportOptions()).path


def start(work: Path) -> list[Figure]:
    """Return the seconds of ``--help``, and of one image through each shipped upscaler and a U-Net-256, whose file of 218 MB was read before."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed Pixlate is compiled
    small, unet, outputs = work / "small.png", generator("unet-256", work), (work / f"first-{number}" for number in count())
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(small)
    square = pictures("unet-256", work / "unet-256-first", 1)

    def first(source: Path, model: str | Path) -> float:
        return timed([*PIXLATE, "convert", source, next(outputs), "--model", model, "--device", "cpu"]).seconds

    sides = {model: partial(first, small, model) for model in UPSCALERS} | {"unet-256": partial(first, square, unet)}
    seen = in_turns({"help": lambda: timed([*PIXLATE, "--help"]).seconds, **sides}, 9, warm_up=2)  # which fill the caches of the disk and of digests
    return [
        seen.seconds("`pixlate --help`", "help", required=0.2),
        *(seen.seconds(f"one image of 64x48, `{model}`, process start to end", model, required=0.5) for model in UPSCALERS),
        seen.seconds("one photograph of 256x256, U-Net-256 of 218 MB, process start to end", "unet-256"),
    ]


if __name__ == "__main__":
    main()
