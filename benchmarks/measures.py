"""Measures of what ready models are for, each beside what it must beat; functions of a model, for training scripts too.

A model is any function from 8-bit RGB, (height, width, 3), to the same; :func:`opened` makes one of a name or a file. Every random number is seeded by the
place of the picture in its list, so figures compare from one run to the next. Figures are means over pictures, PSNR in dB.
"""

import io
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

import pixlate
from pixlate.evaluation import luma, psnr_luma
from pixlate.evaluation.metrics import psnr

RGB = NDArray[np.uint8]
Model = Callable[[RGB], RGB]
Row = dict[str, Any]
HELD_OUT = 20
"""Photographs of the test folder, those whose names sort last, that nothing is trained on."""
STOPS = (1, 2, 3, 4)
SHOT, READ = 0.01, 0.002
"""Noise of the darkened photographs: the standard deviation of linear light is sqrt(SHOT**2 light + READ**2), white being 1."""
DARK = 40
"""Mean of RGB below which a pixel of a drawing is a line, and under which it is to stay."""
PAPER = 200
"""Least of RGB from which a pixel of a drawing is paper."""


def opened(name: str) -> Model:
    """Return a ready model or a file as a function of one picture, on the CPU.

    Raises:
        PixlateError: There is no such model, or its file cannot be read.
    """
    translator = pixlate.load(name, "cpu")
    return lambda pixels: translator(pixels[None])[0]


def unchanged(pixels: RGB) -> RGB:
    """Return a picture as it is: what a model of scale 1 must beat."""
    return pixels


def held_out(photographs: Path) -> Iterator[tuple[int, RGB]]:
    """Yield the number and the pixels of the photographs that sort last in a folder."""
    for number, path in enumerate(sorted(photographs.glob("*.jpg"))[-HELD_OUT:]):
        yield number, read(path)


