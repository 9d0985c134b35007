"""What a folder of many sizes costs, as whole processes of ``pixlate convert`` that take turns.

- mixed: pixels/s of 200 images of 200 different sizes over pixels/s of 200 images of one size with as many pixels.
- bucket: PSNR of photographs whose sides were raised to multiples of 64, as GPUs have it, against the same without.
- memory: peak of 2,000 images over that of 100, of 200 sizes and of one, in each runtime and arithmetic that is here.

Run: ``PIXLATE_DATA=... python benchmarks/bench_runner.py``; ``--device cuda`` on a GPU.
"""

import argparse
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import pixlate
from common import TURNS, Figure, data, in_turns, save, timed
from generators import RUNTIMES, kinds
from pixlate.inference.executor import Executor

PIXLATE = [sys.executable, "-m", "pixlate"]
SIDE = 128
"""Middle of the sides, in pixels."""


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", default=["upscale-x2", "day-to-night"], help="models to measure")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        figures = memory(work, options.device)
        figures += [mixed(work / model, model, options.device, options.turns) for model in options.models]
        buckets = [bucket(model) for model in (*options.models, "upscale-x4", "sketch-to-photo")]
    figures += [
        Figure(f"`{row['model']}`: pictures with sides raised to multiples of 64 against the same without, least", row["least_psnr_db"], "dB")
        for row in buckets
    ]
    save("runner", {"what": "a folder of many sizes", "device": options.device, "bucket": buckets}, figures)


def pictures(folder: Path, count: int, same: bool) -> int:
    """Write smooth pictures, each of a size of its own or all of one; return the pixels in all."""
    folder.mkdir(parents=True)
    generator, pixels = np.random.default_rng(0), 0
    for index in range(count):
        height = SIDE if same else SIDE - 50 + index % 200 // 2
        width = SIDE if same else SIDE - 50 + (index * 37) % 101
        coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{index:05}.png")
        pixels += height * width
    return pixels


def mixed(work: Path, model: str, device: str, turns: int) -> Figure:
    """Return the pixel rate of many sizes over that of one."""
    sizes = {"mixed": pictures(work / "mixed", 200, same=False), "same": pictures(work / "same", 200, same=True)}

    def seconds_a_pixel(kind: str) -> float:
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)
        return timed([*PIXLATE, "convert", work / kind, out, "--model", model, "--device", device]).seconds / sizes[kind]

    seen = in_turns({kind: partial(seconds_a_pixel, kind) for kind in sizes}, turns)
    return seen.times(f"`{model}`: pixels/s of 200 images of 200 sizes over 200 of one size", "mixed", "same", required=0.7)


def bucket(model: str) -> dict[str, Any]:
    """Return what buckets do to pictures."""
    translator = pixlate.load(model, "cpu")
    rows = []
    for path in sorted((data() / "photos/test").glob("*.jpg"))[:6]:
        pixels = np.asarray(Image.open(path).convert("RGB"))[: 321 - 8, : 321 - 29]
        plain, raised = (Executor(translator, "off", 1, size).translate([pixels])[0].astype(np.float64) for size in (1, 64))
        border = 32 * translator.spec.scale
        rows.append([-10 * np.log10(max(float(np.mean(error**2)), 1e-12) / 255**2) for error in (plain - raised, (plain - raised)[:-border, :-border])])
    whole, inner = np.min(rows, axis=0)
    print(f"{model}: buckets leave at least {whole:.1f} dB, {inner:.1f} dB beyond 32 pixels of the border")
    return {"model": model, "least_psnr_db": round(whole, 1), "least_inside_db": round(inner, 1)}


def memory(work: Path, device: str) -> list[Figure]:
    """Return the peak memory of 2,000 images over that of 100, of 200 sizes and of one, in each runtime."""
    figures = []
    sources = {(kind, count): work / f"{count} of {kind}" for kind in ("200 sizes", "one size") for count in (100, 2000)}
    for (kind, count), source in sources.items():
        pictures(source, count, kind == "one size")
    for runtime, arithmetic in kinds() if device == "cpu" else [("onnxruntime", "float32")]:
        chosen = ["--model", "day-to-night", "--device", device, "--runtime", runtime, "--arithmetic", arithmetic]
        timed([*PIXLATE, "convert", sources["one size", 100], work / f"{runtime} {arithmetic}", *chosen])  # fills the cache of compiled models
        for kind in ("200 sizes", "one size"):
            peaks = [
                timed([*PIXLATE, "convert", sources[kind, count], work / f"{count} {kind} {runtime} {arithmetic}", *chosen]).peak_mb for count in (100, 2000)
            ]
            words = f"peak memory of 2,000 images of {kind}"
            way = f"{RUNTIMES[runtime]} in {arithmetic}"
            figures += [
                Figure(f"{words} over 100, {way}", peaks[1] / peaks[0], required=1.10, better="less"),
                Figure(f"{words}, {way}", peaks[1], "MB", better="less"),
            ]
    return figures


if __name__ == "__main__":
    main()
