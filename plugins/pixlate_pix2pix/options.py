"""Options of ``pixlate train pix2pix``: the published ones are the defaults (Isola et al. 2017)."""

from dataclasses import dataclass

from pixlate.options import AdversarialOptions, check_least


@dataclass(frozen=True)
class Pix2PixOptions(AdversarialOptions):
    """U-Net-256 against a 70x70 PatchGAN that sees source and target."""

    l1_weight: float = 100.0
    """Weight of the mean absolute difference from the target, on images in [-1, 1]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, l1_weight=0)
