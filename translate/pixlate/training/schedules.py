"""Learning rate over a run."""

import math

from pixlate.options import TrainingOptions


def learning_rate(step: int, options: TrainingOptions) -> float:
    """Return the learning rate of one step, counted from 0.

    ``cosine`` is half a cosine from the initial rate to zero (Loshchilov and Hutter 2017, eq. 5, one period); ``linear`` is constant for
    half the run, then falls linearly to zero (Zhu et al. 2017); warm-up multiplies either.
    """
    progress = step / options.steps
    factor = {
        "constant": 1.0,
        "cosine": 0.5 * (1 + math.cos(math.pi * progress)),
        "linear": min(1.0, 2 * (1 - progress)),
    }[options.schedule]
    warm = min(1.0, (step + 1) / options.warm_up) if options.warm_up else 1.0
    return options.learning_rate * factor * warm
