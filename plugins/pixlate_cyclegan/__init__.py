"""CycleGAN: translation learnt from two sets of images, with the ready models ``day-to-night`` and ``night-to-day``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from torch import Tensor

    from pixlate_cyclegan.model import CycleGAN
    from pixlate_cyclegan.options import CycleGANOptions

PIXLATE_API = 2


def build(options: "CycleGANOptions") -> "CycleGAN":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_cyclegan.model import CycleGAN

    return CycleGAN(options)


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``cyclegan``."""
    from pixlate_cyclegan.options import CycleGANOptions, CycleGANTraining

    yield pixlate.Method(
        name="cyclegan",
        summary="Translation learnt from two sets of images that need not show the same",
        data=pixlate.unpaired,
        options=CycleGANOptions,
        build=build,
        training=CycleGANTraining,
        presets={name: Path(__file__).parent / "presets" / f"{name}.toml" for name in ("paper", "small-data", "quick", "r3gan", "uvcgan")},
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
    summaries = {
        "day-to-night": "grades photographs taken by day as if at night",
        "night-to-day": "undoes day-to-night; for real nights: brighten",
    }
    for name, summary in summaries.items():
        earlier = {1: folder / f"earlier/{name}@1.onnx"}
        yield pixlate.ModelCard(name, summary, folder / f"{name}.onnx", folder / "day-to-night.md", version=2, earlier=earlier)
