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
MOST_SIZES = {"channels": 4096, "blocks": 1024, "features": 4096, "groups": 64, "window": 64, "discriminator_channels": 4096}
"""Largest networks that are built; what is larger is a slip, and would take memory and time before anything is said."""
MOST_CHANNELS = 16
"""Most channels of an image."""

GeneratorName = Literal["unet", "resnet", "unet-vit", "swin", "r3gan"]
"""Networks of the generator; :mod:`pixlate.adversarial` makes them."""
PUBLISHED: Mapping[GeneratorName, Mapping[str, int]] = {
    "unet": {"channels": 64, "depth": 8},
    "resnet": {"channels": 64, "blocks": 9},
    "unet-vit": {"channels": 48, "depth": 4, "blocks": 12},
    "swin": {"channels": 60, "blocks": 6},
    "r3gan": {"channels": 96, "blocks": 2},
}
"""Numbers of each generator's paper, where these differ: what an option of 0 becomes. One that is not named here is not read."""
EARLIER = {"depth": 8, "blocks": 9}
"""Defaults that options of older runs hold although nothing reads them."""
READ: Mapping[str, tuple[GeneratorName, ...]] = {
    "norm": ("unet", "resnet", "unet-vit"),
    "dropout": ("unet", "resnet"),
    "upsampling": ("unet", "resnet"),
    "downsamplings": ("resnet", "r3gan"),
    "skip": ("resnet", "swin"),
    "pointwise": ("resnet",),
    "antialias": ("resnet",),
    "features": ("unet-vit",),
    "heads": ("unet-vit", "swin"),
    "groups": ("swin",),
    "window": ("swin",),
}
"""Which generators read an option that neither all of them read nor :data:`PUBLISHED` has."""


