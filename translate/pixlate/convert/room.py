"""Whether an output is written while it is translated, strip by strip, and whether one that must be whole has room in memory."""

import math

from pixlate.convert.options import ConvertOptions
from pixlate.convert.sizes import Sized
from pixlate.errors import PixlateError
from pixlate.inference.executor import Executor
from pixlate.plugin.image_format import Header, ImageFormat
from pixlate.system.memory import granted_memory

_ENCODER = 4
"""Bytes of each pixel of an output that its encoder takes beside the samples: as Pillow stores a colour."""


def by_strips(format: ImageFormat, executor: Executor, options: ConvertOptions, size: tuple[int, int]) -> bool:
    """Return whether an output is written strip by strip: a picture of (width, height) that is cut into tiles, in a format that takes rows.

    A sheet, and opacity that goes through the model, need whole outputs.
    """
    return format.write_rows is not None and options.sheet is None and options.alpha != "model" and executor.cuts(size[1], size[0])


def require_room(format: ImageFormat, sized: Sized, options: ConvertOptions, header: Header, whole: bool = False) -> None:
    """Refuse a picture whose output must be in memory whole, beside the picture itself, where the memory of this machine or container does not hold them.

    ``whole``: it is one of several, which are never written strip by strip.
    """
    memory, made, written = granted_memory(), math.prod(sized.made), math.prod(sized.size)
    samples = (sized.executor.spec.channels_out + (header.channels in (2, 4))) * header.itemsize
    needed = (made + (written if sized.resized else 0)) * samples + written * _ENCODER + header.width * header.height * header.channels * header.itemsize
    if not memory or needed <= memory or (not whole and by_strips(format, sized.executor, options, (header.width, header.height))):
        return
    if whole:
        reason, advice = "the pictures of one file are written whole", "use --frames first"
    elif format.write_rows is None:
        reason, advice = f"{format.title} is written whole", "use --format tiff or png"
    else:
        asked = {"--tile off": options.tile == "off", "--sheet": options.sheet is not None, "--alpha model": options.alpha == "model"}
        given = [option for option, is_given in asked.items() if is_given]
        reason, advice = "it is not written strip by strip", f"leave out {' and '.join(given)}" if given else "ask for a smaller size, or a smaller --tile"
    raise PixlateError(
        f"expected an output that fits into the {memory / 1e9:.3g} GB of memory here, but one of {sized.size[0]} x {sized.size[1]} pixels takes about "
        f"{needed / 1e9:.3g} GB, since {reason}; {advice}"
    )
