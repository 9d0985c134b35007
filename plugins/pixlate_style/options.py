"""Options of style transfer, of its training and of its data."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.options import FolderOptions, Groups, TrainingOptions, check_least, check_most, check_types


@dataclass(frozen=True)
class StyleOptions:
    """A ResNet of five blocks with instance norm, and losses on features of HED's trunk; the network is that of the paper and its code (Johnson et al. 2016)."""

    style: str = ""
    """Picture whose style is learned; the run keeps it, so that resuming and exporting need no file."""
    style_size: int = 256
    """Side, in pixels, at which that picture is seen: its shorter side is resized to this, and the square in its middle is taken. Smaller ones give finer strokes."""
    channels: int = 32
    """Feature maps of the generator after the first convolution."""
    blocks: int = 5
    """Residual blocks of the generator."""
    skip: bool = False
    """Whether the generator adds its input to what it makes, so that photographs keep their content from the start; unlike the published one, for short runs."""
    content_weight: float = 1.0
    """Weight of the mean square difference of features from the photograph's."""
    content_layer: Literal["conv1_2", "conv2_2", "conv3_3", "conv4_3"] = "conv2_2"
    """Layer of HED's trunk whose features are the content: conv2_2 is the paper's; conv3_3 is that of the published code, which has VGG16: with HED, light and dark may change places."""
    style_weight: float = 1.0
    """Weight of the mean square difference of Gram matrices from the style picture's, summed over four layers. This one is ours, measured with HED: the published 5 is for VGG16."""
    smoothness_weight: float = 1e-6
    """Weight of half the squared differences of neighbouring pixels, summed over the picture, of levels up to 255."""
    GROUPS: ClassVar[Groups] = {
        "Everyday": ("style", "style_size"),
        "Networks": ("channels", "blocks", "skip"),
        "Losses": ("content_weight", "content_layer", "style_weight", "smoothness_weight"),
    }

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, style_size=16, channels=1, blocks=1, content_weight=0, style_weight=0, smoothness_weight=0)
        check_most(self, style_size=4096, channels=4096, blocks=1024)


@dataclass(frozen=True)
class StyleTraining(TrainingOptions):
    """Two passes over the photographs, 4 a step, at 1e-3."""

    steps: int = 0
    epochs: int = 2
    batch: int = 4
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "constant"
    average_decay: float = 0.0


@dataclass(frozen=True)
class PhotographOptions(FolderOptions):
    """Photographs of any kind, 80,000 of COCO in the paper, whole, at 256x256."""

    resize: int = 256
    mirror: bool = False
