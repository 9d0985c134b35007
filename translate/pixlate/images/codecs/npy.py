"""Arrays of NumPy, ``.npy``: pictures of any number of channels and floating point samples. Nothing in a file is ever run."""

from io import BytesIO
from math import prod
from typing import BinaryIO

from numpy.lib import format as npy

from pixlate.errors import Unsupported
from pixlate.images.codecs.encode import Encoded
from pixlate.images.picture import Picture, as_pixels
from pixlate.plugin.image_format import Header, Opened

MAGIC = npy.MAGIC_PREFIX
HEADER = 1_000
"""Most characters of a header; NumPy writes 118 for an array of three axes."""


def probe(stream: BinaryIO) -> Header:
    """Read shape and type, and see that the file is as long as they say."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version[0]}.{version[1]}")
    try:
        shape, _, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream, max_header_size=HEADER)
    except (MemoryError, RecursionError) as error:  # of a parser whose nesting is limited
        raise ValueError("its header cannot be parsed") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never read")
    if dtype.names or dtype.subdtype:
        raise Unsupported("unsupported samples of an array: records; save one number a sample")
    full = (*shape, 1) if len(shape) == 2 else shape
    if len(full) != 3 or 0 in full or bool in map(type, shape):
        raise Unsupported(f"expected an array of (height, width, channels), got {shape}; save one image a file")
    if stream.tell() + prod(full) * dtype.itemsize > stream.seek(0, 2):
        raise ValueError("its samples end too soon")
    return Header(full[1], full[0], full[2], dtype.itemsize)


def read(opened: Opened) -> Picture:
    """Return the array as it is: uint8, uint16, or floating point of any width as float32, not clipped."""
    opened.stream.seek(0)
    array = npy.read_array(opened.stream, allow_pickle=False, max_header_size=HEADER)
    return Picture(as_pixels(array[:, :, None] if array.ndim == 2 else array))


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return the pixels as a file."""
    stream = BytesIO()
    npy.write_array(stream, picture.pixels, allow_pickle=False)
    return stream.getvalue(), ()
