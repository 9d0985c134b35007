"""Metrics, and the held-out images they and other plugins receive."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pixlate.plugin.offer import Offer

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels


@dataclass(frozen=True)
class Metric(Offer, kind="metric"):
    """A number that says how close an output is to its target."""

    name: str
    """Name in logs, such as ``ssim``."""
    compute: "Callable[[Pixels, Pixels], float]"
    """Take an output and its target, uint8 (height, width, channels) of one shape."""
    higher_is_better: bool = True
    """Whether a larger number is a better picture."""
    meaning: str = ""
    """A sentence for reports: what the number says, in which unit, and what is good; left out, whether larger or smaller is better."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A held-out image as the generator under training translates it: uint8 (height, width, channels)."""

    source: "Pixels | None"
    """None where the model takes no image."""
    output: "Pixels"
    target: "Pixels"
