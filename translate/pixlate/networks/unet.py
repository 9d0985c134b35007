"""The generator of Pix2Pix."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from pixlate.networks.attention import SelfAttention
from pixlate.networks.blocks import Layered, Upsampling, doubling, require_images
from pixlate.networks.normalisation import PER_IMAGE, Norm, biased, norm_layer
from pixlate.networks.reach import halo

DEPTH_128 = 7
"""Depth of the published U-Net-128."""
DEPTH_256 = 8
"""Depth of the published U-Net-256."""
WIDEST = 8
"""Most feature maps over those of the first level."""
_ATTENTION_LEVEL = 2


class UNet(Layered):
    """Halves the image ``depth`` times and doubles it back, with a shortcut at each size (Isola et al. 2017, 6.1.1).

    Takes (batch, channels_in, height, width) in [-1, 1] and returns (batch, channels_out, height, width) in (-1, 1). Depth 8 with 64 channels
    and batch norm has 54,413,955 parameters and needs 6.05 G multiply-adds at 256x256.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        depth: Halvings, at least 2; the sides of images must be multiples of 2**depth.
        channels: Feature maps of the first level; they double with each level up to eight times as many.
        norm: Normalisation, but at the first and the last convolution and at the bottleneck, where a 2**depth image is one pixel.
        dropout: Share of feature maps' values dropped in decoder blocks of full width.
        dropout_blocks: Which of these: ``paper`` takes the innermost three, ``code`` all but the innermost one (pytorch-CycleGAN-and-pix2pix).
        upsampling: How the decoder doubles.
        attention: Adds self-attention to the encoder where the sides are an eighth, or at the bottleneck of depth 2.

    Attributes:
        multiple: Height and width must be multiples of this.
        minimum: Least height and width.
        halo: Input pixels around an output pixel that convolutions let it depend on.
        layers: Number of the last layer of :meth:`features`.
        exact: Whether in evaluation mode tiles with that halo, cut at multiples, give the picture of the whole image: not where instance or group
            norm or attention look at all of it.

    Raises:
        ValueError: The depth is below 2.
    """

    def __init__(
        self,
        channels_in: int = 3,
        channels_out: int = 3,
        depth: int = DEPTH_256,
        channels: int = 64,
        norm: Norm = "batch",
        dropout: float = 0.5,
        upsampling: Upsampling = "transposed",
        attention: bool = False,
        dropout_blocks: Literal["paper", "code"] = "paper",
    ) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"expected a depth of at least 2, got {depth}; choose a deeper network")
        self.channels_in = channels_in
        self.multiple = self.minimum = 2**depth
        widths = [channels * min(2**level, WIDEST) for level in range(depth)]
        bias = biased(norm)

        self.encoder = nn.ModuleList([nn.Sequential(nn.Conv2d(channels_in, widths[0], 4, 2, 1, bias=bias))])
        for level in range(1, depth):
            layers: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(widths[level - 1], widths[level], 4, 2, 1, bias=bias)]
            layers += [norm_layer(norm, widths[level])] if level < depth - 1 else []
            layers += [SelfAttention(widths[level])] if attention and level == min(_ATTENTION_LEVEL, depth - 1) else []
            self.encoder.append(nn.Sequential(*layers))

        self.decoder = nn.ModuleList()
        for level in range(depth - 1, 0, -1):
            width = widths[level] if level == depth - 1 else 2 * widths[level]
            first = nn.ReLU(inplace=level < depth - 1)  # the innermost one must leave the bottleneck, a layer of its own, as it is
            layers = [first, *doubling(upsampling, width, widths[level - 1], 4, bias), norm_layer(norm, widths[level - 1])]
            full_width = widths[level - 1] == WIDEST * channels
            drops = full_width and (len(self.decoder) < 3 if dropout_blocks == "paper" else level < depth - 1)
            layers += [nn.Dropout(dropout)] if dropout > 0 and drops else []
            self.decoder.append(nn.Sequential(*layers))
        self.decoder.append(nn.Sequential(nn.ReLU(inplace=True), *doubling(upsampling, 2 * widths[0], channels_out, 4, bias=True), nn.Tanh()))

        self.layers = 2 * depth
        self.halo = halo(self.modules(), self.multiple)
        self.exact = norm not in PER_IMAGE and not attention

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, layer 0, the halvings, 1 to ``depth``, and the doublings, ``depth`` + 1 to 2 ``depth``, of which the last is the output."""
        require_images(images, self.channels_in, self.minimum, self.multiple)
        yield images
        features = images
        passed: list[Tensor] = []
        for stage in self.encoder:
            features = stage(features)
            passed.append(features)
            yield features
        features = passed.pop()
        for stage in self.decoder:
            features = stage(features)
            yield features
            features = torch.cat([passed.pop(), features], dim=1) if passed else features
