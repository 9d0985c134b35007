"""Options of translation by a generator against discriminators, which Pix2Pix and CycleGAN share and plugins may."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options.checks import check_least, check_most, check_types, check_used, flag, since
from pixlate.options.groups import Groups
from pixlate.options.training import TrainingOptions

LEAST_DROPPED = 5
"""Least depth of a U-Net that has decoder blocks of full width, which are those that drop features."""
MOST_SIZES = {"channels": 4096, "blocks": 1024, "discriminator_channels": 4096}
"""Largest networks that are built; what is larger is a slip, and would take memory and time before anything is said."""
MOST_CHANNELS = 16
"""Most channels of an image."""

GeneratorName = Literal["unet", "resnet"]
"""Networks of the generator; :mod:`pixlate.adversarial` makes them."""
READ: Mapping[str, tuple[GeneratorName, ...]] = {
    "depth": ("unet",),
    "blocks": ("resnet",),
    "downsamplings": ("resnet",),
    "skip": ("resnet",),
    "pointwise": ("resnet",),
    "antialias": ("resnet",),
}
"""Which generators read an option that not all of them read."""


@dataclass(frozen=True)
class AdversarialOptions:
    """Networks and losses of an adversarial translation between images of one size."""

    channels_in: int = 3
    """Channels of the source: 1 grey, 3 RGB, up to 16 from TIFF or .npy files."""
    channels_out: int = 3
    """Channels of the target."""
    generator: GeneratorName = "unet"
    """Network of the generator."""
    channels: int = 64
    """Feature maps after the generator's first convolution."""
    depth: int = 8
    """Halvings of the U-Net: 7 for patches of 128, 8 for 256."""
    blocks: int = 9
    """Residual blocks of the ResNet: 6 for patches of 128, 9 for 256."""
    downsamplings: int = 2
    """Halvings of the ResNet before its blocks."""
    skip: bool = False
    """Whether the ResNet learns a residual; needs as many channels in as out."""
    pointwise: bool = False
    """Whether the ResNet's convolutions are 1x1, which makes it a colour grade: each pixel is translated by its own colour, and nothing spreads around edges."""
    norm: Literal["batch", "instance", "group", "none"] = "batch"
    """Normalisation in the generator."""
    dropout: float = 0.5
    """Share of features dropped in the U-Net's inner decoder blocks or the ResNet's blocks."""
    dropout_blocks: Literal["paper", "code"] = "paper"
    """Decoder blocks of the U-Net that drop features, by their outputs in a patch of 256: those of 2, 4 and 8 pixels, as the paper has it, or of 4, 8 and 16, as its authors' code."""
    upsampling: Literal["transposed", "resize"] = "transposed"
    """How the generator enlarges: transposed convolutions, or resizing before a convolution, which avoids checkerboard artefacts."""
    antialias: bool = since(False, before=False)
    """Whether ResNet and patch discriminators halve by a blur instead of strides, and the ResNet doubles by interpolation (Zhang 2019), as CUT does: steadier, and slower."""
    attention: bool = False
    """Whether generator and discriminators have a block of self-attention (Zhang et al. 2019)."""
    discriminator: tuple[Literal["patch", "pixel"], ...] = ("patch",)
    """Kinds of discriminators used together: patch (PatchGAN), pixel (1x1 convolutions), or both."""
    discriminator_channels: int = 64
    """Feature maps after the discriminators' first convolution."""
    discriminator_layers: int = 3
    """Halvings of a patch discriminator; 3 sees 70x70 pixels, 84x84 with --antialias."""
    discriminator_scales: int = 1
    """Scales of the picture, each half of the one before, with a discriminator each (pix2pixHD)."""
    discriminator_norm: Literal["batch", "instance", "group", "none"] = "batch"
    """Normalisation in the discriminators."""
    spectral_norm: bool = False
    """Whether the discriminators' weights are normalised by their largest singular value (Miyato et al. 2018)."""
    initialisation: Literal["normal", "xavier", "kaiming", "orthogonal"] = "normal"
    """Distribution of the initial weights."""
    initial_gain: float = 0.02
    """Standard deviation of normal initial weights, or the gain of the others."""
    objective: Literal["vanilla", "least-squares", "hinge", "wasserstein", "relativistic"] = "vanilla"
    """Adversarial loss."""
    adversarial_weight: float = 1.0
    """Weight of the generators' adversarial loss."""
    smoothing: float = 0.0
    """Amount subtracted from the discriminators' target of 1 for real images (one-sided label smoothing)."""
    gradient_penalty: float = 0.0
    """Weight of the penalty on gradients between real and generated images (WGAN-GP); 10 is usual with wasserstein."""
    r1: float = 0.0
    """Weight of the penalty on the discriminators' gradients at real images."""
    r2: float = 0.0
    """Weight of the penalty on the discriminators' gradients at generated images."""
    penalty_range: Literal["symmetric", "unit"] = since("symmetric", before="unit")
    """Range of the images whose gradients these penalties take: symmetric is [-1, 1], as published; unit is [0, 1], where gradients are twice as steep."""
    feature_matching: float = 0.0
    """Weight of the distance between the discriminators' features of real and generated images (pix2pixHD; 10 is usual)."""
    total_variation: float = 0.0
    """Weight of the generated images' total variation, which makes them smoother."""
    GROUPS: ClassVar[Groups] = {
        "Networks": (
            "channels_in",
            "channels_out",
            "generator",
            "channels",
            "depth",
            "blocks",
            "downsamplings",
            "skip",
            "pointwise",
            "norm",
            "dropout",
            "dropout_blocks",
            "upsampling",
            "antialias",
            "attention",
            "discriminator",
            "discriminator_channels",
            "discriminator_layers",
            "discriminator_scales",
            "discriminator_norm",
            "spectral_norm",
            "initialisation",
            "initial_gain",
        ),
        "Losses": (
            "objective",
            "adversarial_weight",
            "smoothing",
            "gradient_penalty",
            "r1",
            "r2",
            "penalty_range",
            "feature_matching",
            "total_variation",
        ),
    }

    def __post_init__(self) -> None:
        check_types(self)
        counts = ("channels_in", "channels_out", "channels", "blocks", "discriminator_channels", "discriminator_layers", "discriminator_scales")
        check_least(self, **dict.fromkeys(counts, 1), depth=2, downsamplings=0)
        weights = ("adversarial_weight", "smoothing", "gradient_penalty", "r1", "r2", "feature_matching", "total_variation", "dropout", "initial_gain")
        check_least(self, **dict.fromkeys(weights, 0))
        check_most(self, channels_in=MOST_CHANNELS, channels_out=MOST_CHANNELS, smoothing=0.5, dropout=0.9, depth=12, downsamplings=6)
        check_most(self, **MOST_SIZES, discriminator_layers=12, discriminator_scales=8)
        if not self.discriminator or len(set(self.discriminator)) != len(self.discriminator):
            raise PixlateError(f"expected --discriminator patch, pixel or both, got {self.discriminator}; name each once")
        if self.skip and self.channels_in != self.channels_out:
            raise PixlateError(
                f"expected --channels-in and --channels-out to be equal with --skip, got {self.channels_in} and {self.channels_out}; leave out --skip"
            )
        if self.smoothing and self.objective not in ("vanilla", "least-squares"):
            raise PixlateError(f"expected --smoothing with --objective vanilla or least-squares, got it with {self.objective}; leave it out")
        if self.objective == "wasserstein" and not self.gradient_penalty and not self.spectral_norm:
            raise PixlateError(
                "expected --gradient-penalty or --spectral-norm with --objective wasserstein, got neither; add --gradient-penalty 10 --discriminator-norm instance"
            )
        penalised = [name for name in ("gradient_penalty", "r1", "r2") if getattr(self, name)]
        if penalised and self.discriminator_norm == "batch":
            raise PixlateError(
                f"expected --discriminator-norm instance, group or none with {flag(penalised[0])}, got batch, which mixes the images whose "
                "gradients are penalised; add --discriminator-norm instance"
            )
        check_used(self, bool(penalised), "--gradient-penalty, --r1 or --r2", "penalty_range")
        check_used(self, not self.dropout or self.generator != "unet" or self.depth >= LEAST_DROPPED, f"--depth {LEAST_DROPPED} or more", "dropout")
        drops = self.generator == "unet" and self.dropout > 0 and self.depth > LEAST_DROPPED
        check_used(self, drops, f"--generator unet, --dropout above 0 and --depth above {LEAST_DROPPED}", "dropout_blocks")
        for name, generators in READ.items():
            check_used(self, self.generator in generators, f"--generator {' or '.join(generators)}", name)
        check_used(self, not self.antialias or self.generator != "resnet", "--no-antialias", "upsampling")
        if self.pointwise and self.downsamplings:
            raise PixlateError(f"expected --downsamplings 0 with --pointwise, got {self.downsamplings}; halving would mix pixels")
        check_used(self, "patch" in self.discriminator, "--discriminator patch", "discriminator_layers")
        check_used(self, self.initialisation != "kaiming", "--initialisation normal, xavier or orthogonal", "initial_gain")


@dataclass(frozen=True)
class AdversarialTraining(TrainingOptions):
    """100 epochs at 2e-4 and 100 more down to zero, one image of each set a step."""

    steps: int = 0
    epochs: int = 200
    batch: int = 1
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "linear"
    average_decay: float = 0.0
