"""Damaged files of each format: a picture or one sentence, and this process goes on."""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from tests.pixlate.images.conftest import everything, photograph
from tests.pixlate_formats import test_exr, test_jpeg2000, test_psd
from tests.pixlate_formats.conftest import FORMATS, written
from tests.pixlate_formats.raws import dng

from pixlate.errors import PixlateError
from pixlate.images import Picture, read_picture

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
Files = Callable[[], list[bytes]]


@cache
def heic() -> list[bytes]:
    return [written(Picture(photograph(), photograph()[:, :, 0].copy(), everything()), "heic")[0], written(Picture(photograph(np.uint16)), "heic")[0]]


@cache
def jxl() -> list[bytes]:
    frames = np.stack([photograph(), photograph()[::-1]])
    return [
        *(written(Picture(photograph(), None, everything()), "jxl", lossless=lossless)[0] for lossless in (True, False)),
        bytes(imagecodecs.jpegxl_encode(frames)),
    ]


@cache
def exr() -> list[bytes]:
    return [test_exr.made({"RGB": test_exr.light()}), test_exr.made({"RGB": test_exr.light(dtype=np.float16), "Z": test_exr.light(1)[:, :, 0]})]


@cache
def raw() -> list[bytes]:
    return [dng(), dng(orientation=6, mark=True)]


@cache
def psd() -> list[bytes]:
    pixels = photograph()
    runs = test_psd.document(test_psd.planes_of(pixels, pixels[:, :, 0]), 3, layers=-2, resources={1039: everything().icc, 1060: everything().xmp})
    return [runs, test_psd.document(test_psd.planes_of(photograph(np.uint16)), 3, compression=3)]


@cache
def jpeg2000() -> list[bytes]:
    image = Image.fromarray(photograph().astype(np.uint8))
    return [test_jpeg2000.made(image), bytes(imagecodecs.jpeg2k_encode(photograph(np.uint16), level=0, reversible=True, codecformat="j2k"))]


KINDS: dict[str, tuple[Files, str]] = {
    "HEIC": (heic, ".heic"),
    "JPEG XL": (jxl, ".jxl"),
    "OpenEXR": (exr, ".exr"),
    "raw": (raw, ".dng"),
    "PSD": (psd, ".psd"),
    "JPEG 2000": (jpeg2000, ".jp2"),
}


def outcome(path: Path, data: bytes) -> str:
    """Return the sentence of a file, nothing for a picture; anything else is raised."""
    path.write_bytes(data)
    try:
        picture = read_picture(path, max_pixels=100_000, formats=FORMATS)
    except PixlateError as error:
        return str(error)
    assert np.isfinite(picture.pixels).all()
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_a_picture_or_a_sentence(kind: str, tmp_path: Path) -> None:
    files, suffix = KINDS[kind]
    for data in files():
        assert outcome(tmp_path / f"a{suffix}", data) == "", "the whole file is good"
        found = [outcome(tmp_path / f"a{suffix}", data[:end]) for end in range(0, len(data), max(1, len(data) // 25))]
        assert all(found[: len(found) // 2]), "of half a file there is no picture"
        assert all("\n" not in sentence for sentence in found)


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Return a file with some bits turned over, or a number set to an extreme, in its first part as often as elsewhere."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(min(len(data), 300) if draw.random() < 0.5 else len(data))
        if draw.random() < 0.5:
            changed[at] ^= 1 << draw.randrange(8)
        else:
            size = draw.choice((1, 2, 4))
            changed[at : at + size] = (draw.choice(EXTREMES) % 256**size).to_bytes(size, draw.choice(("little", "big")))
    return bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_changed_bits_is_a_picture_or_a_sentence(kind: str, tmp_path: Path) -> None:
    check(kind, tmp_path, 60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_files_with_changed_bits_are_pictures_or_sentences(kind: str, tmp_path: Path) -> None:
    check(kind, tmp_path, 2000)


def check(kind: str, folder: Path, count: int) -> None:
    files, suffix = KINDS[kind]
    draw = random.Random(kind)
    for _ in range(count):
        assert "\n" not in outcome(folder / f"a{suffix}", damaged(draw, draw.choice(files())))
