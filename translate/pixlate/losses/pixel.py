"""Losses that compare pixel with pixel."""

from torch import Tensor


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of two tensors of one shape, as a scalar.

    Raises:
        ValueError: The shapes differ (broadcasting would hide a mistake).
    """
    _require_one_shape(output, target)
    return (output - target).abs().mean()


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference of two tensors of one shape, as a scalar.

    Raises:
        ValueError: The shapes differ (broadcasting would hide a mistake).
    """
    _require_one_shape(output, target)
    return (output - target).square().mean()


def _require_one_shape(output: Tensor, target: Tensor) -> None:
    if output.shape != target.shape:
        raise ValueError(f"expected output and target of one shape, got {tuple(output.shape)} and {tuple(target.shape)}; crop or scale one of them")
