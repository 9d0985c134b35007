"""Unrolled updates (Metz et al. 2017, "Unrolled Generative Adversarial Networks"): generators are judged by what discriminators will be some steps ahead."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from pixlate.plugin.data import Batch
from pixlate.plugin.gan import GAN, Images, Losses, Player

MakeLosses = Callable[[Batch, Images], Losses]
Group = dict[str, Any]
"""A group of Adam's parameters: ``params``, ``lr``, ``betas``, ``eps``, ``weight_decay``."""
_TINY = 1e-16
"""Keeps the slope of the root finite where all gradients so far are 0."""


class _Within(nn.Module):
    """Calls a function that looks at the weights of a GAN, for ``functional_call`` to replace them."""

    def __init__(self, gan: GAN, function: MakeLosses) -> None:
        super().__init__()
        self.gan, self.function = gan, function

    def forward(self, batch: Batch, images: Images) -> Losses:
        return self.function(batch, images)


def losses_ahead(gan: GAN, adversaries: Sequence[tuple[Player, Optimizer]], steps: int, losses: MakeLosses, batch: Batch, images: Images) -> Losses:
    """Return a generator's ``losses`` against discriminators, each with its optimiser, Adam, that have made ``steps`` more updates at these very images (equations 4 to 8).

    Gradients flow through those updates too (the second term of equation 9), as published, since each is a function of the images. Weights, statistics and
    optimisers of the discriminators stay as they are.
    """
    names = {id(tensor): f"gan.{name}" for name, tensor in (*gan.named_parameters(), *gan.named_buffers())}
    replaced = {names[id(buffer)]: buffer.clone() for player, _ in adversaries for buffer in player.module.buffers()}
    moments: dict[str, tuple[Tensor, Tensor, float]] = {}
    for _, optimizer in adversaries:
        for weight in (weight for group in optimizer.param_groups for weight in group["params"]):
            replaced[names[id(weight)]] = weight.detach().clone().requires_grad_()
            moments[names[id(weight)]] = _moments(optimizer, weight)
    for _ in range(steps):
        for player, optimizer in adversaries:
            found: Losses = functional_call(_Within(gan, player.losses), replaced, (batch, gan.judged(batch, images)))
            if not found:
                continue
            groups = {names[id(weight)]: group for group in optimizer.param_groups for weight in group["params"]}
            total = torch.stack(list(found.values())).sum()
            gradients = torch.autograd.grad(total, [replaced[name] for name in groups], create_graph=True, materialize_grads=True)
            for (name, group), gradient in zip(groups.items(), gradients, strict=True):
                replaced[name], moments[name] = adam_step(replaced[name], gradient, moments[name], group)
    ahead: Losses = functional_call(_Within(gan, losses), replaced, (batch, images))
    return ahead


def adam_step(weight: Tensor, gradient: Tensor, moments: tuple[Tensor, Tensor, float], group: Group) -> tuple[Tensor, tuple[Tensor, Tensor, float]]:
    """Return a weight after one step of Adam (Kingma and Ba 2015, algorithm 1), and the moments, all of them differentiable."""
    first, second, count = moments
    beta1, beta2 = group["betas"]
    gradient = gradient + group["weight_decay"] * weight
    first, second, count = first * beta1 + gradient * (1 - beta1), second * beta2 + gradient.square() * (1 - beta2), count + 1
    root = (second / (1 - beta2**count) + _TINY).sqrt()
    return weight - group["lr"] * (first / (1 - beta1**count)) / (root + group["eps"]), (first, second, count)


def _moments(optimizer: Optimizer, weight: Tensor) -> tuple[Tensor, Tensor, float]:
    state = optimizer.state.get(weight, {})
    return (state["exp_avg"].clone(), state["exp_avg_sq"].clone(), float(state["step"])) if state else (torch.zeros_like(weight), torch.zeros_like(weight), 0.0)
