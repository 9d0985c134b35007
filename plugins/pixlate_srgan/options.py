"""Options of ``pixlate train srgan``."""

from dataclasses import dataclass
from typing import Literal

from pixlate import TrainingOptions


@dataclass(frozen=True)
class SRGANOptions:
    """The generator and its loss."""

    scale: Literal[2, 3, 4, 8] = 4
    """Factor of enlargement."""
    network: Literal["srresnet", "msrresnet"] = "msrresnet"
    """srresnet is the paper's, with batch normalisation; msrresnet the modern variant without."""
    channels: int = 64
    """Feature maps."""
    blocks: int = 16
    """Residual blocks."""
    tail: Literal["staged", "direct"] = "staged"
    """How msrresnet reaches full size: staged pixel shuffles (published), or one direct shuffle, which is faster."""
    pixel_weight: float = 1.0
    """Weight of the mean absolute difference."""


@dataclass(frozen=True)
class SRGANTraining(TrainingOptions):
    """MSRResNet's published training: Adam 2e-4 (0.9, 0.99), batches of 16 patches, averaged weights."""

    steps: int = 1_000_000
