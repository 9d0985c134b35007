"""What is measured, and against what; no PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pixlate.errors import PixlateError
from pixlate.options.checks import check_least, check_types

Score = Literal["reconstruction", "discriminator", "features"]
SCORES: tuple[Score, ...] = get_args(Score)


@dataclass(frozen=True)
class AnomalyOptions:
    """How pictures are scored."""

    score: tuple[Score, ...] = ()
    """What is measured, once for each: reconstruction (how far a picture is from what the run gives back), discriminator (how unreal it looks to the run's discriminator) or features (how far both are apart inside a network); by default all that the run has."""
    features: Literal["generator", "hed"] = "generator"
    """Network whose features are compared: the run's own generator, or hed (extra [edges])."""
    good: Path | None = None
    """Folder of good pictures that the run was not trained on; they set the threshold."""
    quantile: float = 0.99
    """Share of the good pictures that are below the threshold."""
    deviations: float = 0.0
    """Threshold so many standard deviations above the mean of the good pictures, instead of --quantile; 3 is usual."""
    batch: int = 8
    """Most pictures of one size that are measured together."""
    tile: int = 512
    """Side of the tiles that larger pictures are measured in, in pixels; 0 measures each whole."""
    device: str = "auto"
    """Where the networks run: auto, cpu, cuda, cuda:N or mps. A device named explicitly is used or refused."""
    best: bool = False
    """Take the checkpoint that validated best instead of the newest."""
    plugin: Path | None = None
    """The single file whose method the run trained, where it was started with one."""

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, batch=1, tile=0, deviations=0)
        if len({*self.score}) < len(self.score):
            raise PixlateError(f"expected each --score once, got {' '.join(self.score)}; leave one out")
        if not 0 < self.quantile <= 1:
            raise PixlateError(f"expected --quantile above 0 and up to 1, got {self.quantile:g}; 0.99 is usual")
        if self.deviations and self.quantile != type(self).quantile:
            raise PixlateError(f"expected --quantile or --deviations, got {self.quantile:g} and {self.deviations:g}; leave one out")
        if self.good is None and (self.deviations or self.quantile != type(self).quantile):
            raise PixlateError("expected --good with a folder of good pictures, by which the threshold is set, got none; name one")
