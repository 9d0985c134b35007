"""Pictures and files that the tests of this folder share."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from pixlate.images import BUILT_IN, ImageFile, Metadata, Picture, add_origin
from pixlate.images.colour import srgb
from pixlate.images.formats import named
from pixlate.images.picture import Pixels
from pixlate.plugin.image_format import ImageFormat

LIMIT = 10**8
FORMATS = tuple(named(BUILT_IN))


def size_of(path: Path, formats: Mapping[str, ImageFormat] = BUILT_IN) -> tuple[int, int]:
    """Return width and height from the header."""
    with ImageFile(path, max_pixels=LIMIT, formats=formats) as file:
        return file.size


def samples(height: int, width: int, channels: int, dtype: type[np.uint8] | type[np.uint16] = np.uint8, seed: int = 0) -> Pixels:
    """Return random samples, (height, width, channels)."""
    drawn: Pixels = (
        np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, channels), dtype=dtype, endpoint=True).astype(dtype, copy=False)
    )
    return drawn


def photograph(dtype: type[np.uint8] | type[np.uint16] = np.uint8, channels: int = 3) -> Pixels:
    """Return a photograph of 48 x 64; 16 bits with something in the lower byte."""
    whole: NDArray[np.uint8] = np.ascontiguousarray(data.astronaut()[40:88, 180:244, :channels])  # type: ignore[no-untyped-call]
    if dtype == np.uint8:
        return whole.astype(np.uint8)
    deep: Pixels = np.minimum(whole.astype(np.uint32) * 257 + samples(48, 64, channels, seed=1), 65535).astype(np.uint16)
    return deep


def exif_block(orientation: int = 1, *, size: tuple[int, int] = (64, 48), note: bytes = b"maker's own" * 7) -> bytes:
    """Return an EXIF block as Pillow writes it, with camera, GPS, maker's note and size."""
    exif = Image.Exif()
    exif[274], exif[271], exif[306] = orientation, "Camera works", "2024:02:29 12:00:00"
    exif[34665] = {40962: size[0], 40963: size[1], 37500: note, 36867: "2024:02:29 12:00:00", 33434: 0.004}
    exif[34853] = {1: "N", 2: (52.0, 31.0, 12.5)}
    return exif.tobytes()[6:]


def profile() -> bytes:
    """Return the sRGB profile that lcms makes."""
    return srgb()


def grey_profile() -> bytes:
    """Return the least a reader takes for a grey profile: the sRGB one with another colour space in its header."""
    icc = bytearray(profile())
    icc[16:20] = b"GRAY"
    return bytes(icc)


def everything() -> Metadata:
    """Return metadata of every kind."""
    return Metadata(exif=exif_block(), icc=profile(), xmp=add_origin(b"", "algorithmicallyEnhanced")[0], dpi=(300.0, 200.0))


def guard(*words: object) -> list[dict[str, Any]]:
    """Return what each file of ``guarded.py WORDS`` came to."""
    script = Path(__file__).with_name("guarded.py")
    done = subprocess.run([sys.executable, script, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """Return the file that Pillow writes."""
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def same(first: Picture, second: Picture) -> bool:
    """Return whether two pictures have exactly the same pixels, alpha and depth."""
    if first.pixels.dtype != second.pixels.dtype or not np.array_equal(first.pixels, second.pixels):
        return False
    if first.alpha is None or second.alpha is None:
        return first.alpha is second.alpha
    return np.array_equal(first.alpha, second.alpha)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Write bytes to a file of a temporary folder."""

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write
