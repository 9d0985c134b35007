"""The Swift Parameter-free Attention Network: an efficient super-resolution generator whose training weights fuse into plain convolutions."""

import copy
from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.blocks import Layered, require_images
from pixlate.networks.initialisation import QuietConv2d
from pixlate.networks.reach import halo

_GAIN = 2
"""Channels inside a convolution that is fused over those outside it."""
_MEAN = (0.4488, 0.4371, 0.4040)
_RANGE = 255.0


class FusedConv2d(nn.Module):
    """A 3x3 convolution whose kernel is learnt as a chain of 1x1, 3x3 and 1x1 convolutions beside one of 1x1 (Conv3XC of Wan et al. 2024, SPAN, figure 3).

    Takes (batch, channels_in, height, width) and returns (batch, channels_out, height, width). The chain is multiplied out to one kernel at each
    pass, which has the values and gradients of running it over zero padding, at the cost of one convolution.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.sk = nn.Conv2d(channels_in, channels_out, 1)
        self.conv = nn.Sequential(
            nn.Conv2d(channels_in, _GAIN * channels_in, 1),
            nn.Conv2d(_GAIN * channels_in, _GAIN * channels_out, 3, padding=1),
            nn.Conv2d(_GAIN * channels_out, channels_out, 1),
        )

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Return the kernel (channels_out, channels_in, 3, 3) and the bias (channels_out,)."""
        (first, first_bias), (middle, middle_bias), (last, last_bias) = ((layer.get_parameter("weight"), layer.get_parameter("bias")) for layer in self.conv)
        skip, skip_bias = self.sk.get_parameter("weight"), self.sk.get_parameter("bias")
        weight = torch.einsum("om,mnyx,ni->oiyx", last.flatten(1), middle, first.flatten(1)) + functional.pad(skip, (1, 1, 1, 1))
        bias = last.flatten(1) @ (middle.sum((2, 3)) @ first_bias + middle_bias) + last_bias + skip_bias
        return weight, bias

    def forward(self, features: Tensor) -> Tensor:
        """Return the convolved features."""
        return functional.conv2d(features, *self.kernel(), padding=1)

    def fused(self) -> nn.Conv2d:
        """Return a plain convolution of the same kernel."""
        weight, bias = (part.detach() for part in self.kernel())
        plain = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, device=weight.device, dtype=weight.dtype)
        plain.load_state_dict({"weight": weight, "bias": bias})
        return plain.train(self.training)


class AttentionBlock(nn.Module):
    """Three convolutions, whose result plus the input is weighted by its own distance from zero (SPAB, section 3.2, equations 3 to 5).

    Takes (batch, channels, height, width) and returns the same shape twice: the output, and the first convolution's features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (FusedConv2d(channels, channels) for _ in range(3))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output and the first convolution's features after their activation."""
        first = functional.silu(self.c1_r(features))
        last = self.c3_r(functional.silu(self.c2_r(first)))
        return (last + features) * (last.sigmoid() - 0.5), first


class SPAN(Layered):
    """Blocks with attention that needs no parameters (Wan et al. 2024, "Swift Parameter-free Attention Network for Efficient Super-Resolution").

    Takes (batch, 3, height, width) in [0, 1] and returns (batch, 3, height * scale, width * scale), not clamped. Its weights have the names of the
    published ones. 6 blocks of 48 channels at scale 4 have 426,288 parameters once :func:`fused`.

    Args:
        scale: Height and width of the output over those of the input; 1 for restoration at the same size, which learns a change of the images.
        channels: Feature maps.
        blocks: Blocks; 6 are published.
        shrink: Works at 1/shrink of the input's height and width, whose pixels become channels (FFDNet, Zhang et al. 2018): a quarter of the
            arithmetic for 2; the sides of images must be multiples of it.
        normalise: Subtracts the mean of DIV2K and multiplies by 255 first, as the authors' weights need; without it, training from the start is
            steadier, and the tensor ``no_norm`` says so in the weights, as other code bases have it.

    Attributes:
        layers: Number of the last layer of :meth:`features`.
    """

    exact = True
    no_norm: Tensor
    mean: Tensor

    def __init__(self, scale: int = 4, channels: int = 48, blocks: int = 6, shrink: int = 1, normalise: bool = False) -> None:
        super().__init__()
        self.scale, self.normalise, self.blocks = scale, normalise, blocks
        self.multiple = self.minimum = shrink
        self.layers = blocks + 3
        if normalise:
            self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        else:
            self.register_buffer("no_norm", torch.zeros(1))
        self.unshuffle = nn.PixelUnshuffle(shrink)
        self.conv_1 = FusedConv2d(3 * shrink**2, channels)
        for block in range(1, blocks + 1):
            self.add_module(f"block_{block}", AttentionBlock(channels))
        self.conv_2 = FusedConv2d(channels, channels)
        self.conv_cat = nn.Conv2d(4 * channels, channels, 1)
        last = QuietConv2d if scale == 1 else nn.Conv2d
        self.upsampler = nn.Sequential(last(channels, 3 * (scale * shrink) ** 2, 3, padding=1), nn.PixelShuffle(scale * shrink))
        self.halo = halo(self.modules(), shrink, scale)

    def misfit(self, names: Collection[str]) -> str:
        """Return why weights, by their names, are of a network that computes otherwise; nothing where they are not of SPAN, or of this one."""
        if "conv_1.sk.weight" not in names or ("no_norm" in names) != self.normalise:
            return ""
        plain, normalised = "takes images as they are, which the tensor no_norm says", "subtracts a mean from images, as its authors' does"
        ours, theirs = (normalised, plain) if self.normalise else (plain, normalised)
        return f"expected weights of SPAN that {ours}, got those of one that {theirs}"

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, the first convolution, each block, what the last convolutions gather from them, and the output."""
        require_images(images, 3, self.minimum, self.multiple)
        yield images
        shown = (images - self.mean) * _RANGE if self.normalise else images
        start = features = self.conv_1(self.unshuffle(shown))
        yield features
        outputs: list[Tensor] = []
        inner = features
        for block in range(1, self.blocks + 1):
            features, inner = self.get_submodule(f"block_{block}")(features)
            outputs.append(features)
            yield features
        features = self.conv_cat(torch.cat([start, self.conv_2(features), outputs[0], inner], dim=1))
        yield features
        output: Tensor = self.upsampler(features)
        yield output + images if self.scale == 1 else output


def fused(network: nn.Module) -> nn.Module:
    """Return a copy of a network in which each :class:`FusedConv2d` is a plain convolution, as files have it; the network itself where it has none."""
    names = [name for name, module in network.named_modules() if isinstance(module, FusedConv2d)]
    if not names:
        return network
    plain = copy.deepcopy(network)
    for name in names:
        convolution = plain.get_submodule(name)
        assert isinstance(convolution, FusedConv2d)
        plain.set_submodule(name, convolution.fused())
    return plain
