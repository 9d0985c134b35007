"""Options of inpainting, of its training and of its data."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options import FolderOptions, Groups, TrainingOptions, check_hed_layers, check_least, check_most, check_types, check_used


@dataclass(frozen=True)
class InpaintOptions:
    """A gated generator against SN-PatchGAN, hinge loss and L1, one to one; the defaults are the published ones (Yu et al. 2019)."""

    channels: int = 24
    """Feature maps of the generator behind the first gate; each gated convolution computes twice as many as its gate lets through."""
    discriminator_channels: int = 64
    """Feature maps of the discriminator after the first convolution."""
    pixel_weight: float = 1.0
    """Weight of the mean absolute difference from the photograph, inside and outside of the mask, on images in [-1, 1]."""
    adversarial_weight: float = 1.0
    """Weight of the adversarial loss."""
    contextual_weight: float = 0.0
    """Weight of the contextual loss (Mechrez et al. 2018), for texture: each feature of the photograph must be somewhere in the output; features are of HED's trunk, whose weights come with pixlate[edges]."""
    perceptual_layers: tuple[str, ...] = ("conv4_2",)
    """Layers of HED's trunk whose features the contextual loss compares, conv1_1 to conv5_3; memory grows with the square of their pixels."""
    GROUPS: ClassVar[Groups] = {
        "Networks": ("channels", "discriminator_channels"),
        "Losses": ("pixel_weight", "adversarial_weight", "contextual_weight", "perceptual_layers"),
    }

    def __post_init__(self) -> None:
        check_types(self)
        check_hed_layers(self.perceptual_layers)
        check_least(self, channels=2, discriminator_channels=1, pixel_weight=0, adversarial_weight=0, contextual_weight=0)
        check_most(self, channels=4096, discriminator_channels=4096)
        check_used(self, self.contextual_weight > 0, "--contextual-weight above 0", "perceptual_layers")
        if not self.pixel_weight and not self.contextual_weight:
            raise PixlateError(
                "expected --pixel-weight or --contextual-weight above 0, got 0 for both: nothing would tie outputs to photographs; add one of them"
            )


@dataclass(frozen=True)
class InpaintTraining(TrainingOptions):
    """16 images a step at 1e-4; the paper gives no number of steps."""

    steps: int = 500_000
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "constant"
    average_decay: float = 0.0


@dataclass(frozen=True)
class MaskedOptions(FolderOptions):
    """Photographs, and what to fill in them: in a second folder of masks, in their transparency, or drawn at random, as published, where there is one folder."""

    holes: Literal["drawn", "alpha"] = "drawn"
    """What is filled where there is no folder of masks: drawn for each patch, or where a photograph is transparent, if its file still has the colours there."""
    strokes: int = 3
    """Most strokes of a brush that are drawn; 0 draws none."""
    box: float = 0.5
    """Side of the box that is drawn, over that of the patch; 0 draws none."""
    GROUPS: ClassVar[Groups] = {"Everyday": ("holes", "strokes", "box")}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, strokes=0, box=0)
        check_most(self, strokes=100, box=0.9)
        check_used(self, self.holes == "drawn", "--holes drawn", "strokes", "box")
        if not self.strokes and not self.box:
            raise PixlateError("expected --strokes or --box above 0, got 0 for both: there would be nothing to fill; set one of them")
