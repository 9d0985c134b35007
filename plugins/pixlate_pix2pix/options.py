"""Options of Pix2Pix."""

from dataclasses import dataclass
from typing import ClassVar

from pixlate.errors import PixlateError
from pixlate.options import AdversarialOptions, Groups, check_hed_layers, check_least, check_most, check_used


@dataclass(frozen=True)
class Pix2PixOptions(AdversarialOptions):
    """U-Net-256 against a 70x70 PatchGAN that sees source and target; the defaults are the published ones (Isola et al. 2017)."""

    whole: int = 0
    """Side, in pixels, of the square at which the generator colours the whole picture, for line drawings of any size: their lines stay as they are; 0 translates each picture at its own size."""
    lab: bool = False
    """Whether the generator gives colour alone, as chroma in CIELAB, and the light of each picture stays as it is, within a level: for colorization, as with --grey."""
    l1_weight: float = 100.0
    """Weight of the mean absolute difference from the target, on images in [-1, 1]."""
    perceptual_weight: float = 0.0
    """Weight of the distance of unit features of HED's trunk from the target's, whose weights come with pixlate[edges]; 20 is about as strong as --l1-weight 10."""
    perceptual_layers: tuple[str, ...] = ("conv2_2", "conv3_3", "conv4_3")
    """Layers of HED's trunk whose features are compared, conv1_1 to conv5_3."""
    GROUPS: ClassVar[Groups] = {"Networks": ("whole", "lab"), "Losses": ("l1_weight", "perceptual_weight", "perceptual_layers")}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_hed_layers(self.perceptual_layers)
        check_least(self, l1_weight=0, perceptual_weight=0, whole=0)
        check_most(self, whole=4096)
        if self.whole and (self.channels_in, self.channels_out) != (3, 3):
            raise PixlateError(f"expected --channels-in 3 and --channels-out 3 with --whole, got {self.channels_in} and {self.channels_out}; leave it out")
        if self.lab and (self.whole or self.skip or self.channels_in not in (1, 3) or self.channels_out != 3):
            raise PixlateError(
                f"expected --lab with --channels-in 1 or 3, --channels-out 3, and without --whole and --skip, got {self.channels_in} and {self.channels_out}, "
                f"{self.whole} and {self.skip}; change them or leave --lab out"
            )
        check_used(self, self.perceptual_weight > 0, "--perceptual-weight above 0", "perceptual_layers")
        if self.perceptual_weight and self.channels_out != 3:
            raise PixlateError(f"expected --channels-out 3 with --perceptual-weight, got {self.channels_out}; leave the weight out")
