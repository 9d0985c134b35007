"""Parts that several networks share."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Upsampling = Literal["transposed", "resize", "bilinear"]
Halving = Literal["strided", "blurred"]
Padding = Literal["reflect", "replicate", "zero"]


class ImageConv2d(nn.Conv2d):
    """The convolution that makes an image, in float32 under mixed precision too: 8 significant bits are fewer than an image's levels need."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the image, in the type of the weights."""
        kind = features.device.type
        if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            return super().forward(features)
        with torch.autocast(kind, enabled=False):
            return super().forward(features.to(self.weight.dtype))


class Layered(nn.Module):
    """A generator whose :meth:`features` returns its layers, of which number ``layers`` is the output."""

    layers: int

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, which are layer 0, and the layers after them; each is computed when it is asked for."""
        raise NotImplementedError

    def features(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Return the activations of layers, in the order asked for; 0 is the images. Nothing is computed beyond the last of them.

        Raises:
            ValueError: One is below 0 or above ``layers``, or the images are none that the network takes.
        """
        if wrong := [layer for layer in layers if not 0 <= layer <= self.layers]:
            raise ValueError(f"expected layers from 0, the images, to {self.layers}, the output, got {wrong}; choose among these")
        numbers = range(max(layers, default=0) + 1)
        found = {layer: features for layer, features in zip(numbers, self.activations(images), strict=False) if layer in layers}
        return [found[layer] for layer in layers]

    def forward(self, images: Tensor) -> Tensor:
        """Return the output."""
        return self.features(images, [self.layers])[0]


class Residual(nn.Module):
    """Layers added to their input: (batch, channels, height, width) to the same shape."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features plus what the layers make of them."""
        change: Tensor = self.layers(features)
        return features + change


class ResidualBlock(Residual):
    """Two 3x3 convolutions added to their input: (batch, channels, height, width) to the same shape.

    Args:
        channels: Channels in, between and out.
        activation: Makes the activation between the convolutions.
        norm: Whether each convolution is followed by batch normalisation.
    """

    def __init__(self, channels: int, activation: Callable[[], nn.Module], norm: bool) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, channels, 3, padding=1)]
        layers += [nn.BatchNorm2d(channels)] if norm else []
        layers += [activation(), nn.Conv2d(channels, channels, 3, padding=1)]
        layers += [nn.BatchNorm2d(channels)] if norm else []
        super().__init__(*layers)


class SubPixelUpsample(nn.Sequential):
    """Convolution and pixel shuffle: (batch, channels, h, w) to (batch, out, h * scale, w * scale) (Shi et al. 2016, eq. 4)."""

    def __init__(self, channels: int, out_channels: int, scale: int) -> None:
        super().__init__(nn.Conv2d(channels, out_channels * scale**2, 3, padding=1), nn.PixelShuffle(scale))


def upsampling_stages(scale: int) -> list[int]:
    """Split a scale into the factors of successive pixel shuffles: 4 gives [2, 2], 3 gives [3].

    Raises:
        ValueError: The scale is not 2, 3, 4 or 8.
    """
    stages = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}.get(scale)
    if stages is None:
        raise ValueError(f"expected a scale of 2, 3, 4 or 8, got {scale}; choose one of these")
    return stages


def doubling(kind: Upsampling, channels: int, out_channels: int, kernel: int, bias: bool) -> list[nn.Module]:
    """Return layers that double the sides: (batch, channels, h, w) to (batch, out_channels, 2h, 2w).

    Args:
        kind: ``transposed`` is a transposed convolution of stride 2, as published. ``resize`` repeats pixels and convolves them 3x3, where each
            output pixel sees the same number of weights, so that no checkerboard arises (Odena et al. 2016). ``bilinear`` interpolates between
            pixels instead of repeating them, which is the anti-aliased way of Zhang (2019) with the kernel 1, 3, 3, 1 over repeated borders.
        channels: Channels in.
        out_channels: Channels out.
        kernel: Side of the transposed convolution's kernel, 3 or 4.
        bias: Whether the convolution has a bias.

    Raises:
        ValueError: There is no such way to upsample.
    """
    if kind == "transposed":
        return [nn.ConvTranspose2d(channels, out_channels, kernel, stride=2, padding=1, output_padding=kernel % 2, bias=bias)]
    if kind == "resize":
        return [nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias)]
    if kind == "bilinear":
        return [nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False), nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias)]
    raise ValueError(f"expected an upsampling of transposed, resize or bilinear, got {kind!r}; choose one of these")


def halving(kind: Halving, channels: int, out_channels: int, bias: bool, finish: Sequence[nn.Module]) -> list[nn.Module]:
    """Return layers that halve the sides: (batch, channels, h, w) of even sides to (batch, out_channels, h / 2, w / 2).

    Args:
        kind: ``strided`` is a 3x3 convolution of stride 2, as published. ``blurred`` convolves at full size and then halves by :func:`blur_layer`, so
            that nothing is aliased (Zhang 2019, section 3.2).
        channels: Channels in.
        out_channels: Channels out.
        bias: Whether the convolution has a bias.
        finish: Normalisation and activation, which follow the convolution.

    Raises:
        ValueError: There is no such way to halve.
    """
    if kind == "strided":
        return [nn.Conv2d(channels, out_channels, 3, stride=2, padding=1, bias=bias), *finish]
    if kind == "blurred":
        return [nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias), *finish, blur_layer()]
    raise ValueError(f"expected a halving of strided or blurred, got {kind!r}; choose one of these")


def blur_layer() -> nn.Module:
    """Return a layer that takes every second pixel of what a kernel 1, 2, 1 blurs over reflected borders: (batch, channels, h, w), of at least 2x2, halved and rounded up."""
    return nn.Sequential(nn.ReflectionPad2d(1), nn.AvgPool2d(2, stride=1), nn.AvgPool2d(2))  # two means of two make 1, 2, 1


def padding_layer(kind: Padding, width: int) -> nn.Module:
    """Return a layer that adds ``width`` pixels to each side; with none, one that changes nothing.

    Raises:
        ValueError: There is no such padding.
    """
    if width == 0:
        return nn.Identity()
    match kind:
        case "reflect":
            return nn.ReflectionPad2d(width)
        case "replicate":
            return nn.ReplicationPad2d(width)
        case "zero":
            return nn.ZeroPad2d(width)
    raise ValueError(f"expected a padding of reflect, replicate or zero, got {kind!r}; choose one of these")


def require_images(images: Tensor, channels: int, minimum: int, multiple: int = 1) -> None:
    """Refuse what is not (batch, channels, height, width) with sides of at least ``minimum`` that are multiples of ``multiple``.

    Raises:
        ValueError: Another number of axes or channels, or other sides.
    """
    if images.ndim != 4 or images.shape[1] != channels:
        raise ValueError(f"expected (batch, {channels}, height, width), got {tuple(images.shape)}; pass a batch of images with {channels} channels")
    if any(side < minimum or side % multiple != 0 for side in images.shape[2:]):
        sides = f"multiples of {multiple}, at least {minimum}" if multiple > 1 else f"at least {minimum}"
        raise ValueError(f"expected height and width of {sides}, got {images.shape[2]} x {images.shape[3]}; pad or scale the images")
