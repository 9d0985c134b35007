"""Options of ``pixlate train srgan``."""

from dataclasses import dataclass
from typing import Literal

from pixlate import PixlateError, TrainingOptions
from pixlate.options import check_least, check_types


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

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, channels=1, blocks=1, pixel_weight=0)
        if self.network == "srresnet" and self.tail == "direct":
            raise PixlateError("expected --tail direct with --network msrresnet, got it with srresnet, which has the paper's tail only; leave out one of them")


@dataclass(frozen=True)
class SRGANTraining(TrainingOptions):
    """MSRResNet's published training: Adam 2e-4 (0.9, 0.99), batches of 16 patches, averaged weights."""

    steps: int = 1_000_000
