"""Historical averaging: weights are drawn to their mean over the run, which keeps players from circling round each other."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class History:
    """Means of each player's weights over the run so far, and the distance from them (Salimans et al. 2016, section 3.3).

    Args:
        weight: Of the distance; with 0 nothing is kept.
        players: The weights of each, by its name.
    """

    def __init__(self, weight: float, players: Mapping[str, Sequence[nn.Parameter]]) -> None:
        self.weight, self.players = weight, players if weight else {}
        self.means = {name: [value.detach().clone() for value in values] for name, values in self.players.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights into their means, at the start of a step, counted from 0."""
        for name, values in self.players.items():
            torch._foreach_lerp_(self.means[name], [value.detach() for value in values], 1 / (step + 1))

    def losses(self, player: str) -> dict[str, Tensor]:
        """Return ``history_`` and the player's name: ||weights - mean||^2 times the weight of this; nothing where that is 0."""
        distances = [(value - mean).square().sum() for value, mean in zip(self.players.get(player, []), self.means.get(player, []), strict=True)]
        return {f"history_{player}": self.weight * torch.stack(distances).sum()} if distances else {}

    def state(self) -> dict[str, Tensor]:
        """Return the means by player and number."""
        return {f"{name}/{number}": mean for name, means in self.means.items() for number, mean in enumerate(means)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore what :meth:`state` returned."""
        for name, mean in self.state().items():
            mean.copy_(state[name])
