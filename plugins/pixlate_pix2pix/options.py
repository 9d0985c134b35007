"""Options of ``pixlate train pix2pix``: the published ones are the defaults (Isola et al. 2017)."""

from dataclasses import dataclass
from typing import Literal

from pixlate.options import AdversarialOptions, TrainingOptions, check_least


@dataclass(frozen=True)
class Pix2PixOptions(AdversarialOptions):
    """U-Net-256 against a 70x70 PatchGAN that sees source and target."""

    l1_weight: float = 100.0
    """Weight of the mean absolute difference from the target, on images in [-1, 1]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, l1_weight=0)


@dataclass(frozen=True)
class Pix2PixTraining(TrainingOptions):
    """100 epochs at 2e-4 and 100 more down to zero, one image a step."""

    steps: int = 0
    epochs: int = 200
    batch: int = 1
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "linear"
    average_decay: float = 0.0
