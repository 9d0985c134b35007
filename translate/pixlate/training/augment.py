"""Differentiable changes of what discriminators see, so that few images last longer (DiffAugment, Zhao et al. 2020)."""

from collections.abc import Sequence
from typing import Literal, overload

import torch
from torch import Tensor, nn
from torch.nn import functional

Kind = Literal["color", "translation", "cutout"]
KINDS: tuple[Kind, ...] = ("color", "translation", "cutout")
BRIGHTNESS = 0.5
"""Width of the range of brightness: half of [0, 1], where the paper has 1 of [-1, 1]."""
SHIFT = 1 / 8
"""Largest translation, as a part of height and width."""
CUT = 1 / 2
"""Height and width of what is cut out, as a part of the image's."""
MIDDLE = 0.5
"""What fills the place of pixels that are gone: the paper's 0 of [-1, 1]."""


class DiffAugment(nn.Module):
    """Changes real and generated images at random, each image by itself and all its channels alike; gradients pass through.

    Takes and returns (batch, channels, height, width), images in [0, 1] or somewhat beyond. A pair is one image of more channels.
    Colour changes brightness, then saturation, then contrast, with the strengths of the paper; random numbers are those of
    torch's default generator of the images' device. Without ``kinds`` images stay as they are.
    """

    def __init__(self, kinds: Sequence[Kind]) -> None:
        super().__init__()
        if unknown := set(kinds) - set(KINDS):
            raise ValueError(f"expected kinds of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}; choose among these")
        self.kinds = tuple(kind for kind in KINDS if kind in kinds)

    @overload
    def forward(self, images: Tensor) -> Tensor: ...
    @overload
    def forward(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]: ...
    def forward(self, images: Tensor, masks: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Return the images changed; and masks of theirs, transformed alike, with 0 where pixels are gone."""
        if "color" in self.kinds:
            images = _color(images)
        channels = images.shape[1]
        both = images if masks is None else torch.cat([images, masks + MIDDLE], dim=1)
        for kind in self.kinds:
            both = both if kind == "color" else {"translation": _translation, "cutout": _cutout}[kind](both)
        return both if masks is None else (both[:, :channels], both[:, channels:] - MIDDLE)


class InstanceNoise(DiffAugment):
    """Adds Gaussian noise to what is augmented, real and generated images alike, so that they are hard to tell apart at first (Sonderby et al. 2017, section 3.2).

    Args:
        kinds: Of the augmentation before it.
        deviation: Standard deviation of the noise at the start, on images in [-1, 1].
    """

    share = 1.0
    """What is left of the noise, in this step."""

    def __init__(self, kinds: Sequence[Kind], deviation: float) -> None:
        super().__init__(kinds)
        self.deviation = deviation

    @overload
    def forward(self, images: Tensor) -> Tensor: ...
    @overload
    def forward(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]: ...
    def forward(self, images: Tensor, masks: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Return the images with noise; masks have none."""
        shown, moved = (super().forward(images), None) if masks is None else super().forward(images, masks)
        noisy = shown + torch.randn_like(shown) * (0.5 * self.deviation * self.share)
        return noisy if moved is None else (noisy, moved)


def _color(images: Tensor) -> Tensor:
    brightness, saturation, contrast = (torch.rand(len(images), 1, 1, 1, dtype=images.dtype, device=images.device) for _ in range(3))
    images = images + BRIGHTNESS * (brightness - 0.5)
    mean = images.mean(dim=1, keepdim=True)
    images = mean + 2 * saturation * (images - mean)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (contrast + 0.5) * (images - mean)


def _translation(images: Tensor) -> Tensor:
    """Shift each image by whole pixels."""
    count, _, height, width = images.shape
    rows, columns = (_shifted(count, length, images.device) for length in (height, width))
    framed = functional.pad(images - MIDDLE, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    number = torch.arange(count, device=images.device)[:, None, None]
    return framed[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2) + MIDDLE


def _shifted(count: int, length: int, device: torch.device) -> Tensor:
    """Return for each image and each place along an axis where its pixel comes from, (count, length); 0 and length + 1 are the frame."""
    most = int(SHIFT * length + 0.5)
    shift = torch.randint(-most, most + 1, (count, 1), device=device)
    return (torch.arange(1, length + 1, device=device) + shift).clamp(0, length + 1)


def _cutout(images: Tensor) -> Tensor:
    """Replace a rectangle of each image, which may be partly outside it."""
    count, _, height, width = images.shape
    rows, columns = (_cut(count, length, images.device) for length in (height, width))
    kept = ~(rows[:, None, :, None] & columns[:, None, None, :])
    return MIDDLE + (images - MIDDLE) * kept


def _cut(count: int, length: int, device: torch.device) -> Tensor:
    """Return which places along an axis are cut out, (count, length)."""
    size = int(CUT * length + 0.5)
    middle = torch.randint(0, length + 1 - size % 2, (count, 1), device=device)
    first = middle - size // 2
    places = torch.arange(length, device=device)
    return (places >= first) & (places < first + size)
