"""The optimisers that a run can choose between."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from pixlate.options import TrainingOptions


def make_optimizer(
    options: TrainingOptions,
    weights: list[nn.Parameter],
    learning_rate: float,
    betas: tuple[float, float],
    rates: Sequence[tuple[nn.Module, float]] = (),
) -> Optimizer:
    """Return the optimiser that ``options`` name, for a player's weights, of which some modules may have ``rates`` of their own.

    ``adam`` (Kingma and Ba 2015) adds ``weight_decay`` times the weight to its gradient; ``adamw`` (Loshchilov and Hutter 2019) and ``lion`` (Chen et al.
    2023) shrink the weight by the learning rate times ``weight_decay`` instead.
    """
    own = {id(parameter): rate for module, rate in rates for parameter in module.parameters()}
    chosen = {rate: [each for each in weights if own.get(id(each), learning_rate) == rate] for rate in (learning_rate, *own.values())}
    groups: list[Any] = [{"params": each, "lr": rate} for rate, each in chosen.items() if each]
    if options.optimizer == "lion":
        from pytorch_optimizer import Lion  # slow to import

        return Lion(groups, learning_rate, betas, options.weight_decay)
    kind = AdamW if options.optimizer == "adamw" else Adam
    return kind(groups, learning_rate, betas, weight_decay=options.weight_decay, fused=True)
