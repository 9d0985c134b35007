"""What ``day-to-night`` makes of photographs that were not seen in training: structure, brightness, colours, grids, and the inverse.

- structure: correlation of the luma of each output with that of its source; target: above 0.9,
- brightness: mean level of all outputs over that of the night set; target: within 10 %,
- distance: sliced Wasserstein distance of the outputs from the night set, beside that of the photographs themselves,
- grid: what a shift by one pixel changes of the outputs' finest detail in flat areas: mean square of the differences between neighbours, by column and row
  modulo 4, as the largest over the smallest; 1 is no grid at all, with the photographs' own figure beside it,
- way back: PSNR of the photograph after ``day-to-night`` and ``night-to-day``.

Run: ``PIXLATE_DATA=... python benchmarks/bench_translation.py``
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pixlate
from common import Figure, data, save
from pixlate.evaluation import luma, luma_correlation, sliced_wasserstein
from pixlate.evaluation.metrics import psnr

CORRELATION = 0.9
BRIGHTNESS = 0.1
FLAT = 2.0
"""Largest mean step, in levels, between neighbours in a 16x16 block that counts as flat."""
RGB = NDArray[np.uint8]


def main() -> None:
    """Measure, print and write the JSON."""
    there, back = pixlate.load("day-to-night", "cpu"), pixlate.load("night-to-day", "cpu")
    photographs, nights = read(data() / "photos/test"), read(data() / "night")
    outputs = [there(pixels[None])[0] for pixels in photographs]
    correlations = [luma_correlation(output, source) for output, source in zip(outputs, photographs, strict=True)]
    brightness = mean_level(outputs) / mean_level(nights)
    results: dict[str, Any] = {
        "images": len(photographs),
        "luma_correlation": {"mean": round(float(np.mean(correlations)), 4), "least": round(min(correlations), 4)},
        "brightness_over_the_night_sets": {"ratio": round(brightness, 4)},
        "sliced_wasserstein": {
            "outputs": round(sliced_wasserstein(outputs, nights), 4),
            "photographs": round(sliced_wasserstein(photographs, nights), 4),
        },
        "grid": {"outputs": round(grid(outputs, photographs), 3), "photographs": round(grid(photographs, photographs), 3)},
        "way_back_psnr": round(float(np.mean([psnr(back(output[None])[0], source) for output, source in zip(outputs, photographs, strict=True)])), 2),
    }
    save("translation", {"what": f"`day-to-night` on {len(photographs)} photographs it was not trained on", **results}, figures(results))


def figures(results: dict[str, Any]) -> list[Figure]:
    """Return what is published."""
    structure, night = results["luma_correlation"], results["brightness_over_the_night_sets"]["ratio"]
    return [
        Figure("`day-to-night`: correlation of luma with the source", structure["mean"], "", structure["least"], required=CORRELATION),
        Figure("`day-to-night`: brightness over the night set's", night, "times"),
        Figure("`day-to-night`: distance of that from 1", abs(night - 1), "", required=BRIGHTNESS, better="less"),
        Figure("detail in flat areas by position modulo 4, largest over smallest (1 is no grid)", results["grid"]["outputs"], "times", better="less"),
        Figure("the same in the photographs", results["grid"]["photographs"], "times", better="less"),
        Figure("PSNR after the way there and back", results["way_back_psnr"], "dB"),
    ]


def read(folder: Path) -> list[RGB]:
    """Return the RGB pixels of a folder's photographs."""
    pixels = []
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as image:
            pixels.append(np.array(image.convert("RGB")))
    return pixels


def mean_level(images: list[RGB]) -> float:
    """Return the mean of all levels of all images."""
    return float(np.mean([image.mean() for image in images]))


def grid(images: list[RGB], photographs: list[RGB]) -> float:
    """Return how much the detail in flat areas depends on the position of a pixel modulo 4: largest over smallest mean square, 1 without a grid."""
    totals, counts = np.zeros((2, 4)), np.zeros((2, 4))
    for image, photograph in zip(images, photographs, strict=True):
        light, flat = luma(image), flat_blocks(photograph)
        for axis in (0, 1):
            steps = np.diff(light, axis=axis) ** 2
            mask = flat[: steps.shape[0], : steps.shape[1]]
            for phase in range(4):
                chosen = (slice(phase, None, 4), slice(None)) if axis == 0 else (slice(None), slice(phase, None, 4))
                totals[axis, phase] += steps[chosen][mask[chosen]].sum()
                counts[axis, phase] += mask[chosen].sum()
    means = totals / counts
    return float((means.max(axis=1) / means.min(axis=1)).max())


def flat_blocks(pixels: RGB) -> NDArray[np.bool_]:
    """Return a mask of the 16x16 blocks without edges."""
    light = luma(pixels)
    height, width = (side // 16 * 16 for side in light.shape)
    steps = np.abs(np.diff(light[:height, :width], axis=1, append=light[:height, width - 1 : width]))
    flat = steps.reshape(height // 16, 16, width // 16, 16).mean((1, 3)) < FLAT
    mask = np.zeros(light.shape, bool)
    mask[:height, :width] = flat.repeat(16, 0).repeat(16, 1)
    return mask


if __name__ == "__main__":
    main()
