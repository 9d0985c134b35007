"""CUT: translation learnt from two sets of images, one way (Park et al. 2020, "Contrastive Learning for Unpaired Image-to-Image Translation")."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pixlate
from pixlate.options import check_least

if TYPE_CHECKING:
    from pixlate_cut.model import CUT

PIXLATE_API = 2


@dataclass(frozen=True)
class CUTOptions:
    """Options of ``pixlate train cut``: the published ones are the defaults."""

    channels: int = 64
    """Feature maps of the generator after the first convolution."""
    blocks: int = 9
    """Residual blocks of the generator."""
    discriminator_channels: int = 64
    """Feature maps of the discriminator after the first convolution."""
    projection_channels: int = 256
    """Length of the vectors that patches are compared by."""
    patches: int = 256
    """Patches of each layer that are compared; fewer where a layer is smaller."""
    temperature: float = 0.07
    """What similarities are divided by; small ones punish the nearest wrong patch most."""
    contrast_weight: float = 1.0
    """Weight of the comparison of each patch with the one it was made from."""

    def __post_init__(self) -> None:
        check_least(self, channels=1, blocks=1, discriminator_channels=1, projection_channels=1, patches=2, temperature=1e-3, contrast_weight=0)


@dataclass(frozen=True)
class CUTTraining(pixlate.TrainingOptions):
    """200 epochs at 2e-4 and 200 more down to zero, one image of each set a step."""

    steps: int = 0
    epochs: int = 400
    batch: int = 1
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "linear"


def build(options: CUTOptions) -> "CUT":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_cut.model import CUT

    return CUT(options)


@pixlate.hookimpl
def pixlate_methods() -> Iterable[pixlate.Method]:
    """Offer ``cut``."""
    summary = "Translation learnt from two sets of images, with one generator"
    yield pixlate.Method(name="cut", summary=summary, data=pixlate.unpaired, options=CUTOptions, build=build, training=CUTTraining)
