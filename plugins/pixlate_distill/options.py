"""Options of distillation: the student, its training, and what it learns from."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options import DegradedOptions, Groups, TrainingOptions, check_hed_layers, check_least, check_most, check_types, check_used


@dataclass(frozen=True)
class DistillOptions:
    """The student, whose scale is that of the teacher over ``--reduce``, and what it minimises."""

    network: Literal["msrresnet", "compact", "span", "unet"] = "compact"
    """The student: msrresnet has residual blocks; compact (Real-ESRGAN's for video) and span (Wan et al. 2024) are faster; unet, at scale 1, sees the whole picture."""
    channels: int = 64
    """Feature maps of the student."""
    blocks: int = 16
    """Residual blocks of msrresnet, convolutions of compact, blocks of span."""
    depth: int = 6
    """Halvings of the unet."""
    tail: Literal["staged", "direct"] = "staged"
    """How msrresnet reaches full size: staged pixel shuffles, or one direct shuffle, which is faster."""
    shrink: Literal[1, 2] = 1
    """2 computes at half the height and width, with a quarter of the arithmetic; msrresnet needs --tail direct for it."""
    teacher_weight: float = 1.0
    """Weight of the mean absolute difference from the teacher's picture, on images in [-1, 1]."""
    truth_weight: float = 0.0
    """Weight of the same difference from the photograph, of which the source is a reduced or degraded copy."""
    perceptual_weight: float = 0.0
    """Weight of the distance from the teacher's picture in features of HED's trunk, whose weights come with pixlate[edges]; 1 is about as strong as the pixel loss."""
    perceptual_layers: tuple[str, ...] = ("conv2_2", "conv3_3", "conv4_3")
    """Layers of HED's trunk whose features are compared, conv1_1 to conv5_3."""
    adversarial_weight: float = 0.0
    """Weight of the adversarial loss against a discriminator to which the teacher's pictures are the real ones; 0 trains none."""
    discriminator: Literal["unet", "patch"] = "unet"
    """unet judges each pixel, under spectral norm (Real-ESRGAN); patch is a PatchGAN, which judges each 70x70 pixels."""
    discriminator_channels: int = 64
    """Feature maps after the discriminator's first convolution."""
    GROUPS: ClassVar[Groups] = {
        "Networks": ("network", "channels", "blocks", "depth", "tail", "shrink", "discriminator", "discriminator_channels"),
        "Losses": ("teacher_weight", "truth_weight", "perceptual_weight", "perceptual_layers", "adversarial_weight"),
    }

    def __post_init__(self) -> None:
        check_types(self)
        check_hed_layers(self.perceptual_layers)
        check_least(self, channels=1, blocks=1, depth=2, discriminator_channels=1)
        check_most(self, channels=4096, blocks=1024, depth=12, discriminator_channels=4096)
        check_least(self, teacher_weight=0, truth_weight=0, perceptual_weight=0, adversarial_weight=0)
        check_used(self, self.network == "msrresnet", "--network msrresnet", "tail")
        check_used(self, self.network == "unet", "--network unet", "depth")
        check_used(self, self.network != "unet", "--network msrresnet, compact or span", "blocks")
        direct = self.network in ("compact", "span") or (self.network == "msrresnet" and self.tail == "direct")
        check_used(self, direct, "--network compact, span, or msrresnet and --tail direct", "shrink")
        check_used(self, self.perceptual_weight > 0, "--perceptual-weight above 0", "perceptual_layers")
        check_used(self, self.adversarial_weight > 0, "--adversarial-weight above 0", "discriminator", "discriminator_channels")
        if not self.teacher_weight and not self.perceptual_weight:
            raise PixlateError(
                "expected --teacher-weight or --perceptual-weight above 0, got 0 for both: the student would not learn from its teacher; raise one of them"
            )


@dataclass(frozen=True)
class DistillTraining(TrainingOptions):
    """200,000 steps, with a learning rate that falls as a cosine."""

    steps: int = 200_000
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "cosine"


@dataclass(frozen=True)
class DistillData(DegradedOptions):
    """Photographs of which the teacher sees reduced or degraded copies; its pictures are computed once and cached."""

    teacher: str = ""
    """Model to learn from: a ready model's name, or the path of a model file that convert opens."""
    reduce: int = 1
    """Factor by which the teacher's pictures are reduced, averaged over areas: a teacher of scale 4 with --reduce 4 teaches restoration at scale 1."""
    teacher_sees: Literal["source", "clean"] = "source"
    """source: the teacher gets the degraded source, as the student does, and what it repairs is learnt; clean: the reduced photograph before its degradation, for a
    teacher that repairs nothing, so that the student learns to repair as well."""
    crops: int = 4
    """Crops of each photograph that the teacher translates; 0 takes whole photographs, in tiles: for a fast teacher, since one of minutes a megapixel would take days."""
    crop_side: int = 128
    """Height and width of these crops, in source pixels."""
    variants: int = 1
    """Copies of each crop, degraded each with random numbers of its own."""
    cache_folder: str = ""
    """Folder of the teacher's pictures, which runs with the same teacher, photographs and options share; by default distill/ in the user's cache folder."""
    GROUPS: ClassVar[Groups] = {"The teacher": ("teacher", "reduce", "teacher_sees", "crops", "crop_side", "variants", "cache_folder")}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, reduce=1, crops=0, crop_side=8, variants=1)
        check_most(self, reduce=64, crops=2**16, crop_side=2**15, variants=2**16)
        check_used(self, self.crops > 0, "--crops above 0", "crop_side")
        if self.transforms:
            raise PixlateError("expected no --transforms, got some: the teacher's pictures are cached before them; use --variants and a degradation")
        if self.crops and self.crop_side < self.patch:
            raise PixlateError(f"expected --crop-side of at least --patch, {self.patch}, got {self.crop_side}; raise it or lower --patch")
