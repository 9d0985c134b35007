"""What is cut out of the training images, by the data kind."""

from dataclasses import dataclass
from typing import Literal

from pixlate.errors import PixlateError
from pixlate.options.checks import check_least, check_most, check_types, check_used


@dataclass(frozen=True)
class DataOptions:
    """What every kind of training data shares."""

    patch: int = 256
    """Height and width of a source patch, in pixels."""
    hold_out: int = 10
    """Images, evenly spread over the sorted list, used for validation and never for training."""
    transforms: str = ""
    """A pipeline saved by albumentations (.json or .yaml), applied alike to the patches of a pair, before scaling to [0, 1]."""
    damaged: Literal["stop", "skip"] = "stop"
    """What to do with a file that cannot be read: stop training, or skip it with a warning that names it."""
    workers: int = 0
    """Threads that prefetch images; 0 uses the available cores, less one."""
    cache: int = 2048
    """Decoded images kept in memory, in MiB; 0 reads each one again."""

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, patch=1, hold_out=0, workers=0, cache=0)


@dataclass(frozen=True)
class DegradedOptions(DataOptions):
    """Photographs whose source is made by reducing them."""

    patch: int = 32
    rescale: tuple[float, ...] = (1.0,)
    """Sizes at which every photograph is used, as fractions of its own; smaller copies are sharper."""
    blur: float = 0.0
    """Largest standard deviation, in pixels, of a Gaussian blur of the reduced source; each image draws its own."""
    noise: float = 0.0
    """Largest standard deviation, in levels of 255, of noise on the reduced source; each image draws its own."""
    jpeg: int = 100
    """Least JPEG quality the reduced source is stored with; each image draws its own up to 100, and 100 stores none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, blur=0, noise=0, jpeg=1)
        check_most(self, jpeg=100)
        if not self.rescale or not all(0 < factor <= 1 for factor in self.rescale):
            raise PixlateError(f"expected --rescale of fractions above 0 and up to 1, got {self.rescale}; 1.0 is the photograph's own size")


@dataclass(frozen=True)
class FolderOptions(DataOptions):
    """What paired and unpaired folders, and those of plugins, share."""

    resize: int = 286
    """Height and width every image is resized to before cropping a patch; 0 keeps each image's own size."""
    keep_aspect: bool = False
    """Whether --resize is the length of the shorter side and the longer one follows."""
    mirror: bool = True
    """Whether half of the patches are flipped horizontally."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, resize=0)
        if self.resize and self.resize < self.patch:
            raise PixlateError(
                f"expected --resize of at least --patch, {self.patch}, got {self.resize}; raise it, lower --patch, or keep sizes with --resize 0"
            )
        check_used(self, self.resize > 0, "--resize", "keep_aspect")


@dataclass(frozen=True)
class PairedOptions(FolderOptions):
    """Sources and targets that show the same: side by side in one image, or in two folders by name."""

    reverse: bool = False
    """Whether the right half, or the second folder, is the source."""
    grey: bool = False
    """Whether the source is the target in grey, for colorization; the folders then hold targets alone."""
    lines: float = 0.0
    """Share of patches whose source is a line drawing made from the target; with 1 the folders hold targets alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, lines=0)
        check_most(self, lines=1)
        alone = "--grey" if self.grey else "--lines 1"
        if (self.grey or self.lines == 1) and self.reverse:
            raise PixlateError(f"expected --reverse with sources in files, got it with {alone}, which makes them from the targets; leave one of them out")
        if self.grey and self.lines:
            raise PixlateError(f"expected --grey or --lines, got both (--lines {self.lines}); leave one of them out")


@dataclass(frozen=True)
class UnpairedOptions(FolderOptions):
    """A folder of sources and a folder of targets that need not show the same."""
