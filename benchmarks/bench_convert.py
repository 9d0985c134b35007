"""Speed and memory of ``pixlate convert``, as whole processes.

- ceiling: how near 200 photographs in JPEG, to JPEG, come to a bare loop of the same runtime over arrays in memory, which does nothing else (``bare.py``): the command's seconds of
  one photograph and of some give those of 200, start included; loop and command take turns, so that a machine that slows down slows both.
- start: seconds of ``pixlate --help``, of one small image through each shipped upscaler, and of one through a U-Net-256 whose digest is remembered.
- memory: peak of 2,000 images of one size over that of 100.

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

MANY, LARGE = 2000, 200
"""Images of the folder whose memory is measured, and of the one whose speed is."""
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
    parser.add_argument("--images", type=int, default=40, help="photographs of 256x256 that are converted; half as many larger ones")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each side")
    parser.add_argument("--models", nargs="*", default=list(OF_BARE), help="networks to measure")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        figures = [*memory(work), *start(work)]
        for model in options.models:
            for runtime, arithmetic in kinds():
                row, figure = ceiling(model, work, max(2, options.images // (1 if model in NAMES else 2)), options.turns, runtime, arithmetic)
                rows.append(row)
                figures.append(figure)
    save("convert", {"what": "`pixlate convert`, process start to end, over a bare loop of the same runtime; start; memory", "seconds": rows}, figures)


def ceiling(name: str, work: Path, images: int, turns: int, runtime: str, arithmetic: str) -> tuple[dict[str, Any], Figure]:
    """Return the seconds of the command on one photograph and on some, and of the bare loop, turn by turn, and how near the command comes to the loop on many."""
    source, one = (pictures(name, work / f"{name}-{number}", number, ".jpg") for number in (images, 1))
    model = generator(name, work) if name in NAMES else name
    chosen = ["--runtime", runtime, "--arithmetic", arithmetic]
    out = work / "out"

    def convert(folder: Path) -> float:
        shutil.rmtree(out, ignore_errors=True)
        return timed([*PIXLATE, "convert", folder, out, "--model", model, "--device", "cpu", *chosen]).seconds

    def loop() -> float:
        return float(timed([sys.executable, Path(__file__).with_name("bare.py"), model, source, *chosen]).output)

    convert(one)  # fills the cache of compiled models
    seen = in_turns({"one": partial(convert, one), "some": partial(convert, source), "loop": loop}, turns)
    many = [first + (some - first) / (images - 1) * (LARGE - 1) for first, some in zip(seen.seen["one"], seen.seen["some"], strict=True)]
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


def memory(work: Path) -> list[Figure]:
    """Return the peak memory of 2,000 images of one size over that of 100."""
    random = np.random.default_rng(0)
    peaks = {}
    for images in (100, MANY):
        source = work / f"{images}"
        source.mkdir()
        for index in range(images):
            Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(source / f"{index:04}.png")
        peaks[images] = timed([*PIXLATE, "convert", source, work / f"out-{images}", "--model", "upscale-x2"]).peak_mb
    return [
        Figure(f"peak memory of {MANY:,} images of one size over 100", peaks[MANY] / peaks[100], required=1.10, better="less"),
        Figure(f"peak memory of {MANY:,} images of one size", peaks[MANY], "MB", better="less"),
    ]


if __name__ == "__main__":
    main()
