"""Pix2Pix: translation learnt from pairs, with the ready model ``colour-drawing``, and ``sketch-to-photo`` as a demonstration."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from torch import Tensor

    from pixlate_pix2pix.model import Pix2Pix
    from pixlate_pix2pix.options import Pix2PixOptions

PIXLATE_API = 2


def build(options: "Pix2PixOptions") -> "Pix2Pix":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_pix2pix.model import Pix2Pix

    return Pix2Pix(options)


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``pix2pix``."""
    from pixlate.options import AdversarialTraining
    from pixlate_pix2pix.options import Pix2PixOptions

    yield pixlate.Method(
        name="pix2pix",
        summary="Translation learnt from pairs: sources and targets that show the same",
        data=pixlate.paired,
        options=Pix2PixOptions,
        build=build,
        training=AdversarialTraining,
        presets={name: Path(__file__).parent / "presets" / f"{name}.toml" for name in ("paper", "small-data", "quick", "r3gan", "masked")},
    )


@pixlate.hookimpl
def pixlate_import_checkpoint(state: "Mapping[str, Tensor]", options: "pixlate.ImportOptions") -> "pixlate.ForeignGenerator | None":
    """Recognise the U-Net of pytorch-CycleGAN-and-pix2pix."""
    from pixlate_pix2pix.foreign import import_unet

    return import_unet(state, options)


@pixlate.hookimpl
def pixlate_models() -> "Iterable[pixlate.ModelCard]":
    """Offer the models trained by ``recipes/``."""
    folder = Path(__file__).parent / "models"
    summaries = {
        "colour-drawing": "colours line drawings, on screen or on paper",
        "sketch-to-photo": "colours edges that a filter found in a photo",
    }
    for name, summary in summaries.items():
        yield pixlate.ModelCard(name, summary, folder / f"{name}.onnx", folder / f"{name}.md", demonstration=name == "sketch-to-photo", drawings=True)
