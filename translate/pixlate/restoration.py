"""Generators and discriminators that methods for super-resolution and restoration share, made from the values of their options."""

from typing import Any, Literal

from torch import nn

from pixlate.errors import PixlateError
from pixlate.inference.sizes import spec_sizes
from pixlate.networks.compact import Compact
from pixlate.networks.exposure import Exposed
from pixlate.networks.multiscale import MultiScale
from pixlate.networks.patchgan import PatchGAN
from pixlate.networks.span import SPAN, fused
from pixlate.networks.srgan_discriminator import SRGANDiscriminator
from pixlate.networks.srresnet import MSRResNet, SRResNet
from pixlate.networks.swin import Swin
from pixlate.networks.symmetric import SymmetricInput
from pixlate.networks.unet import UNet
from pixlate.networks.unet_discriminator import UNetDiscriminator
from pixlate.plugin.spec import Norm

Restorer = SRResNet | MSRResNet | Compact | SPAN | UNet | Swin
NORMS: dict[str, Norm] = {"srresnet": "running", "msrresnet": "none", "compact": "none", "span": "none", "unet": "per-image", "swin": "none"}
"""Norm mode of each network."""


def build_restorer(
    network: Literal["srresnet", "msrresnet", "compact", "span", "unet", "swin"],
    scale: int,
    channels: int,
    blocks: int,
    depth: int,
    tail: Literal["staged", "direct"],
    shrink: int,
    groups: int = 4,
    heads: int = 6,
    window: int = 8,
) -> Restorer:
    """Return a generator of RGB images in [0, 1], or for ``unet`` and ``swin`` in [-1, 1], with its initial weights; scale 1 restores at the same size.

    Raises:
        PixlateError: The network does not have that scale.
    """
    if scale > 1 and network == "unet":
        raise PixlateError(f"expected scale 1 with --network unet, got {scale}; choose another network to enlarge")
    match network:
        case "srresnet":
            return SRResNet(scale, channels, blocks)
        case "msrresnet":
            return MSRResNet(scale, channels, blocks, tail, shrink)
        case "compact":
            return Compact(scale, channels, blocks, shrink)
        case "span":
            return SPAN(scale, channels, blocks, shrink)
        case "unet":
            return UNet(depth=depth, channels=channels, norm="instance", dropout=0.0, upsampling="resize")
        case "swin":
            return Swin(3, 3, scale, channels, groups, blocks, heads, window, tail, skip=scale == 1)


def finished(generator: nn.Module, relit: bool) -> nn.Module:
    """Return a trained generator as it is exported: clamped, what SPAN splits for training in one again, and where sources were ``relit`` with what brightens pictures."""
    generator = fused(generator)
    return nn.Sequential(Exposed(generator) if relit else generator, nn.Hardtanh(0.0, 1.0))


def sizes_of(network: Restorer, relit: bool) -> dict[str, Any]:
    """Return the fields of ``ModelSpec`` that say how pictures are cut; the tiles of one whose light is measured on a copy are not exact."""
    return spec_sizes(network) | ({"tiling_exact": False} if relit else {})


def build_critic(discriminator: Literal["srgan", "patch", "multi-scale", "unet"], channels: int, spectral: bool = False) -> nn.Module:
    """Return a discriminator of RGB images in [0, 1]; that of ``unet`` is always under spectral norm."""

    def patch() -> PatchGAN:
        return PatchGAN(3, channels, norm="none" if spectral else "batch", spectral=spectral)

    network: nn.Module
    match discriminator:
        case "srgan":
            network = SRGANDiscriminator(3, channels, spectral)
        case "patch":
            network = patch()
        case "multi-scale":
            network = MultiScale([patch(), patch()])
        case "unet":
            network = UNetDiscriminator(3, channels)
    return SymmetricInput(network)
