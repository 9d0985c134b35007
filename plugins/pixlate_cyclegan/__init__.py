"""CycleGAN: translation learnt from two sets of images, with the ready models ``day-to-night`` and ``night-to-day``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pixlate
from pixlate_cyclegan.options import CycleGANOptions, CycleGANTraining

if TYPE_CHECKING:
    from torch import Tensor

    from pixlate_cyclegan.model import CycleGAN

PIXLATE_API = 2


def build(options: CycleGANOptions) -> "CycleGAN":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_cyclegan.model import CycleGAN

    return CycleGAN(options)


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``cyclegan``."""
    yield pixlate.Method(
        name="cyclegan",
        summary="Translation learnt from two sets of images that need not show the same",
        data=pixlate.unpaired,
        options=CycleGANOptions,
        build=build,
        training=CycleGANTraining,
    )


@pixlate.hookimpl
def pixlate_import_checkpoint(state: "Mapping[str, Tensor]", options: "pixlate.ImportOptions") -> "pixlate.ForeignGenerator | None":
    """Recognise the ResNets of pytorch-CycleGAN-and-pix2pix and contrastive-unpaired-translation."""
    from pixlate_cyclegan.foreign import import_resnet

    return import_resnet(state, options)


@pixlate.hookimpl
def pixlate_models() -> "Iterable[pixlate.ModelCard]":
    """Offer the models trained by ``recipes/``."""
    folder = Path(__file__).parent / "models"
    for name, summary in (("day-to-night", "gives photographs the light of night"), ("night-to-day", "gives dark photographs the light of day")):
        yield pixlate.ModelCard(name, summary, folder / f"{name}.onnx", folder / "day-to-night.md")
