"""What a folder of many sizes costs, as whole processes of ``pixlate convert`` that take turns.

- mixed: pixels/s of 200 images of 200 different sizes over pixels/s of 200 images of one size with as many pixels.
- bucket: PSNR of photographs whose sides were raised to multiples of 64, as GPUs have it, against the same without.
- memory: peak of 2,000 images of mixed sizes over that of 100.

Run: ``PIXLATE_DATA=... python benchmarks/bench_runner.py``; ``--device cuda`` on a GPU.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import pixlate
from common import data, save, timed
from pixlate.inference.executor import Executor

PIXLATE = [sys.executable, "-m", "pixlate"]
SIDE = 128
"""Middle of the sides, in pixels."""


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", default=["upscale-x2", "day-to-night"], help="models to measure")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        results: dict[str, Any] = {"device": options.device}
        results["memory"] = memory(work, options.device)  # first: a process begun by a large one counts as large
        results["mixed"] = [mixed(work / model, model, options.device, options.rounds) for model in options.models]
        results["bucket"] = [bucket(model) for model in (*options.models, "upscale-x4", "sketch-to-photo")]
    save("runner", results)


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


def mixed(work: Path, model: str, device: str, rounds: int) -> dict[str, Any]:
    """Return the ratio of pixel rates, turn by turn."""
    sizes = {"mixed": pictures(work / "mixed", 200, same=False), "same": pictures(work / "same", 200, same=True)}
    found = {Image.open(path).size for path in (work / "mixed").iterdir()}
    ratios = []
    for turn in range(rounds):
        rates = {
            kind: pixels / timed([*PIXLATE, "convert", work / kind, work / f"{kind}-{turn}", "--model", model, "--device", device]).seconds
            for kind, pixels in sizes.items()
        }
        ratios.append(rates["mixed"] / rates["same"])
    row = {
        "model": model,
        "sizes": len(found),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(statistics.median(ratios), 3),
        "required": 0.7,
        "mixed_megapixels_per_second": round(rates["mixed"] / 1e6, 2),
    }
    print(f"{model}: {len(found)} sizes at {row['ratio']} of the pixel rate of one size (required 0.7)")
    return row


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


def memory(work: Path, device: str) -> dict[str, Any]:
    """Return the peak memory of 100 and of 2,000 images of mixed sizes."""
    peaks = {}
    for count in (100, 2000):
        pictures(work / f"{count}", count, same=False)
        peaks[count] = timed([*PIXLATE, "convert", work / f"{count}", work / f"out-{count}", "--model", "day-to-night", "--device", device]).peak_mb
    ratio = peaks[2000] / peaks[100]
    print(f"peak memory: {peaks[100]:.0f} MB for 100 images of mixed sizes, {peaks[2000]:.0f} MB for 2,000, ratio {ratio:.3f} (required at most 1.10)")
    return {"peak_mb": {str(count): round(peak, 1) for count, peak in peaks.items()}, "ratio": round(ratio, 3), "required": 1.10}


if __name__ == "__main__":
    main()
