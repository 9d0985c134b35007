"""The size of an output that a user asks for, in proportion to its source."""

import math
from dataclasses import dataclass

from pixlate.errors import PixlateError

LARGEST_SCALE = 64
"""Most times that an output may be as wide and high as its source."""
LARGEST_SIDE = 1_000_000
"""Most pixels of a side."""
LARGEST_MEGAPIXELS = 100_000
_KINDS = (("scale",), ("width", "height"), ("long_side",), ("megapixels",))
_WORDS = "--scale, --width with or without --height, --long-side and --megapixels"


@dataclass(frozen=True)
class OutputSize:
    """What is asked of the sizes of outputs: one kind of it, or nothing, where they have the size that the model gives."""

    scale: float | None = None
    """Of the source."""
    width: int | None = None
    """In pixels; with a height both are the most that is allowed."""
    height: int | None = None
    long_side: int | None = None
    """Of width and height, in pixels."""
    megapixels: float | None = None

    def __post_init__(self) -> None:
        given = [kind for kind in _KINDS if any(getattr(self, name) is not None for name in kind)]
        if len(given) > 1:
            named = [next(name for name in kind if getattr(self, name) is not None) for kind in given]
            raise PixlateError(f"expected one of {_WORDS}, got {' and '.join(_flag(name) for name in named)}; leave one out")
        for name, most in (("scale", LARGEST_SCALE), ("megapixels", LARGEST_MEGAPIXELS)):
            value = getattr(self, name)
            if value is not None and not 0 < value <= most:
                raise PixlateError(f"expected {_flag(name)} above 0 and of at most {most}, got {value:g}; choose one in between")
        for name in ("width", "height", "long_side"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= LARGEST_SIDE:
                raise PixlateError(f"expected {_flag(name)} from 1 to {LARGEST_SIDE} pixels, got {value}; choose one in between")

    def factor(self, width: int, height: int) -> float | None:
        """Return the sides of the output over those of a source; None where nothing is asked."""
        if self.scale is not None:
            return float(self.scale)
        if self.long_side is not None:
            return self.long_side / max(width, height)
        if self.megapixels is not None:
            return math.sqrt(self.megapixels * 1e6 / (width * height))
        return min((asked / side for asked, side in ((self.width, width), (self.height, height)) if asked is not None), default=None)

    def of(self, width: int, height: int) -> tuple[int, int] | None:
        """Return width and height of the output of a source; None where nothing is asked. Proportions are kept, to the nearest pixel, and no side is below 1."""
        factor = self.factor(width, height)
        return None if factor is None else (max(1, math.floor(width * factor + 0.5)), max(1, math.floor(height * factor + 0.5)))

    @property
    def given(self) -> dict[str, str]:
        """What is asked, by the names of its options; empty where nothing is."""
        return {name: f"{float(value):.12g}" for kind in _KINDS for name in kind if (value := getattr(self, name)) is not None}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
