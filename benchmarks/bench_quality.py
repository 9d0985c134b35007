"""How good the ready models are at what they are for, beside what they must beat.

Without an option: PSNR and SSIM of the enlarging models on Set5, beside bicubic and the published figures. Luma, a border of ``scale`` pixels cropped, 8-bit
outputs. SSIM is scikit-image's with the settings of Wang et al. 2004 (Gaussian window of sigma 1.5, no sample covariance), on luma. ``--photo``, ``--clean``,
``--brighten`` and ``--drawing`` are the measures of ``measures.py``, of the ready models or of those named, such as ``--photo runs/mine/model.onnx``; ``--all``
is everything. Results are written where no models are named.

Run: ``PIXLATE_DATA=... python benchmarks/bench_quality.py [--photo|--clean|--brighten|--drawing [MODEL ...]] [--all] [--speed] [--set NAME=FOLDER]``, where a
folder holds ``*_x4_HR.png`` and ``*_x4_LR.png``.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

import measures
import pixlate
from common import Figure, data, save
from measures import RGB, bicubic, read
from pixlate.evaluation import luma, psnr_luma

NEARER = "less distance of HED's features than bicubic's"
PUBLISHED = {2: {"bicubic": 33.66, "VDSR": 37.53}, 4: {"bicubic": 28.43, "SRCNN": 30.07, "SRResNet": 32.05}}
REQUIRED = {2: 37.4, 4: 31.4}
LESS: dict[str, Any] = {"better": "less"}
USES: dict[tuple[str, str], list[tuple[str, str, str, dict[str, Any]]]] = {
    ("photo", "photo-x4"): [
        ("gain", "PSNR over bicubic on photographs as phones store them", "dB", {"required": 0.0}),
        ("nearer", NEARER, "%", {"required": 16.0}),
    ],
    ("photo", ""): [("gain", "PSNR over bicubic on photographs as phones store them", "dB", {}), ("nearer", NEARER, "%", {})],
    ("clean", ""): [
        ("grey_gain", "PSNR gained on JPEG of quality 10 in grey", "dB", {"required": 1.2}),
        ("jpeg_gain", "PSNR gained on JPEG of quality 10 in colour", "dB", {}),
        ("noise", "PSNR after noise of 25 levels", "dB", {"required": 30.3}),
    ],
    ("brighten", ""): [("gain", "PSNR over the best gamma of each picture, mean of 1 to 4 stops", "dB", {"required": 3.0})],
    ("drawing", ""): [
        ("error", "mean absolute error of coloured drawings", "levels", {"required": 15.5, **LESS}),
        ("chroma", "chroma over the truth's", "times", {}),
        ("dark", "mean level of black lines", "levels", {"required": 40.0, **LESS}),
    ],
}
"""What is published of each measure: key, words, unit and bars; of one model, or of the others."""
MODELS = {
    "photo": ("photo-x4", "photo-x4-free", "photo-x2", "upscale-x4", "real-esrgan-video-x4", "real-esrgan-x4"),
    "clean": ("clean",),
    "brighten": ("brighten",),
    "drawing": ("colour-drawing",),
}
"""Measures, and the ready models each is of."""
FOLDERS = {"photo": "photos/test", "clean": "photos/test", "brighten": "photos/test", "drawing": "drawings/test"}


def main() -> None:
    """Measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, models in MODELS.items():
        parser.add_argument(f"--{name}", nargs="*", metavar="MODEL", help=f"names or files; by default {', '.join(models)}")
    parser.add_argument("--all", action="store_true", help="every measure of the ready models, and Set5")
    parser.add_argument("--speed", action="store_true", help="seconds of photo-x4 over those of upscale-x4 and real-esrgan-x4")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER", help="a further benchmark set")
    options = parser.parse_args()
    chosen = {name: models for name in MODELS if (models := [] if options.all else getattr(options, name)) is not None}
    for name, models in chosen.items():
        uses(name, models)
    if options.speed:
        speeds()
    if options.all or not (chosen or options.speed):
        standard_sets(options.set)


