"""A loss that compares pictures by what is in them, wherever it is."""

import torch
from torch import Tensor
from torch.nn import functional

BAND = 0.5
"""The published band width: smaller ones attend to the nearest feature alone."""
_LEAST = 1e-5


def contextual_loss(output: Tensor, target: Tensor, band: float = BAND) -> Tensor:
    """Return -log CX of two batches of features, a scalar; 0 where each feature of the target has one of the output alone (Mechrez et al. 2018, "The Contextual Loss").

    The distance of two features is one less the cosine of the angle between them, seen from the target's mean. Divided by the distance to the nearest feature of the target
    (equation 2), it becomes a similarity, exp((1 - distance) / band) (equation 3), which is normalised over the target's features (equation 4); CX is the mean, over the target's
    features, of the greatest similarity to any of the output (equation 1). Memory grows with the square of the positions.

    Args:
        output: (batch, channels, height, width), such as of a layer of HED's trunk.
        target: The same of another picture, of any height and width.
        band: See :data:`BAND`.

    Raises:
        ValueError: Batch or channels differ.
    """
    if output.shape[:2] != target.shape[:2] or output.ndim != 4 or target.ndim != 4:
        raise ValueError(f"expected features of one batch and channels, got {tuple(output.shape)} and {tuple(target.shape)}; take those of one layer")
    mean = target.mean(dim=(0, 2, 3), keepdim=True)
    one, other = (functional.normalize((features.float() - mean.float()).flatten(2), dim=1) for features in (output, target))
    distances = 1 - one.transpose(1, 2) @ other  # (batch, positions of the output, positions of the target)
    relative = distances / (distances.amin(dim=2, keepdim=True) + _LEAST)
    similarity = torch.softmax((1 - relative) / band, dim=2)
    return -similarity.amax(dim=1).mean(dim=1).log().mean()
