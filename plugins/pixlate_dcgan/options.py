"""Options of DCGAN, and its data kind: folders of images, each with noise to draw one from. No PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Literal

import pixlate
from pixlate.errors import PixlateError
from pixlate.options import FolderOptions, Groups, TrainingOptions, check_least, check_most, check_types, check_used
from pixlate.plugin.data import TrainingData

SIDES = tuple(2**power for power in range(3, 11))
"""Sides that pictures may have, in pixels: the 4x4 that the generator begins with, doubled."""


@dataclass(frozen=True)
class DCGANOptions:
    """Networks of strided and transposed convolutions alone; the defaults are the published ones (Radford et al. 2016, section 3)."""

    channels_out: int = 3
    """Channels of the pictures: 1 grey, 3 RGB, up to 16 from TIFF or .npy files."""
    latent: int = 100
    """Numbers of noise that a picture is drawn from."""
    channels: int = 64
    """Feature maps before the generator's last convolution, which double with each halving of the side; 64 as in the authors' code, the paper's figure has 128."""
    discriminator_channels: int = 64
    """Feature maps after the discriminator's first convolution, which double likewise."""
    discriminator_norm: Literal["batch", "instance", "group", "none"] = "batch"
    """Normalisation in the discriminator."""
    objective: Literal["vanilla", "least-squares", "hinge", "wasserstein", "relativistic"] = "vanilla"
    """Adversarial loss."""
    smoothing: float = 0.0
    """Amount subtracted from the discriminator's target of 1 for real pictures (one-sided label smoothing)."""
    gradient_penalty: float = 0.0
    """Weight of the penalty on gradients between real and generated pictures (WGAN-GP); 10 is usual with wasserstein."""
    r1: float = 0.0
    """Weight of the penalty on the discriminator's gradients at real pictures."""
    r2: float = 0.0
    """Weight of the penalty on the discriminator's gradients at generated pictures."""
    GROUPS: ClassVar[Groups] = {
        "Networks": ("channels_out", "latent", "channels", "discriminator_channels", "discriminator_norm"),
        "Losses": ("objective", "smoothing", "gradient_penalty", "r1", "r2"),
    }

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, channels_out=1, latent=1, channels=1, discriminator_channels=1, smoothing=0, gradient_penalty=0, r1=0, r2=0)
        check_most(self, channels_out=16, latent=2**16, channels=4096, discriminator_channels=4096, smoothing=0.5)
        check_used(self, self.objective in ("vanilla", "least-squares"), "--objective vanilla or least-squares", "smoothing")
        if self.objective == "wasserstein" and not self.gradient_penalty:
            raise PixlateError("expected --gradient-penalty with --objective wasserstein, got none; add --gradient-penalty 10 --discriminator-norm none")
        if (self.gradient_penalty or self.r1 or self.r2) and self.discriminator_norm == "batch":
            raise PixlateError(
                "expected --discriminator-norm instance, group or none with --gradient-penalty, --r1 or --r2, got batch, which mixes the pictures whose "
                "gradients are penalised; add --discriminator-norm none"
            )


@dataclass(frozen=True)
class DCGANTraining(TrainingOptions):
    """25 epochs of batches of 128 at a constant 2e-4, beta1 0.5, and no averaged weights."""

    steps: int = 0
    epochs: int = 25
    batch: int = 128
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "constant"
    average_decay: float = 0.0


@dataclass(frozen=True)
class ImagesOptions(FolderOptions):
    """Pictures without augmentation, as published: the shorter side at --resize, and a square of --patch of them."""

    patch: int = 64
    resize: int = 64
    keep_aspect: bool = True
    mirror: bool = False
    hold_out: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch not in SIDES:
            raise PixlateError(f"expected --patch, the side of what is drawn, to be one of {', '.join(map(str, SIDES))}, got {self.patch}; choose one of these")


def _open(folders: Sequence[Path], options: ImagesOptions, spec: pixlate.ModelSpec) -> TrainingData:
    """Return the images with noise of the length that the model takes."""
    images: TrainingData = import_module("pixlate_dcgan.images").NoisyImages(folders, options, spec)
    return images


IMAGES = pixlate.DataKind(
    name="images",
    summary="One or several folders of images of what is to be drawn",
    example="faces/",
    options=ImagesOptions,
    open=_open,
    roles={"target": "image", "noise": "noise"},
    facts=lambda folders, options: {"side": options.patch},
)
"""An image, and noise that has nothing to do with it; the networks are made for the side of the images."""
