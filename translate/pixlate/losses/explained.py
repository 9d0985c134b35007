"""What adversarial losses say, in a sentence each, for reports."""

from math import log

from pixlate.losses.adversarial import Objective

UNDECIDED: dict[Objective, tuple[float, float]] = {
    "vanilla": (log(2), 2 * log(2)),
    "least-squares": (0.25, 0.5),
    "relativistic": (log(2), log(2)),
}
"""Losses of generator and discriminator where the discriminator cannot tell generated images from real ones, of objectives where they say how a training goes."""


def explain_generator_loss(objective: Objective, weight: float, shown: str) -> str:
    """Return a sentence for :func:`pixlate.losses.generator_loss` times a weight; ``shown`` says what is judged, such as ``pictures``."""
    if objective in UNDECIDED:
        undecided = weight * UNDECIDED[objective][0]
        return f"How easily the discriminator knows generated {shown}: about {undecided:.2g} where it cannot, which is good; a steady rise means that it wins."
    return f"Less the discriminator's verdict on generated {shown}: its size says little; a steady rise means that the discriminator wins."


def explain_discriminator_loss(objective: Objective, weight: float, shown: str) -> str:
    """Return a sentence for :func:`pixlate.losses.discriminator_loss` times a weight; ``shown`` says what is judged, such as ``pictures``."""
    if objective == "wasserstein":
        return f"Less the distance of generated from real {shown} as the discriminator sees it: it rises towards 0 as they become alike."
    undecided = weight * (UNDECIDED[objective][1] if objective in UNDECIDED else 2.0)
    return (
        f"How badly the discriminator tells generated {shown} from real ones: about {undecided:.2g} where it cannot, which is good; long near 0 it has won, and "
        "the generator learns little."
    )
