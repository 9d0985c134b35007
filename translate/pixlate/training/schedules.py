"""Learning rate over a run."""

import math
from typing import Any

from pixlate.options import TrainingOptions


class Schedule:
    """The learning rate of each step, as a factor of the initial one.

    ``cosine`` is half a cosine to zero, begun again ``periods`` times (Loshchilov and Hutter 2017, eq. 5); ``linear`` is constant for half the
    run, then falls linearly to zero (Zhu et al. 2017); ``step`` multiplies by ``decay`` at each milestone (Ledig et al. 2017); ``plateau`` where
    validation has got no better for ``patience`` times. Warm-up multiplies any of them.

    Args:
        options: Which schedule, and its numbers.
        steps: Length of the run.
    """

    def __init__(self, options: TrainingOptions, steps: int) -> None:
        self.options = options
        self.steps = steps
        self._plateau = 1.0
        self._waited = 0

    def factor(self, step: int) -> float:
        """Return the factor of the learning rate in one step, counted from 0."""
        progress = step / self.steps
        options = self.options
        match options.schedule:
            case "constant":
                factor = 1.0
            case "cosine":
                factor = 0.5 * (1 + math.cos(math.pi * (progress * options.periods % 1.0)))
            case "linear":
                factor = min(1.0, 2 * (1 - progress))
            case "step":
                factor = options.decay ** sum(progress >= milestone for milestone in options.milestones)
            case "plateau":
                factor = self._plateau
        return factor * (min(1.0, (step + 1) / options.warm_up) if options.warm_up else 1.0)

    def validated(self, better: bool) -> None:
        """Is called with whether a validation was better than all before."""
        self._waited = 0 if better else self._waited + 1
        if self.options.schedule == "plateau" and self._waited >= self.options.patience:
            self._plateau *= self.options.decay
            self._waited = 0

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` takes, as JSON."""
        return {"plateau": self._plateau, "waited": self._waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self._plateau, self._waited = float(state["plateau"]), int(state["waited"])
