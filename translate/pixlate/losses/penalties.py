"""Penalties on a discriminator's gradients, which keep training stable."""

from collections.abc import Callable

import torch
from torch import Tensor

from pixlate.losses.adversarial import Logits

Judge = Callable[[Tensor], Logits]
"""A discriminator: (batch, channels, height, width) to logits."""


def gradient_penalty(discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of (||gradient||_2 - 1)^2 at points drawn between real and generated images (Gulrajani et al. 2017, eq. 3); weight it by 10.

    What is differentiated is an image's mean logit, since the Wasserstein loss compares means; of several scales, their penalties' mean is
    returned. Runs in 32 bits. Batch norm would mix the images of a batch, so choose another norm.

    Args:
        discriminator: Its weights get gradients.
        real: (batch, channels, height, width).
        fake: Generated images of the same shape, detached or not.

    Raises:
        ValueError: The shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(f"expected real and generated images of one shape, got {tuple(real.shape)} and {tuple(fake.shape)}; crop or scale one of them")
    real, fake = real.detach().float(), fake.detach().float()
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    squares = _squared_gradients(discriminator, torch.lerp(real, fake, share))
    return (squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt() - 1).square().mean()  # the root's slope at 0 is infinite


def zero_centred_penalty(discriminator: Judge, images: Tensor) -> Tensor:
    """Return half the mean of ||gradient||_2^2 at the images: R1 on real, R2 on generated ones (Mescheder et al. 2018, eq. 9 and 10).

    What is differentiated is an image's mean logit; of several scales, their penalties' mean is returned. Runs in 32 bits.

    Args:
        discriminator: Its weights get gradients.
        images: (batch, channels, height, width), detached or not.
    """
    return 0.5 * _squared_gradients(discriminator, images.detach().float()).mean()


def _squared_gradients(discriminator: Judge, images: Tensor) -> Tensor:
    """Return the squared norm of each scale's gradient for each image, (scales, batch), itself differentiable."""
    images = images.requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        logits = discriminator(images)
        scales = [logits] if isinstance(logits, Tensor) else logits
        # an image's gradient is not touched by the other images' logits, so their sum yields all at once
        gradients = [torch.autograd.grad(scale.reshape(len(images), -1).mean(1).sum(), images, create_graph=True)[0] for scale in scales]
        return torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients])
