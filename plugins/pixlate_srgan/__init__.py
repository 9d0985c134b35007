"""SRGAN: super-resolution, with the ready models ``upscale-x2`` and ``upscale-x4``."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pixlate
from pixlate_srgan.options import SRGANData, SRGANOptions, SRGANTraining

if TYPE_CHECKING:
    from torch import Tensor

    from pixlate_srgan.model import SRGAN

PIXLATE_API = 2


def build(options: SRGANOptions) -> "SRGAN":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_srgan.model import SRGAN

    return SRGAN(options)


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``srgan``."""
    yield pixlate.Method(
        name="srgan",
        summary="Super-resolution: first on pixel loss, then against a discriminator",
        data=replace(pixlate.degraded, options=SRGANData),
        options=SRGANOptions,
        build=build,
        training=SRGANTraining,
    )


@pixlate.hookimpl
def pixlate_import_checkpoint(state: "Mapping[str, Tensor]", options: "pixlate.ImportOptions") -> "pixlate.ForeignGenerator | None":
    """Recognise BasicSR's MSRResNet and the generator of leftthomas/SRGAN."""
    from pixlate_srgan.foreign import import_basicsr, import_leftthomas

    return import_basicsr(state) or import_leftthomas(state)


@pixlate.hookimpl
def pixlate_models() -> "Iterable[pixlate.ModelCard]":
    """Offer the models trained by ``recipes/``."""
    folder = Path(__file__).parent / "models"
    for scale in (2, 4):
        name = f"upscale-x{scale}"
        yield pixlate.ModelCard(name, f"enlarges photographs {scale} times", folder / f"{name}.onnx", folder / f"{name}.md")
