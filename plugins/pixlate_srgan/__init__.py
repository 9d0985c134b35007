"""SRGAN: super-resolution, with ready models that enlarge (``upscale-x2``, ``upscale-x4``, ``photo-x4``, ``photo-x2``) and restore (``clean``, ``brighten``)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pixlate

if TYPE_CHECKING:
    from torch import Tensor

    from pixlate_srgan.model import SRGAN
    from pixlate_srgan.options import SRGANOptions

PIXLATE_API = 2


def build(options: "SRGANOptions", facts: Mapping[str, Any] | None = None) -> "SRGAN":
    """Return untrained networks, for what the data kind finds; PyTorch is imported only here."""
    from pixlate_srgan.model import SRGAN

    return SRGAN(options, facts or {})


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``srgan``."""
    from pixlate_srgan.options import SRGANData, SRGANOptions, SRGANTraining

    yield pixlate.Method(
        name="srgan",
        summary="Super-resolution: first on pixel loss, then against a discriminator",
        data=replace(pixlate.degraded, options=SRGANData),
        options=SRGANOptions,
        build=build,
        training=SRGANTraining,
        presets={name: Path(__file__).parent / "presets" / f"{name}.toml" for name in ("paper", "real", "fidelity", "small-data", "quick")},
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
    summaries = {
        "upscale-x2": "enlarges clean, sharp pictures 2 times",
        "upscale-x4": "enlarges clean, sharp pictures 4 times",
        "photo-x4": "enlarges phone and web photographs 4 times",
        "photo-x2": "enlarges phone and web photographs 2 times",
        "clean": "removes JPEG blocks and noise from photographs",
        "brighten": "lifts dark photographs and removes their noise",
    }
    for name, summary in summaries.items():
        earlier = {1: folder / "earlier/upscale-x4@1.onnx"} if name == "upscale-x4" else {}
        yield pixlate.ModelCard(name, summary, folder / f"{name}.onnx", folder / f"{name}.md", version=1 + len(earlier), earlier=earlier)
