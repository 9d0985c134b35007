"""Blur kernels of Real-ESRGAN (Wang et al. 2021, section 3.1): Gaussian, generalised Gaussian, plateau and sinc."""

import numpy as np
import torch
from numpy.typing import NDArray

Kernel = NDArray[np.float32]
"""(side, side), of odd sides, that adds up to 1."""
SHARES = {"gaussian": 0.7, "generalised": 0.15, "plateau": 0.15}
"""How often each shape is drawn."""
ISOTROPIC = {"gaussian": 0.45 / 0.7, "generalised": 0.8, "plateau": 0.8}
"""How often each shape is as wide in one direction as in the other."""
EXPONENTS = {"gaussian": (1.0, 1.0), "generalised": (0.5, 4.0), "plateau": (1.0, 2.0)}
"""Bounds of each shape's exponent."""
LEAST_SIGMA = 0.2
"""Least standard deviation, in pixels."""
LEAST_SIDE = 7
"""Least side of a random kernel, in pixels."""


def gaussian(side: int, sigma: float) -> Kernel:
    """Return a Gaussian of one standard deviation, in pixels, in all directions."""
    return _normalised(np.exp(-0.5 * _distance(side, sigma, sigma, 0.0)))


def generalised(side: int, wide: float, narrow: float, angle: float, exponent: float) -> Kernel:
    """Return exp(-d**exponent / 2), where d is the squared distance over the standard deviations along two axes turned by ``angle``; 1 is a Gaussian."""
    return _normalised(np.exp(-0.5 * _distance(side, wide, narrow, angle) ** exponent))


def plateau(side: int, wide: float, narrow: float, angle: float, exponent: float) -> Kernel:
    """Return 1 / (1 + d**exponent), which is flatter in the middle than :func:`generalised`."""
    return _normalised(1 / (1 + _distance(side, wide, narrow, angle) ** exponent))


def random_kernel(generator: np.random.Generator, largest: float, side: int) -> Kernel:
    """Return a kernel of random shape, direction and standard deviations of at most ``largest`` pixels, of at most ``side`` pixels."""
    shapes = list(SHARES)
    shape = shapes[generator.choice(len(shapes), p=list(SHARES.values()))]
    side = _random_side(generator, side)
    wide, narrow = generator.uniform(LEAST_SIGMA, max(largest, LEAST_SIGMA), 2)
    if generator.random() < ISOTROPIC[shape]:
        narrow = wide
    least, most = EXPONENTS[shape]
    exponent = generator.uniform(least, 1) if generator.random() < 0.5 else generator.uniform(1, most)
    make = plateau if shape == "plateau" else generalised
    return make(side, wide, narrow, generator.uniform(-np.pi, np.pi), exponent)


def sinc(side: int, cutoff: float) -> Kernel:
    """Return the circular low-pass filter whose ringing is that of sharpening and of compression; ``cutoff`` is in radians a pixel (equation 6)."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    distance = np.hypot(x, y)
    middle = (side - 1) // 2
    distance[middle, middle] = 1
    kernel = cutoff * torch.special.bessel_j1(torch.from_numpy(cutoff * distance)).numpy() / (2 * np.pi * distance)
    kernel[middle, middle] = cutoff**2 / (4 * np.pi)
    return _normalised(kernel)


def sinc_kernel(generator: np.random.Generator, side: int, last: bool = False) -> Kernel:
    """Return a sinc filter of random side, of at most ``side`` pixels, and cut-off; small ones, and the ``last`` of the steps, cut off less, as published."""
    side = _random_side(generator, side)
    return sinc(side, generator.uniform(np.pi / (3 if last or side < 13 else 5), np.pi))


def _random_side(generator: np.random.Generator, largest: int) -> int:
    return 2 * int(generator.integers(LEAST_SIDE // 2, largest // 2 + 1)) + 1


def _distance(side: int, wide: float, narrow: float, angle: float) -> NDArray[np.float64]:
    """Return the squared distance of each pixel from the middle, in standard deviations."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    squared: NDArray[np.float64] = (along / wide) ** 2 + (across / narrow) ** 2
    return squared


def _normalised(kernel: NDArray[np.float64]) -> Kernel:
    normalised: Kernel = (kernel / kernel.sum()).astype(np.float32)
    return normalised
