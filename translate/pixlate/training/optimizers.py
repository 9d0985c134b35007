"""The optimisers that a run can choose between."""

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from pixlate.options import TrainingOptions


def make_optimizer(options: TrainingOptions, weights: list[nn.Parameter], learning_rate: float, betas: tuple[float, float]) -> Optimizer:
    """Return the optimiser that ``options`` name, for a player's weights.

    ``adam`` (Kingma and Ba 2015) adds ``weight_decay`` times the weight to its gradient; ``adamw`` (Loshchilov and Hutter 2019) and ``lion`` (Chen et al.
    2023) shrink the weight by the learning rate times ``weight_decay`` instead.
    """
    if options.optimizer == "lion":
        from pytorch_optimizer import Lion  # slow to import

        return Lion(weights, learning_rate, betas, options.weight_decay)
    kind = AdamW if options.optimizer == "adamw" else Adam
    return kind(weights, learning_rate, betas, weight_decay=options.weight_decay, fused=True)
