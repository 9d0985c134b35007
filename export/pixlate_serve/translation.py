"""From an upload to pixels and from pixels to an answer, by the code that converts folders; runs in the threads of the pool."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pixlate.errors import OverLimit, PixlateError, Unsupported
from pixlate.images import ImageFile, Picture, to_srgb, unsupported
from pixlate.images.formats import BUILT_IN, SNIFFED, named, recognised, writable
from pixlate.images.picture import Pixels
from pixlate.images.write import encode_picture
from pixlate.inference.conditions import hole_of
from pixlate.inference.pictures import from_model, refuse_colour, with_origin
from pixlate.plugin.spec import ModelSpec
from pixlate_serve.refusals import Refusal, too_large_for_memory

ANY_SIZE = 2**62
"""A limit that lets every header pass; the server refuses with its own limit."""
FORMATS = {suffix: format for suffix, format in BUILT_IN.items() if format.media_type}
"""Suffix -> format, of those that uploads and answers may have."""
MAX_PIXELS = "Pixlate-Max-Pixels"
"""Header of a refusal with the pixels of the largest picture that the model is given now."""


@dataclass(frozen=True, eq=False)
class Answer:
    """An encoded picture."""

    data: bytes
    format: str
    notes: tuple[str, ...]


def opened(data: bytes, max_pixels: int, allowed: int) -> ImageFile:
    """Return an upload whose header is read.

    Args:
        data: The upload.
        max_pixels: The largest picture that this model is given now.
        allowed: The largest that any is given.

    Raises:
        Refusal: 415 no image, or of an unsupported kind, 422 a damaged header, 413 too many pixels, or over another limit.
    """
    if recognised(data[:SNIFFED], FORMATS) is None:
        titles = [known.title for known in named(FORMATS).values()]
        kind, advice = unsupported.named(data[: unsupported.LONGEST])
        got = f"{kind or 'bytes that are none of them'}; {advice or 'convert the picture first'}"
        raise Refusal(415, "no_image", f"expected {', '.join(titles[:-1])} or {titles[-1]}, got {got}")
    with _refused("damaged"):
        file = ImageFile(data, max_pixels=ANY_SIZE, formats=FORMATS)
        width, height = file.size
    if width * height > max_pixels:
        size = f"{width} x {height} = {width * height / 1e6:.6g} million"
        why = "" if max_pixels == allowed else ", which is what this model does in the time and memory that the server gives it"
        sentence = f"expected at most {max_pixels / 1e6:.6g} million pixels{why}, got {size}; send a smaller picture"
        raise Refusal(413, "too_many_pixels", sentence, {MAX_PIXELS: str(max_pixels)})
    file.max_pixels = max_pixels
    return file


def require_sides(file: ImageFile, format: str, scale: int) -> None:
    """Refuse with 422 an answer that a format does not hold, before there is one."""
    width, height = (side * scale for side in file.size)
    chosen = writable(format, FORMATS)
    if chosen.longest_side and max(width, height) > chosen.longest_side:
        sides = f"sides of at most {chosen.longest_side} pixels in {chosen.title}"
        raise Refusal(422, "too_long", f"expected {sides}, the answer would have {width} x {height}; add ?format=png")


def decoded(file: ImageFile, spec: ModelSpec) -> Picture:
    """Return the picture of an upload, and close it.

    Raises:
        Refusal: 415 of an unsupported kind, 422 damaged or not what the model takes, 413 over a limit or too large for the memory.
    """
    with _refused("damaged"), file:
        picture = file.read(spec.channels_in)
    with _refused("wrong_colours"):
        refuse_colour(picture, spec)
    return picture


def split_hole(picture: Picture, mask: str) -> tuple[Picture, dict[str, Pixels]]:
    """Return an opaque picture, and the mask of that name for a model that fills: what was transparent, uint8 (height, width, 1).

    Raises:
        Refusal: 422, nothing is transparent, or everything.
    """
    with _refused("no_mask"):
        hole = hole_of(picture.alpha)
    return replace(picture, alpha=None), {mask: hole}


def encoded(
    output: Pixels, source: Picture, spec: ModelSpec, format: str, quality: int, strip_metadata: bool, strength: float = 1.0, system: str = ""
) -> Answer:
    """Return the file of a translated picture, which has so much of the model in it, and says what system made it.

    Raises:
        Refusal: 422 where the format does not take it, 413 where it is too large for the memory.
    """
    with _refused("not_writable"):
        picture = from_model(output, source, spec)
        picture = to_srgb(picture) if strip_metadata else with_origin(picture, spec, strength, system)
        data, notes = encode_picture(picture, format, quality=quality)
    return Answer(data, format, (*picture.notes, *notes))


@contextmanager
def _refused(code: str) -> Iterator[None]:
    """Turn what the conversion refuses into an answer."""
    try:
        yield
    except MemoryError as error:
        raise too_large_for_memory() from error
    except Unsupported as error:
        raise Refusal(415, "unsupported", str(error)) from error
    except OverLimit as error:
        raise Refusal(413, "over_limit", str(error)) from error
    except PixlateError as error:
        if isinstance(error.__cause__, MemoryError):
            raise too_large_for_memory() from error
        raise Refusal(422, code, str(error)) from error
