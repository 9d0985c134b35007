"""What changes over a run: the learning rate and the side of the patches."""

import math
from typing import Any

from pixlate.errors import PixlateError
from pixlate.losses.ramps import half_cosine
from pixlate.options import TrainingOptions
from pixlate.plugin.spec import ModelSpec


class Schedule:
    """The learning rate of each step, as a factor of the initial one.

    ``cosine`` is half a cosine to ``schedule_end``, begun again ``periods`` times (Loshchilov and Hutter 2017, eq. 5); ``linear`` is constant for half the
    run, then falls linearly to zero (Zhu et al. 2017), or where there are ``decay_epochs``, once in each of the last epochs; ``step`` multiplies by ``decay`` at each milestone (Ledig et al. 2017); ``plateau`` where
    validation has got no better for ``patience`` times. Warm-up multiplies any of them. ``images`` is the length of an epoch.
    """

    def __init__(self, options: TrainingOptions, steps: int, images: int = 1) -> None:
        self.options, self.steps, self.images = options, steps, images
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
                factor = half_cosine(progress * options.periods % 1.0, 1.0, options.schedule_end)
            case "linear" if options.decay_epochs:
                epoch = step * options.batch // self.images
                factor = 1 - max(0, epoch + 1 - (options.epochs - options.decay_epochs)) / (options.decay_epochs + 1)
            case "linear":
                factor = min(1.0, 2 * (1 - progress))
            case "step":
                factor = options.decay ** sum(progress >= milestone for milestone in options.milestones)
            case "plateau":
                factor = self._plateau
        return factor * (min(1.0, (step + 1) / options.warm_up) if options.warm_up else 1.0)

    def second_beta(self, step: int) -> float:
        """Return the decay rate of the second moment in one step, where that changes."""
        return half_cosine(step / self.steps, self.options.betas[1], self.options.beta_end)

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


class Growth:
    """The side of source patches at each step: it doubles from ``first`` to ``last`` over the first half of the run, or is ``last`` where ``first`` is 0.

    Small patches are seen faster (Karras et al. 2018, without growing networks). ``judged`` is the least side that discriminators take, in target pixels.

    Raises:
        PixlateError: ``first`` does not double to ``last``, or the networks do not take it.
    """

    def __init__(self, first: int, last: int, steps: int, spec: ModelSpec, judged: int = 1) -> None:
        self.first, self.last, self.steps = first or last, last, steps
        doublings = math.log2(self.last / self.first)
        if doublings < 0 or doublings != int(doublings):
            halves = [last >> times for times in range(1, last.bit_length()) if last % (1 << times) == 0]
            fitting = [side for side in halves if side % spec.multiple == 0 and side >= spec.minimum and side * spec.scale >= judged]
            advice = f"{' or '.join(map(str, fitting[:2]))} would" if fitting else "leave it out, or change --patch"
            raise PixlateError(f"expected --grow-from to double up to --patch, {last}, got {first}; {advice}")
        if self.first % spec.multiple or self.first < spec.minimum:
            raise PixlateError(
                f"expected --grow-from of at least {spec.minimum} and a multiple of {spec.multiple}, as the network takes, got {first}; choose another"
            )
        if self.first * spec.scale < judged:
            raise PixlateError(
                f"expected patches of at least {-(-judged // spec.scale)} pixels a side, which the discriminators take, "
                f"got {self.first}; raise --{'grow-from' if first else 'patch'}"
            )
        self.doublings = int(doublings)

    def side(self, step: int) -> int:
        """Return the side of source patches in one step, counted from 0."""
        stage = min(self.doublings, 2 * step * self.doublings // self.steps)
        return self.first << stage

    def faded(self, step: int) -> float:
        """Return how far the side of a step has faded in, for networks that grow: it rises to 1 over the first half of the steps of that side."""
        progress = 2 * step * self.doublings / self.steps
        stage = min(self.doublings, int(progress))
        return min(1.0, 2 * (progress - stage)) if stage else 1.0
