"""PatchNCE: each patch of an output is to be known, by its features, among all patches of the image it was made from (Park et al. 2020, section 3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAST_LENGTH = 1e-7
"""Added to the length that vectors are divided by, as in the authors' code: initial ones are as short as 1e-4."""


class Projection(nn.Module):
    """Makes vectors of unit length from the features of one layer: (batch, patches, channels) to (batch, patches, ``length``)."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, length), nn.ReLU(), nn.Linear(length, length))

    def forward(self, features: Tensor) -> Tensor:
        """Return the vectors, in float32 under mixed precision too."""
        vectors: Tensor = self.layers(features)
        if vectors.dtype in (torch.bfloat16, torch.float16):
            vectors = vectors.float()
        lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        return vectors / (lengths + LEAST_LENGTH)


def at_places(features: Tensor, places: Tensor) -> Tensor:
    """Return the features at some places: (batch, channels, height, width) to (batch, places, channels)."""
    return features.flatten(2)[:, :, places].transpose(1, 2)


def patch_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy of each patch against all of its image, a scalar (equations 2 and 3): log(patches) by chance, 0 where each is surely known.

    Args:
        query: Vectors of the patches of outputs, (batch, patches, length), of unit length.
        key: Those of the images they were made from, at the same places; gradients do not pass.
        temperature: What similarities are divided by.
    """
    similarity = query @ key.detach().transpose(1, 2) / temperature
    itself = torch.arange(query.shape[1], device=query.device).repeat(len(query))
    return functional.cross_entropy(similarity.flatten(0, 1), itself)
