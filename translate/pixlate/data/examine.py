"""Looks at one image file as training would, and takes its fingerprints. Imports no PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from pixlate.data.pixels import luma, read_own
from pixlate.errors import PixlateError
from pixlate.images import Pixels
from pixlate.images.picture import to_8_bits

HASH_SIDE = 8
"""Rows and columns of the perceptual hash."""
NEAR = 3
"""Most bits, of 64, in which two images that look the same differ."""
_PLAIN = 16
"""Fewest bits set, and not set, in the hash of an image that has enough in it to be compared."""


@dataclass(frozen=True)
class Examined:
    """What was found in one file."""

    path: Path
    error: str = ""
    """Why it cannot be read; the rest then says nothing."""
    height: int = 0
    width: int = 0
    channels: int = 0
    """Without transparency, which training composites over white."""
    bits: int = 0
    """Of a sample: 8, 16 or 32 (floating point)."""
    content: bytes = b""
    """Hash of size, type and all samples: equal for equal pictures, whatever their files."""
    look: int | None = None
    """Difference hash of 64 bits: near for pictures that look the same; None where there is too little in them."""


def examine(path: Path) -> Examined:
    """Decode a file completely, and return what is in it."""
    try:
        pixels = read_own(path, 3)
    except PixlateError as error:
        return Examined(path, str(error))
    content = blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    content.update(np.ascontiguousarray(pixels).data)
    height, width, channels = pixels.shape
    return Examined(path, "", height, width, channels, 8 * pixels.itemsize, content.digest(), _look(pixels))


def same_look(files: Sequence[Examined]) -> list[tuple[Examined, Examined]]:
    """Return the pairs of files that look the same though their samples differ."""
    known = [file for file in files if file.look is not None]
    looks = np.array([file.look for file in known], np.uint64)
    near = (np.flatnonzero(np.bitwise_count(looks[place + 1 :] ^ looks[place]) <= NEAR) + place + 1 for place in range(len(known)))
    pairs = [(first, known[other]) for first, others in zip(known, near, strict=True) for other in others]
    return [(first, second) for first, second in pairs if first.content != second.content]


def _look(pixels: Pixels) -> int | None:
    """Return for each of 8 x 8 places whether it is darker than the one to its right."""
    grey = luma(pixels) if pixels.shape[2] == 3 else pixels[:, :, :1]
    small = np.array(Image.fromarray(to_8_bits(grey)[:, :, 0]).resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX), np.int16)
    bits = (small[:, :-1] < small[:, 1:]).ravel()
    if not _PLAIN <= bits.sum() <= bits.size - _PLAIN:
        return None
    return int.from_bytes(np.packbits(bits).tobytes())