def uses(name: str, named: Sequence[str]) -> None:
    """Measure models at what they are for: those named, or the ready ones, of which those that are not here are left out with a sentence."""
    folder = data() / FOLDERS[name]
    rows: list[dict[str, Any]] = []
    for model in named or MODELS[name]:
        try:
            opened = measures.opened(model)
        except pixlate.PixlateError as error:
            if named:
                sys.exit(str(error))
            print(f"--{name}: {model} is left out: {error}")
            continue
        found = getattr(measures, name)(opened, folder)
        rows.append({"model": model, **{key: round(value, 4) for key, value in found.items()}})
    baselines = {key: round(value, 3) for key, value in measures.drawing_baselines(folder).items()} if name == "drawing" else {}
    for row in rows:
        print(f"{row['model']}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "model"))
    if baselines:
        print("error of " + ", ".join(f"{key} {value:.1f}" for key, value in baselines.items()))
    if rows and not named:
        what = " ".join((getattr(measures, name).__doc__ or "").split())
        results = {"what": what.removeprefix("Return "), "rows": rows, **({"baselines": baselines} if baselines else {})}
        save(f"quality-{name}", results, [figure for row in rows for figure in use_figures(name, row)])


def use_figures(name: str, row: dict[str, Any]) -> list[Figure]:
    """Return what is published of a model's measures."""
    chosen = USES.get((name, row["model"])) or USES[name, ""]
    return [Figure(f"`{row['model']}`: {what}", row[key], unit, **bars) for key, what, unit, bars in chosen]


def set_figures(rows: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return the PSNR of each method on each set."""
    return [Figure(f"{row['set']}, {row['scale']} times: PSNR of luma, {row['method']}", row["psnr"], "dB", required=row.get("required")) for row in rows]


def speeds(rounds: int = 5, side: int = 192) -> None:
    """Time photo-x4 and its rivals by turns on one picture, and print the ratios of the medians."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    opened = {}
    for name in ("photo-x4", "upscale-x4", "real-esrgan-x4"):
        try:
            opened[name] = measures.opened(name)
        except pixlate.PixlateError as error:
            print(f"--speed: {name} is left out: {error}")
    seconds: dict[str, list[float]] = {name: [] for name in opened}
    for turn in range(rounds + 1):
        for name, model in opened.items():
            started = perf_counter()
            model(pixels)
            if turn:  # the first warms up
                seconds[name].append(perf_counter() - started)
    for name in opened:
        if name != "photo-x4" and "photo-x4" in opened:
            print(f"photo-x4 over {name}: {median(seconds['photo-x4']) / median(seconds[name]):.3f} of the time")


def standard_sets(further: Sequence[str]) -> None:
    """Measure the enlarging models on Set5 and on further sets of its form."""
    sets = {"Set5": data() / "set5"} | {name: Path(folder) for name, _, folder in (item.partition("=") for item in further)}
    rows: list[dict[str, Any]] = []
    for scale in (2, 4):
        model = measures.opened(f"upscale-x{scale}")
        methods: dict[str, Callable[[RGB], RGB]] = {
            "bicubic": lambda pixels, scale=scale: bicubic(pixels, scale),  # type: ignore[misc]
            f"upscale-x{scale}": model,
        }
        rows += [measure(name, folder, scale, method, enlarge) for name, folder in sets.items() for method, enlarge in methods.items()]
    for scale, figures in PUBLISHED.items():
        print(f"published, Set5 x{scale}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    what = "luma, border of scale pixels cropped"
    results = {"what": what, "ssim": "scikit-image, Gaussian window of sigma 1.5", "published": PUBLISHED, "rows": rows}
    save("quality", results, set_figures(rows))


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


if __name__ == "__main__":
    main()
