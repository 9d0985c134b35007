"""Files that other programs open are opened, with the same pixels; what is not supported is called so, by name; only the damaged is called damaged."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.pixlate.images import hostile
from tests.pixlate.images.conftest import LIMIT, exif_block, photograph, saved

from pixlate.errors import PixlateError
from pixlate.images import Picture, read_picture
from pixlate.images.unsupported import named

JPEG = saved(Image.fromarray(photograph()), "JPEG", quality=92)
PROGRESSIVE = saved(Image.fromarray(photograph()), "JPEG", progressive=True)
NO_END = "the file ends without its end mark; all pixels are there"


def read(data: bytes) -> Picture:
    return read_picture(data, max_pixels=LIMIT)


def pillows(data: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data)) as image:
        return np.atleast_3d(np.asarray(image))


@pytest.mark.parametrize("whole", [JPEG, PROGRESSIVE])
@pytest.mark.parametrize("behind", [b"", bytes(30)])
def test_a_jpeg_without_its_end_mark_is_read_with_a_note_while_all_pixels_are_there(whole: bytes, behind: bytes) -> None:
    expected = pillows(whole)
    for cut in (1, 2):
        picture = read(whole[:-cut] + behind)
        assert np.array_equal(picture.pixels, expected) and picture.notes == (NO_END,)
    for cut in range(4, 60):
        with pytest.raises(PixlateError, match="truncated or damaged"):
            read(whole[:-cut] + behind)


def test_a_progressive_jpeg_that_ends_between_two_scans_is_damaged() -> None:
    last = PROGRESSIVE.rindex(b"\xff\xda")
    with pytest.raises(PixlateError, match="pixels are missing"):
        read(PROGRESSIVE[:last])


@pytest.mark.parametrize(
    "changed",
    [
        b"\r\n" + JPEG,
        JPEG + bytes(5000),
        JPEG + b"appended",
        JPEG[:2] + b"\xff\xff\xff" + JPEG[2:],
        JPEG[:20] + b"\0\0" + JPEG[20:],
    ],
)
def test_bytes_around_and_between_the_parts_of_a_jpeg_are_passed_over(changed: bytes) -> None:
    picture = read(changed)
    assert np.array_equal(picture.pixels, pillows(JPEG)) and picture.notes == ()


def test_of_two_exif_blocks_the_first_counts_and_a_long_one_is_put_together() -> None:
    first, second = (hostile.segment(0xE1, b"Exif\0\0" + exif_block(orientation)) for orientation in (1, 6))
    picture = read(JPEG[:2] + first + second + JPEG[2:])
    assert picture.pixels.shape == (48, 64, 3) and picture.notes == ("the second EXIF block was left out",)
    long = exif_block(note=bytes(150_000))
    assert read(JPEG[:2] + hostile.exif_segments(long) + JPEG[2:]).metadata.exif == long


def test_an_exif_block_cut_before_its_last_offset_still_turns_the_picture() -> None:
    cut = hostile.segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0")
    assert read(JPEG[:2] + cut + JPEG[2:]).pixels.shape == (64, 48, 3)


def test_lossless_arithmetic_rgb_and_cmyk_jpegs_are_read() -> None:
    grey = photograph()[:, :, 0]
    assert np.array_equal(read(bytes(imagecodecs.ljpeg_encode(np.ascontiguousarray(grey)))).pixels[:, :, 0], grey)
    rgb = bytes(imagecodecs.jpeg8_encode(photograph(), level=95, colorspace="RGB", outcolorspace="RGB"))
    assert np.abs(read(rgb).pixels.astype(int) - photograph()).mean() < 4
    cmyk = saved(Image.fromarray(photograph()).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(read(cmyk).pixels.astype(int) - photograph()).mean() < 8


@pytest.mark.parametrize(
    ("mark", "body", "name"),
    [
        (0xC1, b"\x0c\0\x08\0\x08\3", "12-bit JPEG"),
        (0xC3, b"\x10\0\x08\0\x08\1", "16-bit JPEG"),
        (0xC5, b"\x08\0\x08\0\x08\1", "hierarchical JPEG"),
        (0xCB, b"\x08\0\x08\0\x08\1", "lossless JPEG with arithmetic coding"),
        (0xC0, b"\x08\0\x08\0\x08\2", "JPEG of 2 channels"),
    ],
)
def test_a_kind_of_jpeg_that_is_not_read_is_named(mark: int, body: bytes, name: str) -> None:
    with pytest.raises(PixlateError, match=f"{name} is unsupported; convert the file to PNG or TIFF"):
        read(b"\xff\xd8" + hostile.segment(mark, body) + hostile.segment(0xDA, b"\1\1\0\0\x3f\0"))


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        (hostile.png() + b"appended by a web server", ()),
        (hostile.png()[:-12], (NO_END,)),
        (hostile.png()[:-12] + b"\0\0\0\0IEJD\xaeB`\x82", ("what follows the pixels is damaged and was left out", NO_END)),
        (hostile.png(hostile.chunk(b"tEXt", b"Comment\0hello")[:-1] + b"\0"), ("a damaged chunk tEXt was left out",)),
        (hostile.png(hostile.chunk(b"zTXt", b"Comment\0\0not packed")), ("a damaged chunk zTXt was left out",)),
        (hostile.png(hostile.chunk(b"iCCP", b"")), ("a damaged chunk iCCP was left out",)),
        (hostile.png(hostile.chunk(b"prVt", b"program's own")), ("chunks of other programs were left out (prVt)",)),
    ],
)
def test_a_png_whose_pixels_are_whole_is_read_with_a_note_on_the_rest(data: bytes, notes: tuple[str, ...]) -> None:
    picture = read(data)
    assert (picture.pixels == (64, 128, 192)).all() and picture.notes == notes


@pytest.mark.parametrize("chunk", [hostile.chunk(b"IDAT", b"\0")[:-1] + b"\1", hostile.chunk(b"PLTE", bytes(3))[:-1] + b"\1", hostile.chunk(b"ABCD", b"")])
def test_a_png_whose_needed_chunks_are_damaged_or_unknown_is_refused(chunk: bytes) -> None:
    with pytest.raises(PixlateError, match="truncated or damaged"):
        read(hostile.png(chunk))


def test_a_png_whose_second_part_of_pixels_is_damaged_is_refused() -> None:
    plain = hostile.png()
    begin = plain.index(b"IDAT") + 4
    packed = plain[begin:-16]
    first, second = hostile.chunk(b"IDAT", packed[:9]), hostile.chunk(b"IDAT", packed[9:])
    assert (read(plain[: begin - 8] + first + second + hostile.IEND).pixels == (64, 128, 192)).all()
    with pytest.raises(PixlateError, match="truncated or damaged"):
        read(plain[: begin - 8] + first + second.replace(b"IDAT", b"IDAU") + hostile.IEND)


def test_a_png_of_xcode_is_unsupported_by_name() -> None:
    with pytest.raises(PixlateError, match=r"CgBI.* is unsupported; "):
        read(hostile.png(hostile.chunk(b"CgBI", bytes(4))))


@pytest.mark.parametrize("bits", [4, 8])
def test_run_lengths_of_bmp_give_every_pixel(bits: int) -> None:
    """Runs, pixels one by one, a blank line, a jump and the end of the picture, as Microsoft's example has them."""
    coded = bytes.fromhex("0304 0506 0003 4556 6700" if bits == 4 else "0304 0506 0003 0506 0700") + bytes.fromhex("0000 0000 0002 0201 0278 0000 0001")
    palette = b"".join(bytes((0, green, 0, 0)) for green in range(1 << bits))
    head = struct.pack("<IiiHHIIiiII", 40, 12, 5, 1, bits, 3 - bits // 4, len(coded), 0, 0, 1 << bits, 0)
    green = read(b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + len(palette)) + head + palette + coded).pixels[::-1, :, 1]
    rows = (
        [[0, 4, 0, 0, 6, 0, 6, 0, 4, 5, 5, 0], [0] * 12, [0] * 12, [0, 0, 7, 8, *[0] * 8], [0] * 12]
        if bits == 4
        else [[4, 4, 4, 6, 6, 6, 6, 6, 5, 6, 7, 0], [0] * 12, [0] * 12, [0, 0, 120, 120, *[0] * 8], [0] * 12]
    )
    assert green.tolist() == rows


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"%PDF-1.7", "PDF"),
        (b"P6\n8 8\n255\n", "PNM (PBM, PGM, PPM)"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\0\0\0\x20ftypisom", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"\0\0\1\xba\x44\0", "a video"),
        (b"FLV\1\5", "a video"),
        (b"IIU\0\x18\0\0\0", "a Panasonic RAW photograph"),
        (b"IIRO\x08\0\0\0", "an Olympus RAW photograph"),
        (b"%!PS-Adobe-3.0", "PostScript"),
        (b"Rar!\x1a\7\1\0", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"#?RGBE\n", "Radiance HDR"),
        (b"  <svg xmlns=", "SVG"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "an HTML page, no image"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "what macOS writes beside a file on other disks (AppleDouble), no image"),
        (b'<?xml version="1.0"?>\n<!-- drawn by hand -->\n<svg xmlns=', "SVG"),
        (b"<!-- saved from url -->\n<!DOCTYPE html>", "an HTML page, no image"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>', "an error message in XML, no image"),
        (b"<x:xmpmeta xmlns:x=", "XML, no image"),
        (b"<!--" + b"-" * 600, "XML, HTML or SVG"),
        (b' {"error": 404}', "JSON, no image"),
        (b"{\\rtf1", ""),
        (b"icns\0\0", "an icon (ICNS)"),
        (b"\0\0\2\0\1\0 ", "a cursor (CUR)"),
        (b"\0\0\2\0\0\0\0\0\0\0\0\0", "Targa (TGA)"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"ID3\4\0", "sound, no image"),
        (b"RIFF\0\0\0\0WAVEfmt ", "sound, no image"),
        (b"some bytes", ""),
        (b"", ""),
    ],
)
def test_a_file_that_is_not_read_is_named_by_its_first_bytes(head: bytes, name: str) -> None:
    assert named(head)[0] == name


