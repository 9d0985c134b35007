"""A loss that smooths."""

from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Return the mean absolute difference of vertical neighbours plus that of horizontal ones, as a scalar (Rudin et al. 1992, anisotropic).

    Args:
        images: (batch, channels, height, width) of at least 2x2 pixels, any range.

    Raises:
        ValueError: There are no neighbours.
    """
    if images.ndim != 4 or min(images.shape[2:]) < 2:
        raise ValueError(f"expected (batch, channels, height, width) of at least 2x2 pixels, got {tuple(images.shape)}; pass larger images")
    vertical = (images[:, :, 1:] - images[:, :, :-1]).abs().mean()
    horizontal = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().mean()
    return vertical + horizontal
