"""StarGAN v2: one generator for several domains, whose style comes from noise or from a reference picture."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pixlate

if TYPE_CHECKING:
    from pixlate_stargan.model import StarGAN
    from pixlate_stargan.options import StarGANOptions

PIXLATE_API = 2


def build(options: "StarGANOptions", facts: Mapping[str, Any]) -> "StarGAN":
    """Return untrained networks for the domains and the side that the facts name; PyTorch is imported only here."""
    from pixlate_stargan.model import StarGAN

    return StarGAN(options, tuple(facts["domains"]), facts["side"])


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``stargan``."""
    from pixlate_stargan.data import DOMAINS
    from pixlate_stargan.options import StarGANOptions, StarGANTraining

    yield pixlate.Method(
        name="stargan",
        summary="One generator for several domains, with styles from noise or from a picture",
        data=DOMAINS,
        options=StarGANOptions,
        build=build,
        training=StarGANTraining,
        presets={"quick": Path(__file__).parent / "presets/quick.toml"},
    )
