"""Arrays of NumPy, ``.npy``: pictures of any number of channels and floating point samples. Nothing in a file is ever run."""

from io import BytesIO
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from pixlate.errors import PixlateError
from pixlate.images.encode import Encoded
from pixlate.images.picture import Picture
from pixlate.images.samples import as_pixels
from pixlate.plugin.image_format import Header, Opened

MAGIC = npy.MAGIC_PREFIX


def probe(stream: BinaryIO) -> Header:
    """Read shape and type, and see that the file is as long as they say."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version[0]}.{version[1]}")
    shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never read")
    full = (*shape, 1) if len(shape) == 2 else shape
    if len(full) != 3 or 0 in full:
        raise PixlateError(f"expected an array of (height, width, channels), got {shape}; save one image a file")
    start = stream.tell()
    count = full[0] * full[1] * full[2]
    if stream.seek(0, 2) < start + count * dtype.itemsize:
        raise ValueError("its samples end too soon")
    return Header(full[1], full[0], full[2], dtype.itemsize, (start, dtype, full, fortran))


def read(opened: Opened) -> Picture:
    """Return the array as it is: uint8, uint16, or floating point of any width as float32, not clipped."""
    start, dtype, shape, fortran = opened.header.parsed
    array = np.empty(shape[0] * shape[1] * shape[2], dtype)
    opened.stream.seek(start)
    if opened.stream.readinto(array.data.cast("B")) != array.nbytes:  # type: ignore[attr-defined]  # typing.BinaryIO lacks it
        raise ValueError("its samples end too soon")
    return Picture(as_pixels(array.reshape(shape[::-1]).T if fortran else array.reshape(shape)))


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return the pixels as a file."""
    stream = BytesIO()
    npy.write_array(stream, picture.pixels, allow_pickle=False)
    return stream.getvalue(), ()
