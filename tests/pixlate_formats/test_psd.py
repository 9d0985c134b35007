"""Photoshop documents: made by psd-tools, and section by section as Adobe's specification has them."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage
from tests.pixlate.images.conftest import exif_block, photograph, profile, samples
from tests.pixlate_formats.conftest import read

from pixlate.errors import OverLimit, PixlateError
from pixlate.images import add_origin
from pixlate.images.picture import on_white

XMP = add_origin(b"", "algorithmicallyEnhanced")[0]


def packed(row: bytes) -> bytes:
    """Return a row as PackBits has it: runs of what repeats, the rest as it is."""
    result, position = b"", 0
    while position < len(row):
        same = next((end for end in range(position + 1, min(position + 128, len(row))) if row[end] != row[position]), min(position + 128, len(row)))
        if same - position > 2:
            result += bytes((257 - (same - position), row[position]))
            position = same
        else:
            piece = row[position : position + 100]
            result += bytes((len(piece) - 1,)) + piece
            position += len(piece)
    return result


def document(
    planes: Any,
    mode: int,
    *,
    compression: int = 1,
    large: bool = False,
    layers: int | None = None,
    resources: dict[int, bytes] | None = None,
    palette: bytes = b"",
) -> bytes:
    """Return a document of (channels, height, width) samples, of 1 bit where they are boolean."""
    count, height, width = planes.shape
    bits = 1 if planes.dtype == bool else planes.itemsize * 8
    stored = np.packbits(planes, axis=2) if bits == 1 else planes.astype(planes.dtype.newbyteorder(">"))
    rows = [row.tobytes() for plane in stored for row in plane]
    if compression == 1:
        runs = [packed(row) for row in rows]
        body = b"".join(len(run).to_bytes(4 if large else 2, "big") for run in runs) + b"".join(runs)
    elif compression == 3:
        differences = planes.copy()
        differences[:, :, 1:] -= planes[:, :, :-1]
        body = zlib.compress(differences.astype(planes.dtype.newbyteorder(">")).tobytes())
    else:
        body = zlib.compress(b"".join(rows)) if compression == 2 else b"".join(rows)
    blocks = b"".join(b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2) for number, data in (resources or {}).items())
    wide = "Q" if large else "I"
    layer = b"" if layers is None else struct.pack(f">{wide}h", 2, layers) + struct.pack(">I", 0)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 2 if large else 1, count, height, width, bits, mode)
    return (
        head
        + struct.pack(">I", len(palette))
        + palette
        + struct.pack(">I", len(blocks))
        + blocks
        + struct.pack(f">{wide}", len(layer))
        + layer
        + struct.pack(">H", compression)
        + body
    )


def planes_of(pixels: Any, alpha: Any = None) -> Any:
    return np.moveaxis(pixels if alpha is None else np.dstack([pixels, alpha]), 2, 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_the_flattened_picture_of_psd_tools_is_read_exactly(mode: str) -> None:
    image = Image.fromarray(photograph().astype(np.uint8)).convert(mode)
    stream = BytesIO()
    PSDImage.frompil(image).save(stream)
    expected = np.atleast_3d(np.asarray(image.convert("L") if mode == "1" else image))
    assert np.array_equal(read(stream.getvalue()).pixels, expected)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("compression", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_8_and_16_bits_are_read_exactly(dtype: Any, channels: int, compression: int, large: bool) -> None:
    pixels = photograph(dtype, channels)
    pixels[5:9] = pixels[5, 0]
    picture = read(document(planes_of(pixels), 1 if channels == 1 else 3, compression=compression, large=large))
    assert picture.pixels.dtype == dtype and np.array_equal(picture.pixels, pixels) and picture.lossless


def test_rows_of_a_tall_picture_are_unpacked() -> None:
    pixels = samples(1000, 9, 3)
    assert np.array_equal(read(document(planes_of(pixels), 3)).pixels, pixels)


@pytest.mark.parametrize("compression", [0, 2])
def test_32_bits_are_scene_linear_light(compression: int) -> None:
    light = (photograph(np.uint16) / 20000).astype(np.float32)
    picture = read(document(planes_of(light), 3, compression=compression))
    assert np.array_equal(picture.pixels, light) and picture.peak == light.max() > 1


def test_differences_of_32_bits_are_those_of_the_bytes_by_their_place() -> None:
    import imagecodecs

    light = photograph(np.uint16).astype(np.float32) / 20000
    whole = document(planes_of(light), 3, compression=0)
    rows = [imagecodecs.floatpred_encode(np.ascontiguousarray(row)[None], axis=-1).tobytes() for plane in planes_of(light) for row in plane]
    start = len(whole) - light.nbytes
    data = whole[: start - 2] + b"\0\3" + zlib.compress(b"".join(rows))
    assert np.array_equal(read(data).pixels, light)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_opacity_is_read_and_the_white_behind_it_taken_away(dtype: Any) -> None:
    pixels, alpha = photograph(dtype), np.ascontiguousarray(photograph(dtype, 1)[:, :, 0])
    alpha[:4] = 0
    alpha[4:8] = np.iinfo(dtype).max
    picture = read(document(planes_of(on_white(pixels, alpha), alpha), 3, layers=-2))
    assert picture.alpha is not None and np.array_equal(picture.alpha, alpha)
    assert np.array_equal(picture.pixels[4:8], pixels[4:8])
    assert np.abs(on_white(picture.pixels, picture.alpha).astype(int) - on_white(pixels, alpha)).max() <= 1
    assert picture.notes == ("the flattened picture of 2 layers",)


def test_channels_beside_the_picture_are_left_out_with_a_note() -> None:
    pixels = photograph()
    picture = read(document(planes_of(pixels, pixels[:, :, 0]), 3, layers=3))
    assert picture.alpha is None and np.array_equal(picture.pixels, pixels)
    assert picture.notes == ("the flattened picture of 3 layers", "1 further channel left out")


def test_a_palette_is_looked_up_and_may_have_a_transparent_colour() -> None:
    image = Image.fromarray(photograph().astype(np.uint8)).quantize(256)
    indices, table = np.asarray(image), np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(table)] = table
    data = document(indices[None], 2, palette=palette.T.tobytes(), resources={1047: struct.pack(">H", int(indices[0, 0]))})
    picture = read(data)
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.alpha is not None and np.array_equal(picture.alpha == 0, indices == indices[0, 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cmyk_is_converted_as_pillow_does(dtype: Any) -> None:
    inks = samples(48, 64, 4)
    with Image.open(BytesIO(document(planes_of(inks), 4))) as image:
        expected = np.asarray(image.convert("RGB"))
    picture = read(document(planes_of(inks if dtype == np.uint8 else inks.astype(np.uint16) * np.uint16(257)), 4))
    assert np.array_equal(picture.pixels, expected) and picture.notes[-1].startswith("CMYK without an ICC profile converted")


def test_lab_is_converted_to_srgb() -> None:
    lab = np.zeros((3, 4, 4), np.uint8)
    lab[0], lab[1:] = 128, 128
    picture = read(document(lab, 9))
    assert np.ptp(picture.pixels.astype(int), axis=2).max() <= 1 and 115 <= picture.pixels.mean() <= 123, "L of 50 is a grey of 119"


def test_metadata_are_read() -> None:
    block, captions = exif_block(), b"\x1c\x02\x78\x00\x05words"
    held = {1005: struct.pack(">IHHIHH", 300 << 16, 1, 1, 200 << 16, 1, 1), 1028: captions, 1039: profile(), 1058: block, 1060: XMP}
    metadata = read(document(planes_of(photograph()), 3, resources=held)).metadata
    assert metadata.dpi == (300, 200) and metadata.icc == profile() and metadata.xmp == XMP and metadata.iptc == captions
    assert b"Camera works" in metadata.exif


def test_a_document_without_its_flattened_picture_is_refused_with_what_to_do() -> None:
    data = document(planes_of(photograph()), 3, layers=2, resources={1057: b"\0\0\0\1\0" + bytes(20)})
    with pytest.raises(PixlateError, match=r"^a Photoshop document without its flattened picture is unsupported; save it with Maximize Compatibility"):
        read(data)


def test_multichannel_documents_are_refused_in_words_and_limits_hold() -> None:
    with pytest.raises(PixlateError, match=r"^a Photoshop document of multichannel colours is unsupported; "):
        read(document(planes_of(photograph()), 7))
    with pytest.raises(OverLimit, match=r"^expected at most 0.003 million pixels, got 64 x 48"):
        read(document(planes_of(photograph()), 3), 3000)
