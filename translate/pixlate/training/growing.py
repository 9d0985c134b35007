"""Patches that grow over a run: small ones first, which are seen faster (Karras et al. 2018, without growing networks)."""

import math

from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelSpec


class Growth:
    """The side of source patches at each step: it doubles from ``first`` to ``last`` over the first half of the run.

    Args:
        first: Side of the first patches, in pixels; 0 begins with ``last``.
        last: Side from the middle of the run on.
        steps: Length of the run.
        spec: What sizes the network takes.
        judged: Least side of images that the discriminators take, in target pixels.

    Raises:
        PixlateError: ``first`` does not double to ``last``, or the networks do not take it.
    """

    def __init__(self, first: int, last: int, steps: int, spec: ModelSpec, judged: int = 1) -> None:
        self.first, self.last, self.steps = first or last, last, steps
        doublings = math.log2(self.last / self.first)
        if doublings < 0 or doublings != int(doublings):
            raise PixlateError(f"expected --grow-from to double up to --patch, {last}, got {first}; {last // 2} or {last // 4} would")
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
