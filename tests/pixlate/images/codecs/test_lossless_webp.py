"""What is stored without loss stays so, and is kept so where that is asked."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.images.conftest import FORMATS, LIMIT, photograph, same, saved

from pixlate.errors import PixlateError
from pixlate.images import Picture, read_picture, write_picture
from pixlate.images.formats import BUILT_IN, named

ALPHA = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))


def drawing() -> Picture:
    """Return hard edges of colours, which lossy compression changes, some under full transparency."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[::3], pixels[:, ::5] = (230, 0, 0), (0, 0, 255)
    return Picture(pixels, ALPHA)


@pytest.mark.parametrize("extra", [{}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_lossless_webp_stays_lossless(tmp_path: Path, mode: str, extra: dict[str, bytes]) -> None:
    data = saved(Image.fromarray(drawing().samples).convert(mode), "WEBP", lossless=True, exact=True, **extra)
    picture = read_picture(data, max_pixels=LIMIT)
    assert picture.lossless
    assert write_picture(picture, tmp_path / "x.webp", "webp", quality=10) == ()
    assert same(read_picture(tmp_path / "x.webp", max_pixels=LIMIT), picture)


def test_a_lossless_animation_is_seen_as_such() -> None:
    frames = [Image.fromarray(drawing().pixels), Image.fromarray(photograph())]
    for lossless in (True, False):
        data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=lossless)
        assert read_picture(data, max_pixels=LIMIT).lossless == lossless


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_lossy_webp_stays_lossy_also_with_lossless_alpha(tmp_path: Path, mode: str) -> None:
    picture = read_picture(saved(Image.fromarray(drawing().samples).convert(mode), "WEBP", quality=90), max_pixels=LIMIT)
    assert not picture.lossless
    write_picture(picture, tmp_path / "x.webp", "webp")
    assert b"VP8L" not in (tmp_path / "x.webp").read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_lossless_is_kept_or_refused(tmp_path: Path, format: str) -> None:
    picture = Picture(drawing().pixels)
    if named(BUILT_IN)[format].lossless == "never":
        with pytest.raises(PixlateError, match=r"expected a format that keeps every pixel \(png, webp, tiff, bmp, npy\) with --lossless, got"):
            write_picture(picture, tmp_path / "x", format, lossless=True)
    else:
        assert write_picture(picture, tmp_path / "x", format, lossless=True) == ()
        assert np.array_equal(read_picture(tmp_path / "x", max_pixels=LIMIT).pixels, picture.pixels)


def test_a_picture_of_a_lossless_webp_goes_to_jpeg_at_its_quality(tmp_path: Path) -> None:
    picture = Picture(photograph(), lossless=True)
    write_picture(picture, tmp_path / "x.jpg", "jpeg", quality=50)
    write_picture(Picture(photograph()), tmp_path / "y.jpg", "jpeg", quality=50)
    assert (tmp_path / "x.jpg").read_bytes() == (tmp_path / "y.jpg").read_bytes()
