"""DCGAN: pictures drawn from noise alone, with the losses of WGAN-GP and R3GAN as presets."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pixlate

if TYPE_CHECKING:
    from pixlate_dcgan.model import DCGAN
    from pixlate_dcgan.options import DCGANOptions

PIXLATE_API = 2


def build(options: "DCGANOptions", facts: Mapping[str, Any] = MappingProxyType({})) -> "DCGAN":
    """Return untrained networks for pictures of the side in ``facts``; PyTorch is imported only here."""
    from pixlate_dcgan.model import DCGAN

    return DCGAN(options, facts)


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``dcgan``."""
    from pixlate_dcgan.options import IMAGES, DCGANOptions, DCGANTraining

    yield pixlate.Method(
        name="dcgan",
        summary="Pictures drawn from noise, like those of a folder",
        data=IMAGES,
        options=DCGANOptions,
        build=build,
        training=DCGANTraining,
        presets={name: Path(__file__).parent / "presets" / f"{name}.toml" for name in ("wgan-gp", "r3gan", "quick")},
    )