def test_the_refusal_names_what_was_expected_what_it_is_and_what_to_do(file: Callable[[str, bytes], Path]) -> None:
    with pytest.raises(PixlateError, match=r"^expected JPEG, got HEIC, which is unsupported; convert it to JPEG or PNG"):
        read_picture(file("x.jpg", b"\0\0\0\x18ftypheic" + bytes(200)), max_pixels=LIMIT)
    with pytest.raises(PixlateError, match=r"^expected JPEG, got an HTML page, no image; download the image itself"):
        read_picture(file("x.jpg", b"<html><body>404 Not Found</body></html>"), max_pixels=LIMIT)
    with pytest.raises(PixlateError, match=r"^HEIC is unsupported; "):
        read_picture(file("x.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(200)), max_pixels=LIMIT)


def test_a_16_bit_png_with_long_text_keeps_its_depth_and_its_transparent_colour() -> None:
    pixels = photograph(np.uint16)
    plain = bytes(imagecodecs.png_encode(pixels))
    clear = hostile.chunk(b"tRNS", struct.pack(">3H", *map(int, pixels[0, 0])))
    text = hostile.chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3 << 20)))
    picture = read(plain[:33] + clear + text + plain[33:])
    assert np.array_equal(picture.pixels, pixels)
    assert picture.alpha is not None and np.array_equal(picture.alpha == 0, (pixels == pixels[0, 0]).all(axis=2))