@dataclass(frozen=True)
class AdversarialOptions:
    """Networks and losses of an adversarial translation between images of one size.

    Options of 0 become the numbers of the generator; ``dataclasses.replace`` keeps these, so give them too where it changes the generator.
    """

    channels_in: int = 3
    """Channels of the source: 1 grey, 3 RGB, up to 16 from TIFF or .npy files."""
    channels_out: int = 3
    """Channels of the target."""
    generator: GeneratorName = "unet"
    """Network of the generator: the U-Net of Pix2Pix, the ResNet of CycleGAN, unet-vit (UVCGAN), which sees the whole picture, swin (SwinIR), which sees windows, or an encoder and a decoder of the blocks of r3gan (Huang et al. 2025)."""
    channels: int = 0
    """Feature maps after the generator's first convolution; 0 takes the published number: 64, of unet-vit 48, of swin 60, of r3gan 96."""
    depth: int = 0
    """Halvings of the U-Net, 7 for patches of 128, or of unet-vit; 0 takes the published number: 8 for patches of 256, of unet-vit 4."""
    blocks: int = 0
    """Residual blocks of the ResNet, 6 for patches of 128, blocks of unet-vit's transformer, of each group of swin, or of each size of r3gan; 0 takes the published number: 9, 12, 6 or 2."""
    features: int = 384
    """Features of each pixel in unet-vit's transformer."""
    heads: int = 6
    """Heads of attention of unet-vit and swin."""
    groups: int = 4
    """Residual groups of swin; 6 with 180 channels are SwinIR's large network."""
    window: int = 8
    """Side of swin's windows, in pixels."""
    downsamplings: int = 2
    """Halvings of the ResNet, or of r3gan, before its blocks."""
    skip: bool = False
    """Whether the ResNet or swin learns a residual; needs as many channels in as out."""
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
    discriminator: tuple[Literal["patch", "pixel", "r3gan"], ...] = ("patch",)
    """Kinds of discriminators used together: patch (PatchGAN), pixel (1x1 convolutions), r3gan (Huang et al. 2025), or several of them."""
    discriminator_channels: int = 64
    """Feature maps after the discriminators' first convolution."""
    discriminator_layers: int = 3
    """Halvings of a patch or r3gan discriminator; 3 of a PatchGAN see 70x70 pixels, 84x84 with --antialias, and 6 of r3gan judge patches of 256 as a whole."""
    discriminator_scales: int = 1
    """Scales of the picture, each half of the one before, with a discriminator each (pix2pixHD)."""
    discriminator_norm: Literal["batch", "instance", "group", "none"] = "batch"
    """Normalisation in the discriminators."""
    spectral_norm: bool = False
    """Whether the discriminators' weights are normalised by their largest singular value (Miyato et al. 2018)."""
    minibatch: Literal["none", "deviation", "discrimination"] = "none"
    """What discriminators compare between the images of a batch, against collapse: their standard deviation (Karras et al. 2018), or learnt features of each image (minibatch discrimination, Salimans et al. 2016)."""
    initialisation: Literal["normal", "xavier", "kaiming", "orthogonal"] = "normal"
    """Distribution of the initial weights."""
    initial_gain: float = 0.02
    """Standard deviation of normal initial weights, or the gain of the others."""
    objective: Literal["vanilla", "least-squares", "hinge", "wasserstein", "relativistic"] = "vanilla"
    """Adversarial loss."""
    adversarial_weight: float = 1.0
    """Weight of the generators' adversarial loss; 0 trains without discriminators, unless their features are compared."""
    smoothing: float = 0.0
    """Amount subtracted from the discriminators' target of 1 for real images (one-sided label smoothing)."""
    gradient_penalty: float = 0.0
    """Weight of the penalty on gradients between real and generated images (WGAN-GP); 10 is usual with wasserstein."""
    gradient_norm: float = 1.0
    """Norm g that --gradient-penalty wants gradients to have: the penalty is (norm / g - 1)^2; 1 is that of WGAN-GP, and UVCGAN's is 100 over the number of logits."""
    r1: float = 0.0
    """Weight of the penalty on the discriminators' gradients at real images."""
    r2: float = 0.0
    """Weight of the penalty on the discriminators' gradients at generated images."""
    penalty_end: float = 1.0
    """Share of --r1 and --r2 at the end of the run, reached by half a cosine (R3GAN: 0.1)."""
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
            "features",
            "heads",
            "groups",
            "window",
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
            "minibatch",
            "initialisation",
            "initial_gain",
        ),
        "Losses": (
            "objective",
            "adversarial_weight",
            "smoothing",
            "gradient_penalty",
            "gradient_norm",
            "r1",
            "r2",
            "penalty_end",
            "penalty_range",
            "feature_matching",
            "total_variation",
        ),
    }

    def __post_init__(self) -> None:
        check_types(self)
        self._settle_generator()
        counts = (
            "channels_in",
            "channels_out",
            "channels",
            "features",
            "heads",
            "groups",
            "discriminator_channels",
            "discriminator_layers",
            "discriminator_scales",
        )
        check_least(self, **dict.fromkeys(counts, 1), window=2, downsamplings=0)
        weights = (
            "adversarial_weight",
            "smoothing",
            "gradient_penalty",
            "r1",
            "r2",
            "feature_matching",
            "total_variation",
            "dropout",
            "initial_gain",
            "penalty_end",
        )
        check_least(self, **dict.fromkeys(weights, 0))
        check_most(self, channels_in=MOST_CHANNELS, channels_out=MOST_CHANNELS, smoothing=0.5, dropout=0.9, depth=12, downsamplings=6)
        check_most(self, **MOST_SIZES, discriminator_layers=12, discriminator_scales=8)
        if not self.discriminator or len(set(self.discriminator)) != len(self.discriminator):
            raise PixlateError(f"expected --discriminator patch, pixel, r3gan or several of them, got {self.discriminator}; name each once")
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
        published = set(self.discriminator) == {"r3gan"}  # whose layers and initial weights are fixed
        if penalised and self.discriminator_norm == "batch" and not published:
            raise PixlateError(
                f"expected --discriminator-norm instance, group or none with {flag(penalised[0])}, got batch, which mixes the images whose "
                "gradients are penalised; add --discriminator-norm instance"
            )
        check_used(self, bool(penalised), "--gradient-penalty, --r1 or --r2", "penalty_range")
        check_used(self, self.gradient_penalty > 0, "--gradient-penalty", "gradient_norm")
        if self.gradient_norm <= 0:
            raise PixlateError(f"expected --gradient-norm above 0, got {self.gradient_norm}; 1 is that of WGAN-GP")
        check_used(self, bool(self.r1 or self.r2), "--r1 or --r2", "penalty_end")
        check_used(self, not published, "--discriminator patch or pixel", "discriminator_norm", "spectral_norm")
        check_used(self, not published or self.generator != "r3gan", "--generator or --discriminator other than r3gan", "initialisation", "initial_gain")
        check_used(self, not self.dropout or self.generator != "unet" or self.depth >= LEAST_DROPPED, f"--depth {LEAST_DROPPED} or more", "dropout")
        drops = self.generator == "unet" and self.dropout > 0 and self.depth > LEAST_DROPPED
        check_used(self, drops, f"--generator unet, --dropout above 0 and --depth above {LEAST_DROPPED}", "dropout_blocks")
        check_used(self, {"patch", "r3gan"} & {*self.discriminator} != set(), "--discriminator patch or r3gan", "discriminator_layers")
        check_used(self, self.initialisation != "kaiming", "--initialisation normal, xavier or orthogonal", "initial_gain")

    @property
    def judged(self) -> bool:
        """Whether discriminators have a say."""
        return bool(self.adversarial_weight or self.feature_matching)

    def _settle_generator(self) -> None:
        """Give options of 0 the published numbers of the generator, and refuse those that it does not read or cannot take."""
        for name in dict.fromkeys(name for numbers in PUBLISHED.values() for name in numbers):
            numbers = {generator: own[name] for generator, own in PUBLISHED.items() if name in own}
            if self.generator in numbers:
                object.__setattr__(self, name, getattr(self, name) or numbers[self.generator])
                check_least(self, **{name: 2 if name == "depth" else 1})
            elif getattr(self, name) != EARLIER.get(name):
                check_used(self, False, f"--generator {' or '.join(numbers)}", name)
        for name, generators in READ.items():
            off = not getattr(self, name)  # such as no dropout
            check_used(self, off or self.generator in generators, f"--generator {' or '.join(generators)}", name)
        check_used(self, not self.antialias or self.generator != "resnet", "--no-antialias", "upsampling")
        convolutions = self.generator in ("unet", "resnet")
        check_used(self, convolutions or "patch" in self.discriminator, "--generator unet or resnet, or --discriminator patch", "attention")
        if self.pointwise and self.downsamplings:
            raise PixlateError(f"expected --downsamplings 0 with --pointwise, got {self.downsamplings}; halving would mix pixels")
        shared = {"unet-vit": "features", "swin": "channels"}.get(self.generator)
        if shared and getattr(self, shared) % self.heads:
            raise PixlateError(f"expected {flag(shared)} to be a multiple of --heads, {self.heads}, got {getattr(self, shared)}; change one of them")
        if self.window % 2:
            raise PixlateError(f"expected --window of an even number of pixels, since windows are shifted by half of it, got {self.window}; use 8")


@dataclass(frozen=True)
class AdversarialTraining(TrainingOptions):
    """100 epochs at 2e-4 and 100 more down to zero, one image of each set a step."""

    steps: int = 0
    epochs: int = 200
    batch: int = 1
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "linear"
    average_decay: float = 0.0
