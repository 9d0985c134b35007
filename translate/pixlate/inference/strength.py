"""How much of a model's output is in the result: the output blended with its source, enlarged bicubically where the model enlarges."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels, full_scale
from pixlate.options import check_strength
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate.system.text import printable

STRIP = 256
"""Source rows computed at once, so that no more than a small part of a large picture is in floating point."""
_SEEN = 2
"""Rows above and below that the bicubic kernel sees."""
NOTHING_NOTE = "strength 0 leaves nothing of the model: each output is its source, enlarged bicubically where the model enlarges"
SAME_NOTE = "the model and the one that it is blended with are the same, so each output is as without --blend-with"


def require_blendable(spec: ModelSpec) -> None:
    """Refuse a model whose outputs cannot be blended with their sources: one that draws its own images, or changes the number of channels."""
    if not spec.takes_image or spec.channels_in != spec.channels_out:
        way = f"takes {spec.channels_in} and gives {spec.channels_out}" if spec.takes_image else "takes no image"
        raise PixlateError(f"expected a model that gives as many channels as it takes for a strength below 1, got one that {way}; leave the strength out")


def blend(output: Pixels, source: Pixels, strength: float, top: int = 0) -> Pixels:
    """Return ``strength * output + (1 - strength) * source``, rounded to whole levels, of the samples as they are (encoded, not linear, light).

    Strength 1 gives the output itself, 0 the source enlarged as :func:`enlarged` does.

    Args:
        output: What the model made of the source, (height * scale, width * scale, channels) of uint8 or uint16.
        source: What it was given, (height, width, channels) of the same type.
        strength: From 0 to 1.
        top: Row of the source from which the output is, where it is only some rows of all.
    """
    if strength == 1:
        return output
    scale, share = output.shape[1] // source.shape[1], np.float32(strength)
    mixed: Pixels = np.empty_like(output)
    for channel in range(output.shape[2]):
        for rows, strip in _enlarged_strips(source[:, :, channel], scale, top, top + len(output) // scale):
            mixed[rows, :, channel] = np.rint(strip + share * (output[rows, :, channel] - strip))
    return mixed


def enlarged(plane: Pixels, scale: int, top: int = 0, bottom: int | None = None) -> Pixels:
    """Return one plane (height, width) of whole numbers, or its rows from ``top`` up to ``bottom``, enlarged bicubically (Keys 1981, a = -0.5)."""
    bottom = len(plane) if bottom is None else bottom
    if scale == 1:
        return plane[top:bottom]
    whole: Pixels = np.empty(((bottom - top) * scale, plane.shape[1] * scale), plane.dtype)
    for rows, strip in _enlarged_strips(plane, scale, top, bottom):
        whole[rows] = np.rint(strip)
    return whole


def _enlarged_strips(plane: Pixels, scale: int, top: int, bottom: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield rows of a plane, from ``top`` up to ``bottom``, enlarged bicubically.

    First which they are, counted from ``top``, then their values: floating point, not rounded, within the range of the type.
    """
    height, width = plane.shape
    for start in range(top, bottom, STRIP):
        stop = min(start + STRIP, bottom)
        rows = slice((start - top) * scale, (stop - top) * scale)
        if scale == 1:
            yield rows, plane[start:stop].astype(np.float32)
            continue
        above, below = max(0, start - _SEEN), min(height, stop + _SEEN)
        image = Image.fromarray(plane[above:below].astype(np.float32))
        strip = image.resize((width * scale, (stop - start) * scale), Image.Resampling.BICUBIC, (0, start - above, width, stop - above))
        yield rows, np.clip(np.asarray(strip), 0, full_scale(plane))


class _Blended:
    """A translator whose outputs are blended with their sources."""

    def __init__(self, translator: Translator, strength: float) -> None:
        self.spec, self.device = translator.spec, translator.device
        self._translator, self._strength = translator, strength

    def __call__(self, pixels: "Pixels | None", **conditions: NDArray[Any]) -> Pixels:
        """Translate; see :class:`pixlate.Translator`."""
        output = self._translator(pixels, **conditions)
        assert pixels is not None  # or the translator has refused it
        return np.stack([blend(made, source, self._strength) for made, source in zip(output, pixels, strict=True)])


def blended(translator: Translator, strength: float) -> Translator:
    """Return a translator whose outputs are blended with their sources, as ``convert --strength`` does.

    Args:
        translator: As from :func:`pixlate.load`.
        strength: 1 is the translator alone, 0 the source, enlarged bicubically where the model enlarges.

    Raises:
        PixlateError: The strength is not from 0 to 1, or the model changes the number of channels.
    """
    check_strength(strength, name="strength")
    if strength == 1:
        return translator
    require_blendable(translator.spec)
    return _Blended(translator, strength)


def described(strength: float | None, blend_with: str | None = None) -> str:
    """Return what is added to the name of a model, such as `` at strength 0.5``; nothing where it is used as it is. Names are as ``identified`` returns them."""
    if strength is None or (strength == 1 and blend_with is None):
        return ""
    return f"{'' if blend_with is None else f' blended with {blend_with}'} at strength {abs(strength):g}"  # abs: of -0.0


def titled(model: str, strength: float | None = None, blend_with: str | None = None, then: Sequence[str] = ()) -> str:
    """Return what makes a picture, such as ``clean@1 then photo-x4@1 at strength 0.5``: a strength is of all models, or of the weights of the first two."""
    said, later = described(strength, blend_with), "".join(f" then {each}" for each in then)
    return f"{model}{later}{said}" if blend_with is None else f"{model}{said}{later}"


def system_used(model: str, strength: float | None = None, blend_with: str | None = None, then: Sequence[str] = ()) -> str:
    """Return what a picture says made it (IPTC's AISystemUsed), such as ``Pixlate upscale-x4@2 at strength 0.5``; of paths the last names."""
    other = None if blend_with is None else Path(blend_with).name
    return printable(f"Pixlate {titled(Path(model).name, strength, other, [Path(each).name for each in then])}")
