"""Averaged weights, which translate better than the last ones."""

import copy

import torch
from torch import Tensor

from pixlate.plugin.gan import GAN


class WeightAverage:
    """Exponential moving average of the parameters of a GAN (Karras et al. 2018, and earlier Polyak).

    Early steps are averaged over fewer: the decay in force is min(decay, (1 + step) / (10 + step)). Buffers are copied. A decay of 0 follows exactly.
    """

    def __init__(self, module: GAN, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, module: GAN, step: int) -> None:
        """Average in the module's weights after ``step`` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages: list[Tensor] = [average.data for average in self.module.parameters()]
        values = [value.detach() for value in module.parameters()]
        torch._foreach_lerp_(averages, values, 1 - decay)
        for average, value in zip(self.module.buffers(), module.buffers(), strict=True):
            average.copy_(value)
