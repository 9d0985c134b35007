"""How far a network sees."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Reaching(Protocol):
    """A layer that knows itself which positions it sees."""

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and last position of a row that those from ``first`` to ``last`` see."""


def halo(layers: Iterable[nn.Module], period: int, scale: int = 1) -> int:
    """Return how many input pixels to each side of an output pixel can change it, by convolutions, resizing and attention in windows.

    Args:
        layers: All modules on the longest path, in running order; those that look at no neighbours are skipped.
        period: Input pixels after which the network's grid of strides repeats.
        scale: Height and width of the output over those of the input.
    """
    path = list(layers)
    ranges = ((pixel // scale, *field(path, pixel, pixel)) for pixel in range(period * scale))
    return max(max(pixel - first, last - pixel) for pixel, first, last in ranges)


def field(layers: Iterable[nn.Module], first: int, last: int) -> tuple[int, int]:
    """Return the first and last input pixel of a row that the output pixels from ``first`` to ``last`` depend on, were there no borders."""
    for layer in reversed(list(layers)):
        if isinstance(layer, nn.Conv2d):
            stride, padding = layer.stride[0], _padding(layer)
            first, last = first * stride - padding, last * stride - padding + layer.dilation[0] * (layer.kernel_size[0] - 1)
        elif isinstance(layer, nn.ConvTranspose2d):  # input pixel i reaches the output pixels from i * stride - padding to that + kernel - 1
            stride, padding = layer.stride[0], _padding(layer)
            first, last = -((layer.kernel_size[0] - 1 - padding - first) // stride), (last + padding) // stride
        elif isinstance(layer, nn.Upsample):
            between = int(layer.mode == "bilinear")  # the neighbour it interpolates with
            first, last = (first - between) // 2, (last + between) // 2
        elif isinstance(layer, nn.PixelShuffle):
            first, last = first // layer.upscale_factor, last // layer.upscale_factor
        elif isinstance(layer, nn.PixelUnshuffle):
            first, last = first * layer.downscale_factor, last * layer.downscale_factor + layer.downscale_factor - 1
        elif isinstance(layer, nn.AvgPool2d):
            assert isinstance(layer.kernel_size, int) and isinstance(layer.stride, int)
            first, last = first * layer.stride, last * layer.stride + layer.kernel_size - 1
        elif isinstance(layer, nn.ReflectionPad2d | nn.ReplicationPad2d | nn.ZeroPad2d):
            first, last = first - layer.padding[0], last - layer.padding[0]
        elif isinstance(layer, Reaching):
            first, last = layer.reach(first, last)
    return first, last


def _padding(layer: nn.Conv2d | nn.ConvTranspose2d) -> int:
    assert isinstance(layer.padding, tuple)
    return layer.padding[0]