def photo(model: Model, photographs: Path) -> Row:
    """Return how well a model enlarges photographs as phones store them, beside bicubic.

    Each is blurred (sigma 1 pixel), reduced bicubically by the model's scale, given noise (sigma 8 levels) and stored as JPEG of quality 50. ``psnr`` and
    ``ms_ssim`` (Wang et al. 2003) are of luma, ``scale`` pixels cropped from each side; ``hed`` is the distance of HED's features, and ``nearer`` the share of
    bicubic's it is less, in %.
    """
    scale = model(np.zeros((16, 16, 3), np.uint8)).shape[0] // 16
    figures: dict[str, list[float]] = {}
    for number, whole in held_out(photographs):
        target = whole[: whole.shape[0] // scale * scale, : whole.shape[1] // scale * scale]
        source = as_phones_store(target, np.random.default_rng(number), scale)
        for name, output in (("", model(source)), ("bicubic_", bicubic(source, scale))):
            figures.setdefault(f"{name}psnr", []).append(psnr_luma(output, target, scale))
            figures.setdefault(f"{name}ms_ssim", []).append(ms_ssim(output, target, scale))
            figures.setdefault(f"{name}hed", []).append(hed_distance(output, target))
    row = _means(figures)
    return row | {"gain": row["psnr"] - row["bicubic_psnr"], "nearer": 100 * (1 - row["hed"] / row["bicubic_hed"])}


def clean(model: Model, photographs: Path) -> Row:
    """Return the PSNR of photographs before and after a model of scale 1, and what it gains.

    ``jpeg`` is JPEG of quality 10 in colour, measured on luma; ``grey`` the same of the grey photograph, as restoration papers do on classic5, the model being
    given grey as RGB and the mean of its channels taken; ``noise`` is noise of sigma 25 levels, measured on RGB as for CBSD68.
    """
    figures: dict[str, list[float]] = {}

    def add(name: str, before: float, after: float) -> None:
        figures.setdefault(f"{name}_before", []).append(before)
        figures.setdefault(name, []).append(after)

    for number, target in held_out(photographs):
        stored = jpeg(target, 10)
        add("jpeg", psnr_luma(stored, target, 0), psnr_luma(model(stored), target, 0))
        grey = np.array(Image.fromarray(target).convert("L"))
        stored = jpeg(grey, 10)
        output = np.rint(model(np.repeat(stored[:, :, None], 3, axis=2)).mean(axis=2)).astype(np.uint8)
        add("grey", psnr(stored[:, :, None], grey[:, :, None]), psnr(output[:, :, None], grey[:, :, None]))
        noisy = to_levels(target + np.random.default_rng(number).normal(0, 25, target.shape))
        add("noise", psnr(noisy, target), psnr(model(noisy), target))
    row = _means(figures)
    return row | {f"{name}_gain": row[name] - row[f"{name}_before"] for name in ("jpeg", "grey", "noise")}


def brighten(model: Model, photographs: Path) -> Row:
    """Return the PSNR of photographs darkened by 1 to 4 stops after a model of scale 1, that of the best gamma for each, and the mean gain over it."""
    figures: dict[str, list[float]] = {}
    for stops in STOPS:
        for number, target in held_out(photographs):
            dark = darkened(target, stops, np.random.default_rng(number))
            figures.setdefault(f"stops{stops}", []).append(psnr(model(dark), target))
            figures.setdefault(f"stops{stops}_gamma", []).append(psnr(best_gamma(dark, target), target))
    row = _means(figures)
    return row | {"gain": float(np.mean([row[f"stops{stops}"] - row[f"stops{stops}_gamma"] for stops in STOPS]))}


def drawing(model: Model, drawings: Path) -> Row:
    """Return how well a model colours drawings, of a folder with ``line`` and ``colour``.

    ``error`` is the mean absolute error in levels; ``chroma`` the mean chroma (CIE L*a*b*) over the targets'; ``dark`` the mean level of pixels that are lines.
    """
    errors, ours, theirs, dark = [], [], [], []
    for source, target in drawn(drawings):
        output = model(source)
        errors.append(error(output, target))
        ours.append(chroma(output))
        theirs.append(chroma(target))
        lines = source.mean(axis=2) < DARK
        if lines.any():
            dark.append(float(output[lines].mean()))
    return {"error": float(np.mean(errors)), "chroma": float(np.mean(ours) / np.mean(theirs)), "dark": float(np.mean(dark))}


def drawing_baselines(drawings: Path) -> dict[str, float]:
    """Return the mean absolute error of colouring nothing, of one colour inside all lines (the median of what is there), and of one for each drawing.

    Inside the lines is paper that does not join the border of the picture.
    """
    pairs = [(source, target, inside(source)) for source, target in drawn(drawings)]
    one = np.median(np.concatenate([target[area] for _, target, area in pairs]), axis=0)
    own = [np.median(target[area], axis=0) if area.any() else one for _, target, area in pairs]
    found: dict[str, list[float]] = {"nothing": [], "one colour": [], "one colour each": []}
    for (source, target, area), each in zip(pairs, own, strict=True):
        found["nothing"].append(error(source, target))
        for name, colour in (("one colour", one), ("one colour each", each)):
            found[name].append(error(np.where(area[:, :, None], colour, source), target))
    return _means(found)


def drawn(drawings: Path) -> Iterator[tuple[RGB, RGB]]:
    """Yield line drawings and what they look like in colour."""
    for path in sorted((drawings / "line").glob("*.png")):
        yield read(path), read(drawings / "colour" / path.name)


def inside(lines: RGB) -> NDArray[np.bool_]:
    """Return where a drawing's paper does not join the border of the picture, (height, width)."""
    _, areas = cv2.connectedComponents((lines.min(axis=2) >= PAPER).astype(np.uint8), connectivity=4)
    outside = np.unique(np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1], [0]]))  # 0 is the lines
    within: NDArray[np.bool_] = ~np.isin(areas, outside)
    return within


