"""Losses of generator against discriminator, and penalties on a discriminator's gradients, which keep training stable."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Objective = Literal["vanilla", "least-squares", "hinge", "wasserstein", "relativistic"]
Logits = Tensor | Sequence[Tensor]
"""What a discriminator returns for a batch, of any shape; one of several scales returns one tensor a scale, over which losses are averaged."""
Judge = Callable[[Tensor], Logits]
"""A discriminator: (batch, channels, height, width) to logits."""
_SMOOTHED = ("vanilla", "least-squares")


def discriminator_loss(objective: Objective, real: Logits, fake: Logits, smoothing: float = 0.0) -> Tensor:
    """Return the scalar a discriminator minimises: the sum of the terms for real and for generated images (halve it where the paper does).

    | objective | minimised | paper |
    |---|---|---|
    | vanilla | -log sigmoid(real) - log(1 - sigmoid(fake)) | Goodfellow et al. 2014, eq. 1 |
    | least-squares | (real - 1)^2 + fake^2 | Mao et al. 2017, eq. 9 |
    | hinge | max(0, 1 - real) + max(0, 1 + fake) | Miyato et al. 2018, eq. 16 |
    | wasserstein | fake - real, which needs a penalty | Arjovsky et al. 2017, eq. 2 |
    | relativistic | softplus(fake - real), image by image | Jolicoeur-Martineau 2018; Huang et al. 2025 |

    Args:
        objective: Which of these.
        real: Logits of real images.
        fake: Logits of generated images, of the same shape where they are compared one by one.
        smoothing: In [0, 1): real images' target is 1 - smoothing, for ``vanilla`` and ``least-squares`` (Salimans et al. 2016, 3.4).

    Raises:
        ValueError: Unknown objective, smoothing that it does not know, or logits that do not belong together.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"expected a smoothing in [0, 1), got {smoothing}; choose a small share such as 0.1")
    if smoothing > 0 and objective not in _SMOOTHED:
        raise ValueError(f"expected no smoothing with the objective {objective!r}, which has no targets, got {smoothing}; set it to 0")

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        match objective:
            case "vanilla":
                true = functional.binary_cross_entropy_with_logits(real, torch.full_like(real, 1 - smoothing))
                return true + functional.softplus(fake).mean()
            case "least-squares":
                return (real - (1 - smoothing)).square().mean() + fake.square().mean()
            case "hinge":
                return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
            case "wasserstein":
                return fake.mean() - real.mean()
            case "relativistic":
                return _relativistic(real, fake)
        raise _unknown(objective)

    return _over_scales(loss, real, fake)


def generator_loss(objective: Objective, fake: Logits, real: Logits | None = None) -> Tensor:
    """Return the scalar a generator minimises.

    | objective | minimised |
    |---|---|
    | vanilla | -log sigmoid(fake), which does not saturate (Goodfellow et al. 2014, 3) |
    | least-squares | (fake - 1)^2 |
    | hinge, wasserstein | -fake |
    | relativistic | softplus(real - fake), image by image |

    Args:
        objective: The one the discriminator has.
        fake: Logits of generated images.
        real: Logits of real images, which only ``relativistic`` looks at.

    Raises:
        ValueError: Unknown objective, ``relativistic`` without ``real``, or logits that do not belong together.
    """
    if objective == "relativistic":
        if real is None:
            raise ValueError("expected logits of real images with the objective 'relativistic', got none; pass real")
        return _over_scales(_relativistic, fake, real)

    def loss(fake: Tensor) -> Tensor:
        match objective:
            case "vanilla":
                return functional.softplus(-fake).mean()
            case "least-squares":
                return (fake - 1).square().mean()
            case "hinge" | "wasserstein":
                return -fake.mean()
        raise _unknown(objective)

    return _over_scales(loss, fake)


def gradient_penalty(discriminator: Judge, real: Tensor, fake: Tensor, norm: float = 1.0) -> Tensor:
    """Return the mean of (||gradient||_2 / norm - 1)^2 at points drawn between real and generated images (Gulrajani et al. 2017, eq. 3; Karras et al. 2018).

    What is differentiated is an image's mean logit, since the Wasserstein loss compares means; of several scales, their penalties' mean is
    returned. Runs in 32 bits. Batch norm would mix the images of a batch, so choose another norm.

    Args:
        discriminator: Its weights get gradients.
        real: (batch, channels, height, width).
        fake: Generated images of the same shape, detached or not.
        norm: What the gradient's norm is drawn to.

    Raises:
        ValueError: The shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(f"expected real and generated images of one shape, got {tuple(real.shape)} and {tuple(fake.shape)}; crop or scale one of them")
    real, fake = real.detach().float(), fake.detach().float()
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    squares = _squared_gradients(discriminator, torch.lerp(real, fake, share))
    return (squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt() / norm - 1).square().mean()  # the root's slope at 0 is infinite


def zero_centred_penalty(discriminator: Judge, images: Tensor) -> Tensor:
    """Return half the mean of ||gradient||_2^2 at the images: R1 on real, R2 on generated ones (Mescheder et al. 2018, eq. 9 and 10).

    What is differentiated is an image's mean logit; of several scales, their penalties' mean is returned. Runs in 32 bits.

    Args:
        discriminator: Its weights get gradients.
        images: (batch, channels, height, width), detached or not.
    """
    return 0.5 * _squared_gradients(discriminator, images.detach().float()).mean()


def _relativistic(better: Tensor, worse: Tensor) -> Tensor:
    if better.shape != worse.shape:
        raise ValueError(f"expected as many logits of real as of generated images, got {tuple(better.shape)} and {tuple(worse.shape)}; compare equal batches")
    return functional.softplus(worse - better).mean()


def _over_scales(loss: Callable[..., Tensor], *logits: Logits) -> Tensor:
    """Return the mean over scales of a loss, in at least 32 bits: sums over many patches lose too much in 16."""
    scales = [[given] if isinstance(given, Tensor) else list(given) for given in logits]
    if len({len(scale) for scale in scales}) > 1 or not scales[0]:
        raise ValueError(f"expected logits of the same scales, at least one, got {[len(scale) for scale in scales]}; pass those of one discriminator")
    return torch.stack([loss(*(given if given.dtype == torch.float64 else given.float() for given in scale)) for scale in zip(*scales, strict=True)]).mean()


def _unknown(objective: str) -> ValueError:
    return ValueError(f"expected an objective of vanilla, least-squares, hinge, wasserstein or relativistic, got {objective!r}; choose one of these")


def _squared_gradients(discriminator: Judge, images: Tensor) -> Tensor:
    """Return the squared norm of each scale's gradient for each image, (scales, batch), itself differentiable."""
    images = images.requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        logits = discriminator(images)
        scales = [logits] if isinstance(logits, Tensor) else logits
        # an image's gradient is not touched by the other images' logits, so their sum yields all at once
        gradients = [torch.autograd.grad(scale.reshape(len(images), -1).mean(1).sum(), images, create_graph=True)[0] for scale in scales]
        return torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients])
