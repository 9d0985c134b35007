"""Options of SRGAN, of its training and of its data."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options import DegradedOptions, Groups, TrainingOptions, check_hed_layers, check_least, check_most, check_types, check_used


@dataclass(frozen=True)
class SRGANOptions:
    """The generator, and the losses of the two stages: pixels first, then the adversary; the defaults are the published ones (Ledig et al. 2017)."""

    scale: Literal[1, 2, 3, 4, 8] = 4
    """Factor of enlargement; 1 restores pictures at their own size, such as from noise or JPEG, and needs another network than srresnet."""
    network: Literal["srresnet", "msrresnet", "compact", "span", "unet", "swin"] = "srresnet"
    """srresnet is the paper's, with batch normalisation; msrresnet the modern variant without; compact (Real-ESRGAN's for video) and span (Wan et al. 2024) are faster; unet, at scale 1, sees the whole picture, as for its exposure; swin (SwinIR) has attention in windows, is slower and better."""
    channels: int = 64
    """Feature maps; span is published with 48, swin with 60 (light) or 180."""
    blocks: int = 16
    """Residual blocks; convolutions of compact; blocks of each group of swin; span and swin are published with 6."""
    depth: int = 6
    """Halvings of the unet."""
    groups: int = 4
    """Residual groups of swin: 4 (light) or 6, as published."""
    heads: int = 6
    """Heads of swin's attention; --channels is a multiple of it."""
    window: int = 8
    """Side of swin's windows, in pixels."""
    tail: Literal["staged", "direct"] = "staged"
    """How msrresnet and swin reach full size: staged pixel shuffles (published), or one direct shuffle, which is faster (published for swin with 60 channels)."""
    shrink: Literal[1, 2] = 1
    """2 computes at half the height and width, with a quarter of the arithmetic, for restoration at scale 1 (FFDNet, Zhang et al. 2018); msrresnet needs --tail direct for it."""
    stages: Literal["both", "pixel", "adversarial"] = "both"
    """Which stages run: both, pixel alone (SRResNet), or adversarial alone, which continues a first stage and needs --start-from."""
    pixel_share: float = 5 / 6
    """Share of the steps that the first stage takes."""
    pixel: Literal["mse", "l1"] = "mse"
    """Pixel loss: mean square or mean absolute difference, on images in [-1, 1]."""
    pixel_weight: float = 1.0
    """Weight of the pixel loss in the first stage."""
    second_pixel_weight: float = 0.0
    """Weight of the pixel loss in the second stage."""
    perceptual_weight: float = 0.006
    """Weight of the distance of features in the second stage; with --perceptual hed, whose distances are smaller, 1 is about as strong as the pixel loss."""
    perceptual: Literal["vgg19", "hed"] = "vgg19"
    """Network whose features are compared: vgg19 is the paper's, with the mean square difference; hed is HED's trunk, whose weights come with pixlate[edges], with unit features."""
    perceptual_layers: tuple[str, ...] = ("conv2_2", "conv3_3", "conv4_3")
    """Layers of HED's trunk whose features are compared, conv1_1 to conv5_3."""
    perceptual_layer: str = "relu5_4"
    """Layer of VGG19 whose features are compared: relu5_4 is the paper's, conv5_4 the same before its activation (ESRGAN)."""
    perceptual_weights: str = ""
    """File of VGG19's weights (.pth or .safetensors); by default the one torchvision keeps or downloads."""
    adversarial_weight: float = 1e-3
    """Weight of the adversarial loss in the second stage."""
    objective: Literal["vanilla", "least-squares", "hinge", "relativistic"] = "vanilla"
    """Adversarial loss."""
    discriminator: Literal["srgan", "patch", "multi-scale", "unet"] = "srgan"
    """srgan judges whole patches, as published; patch is a PatchGAN, which judges each 70x70 pixels; multi-scale is two of them, one at half size (pix2pixHD); unet judges each pixel, under spectral norm (Real-ESRGAN)."""
    discriminator_channels: int = 64
    """Feature maps after the discriminator's first convolution."""
    spectral_norm: bool = False
    """Whether the discriminator's weights are normalised by their largest singular value (Miyato et al. 2018); those of unet always are."""
    GROUPS: ClassVar[Groups] = {
        "Everyday": ("scale", "stages"),
        "Networks": (
            "network",
            "channels",
            "blocks",
            "depth",
            "groups",
            "heads",
            "window",
            "tail",
            "shrink",
            "discriminator",
            "discriminator_channels",
            "spectral_norm",
        ),
        "Losses": (
            "pixel_share",
            "pixel",
            "pixel_weight",
            "second_pixel_weight",
            "perceptual_weight",
            "perceptual",
            "perceptual_layers",
            "perceptual_layer",
            "perceptual_weights",
            "adversarial_weight",
            "objective",
        ),
    }

    def __post_init__(self) -> None:
        check_types(self)
        check_hed_layers(self.perceptual_layers)
        check_least(self, channels=1, blocks=1, depth=2, groups=1, heads=1, window=2, discriminator_channels=1)
        check_most(self, channels=4096, blocks=1024, depth=12, groups=64, window=64, discriminator_channels=4096)
        check_least(self, pixel_weight=0, second_pixel_weight=0, perceptual_weight=0, adversarial_weight=0, pixel_share=0)
        check_most(self, pixel_share=1)
        check_used(self, self.network in ("msrresnet", "swin"), "--network msrresnet or swin", "tail")
        check_used(self, self.network == "swin", "--network swin", "groups", "heads", "window")
        check_used(self, self.network != "swin" or self.scale > 1, "--scale above 1", "tail")
        check_used(self, self.network == "unet", "--network unet", "depth")
        check_used(self, self.network != "unet", "--network srresnet, msrresnet, compact, span or swin", "blocks")
        direct = self.network in ("compact", "span") or (self.network == "msrresnet" and self.tail == "direct")
        check_used(self, direct, "--network compact, span, or msrresnet and --tail direct", "shrink")
        if self.scale > 1 and self.network == "unet":
            raise PixlateError(f"expected --scale 1 with --network unet, got {self.scale}; choose another network to enlarge")
        if self.scale == 1 and self.network == "srresnet":
            raise PixlateError("expected --network msrresnet, compact, span, unet or swin with --scale 1, got srresnet, which enlarges; choose one of them")
        if self.network == "swin" and self.channels % self.heads:
            raise PixlateError(
                f"expected --channels to be a multiple of --heads, {self.heads}, with --network swin, got {self.channels}; --channels 60 --blocks 6 are published"
            )
        if self.window % 2:
            raise PixlateError(f"expected --window of an even number of pixels, since windows are shifted by half of it, got {self.window}; use 8")
        check_used(self, self.stages == "both", "--stages both", "pixel_share")
        if self.stages == "both" and not 0 < self.pixel_share < 1:
            raise PixlateError(f"expected --pixel-share between 0 and 1, got {self.pixel_share}; use --stages pixel or adversarial for one stage alone")
        second = ("second_pixel_weight", "perceptual_weight", "adversarial_weight", "objective", "discriminator", "discriminator_channels", "spectral_norm")
        check_used(self, self.second, "--stages both or adversarial", *second)
        check_used(self, self.discriminator != "unet", "--discriminator srgan, patch or multi-scale", "spectral_norm")
        check_used(
            self,
            self.second and self.perceptual_weight > 0,
            "--perceptual-weight above 0",
            "perceptual",
            "perceptual_layer",
            "perceptual_weights",
            "perceptual_layers",
        )
        check_used(self, self.perceptual == "vgg19", "--perceptual vgg19", "perceptual_layer", "perceptual_weights")
        check_used(self, self.perceptual == "hed", "--perceptual hed", "perceptual_layers")
        check_used(self, self.stages != "adversarial", "--stages both or pixel", "pixel_weight")
        if self.second and not self.perceptual_weight and not self.second_pixel_weight:
            raise PixlateError(
                "expected --perceptual-weight or --second-pixel-weight above 0, got 0 for both: nothing would tie pictures to their targets; add one of them"
            )

    @property
    def second(self) -> bool:
        """Whether there is a second stage."""
        return self.stages != "pixel"


@dataclass(frozen=True)
class SRGANTraining(TrainingOptions):
    """A million steps at 1e-4 for the first stage; 100,000 at 1e-4 and 100,000 at 1e-5 for the second."""

    steps: int = 1_200_000
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "step"
    milestones: tuple[float, ...] = (11 / 12,)
    average_decay: float = 0.0


@dataclass(frozen=True)
class SRGANData(DegradedOptions):
    """Targets of 96x96 pixels at scale 4."""

    patch: int = 24
