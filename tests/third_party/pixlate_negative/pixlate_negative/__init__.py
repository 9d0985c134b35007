"""A plugin as somebody else would write it: a model format of its own, a ready model in it, and a command."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import pixlate

if TYPE_CHECKING:
    from cyclopts import App

    from pixlate.images.picture import Pixels


class Negative:
    """Turns every level into its opposite."""

    spec = pixlate.ModelSpec(method="negative", tiling_exact=True, halo=0)
    device = "cpu"

    def __call__(self, pixels: "Pixels | None", **conditions: object) -> "Pixels":
        """Translate pixels of any depth."""
        assert pixels is not None
        opposite: Pixels = np.bitwise_not(pixels)
        return opposite


@pixlate.hookimpl
def pixlate_models() -> Iterable[pixlate.ModelCard]:
    """Offer ``negative``."""
    yield pixlate.ModelCard(name="negative", summary="the negative of a picture", path=Path(__file__).parent / "negative.model")


@pixlate.hookimpl
def pixlate_open_model(path: Path, device: str) -> pixlate.Translator | None:
    """Open ``*.model``."""
    return Negative() if path.suffix == ".model" else None


def hello() -> int:
    """Say hello."""
    print("hello from a plugin")
    return 0


@pixlate.hookimpl
def pixlate_commands(app: "App") -> None:
    """Add ``pixlate hello``."""
    app.command(hello)
