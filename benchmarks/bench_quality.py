"""PSNR and SSIM of the shipped upscaling models on Set5, beside bicubic and the published figures.

Luma, a border of ``scale`` pixels cropped, 8-bit outputs. SSIM is scikit-image's with the settings of Wang et al. 2004 (Gaussian window of
sigma 1.5, no sample covariance), on luma.

Run: ``PIXLATE_DATA=... python benchmarks/bench_quality.py [--set NAME=FOLDER]``, where a folder holds ``*_x4_HR.png`` and ``*_x4_LR.png``.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

import pixlate
from common import data, save
from pixlate.evaluation import luma, psnr_luma

PUBLISHED = {2: {"bicubic": 33.66, "VDSR": 37.53}, 4: {"bicubic": 28.43, "SRCNN": 30.07, "SRResNet": 32.05}}
REQUIRED = {2: 37.4, 4: 31.4}
RGB = NDArray[np.uint8]


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER", help="a further benchmark set")
    sets = {"Set5": data() / "set5"} | {name: Path(folder) for name, _, folder in (item.partition("=") for item in parser.parse_args().set)}
    rows: list[dict[str, Any]] = []
    for scale in (2, 4):
        translator = pixlate.load(f"upscale-x{scale}", "cpu")
        methods: dict[str, Callable[[RGB], RGB]] = {
            "bicubic": lambda pixels, scale=scale: bicubic(pixels, scale),  # type: ignore[misc]
            f"upscale-x{scale}": lambda pixels, translator=translator: translator(pixels[None])[0],  # type: ignore[misc]
        }
        rows += [measure(name, folder, scale, method, enlarge) for name, folder in sets.items() for method, enlarge in methods.items()]
    print(f"{'set':8} {'scale':>5} {'method':12} {'PSNR dB':>8} {'SSIM':>7}   required")
    for row in rows:
        print(f"{row['set']:8} {row['scale']:>5} {row['method']:12} {row['psnr']:8.2f} {row['ssim']:7.4f}   {row.get('required', '')}")
    for scale, figures in PUBLISHED.items():
        print(f"published, Set5 x{scale}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    save(
        "quality", {"what": "luma, border of scale pixels cropped", "ssim": "scikit-image, Gaussian window of sigma 1.5", "published": PUBLISHED, "rows": rows}
    )


def measure(name: str, folder: Path, scale: int, method: str, enlarge: Callable[[RGB], RGB]) -> dict[str, Any]:
    """Return the mean figures of one method on one set."""
    psnr, ssim = {}, []
    for path in sorted(folder.glob(f"*_x{scale}_LR.png")):
        target = read(path.with_name(path.name.replace("_LR", "_HR")))
        output = enlarge(read(path))
        psnr[path.name.removesuffix("_LR.png")] = round(psnr_luma(output, target, scale), 3)
        inner = slice(scale, -scale)
        first, second = luma(output)[inner, inner], luma(target)[inner, inner]
        settings = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        ssim.append(float(structural_similarity(first, second, **settings)))  # type: ignore[no-untyped-call]
    row = {"set": name, "scale": scale, "method": method, "psnr": round(float(np.mean(list(psnr.values()))), 3), "ssim": round(float(np.mean(ssim)), 4)}
    required = {"required": REQUIRED[scale]} if name == "Set5" and method != "bicubic" else {}
    return row | required | {"images": psnr}


def read(path: Path) -> RGB:
    """Return a file's RGB pixels."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def bicubic(pixels: RGB, scale: int) -> RGB:
    """Enlarge with Pillow's BICUBIC."""
    image = Image.fromarray(pixels)
    return np.array(image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    main()
