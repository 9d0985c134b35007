"""Self-attention over the pixels of feature maps."""

import torch
from torch import Tensor, nn

REDUCTION = 8


class SelfAttention(nn.Module):
    """Lets each position see all others: (batch, channels, height, width) to the same shape (Zhang et al. 2019, SAGAN, eq. 1 to 3).

    The share of attention starts at 0, so that the layer starts as the identity. The table of weights has (height x width)^2 entries an
    image: place it where the feature maps are small.

    Args:
        channels: Feature maps; an eighth of them, at least one, makes queries, keys and values.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // REDUCTION)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, inner, 1, bias=False)
        self.output = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        """Return the features plus gamma times what attention gathers."""
        queries, keys, values = (layer(features).flatten(2) for layer in (self.query, self.key, self.value))
        # Plain products: the fused kernels cannot be differentiated twice, as gradient penalties need.
        weights = torch.bmm(queries.transpose(1, 2), keys).softmax(dim=2)
        gathered = torch.bmm(values, weights.transpose(1, 2)).reshape(values.shape[0], values.shape[1], *features.shape[2:])
        change: Tensor = self.output(gathered)
        return features + self.gamma * change
