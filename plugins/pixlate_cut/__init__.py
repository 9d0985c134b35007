"""CUT: translation learnt from two sets of images, one way (Park et al. 2020)."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from pixlate_cut.model import CUT
    from pixlate_cut.options import CUTOptions

PIXLATE_API = 2


def build(options: "CUTOptions") -> "CUT":
    """Return untrained networks; PyTorch is imported only here."""
    from pixlate_cut.model import CUT

    return CUT(options)


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``cut``."""
    from pixlate_cut.options import CUTOptions, CUTTraining

    yield pixlate.Method(
        name="cut",
        summary="Translation learnt from two sets of images, one way, with one generator",
        data=pixlate.unpaired,
        options=CUTOptions,
        build=build,
        training=CUTTraining,
        presets={name: Path(__file__).parent / "presets" / f"{name}.toml" for name in ("paper", "fastcut", "small-data", "quick")},
    )
