"""How photographs lose quality: blur, darkness, noise, resizing and JPEG, drawn at random for each sample.

``simple`` is one pass of steps that are off by default; ``second-order`` is the degradation of Real-ESRGAN (Wang et al. 2021, section 3). Everything is
computed with NumPy and OpenCV in the threads that read images, from the sample's own seed.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixlate.data.kernels import gaussian, random_kernel, sinc_kernel
from pixlate.images import Pixels
from pixlate.options.degraded import DegradedOptions

Plane = NDArray[np.float32]
"""An image, (height, width, 3), RGB in [0, 1]."""
Levels = NDArray[np.uint8]
"""An image, (height, width, 3), RGB."""
BLOCK = 16
"""Side of what JPEG stores at once, in pixels: four blocks of 8 and their colour; it begins anywhere in a patch, as in a photograph that was cropped."""
REACH = 3
"""Standard deviations of a Gaussian that are computed to each side."""
KERNEL = 21
"""Largest side of the kernels of the second order, in pixels."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of RGB (ITU-R BT.601)."""
FILTERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
"""How the second order resizes."""


@dataclass(frozen=True)
class Degradation:
    """Makes the source of a sample from its target.

    Args:
        options: The steps and their strengths.
        scale: Factor from source to target.
    """

    options: DegradedOptions
    scale: int

    @property
    def active(self) -> bool:
        """Whether sources differ from plain reductions."""
        options = self.options
        return options.degradation != "simple" or bool(options.blur_before or options.blur or options.noise or options.darken) or options.jpeg < 100

    @property
    def margin(self) -> int:
        """Source pixels around a patch that are degraded with it, so that its borders have their true surroundings."""
        if self.options.degradation == "second-order":
            return BLOCK + ceil(KERNEL / self.scale)
        bicubic = 2 if self.scale > 1 else 0
        return BLOCK + bicubic + ceil(REACH * (self.options.blur + self.options.blur_before / self.scale))

    def __call__(self, target: Pixels, generator: np.random.Generator) -> Levels:
        """Return the degraded source of an 8-bit target whose sides are multiples of the scale."""
        levels = np.asarray(target, np.uint8)
        if self.options.degradation == "second-order":
            return self._second_order(levels, generator)
        if self.options.blur_before:
            levels = _to_levels(_blurred(_to_unit(levels), self.options.blur_before * generator.random()))
        return self._simple(reduced(levels, self.scale), generator)

    def _simple(self, source: Levels, generator: np.random.Generator) -> Levels:
        options = self.options
        image = _to_unit(source)
        if options.blur:
            image = _blurred(image, options.blur * generator.random())
        stops = 0.0
        if options.darken:
            stops = generator.uniform(min(options.darken_least, options.darken), options.darken)
            image = darkened(image, stops, options.shot_noise * generator.random(), options.read_noise * generator.random(), generator)
        if options.noise and generator.random() < options.noise_share:
            image = _with_noise(image, options.noise * generator.random(), generator.random() < options.grey_noise, generator)
        source = _to_levels(image)
        if options.jpeg < 100 and generator.random() < options.jpeg_share:
            source = stored(source, int(generator.integers(options.jpeg, options.jpeg_most + 1)), _corner(generator))
        return _to_levels(from_linear(to_linear(_to_unit(source)) * np.float32(2.0**stops))) if options.relight else source

    def _second_order(self, target: Levels, generator: np.random.Generator) -> Levels:
        options = self.options
        height, width = (side // self.scale for side in target.shape[:2])
        image = _to_unit(target)
        for order, size in enumerate((target.shape[:2], (height, width))):
            if generator.random() < options.blur_shares[order]:
                sinc = generator.random() < options.sinc_shares[order]
                image = _filtered(image, sinc_kernel(generator, KERNEL) if sinc else random_kernel(generator, options.blurs[order], KERNEL))
            image = _resized_at_random(image, size, options.resize_shares[3 * order : 3 * order + 3], options.resizes[2 * order : 2 * order + 2], generator)
            grey = generator.random() < options.grey_noise_share
            if generator.random() < options.gaussian_share:
                image = _with_noise(image, generator.uniform(1, options.noises[order]), grey, generator)
            else:
                image = with_photons(image, generator.uniform(0.05, options.photons[order]), grey, generator)
            if order == 0:
                image = _to_unit(stored(_to_levels(image), _quality(options, generator), _corner(generator)))
        final = sinc_kernel(generator, KERNEL, last=True) if generator.random() < options.sinc_shares[2] else None
        jpeg_last = generator.random() < 0.5
        if not jpeg_last:
            image = _to_unit(stored(_to_levels(image), _quality(options, generator), _corner(generator)))
        image = cv2.resize(image, (width, height), interpolation=FILTERS[generator.integers(len(FILTERS))]).clip(0, 1)
        if final is not None:
            image = _filtered(image, final)
        return stored(_to_levels(image), _quality(options, generator), _corner(generator)) if jpeg_last else _to_levels(image)


def reduced(target: Pixels, scale: int) -> Levels:
    """Return Pillow's bicubic reduction of 8-bit pixels, which filters against aliasing as the benchmark sets do; at scale 1 the same image."""
    if scale == 1:
        return np.asarray(target, np.uint8)
    height, width = (side // scale for side in target.shape[:2])
    return np.array(Image.fromarray(target).resize((width, height), Image.Resampling.BICUBIC))


def stored(image: Levels, quality: int, corner: tuple[int, int] = (0, 0)) -> Levels:
    """Return an image as JPEG of a quality, with colour at half size, shows it; ``corner`` is the place of its first pixel in a block, row and column."""
    wider = cv2.copyMakeBorder(image[:, :, ::-1], corner[0], 0, corner[1], 0, cv2.BORDER_REPLICATE)
    _, data = cv2.imencode(".jpg", wider, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    levels: Levels = np.ascontiguousarray(decoded[corner[0] :, corner[1] :, ::-1])
    return levels


def to_linear(image: Plane) -> Plane:
    """Return the light that sRGB values in [0, 1] stand for (IEC 61966-2-1)."""
    linear: Plane = np.where(image <= 0.04045, image / 12.92, ((np.maximum(image, 0.04045) + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return linear


def from_linear(light: Plane) -> Plane:
    """Return the sRGB values in [0, 1] of linear light, which is clipped to [0, 1]."""
    light = light.clip(0, 1)
    image: Plane = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055).astype(np.float32)
    return image


def darkened(image: Plane, stops: float, shot: float, read: float, generator: np.random.Generator) -> Plane:
    """Return an image taken with ``stops`` less light: divided by 2**stops in linear light, where white is 1, with the noise of a sensor.

    The variance of the noise is shot**2 times the light, as of counted photons, plus read**2.
    """
    light = to_linear(image) * np.float32(2.0**-stops)
    if shot or read:
        light = light + np.sqrt(np.float32(shot**2) * light + np.float32(read**2)) * generator.standard_normal(light.shape, np.float32)
    return from_linear(light)


def with_photons(image: Plane, scale: float, grey: bool, generator: np.random.Generator) -> Plane:
    """Return an image with Poisson noise, ``scale`` times that of 256 photons at white, the same for all channels where ``grey``."""
    seen = (image @ LUMA)[:, :, None] if grey else image
    noise = generator.poisson(seen.clip(0, 1) * 256).astype(np.float32) / 256 - seen
    return (image + np.float32(scale) * noise).clip(0, 1)


def _with_noise(image: Plane, deviation: float, grey: bool, generator: np.random.Generator) -> Plane:
    """Return an image with Gaussian noise of a standard deviation in levels, the same for all channels where ``grey``."""
    shape = (*image.shape[:2], 1) if grey else image.shape
    return (image + np.float32(deviation / 255) * generator.standard_normal(shape, np.float32)).clip(0, 1)


def _blurred(image: Plane, deviation: float) -> Plane:
    return _filtered(image, gaussian(2 * ceil(REACH * deviation) + 1, deviation)) if deviation > 1e-3 else image


def _filtered(image: Plane, kernel: Plane) -> Plane:
    found: Plane = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101 if min(image.shape[:2]) > kernel.shape[0] else cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return found.clip(0, 1)


def _resized_at_random(image: Plane, size: tuple[int, ...], shares: tuple[float, ...], bounds: tuple[float, ...], generator: np.random.Generator) -> Plane:
    """Return an image enlarged, reduced or kept, by a factor within bounds of a size."""
    way = generator.choice(3, p=np.array(shares) / sum(shares))
    factor = 1.0 if way == 2 else generator.uniform(1, max(1, bounds[1])) if way == 0 else generator.uniform(bounds[0], 1)
    rows, columns = (max(1, round(side * factor)) for side in size)
    found: Plane = cv2.resize(image, (columns, rows), interpolation=FILTERS[generator.integers(len(FILTERS))])  # type: ignore[assignment]
    return found.clip(0, 1)


def _quality(options: DegradedOptions, generator: np.random.Generator) -> int:
    return int(generator.integers(options.jpegs[0], options.jpegs[1] + 1))


def _corner(generator: np.random.Generator) -> tuple[int, int]:
    return int(generator.integers(BLOCK)), int(generator.integers(BLOCK))


def _to_unit(image: Levels) -> Plane:
    return image.astype(np.float32) / np.float32(255)


def _to_levels(image: Plane) -> Levels:
    levels: Levels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    return levels
