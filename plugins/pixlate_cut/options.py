"""Options of CUT."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options import AdversarialOptions, AdversarialTraining, GeneratorName, Groups, check_least, check_most


@dataclass(frozen=True)
class CUTOptions(AdversarialOptions):
    """An anti-aliased ResNet-9 with instance norm against an anti-aliased PatchGAN, least squares, and PatchNCE; the defaults are the published ones (Park et al. 2020)."""

    generator: GeneratorName = "resnet"
    norm: Literal["batch", "instance", "group", "none"] = "instance"
    dropout: float = 0.0
    antialias: bool = True
    discriminator_norm: Literal["batch", "instance", "group", "none"] = "instance"
    initialisation: Literal["normal", "xavier", "kaiming", "orthogonal"] = "xavier"
    objective: Literal["vanilla", "least-squares", "hinge", "wasserstein", "relativistic"] = "least-squares"
    nce_weight: float = 1.0
    """Weight of PatchNCE, by which each patch of an output is to be known among those of its source; 10 is usual without --identity-nce."""
    identity_nce: bool = True
    """Whether PatchNCE is also taken of what the generator makes of targets, which should stay as they are; the weight is then that of the mean of both."""
    flip_equivariance: bool = False
    """Whether the images of half of the steps are mirrored for the generator, and its features mirrored back (FastCUT)."""
    nce_layers: tuple[int, ...] = ()
    """Layers of the generator that are compared: 0 is the images, and each convolution or block counts one. By default, of a ResNet, those published: the images, the convolutions of the halvings, the first block and the one in the middle."""
    nce_patches: int = 256
    """Patches of each layer that are compared; fewer where a layer is smaller."""
    projection_channels: int = 256
    """Length of the vectors that patches are compared by."""
    temperature: float = 0.07
    """What similarities are divided by; a small one punishes the most similar wrong patch most."""
    GROUPS: ClassVar[Groups] = {
        "Networks": ("projection_channels",),
        "Losses": ("nce_weight", "identity_nce", "flip_equivariance", "nce_layers", "nce_patches", "temperature"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, nce_patches=2, projection_channels=1, temperature=1e-3)
        check_most(self, projection_channels=4096)
        if self.nce_weight <= 0:
            raise PixlateError(f"expected --nce-weight above 0, since nothing else ties outputs to their sources, got {self.nce_weight}; 1 is usual")
        if self.channels_in != self.channels_out:
            raise PixlateError(
                f"expected --channels-in and --channels-out to be equal, since the generator's layers compare sources with outputs, "
                f"got {self.channels_in} and {self.channels_out}; use cyclegan"
            )
        if self.generator != "resnet" and not self.nce_layers:
            raise PixlateError(f"expected --nce-layers with --generator {self.generator}, since those published are of a ResNet; name some, such as 0 1 2 3")
        if len(set(self.nce_layers)) != len(self.nce_layers) or min(self.nce_layers, default=0) < 0:
            raise PixlateError(f"expected --nce-layers of at least 0, each once, got {' '.join(map(str, self.nce_layers))}; change them")

    def compared_layers(self) -> tuple[int, ...]:
        """Return the layers that are compared, as ``features`` of the generator counts them."""
        first = 2 + self.downsamplings
        published = (0, *range(2, first), first, first + (self.blocks - 1) // 2)
        return self.nce_layers or tuple(dict.fromkeys(published))


@dataclass(frozen=True)
class CUTTraining(AdversarialTraining):
    """200 epochs at 2e-4 and 200 more down to zero, one image of each set a step."""

    epochs: int = 400
