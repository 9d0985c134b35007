"""Options of CycleGAN."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options import AdversarialOptions, AdversarialTraining, GeneratorName, Groups, check_least, since


@dataclass(frozen=True)
class CycleGANOptions(AdversarialOptions):
    """Two ResNet-9 generators with instance norm against two 70x70 PatchGANs, least squares; the defaults are the published ones (Zhu et al. 2017)."""

    generator: GeneratorName = "resnet"
    norm: Literal["batch", "instance", "group", "none"] = "instance"
    dropout: float = 0.0
    discriminator_norm: Literal["batch", "instance", "group", "none"] = "instance"
    objective: Literal["vanilla", "least-squares", "hinge", "wasserstein", "relativistic"] = "least-squares"
    cycle_weight: float = 10.0
    """Weight of the mean absolute difference of an image from its translation there and back, on images in [-1, 1]."""
    cycle_weight_target: float | None = None
    """The same for targets, which become sources and targets again; by default --cycle-weight is that of both directions."""
    identity_weight: float = 5.0
    """Weight of the mean absolute difference that a generator makes to images already of its domain; the weight itself, not a share of --cycle-weight."""
    order: Literal["generators-first", "discriminators-first"] = since("generators-first", before="discriminators-first")
    """Which networks a step updates first; generators-first is as published, and shows the discriminators the images made before that update."""
    GROUPS: ClassVar[Groups] = {"Losses": ("cycle_weight", "cycle_weight_target", "identity_weight", "order")}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, cycle_weight=0, identity_weight=0)
        if self.cycle_weight_target is not None:
            check_least(self, cycle_weight_target=0)
        if self.identity_weight and self.channels_in != self.channels_out:
            message = f"expected --identity-weight 0 where --channels-in, {self.channels_in}, is not --channels-out, {self.channels_out}"
            raise PixlateError(f"{message}, got {self.identity_weight}; set it to 0")


@dataclass(frozen=True)
class CycleGANTraining(AdversarialTraining):
    """A pool of 50 images that were generated before, as published."""

    pool: int = 50
