"""Options of StarGAN v2 and of its folders."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options import DataOptions, Groups, TrainingOptions, check_least, check_most
from pixlate.options.checks import check_types


@dataclass(frozen=True)
class StarGANOptions:
    """AdaIN generator, mapping network, style encoder, and a discriminator with an output for each domain; the defaults are the published ones (Choi et al. 2020)."""

    channels: int = 64
    """Feature maps of generator, style encoder and discriminator after the first convolution; each halving doubles them."""
    most_channels: int = 512
    """Most feature maps of these."""
    downsamplings: int = 4
    """Times the generator halves its features; as published 4 for --patch 256, and one fewer for each halving of it."""
    style_length: int = 64
    """Numbers of a style."""
    latent_length: int = 16
    """Numbers of the noise that styles are made from."""
    mapping_channels: int = 512
    """Features of the mapping network, which makes styles from noise."""
    mapping_learning_rate: float = 1e-6
    """Step size of the mapping network at the start of the schedule."""
    r1: float = 1.0
    """Weight of the penalty on the discriminator's gradient at real images (R1)."""
    style_weight: float = 1.0
    """Weight of the mean absolute difference of a style from the one that the style encoder finds in the image made with it."""
    diversity_weight: float = 1.0
    """Weight, at the start, of the mean absolute difference of two images made with two styles, which is to be large."""
    diversity_steps: int = 0
    """Steps in which --diversity-weight falls linearly to 0; 0 is the whole run, as published."""
    cycle_weight: float = 1.0
    """Weight of the mean absolute difference of an image from its translation to another domain and back, in the style it had."""
    GROUPS: ClassVar[Groups] = {
        "Networks": ("channels", "most_channels", "downsamplings", "style_length", "latent_length", "mapping_channels"),
        "Losses": ("r1", "style_weight", "diversity_weight", "diversity_steps", "cycle_weight"),
        "Optimisation": ("mapping_learning_rate",),
    }

    def __post_init__(self) -> None:
        check_types(self)
        sizes = ("channels", "most_channels", "downsamplings", "style_length", "latent_length", "mapping_channels")
        check_least(self, **dict.fromkeys(sizes, 1), r1=0, style_weight=0, diversity_weight=0, diversity_steps=0, cycle_weight=0)
        check_most(self, channels=4096, most_channels=4096, downsamplings=10, style_length=4096, latent_length=4096, mapping_channels=4096)
        if self.mapping_learning_rate <= 0:
            raise PixlateError(f"expected --mapping-learning-rate above 0, got {self.mapping_learning_rate}; 1e-6 is usual")


@dataclass(frozen=True)
class StarGANTraining(TrainingOptions):
    """100,000 steps of 8 images, Adam with weight decay, averaged weights, as published."""

    batch: int = 8
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.0, 0.99)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "constant"


@dataclass(frozen=True)
class DomainOptions(DataOptions):
    """A folder with a folder of images for each domain; every image is resized to --patch, whatever its shape."""

    crop: float = 0.5
    """Share of images of which a random part is seen, 80 to 100 % of the area and up to a tenth wider or narrower; the others are seen whole."""
    mirror: bool = True
    """Whether half of the images are flipped horizontally."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, crop=0)
        check_most(self, crop=1)
        if self.patch < 8 or self.patch & (self.patch - 1):
            raise PixlateError(f"expected --patch to be a power of two of at least 8, which the discriminator halves to 4, got {self.patch}; use 256")