def as_phones_store(target: RGB, generator: np.random.Generator, scale: int) -> RGB:
    """Return a picture blurred, reduced by ``scale``, with noise, as JPEG shows it."""
    height, width = target.shape[:2]
    blurred = Image.fromarray(cv2.GaussianBlur(target, (0, 0), 1.0).astype(np.uint8))
    small = np.array(blurred.resize((width // scale, height // scale), Image.Resampling.BICUBIC))
    return jpeg(to_levels(small + generator.normal(0, 8, small.shape)), 50)


def jpeg(pixels: RGB, quality: int) -> RGB:
    """Return pixels, grey (height, width) or RGB, as Pillow's JPEG of a quality shows them, colour at half size."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as image:
        return np.array(image)


def darkened(target: RGB, stops: float, generator: np.random.Generator) -> RGB:
    """Return a photograph taken with ``stops`` less light and a sensor's noise: sRGB (IEC 61966-2-1) to linear light, divided by 2**stops, and back."""
    value = target / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) * 2.0**-stops
    light = (light + np.sqrt(SHOT**2 * light + READ**2) * generator.standard_normal(light.shape, np.float32)).clip(0, 1)
    return to_levels(255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055))


def best_gamma(dark: RGB, target: RGB) -> RGB:
    """Return the picture whose levels, each raised to one power of 0.1 to 1, are nearest to the target.

    The squared error of a power needs, for each of 256 levels, how many samples have it and the sum of their targets, so that 901 powers are tried at no cost.
    """
    count = np.bincount(dark.ravel(), minlength=256)
    total = np.bincount(dark.ravel(), weights=target.ravel().astype(np.float64), minlength=256)
    curves = np.rint(255 * (np.arange(256) / 255) ** np.linspace(0.1, 1, 901)[:, None])
    errors = (count * curves**2 - 2 * total * curves).sum(axis=1)
    curve: RGB = curves[errors.argmin()].astype(np.uint8)
    return curve[dark]


def bicubic(pixels: RGB, scale: int) -> RGB:
    """Enlarge with Pillow's BICUBIC."""
    image = Image.fromarray(pixels)
    return np.array(image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC))


def ms_ssim(output: RGB, target: RGB, border: int) -> float:
    """Return torchmetrics' multi-scale SSIM of luma, a border cropped; both sides are more than 160 pixels."""
    import torch
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    inner = slice(border, -border)
    first, second = (torch.from_numpy(luma(image)[inner, inner])[None, None] for image in (output, target))
    return float(multiscale_structural_similarity_index_measure(first, second, data_range=255.0))


def hed_distance(output: RGB, target: RGB) -> float:
    """Return the distance of the features of HED's trunk (conv2_2, conv3_3, conv4_3), see :class:`pixlate.losses.HEDDistance`."""
    import torch

    with torch.no_grad():
        first, second = (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 for image in (output, target))
        return float(_hed()(first, second))


@cache
def _hed() -> Any:
    from pixlate.losses import HEDDistance, load_hed

    return HEDDistance(load_hed())


def error(output: NDArray[Any], target: RGB) -> float:
    """Return the mean absolute error, in levels."""
    return float(np.abs(output.astype(np.float64) - target).mean())


def chroma(pixels: RGB) -> float:
    """Return the mean chroma in CIE L*a*b*."""
    lab: NDArray[np.float64] = rgb2lab(pixels)
    return float(np.hypot(lab[:, :, 1], lab[:, :, 2]).mean())


def to_levels(values: NDArray[Any]) -> RGB:
    """Return values rounded to levels, 0 to 255."""
    levels: RGB = np.rint(values).clip(0, 255).astype(np.uint8)
    return levels


def read(path: Path) -> RGB:
    """Return a file's RGB pixels."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def _means(figures: dict[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in figures.items()}
