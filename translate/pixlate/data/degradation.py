"""What cameras and storage do to photographs: blur, noise and JPEG, on a whole batch."""

from math import ceil

import torch
from torch import Tensor

SHARP = 1e-3
"""Least standard deviation of a blur, in pixels: its kernel is a single 1."""


def degrade(images: Tensor, blur: float = 0.0, noise: float = 0.0, jpeg: int = 100) -> Tensor:
    """Return RGB images, (batch, 3, height, width) in [0, 1], blurred, then noisy, then as JPEG shows them.

    Each image draws its own strength; random numbers are those of torch's default generator of the images' device.

    Args:
        images: The batch.
        blur: Largest standard deviation of the Gaussian, in pixels.
        noise: Largest standard deviation of the noise, in levels of 255.
        jpeg: Least quality; 100 stores none.
    """
    count, device = len(images), images.device
    if blur:
        from kornia.filters import gaussian_blur2d

        sigma = (blur * torch.rand(count, 1, device=device)).clamp_min(SHARP).expand(-1, 2)
        images = gaussian_blur2d(images, 2 * ceil(3 * blur) + 1, sigma, border_type="replicate")
    if noise:
        strength = noise / 255 * torch.rand(count, 1, 1, 1, device=device)
        images = images + strength * torch.randn_like(images)
    if jpeg < 100:
        from kornia.enhance import jpeg_codec_differentiable

        quality = jpeg + (100 - jpeg) * torch.rand(count, device=device)
        images = jpeg_codec_differentiable(images.clamp(0, 1), quality)
    return images.clamp(0, 1) if noise or jpeg < 100 else images
