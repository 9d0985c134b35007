"""BMP files: through Pillow, but for run-length coding, which it decodes a pixel at a time and without blank lines."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

from PIL import BmpImagePlugin, ImageFile

from pixlate.images import decode, limits
from pixlate.images.decode import Parsed
from pixlate.plugin.image_format import Frame, Opened

_LINE, _END, _DELTA = 0, 1, 2


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the picture."""
    parsed: Parsed = opened.header.parsed
    assert isinstance(parsed.image, ImageFile.ImageFile)
    codec, area, offset, arguments = parsed.image.tile[0]
    if codec == "bmp_rle" and isinstance(arguments, tuple) and area is not None:
        data = opened.data()
        image = BmpImagePlugin.BmpImageFile(BytesIO(data))
        image.fp = BytesIO(_unpacked(data[offset:], *image.size, two=arguments[1]))
        image.tile = [ImageFile._Tile("raw", area, 0, ("L" if image.mode == "L" else "P", 0, arguments[2]))]
        parsed = replace(parsed, image=image)
    yield decode.frame(parsed, 0, 1)


def _unpacked(data: bytes, width: int, height: int, two: bool) -> bytearray:
    """Return the colour numbers of run-length coding, a byte each, in the order of the file; ``two``: four bits each in the file.

    What the file leaves out is colour 0 (Microsoft, "Bitmap Compression"). Raises ValueError where the data end before the picture does, or have
    more runs than it has pixels.
    """
    pixels = bytearray(width * height)
    position, x, y = 0, 0, 0
    for _ in range(width * height + 2 * height + limits.SEGMENTS):
        if y >= height:
            return pixels
        count, value = data[position : position + 2] if position + 2 <= len(data) else (-1, 0)
        position += 2
        if count > 0:
            run = (bytes((value >> 4, value & 15)) * (count + 1 >> 1))[:count] if two else bytes((value,)) * count
        elif count == 0 and value > _DELTA:
            size = value + 1 >> 1 if two else value
            run = data[position : position + size]
            run = bytes(half for byte in run for half in (byte >> 4, byte & 15))[:value] if two else run
            position += size + size % 2
        else:
            if count < 0:
                raise ValueError("its runs end too soon")
            if value == _END:
                return pixels
            if value == _LINE:
                x, y = 0, y + 1
            else:
                x, y = x + data[position], y + data[position + 1]
                position += 2
            continue
        begin, fitting = y * width + x, max(0, width - x)
        pixels[begin : begin + min(len(run), fitting)] = run[:fitting]
        x += len(run)
        if x >= width and y == height - 1:
            return pixels
    raise ValueError("more runs than pixels")
