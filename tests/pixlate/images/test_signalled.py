"""Colours that a file describes by numbers look the same after reading; expected values are those of the standards or of LittleCMS."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from tests.pixlate.images.conftest import LIMIT, photograph, profile, saved

from pixlate.images import Metadata, Picture, read_picture, to_srgb, write_picture
from pixlate.images.picture import Pixels, full_scale
from pixlate.images.signalled import SRGB, Signal
from pixlate.images.signalled import profile as made_profile

ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(pixels: Pixels, *chunks: bytes) -> bytes:
    data = bytes(imagecodecs.png_encode(pixels)) if pixels.dtype == np.uint16 else saved(Image.fromarray(pixels), "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


def primaries(values: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values)))


def cicp(colours: int, transfer: int, *, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes((colours, transfer, 0, full)))


def read(data: bytes) -> Picture:
    return read_picture(data, max_pixels=LIMIT)


def flat(*levels: int, dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> Pixels:
    return np.full((4, 5, len(levels)), levels, dtype)


def in_srgb(picture: Picture) -> Pixels:
    """Return the pixels as LittleCMS shows them on an sRGB screen."""
    return to_srgb(picture).pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_png_is_converted_to_the_curve_of_srgb(dtype: type[np.uint8]) -> None:
    full = int(np.iinfo(dtype).max)
    half = flat(*(round(0.2140 * full),) * 3, dtype=dtype)  # the light of the middle of sRGB, IEC 61966-2-1
    picture = read(png(half, gamma(100_000)))
    assert np.abs(picture.pixels / full - 0.5).max() < 0.003 and picture.pixels.dtype == dtype
    assert picture.notes == ("linear light (gAMA) converted to sRGB",) and not picture.metadata.icc


def test_grey_palette_and_alpha_of_a_linear_png_are_read_likewise() -> None:
    grey = read(png(np.full((4, 5), 55, np.uint8), gamma(100_000)))
    assert grey.pixels.shape == (4, 5, 1) and abs(int(grey.pixels[0, 0, 0]) - 128) <= 1
    palette = Image.fromarray(flat(55, 55, 55)).quantize(2)
    assert abs(int(read(saved(palette, "PNG")[:33] + gamma(100_000) + saved(palette, "PNG")[33:]).pixels[0, 0, 0]) - 128) <= 1
    clear = read(png(flat(55, 55, 55, 55), gamma(100_000)))
    assert clear.alpha is not None and clear.alpha[0, 0] == 55 and abs(int(clear.pixels[0, 0, 0]) - 128) <= 1


@pytest.mark.parametrize("value", [45_455, 45_000, 46_500])
def test_the_gamma_of_a_display_changes_nothing(value: int) -> None:
    pixels = photograph()
    picture = read(png(pixels, gamma(value), primaries(SRGB)))
    assert np.array_equal(picture.pixels, pixels) and picture.notes == () and not picture.metadata.icc


def test_a_mac_gamma_is_converted() -> None:
    picture = read(png(flat(128, 64, 200), gamma(55_556)))
    light = (np.array([128, 64, 200]) / 255) ** 1.8
    expected = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(picture.pixels[0, 0] - expected).max() <= 1 and picture.notes == ("gamma 1.8 (gAMA) converted to sRGB",)


def test_the_srgb_chunk_and_an_icc_profile_come_before_gamma() -> None:
    pixels = photograph()
    assert np.array_equal(read(png(pixels, gamma(100_000), chunk(b"sRGB", b"\0"))).pixels, pixels)
    icc = chunk(b"iCCP", b"x\0\0" + zlib.compress(profile()))
    picture = read(png(pixels, gamma(100_000), icc))
    assert np.array_equal(picture.pixels, pixels) and picture.metadata.icc == profile()


def test_display_p3_keeps_its_pixels_and_gets_a_profile(tmp_path: Path) -> None:
    red = flat(234, 51, 35)  # sRGB's red in Display P3: CSS Color 4 gives 0.9175 0.2003 0.1386
    picture = read(png(red, cicp(12, 13)))
    assert np.array_equal(picture.pixels, red) and picture.notes == ("Display P3 primaries (cICP) described by an ICC profile",)
    assert np.abs(in_srgb(picture)[0, 0].astype(int) - (255, 0, 0)).max() <= 3
    for format in ("png", "jpeg", "webp", "tiff", "avif"):
        assert write_picture(picture, tmp_path / "x", format) == ()
        again = read_picture(tmp_path / "x", max_pixels=LIMIT)
        assert np.abs(in_srgb(again)[0, 0].astype(int) - (255, 0, 0)).max() <= 5
    assert "BMP cannot hold the ICC profile" in write_picture(picture, tmp_path / "x", "bmp")


def test_linear_adobe_rgb_gets_both(tmp_path: Path) -> None:
    picture = read(png(flat(30_000, 30_000, 30_000, dtype=np.uint16), gamma(100_000), primaries(ADOBE)))
    assert len(picture.notes) == 2 and ImageCms.getProfileDescription(BytesIO(picture.metadata.icc)).startswith("Adobe RGB")
    assert np.abs(picture.pixels / 65535 - 0.7068).max() < 1e-3  # grey stays grey: sRGB's curve at 0.4578


def test_cicp_comes_before_an_icc_profile_and_says_so() -> None:
    icc = chunk(b"iCCP", b"x\0\0" + zlib.compress(profile()))
    picture = read(png(photograph(), icc, cicp(12, 13)))
    assert "Display P3" in ImageCms.getProfileDescription(BytesIO(picture.metadata.icc))
    assert picture.notes[-1] == "the ICC profile was left out, since cICP comes before it"
    plain = read(png(photograph(), icc, cicp(1, 13)))
    assert plain.notes == () and plain.metadata.icc == profile()
    unspecified = read(png(photograph(), icc, cicp(2, 2)))
    assert unspecified.notes == () and unspecified.metadata.icc == profile()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("transfer", "name", "sample"), [(16, "PQ", 0.5081), (18, "HLG", 0.6297)])
def test_hdr_is_shown_with_white_at_203_nits(transfer: int, name: str, sample: float, dtype: type[np.uint8]) -> None:
    full = int(np.iinfo(dtype).max)
    picture = read(png(flat(*(round(sample * full),) * 3, dtype=dtype), cicp(9, transfer)))
    share = picture.pixels[0, 0, 0] / full  # 100 nits by ST 2084, and by BT.2100 on 1,000 nits, are 0.493 of 203, which sRGB stores as 0.731
    assert abs(share - 0.731) < (0.01 if dtype == np.uint8 else 0.001)
    assert picture.notes == (
        f"{name} (cICP) converted to sRGB; what is brighter than white was compressed",
        "BT.2020 primaries (cICP) described by an ICC profile",
    )


def test_highlights_keep_their_order_and_colour() -> None:
    row = np.arange(0, 256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    levels = read(png(row, cicp(1, 16))).pixels[0, :, 0].astype(int)
    assert (np.diff(levels) >= 0).all() and levels[-1] == 255 and levels[148] < 250
    warm = read(png(flat(200, 150, 100), cicp(1, 16))).pixels[0, 0].astype(int)
    assert warm[0] > warm[1] > warm[2]


def test_narrow_range_is_spread() -> None:
    pixels = read(png(np.array([[[16] * 3, [235] * 3, [0] * 3, [255] * 3]], np.uint8), cicp(1, 13, full=0))).pixels
    assert pixels[0, :, 0].tolist() == [0, 255, 0, 255]


def test_what_is_not_known_is_noted_by_number() -> None:
    pixels = photograph()
    picture = read(png(pixels, cicp(77, 99)))
    assert np.array_equal(picture.pixels, pixels)
    assert [note.split(" (cICP)")[0] for note in picture.notes] == ["primaries 77", "transfer function 99"]
    assert read(png(pixels, cicp(1, 1))).notes == ("the transfer function of video, 1 (cICP), was taken for sRGB's",)


@pytest.mark.parametrize(
    "chunks", [gamma(0), gamma(1), gamma(2**32 - 1), primaries((0.3, 0.3, 0, 0, 0, 0, 0, 0)), primaries((0.3, 0.3) * 4), primaries((9.0,) * 8)]
)
def test_impossible_numbers_are_ignored_with_a_note(chunks: bytes) -> None:
    pixels = photograph()
    picture = read(png(pixels, chunks))
    assert np.array_equal(picture.pixels, pixels) and len(picture.notes) == 1 and "cannot be" in picture.notes[0]


@pytest.mark.parametrize("chunks", [chunk(b"gAMA", b"\0"), chunk(b"cHRM", b"\0" * 5), chunk(b"cICP", b"\1")])
def test_chunks_of_another_length_change_nothing(chunks: bytes) -> None:
    assert np.array_equal(read(png(photograph(), chunks)).pixels, photograph())


@pytest.mark.parametrize(("primary", "transfer", "expected"), [(1, 13, ()), (1, 8, ("linear light (nclx) converted to sRGB",))])
def test_nclx_of_avif_is_read(primary: int, transfer: int, expected: tuple[str, ...]) -> None:
    data = saved(Image.fromarray(flat(55, 55, 55)), "AVIF", quality=95)
    box = data.index(b"colrnclx") + 8
    picture = read(data[:box] + struct.pack(">HH", primary, transfer) + data[box + 4 :])
    assert picture.notes == expected
    assert abs(int(picture.pixels[0, 0, 0]) - (128 if expected else 55)) <= 2


def test_an_avif_of_display_p3_gets_a_profile() -> None:
    data = saved(Image.fromarray(flat(234, 51, 35)), "AVIF", quality=95, subsampling="4:4:4")
    box = data.index(b"colrnclx") + 8
    picture = read(data[:box] + struct.pack(">HH", 12, 13) + data[box + 4 :])
    assert np.abs(in_srgb(picture)[0, 0].astype(int) - (255, 0, 0)).max() <= 6


def test_the_profile_of_srgbs_primaries_is_srgb() -> None:
    pixels = photograph()
    assert np.abs(in_srgb(Picture(pixels, None, Metadata(icc=made_profile("own", SRGB)))).astype(int) - pixels).max() <= 1


def test_a_plain_exponent_is_what_littlecms_reads() -> None:
    grey = flat(128, 128, 128)
    shown = in_srgb(Picture(grey, None, Metadata(icc=made_profile("own", SRGB, 1.0))))
    assert np.abs(shown.astype(int) - 188).max() <= 1  # half the light


def test_grey_gets_no_profile_of_rgb() -> None:
    picture = Signal.from_cicp(9, 8).applied(Picture(np.full((3, 3, 1), 55, np.uint8)))
    assert not picture.metadata.icc and full_scale(picture.pixels) == 255


def tiff(pixels: Pixels, *tags: tuple[int, str, int, object, bool]) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", metadata=None, extratags=tags)
    return stream.getvalue()


def rationals(values: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(number for value in values for number in (round(value * 10_000), 10_000))


def test_primaries_of_a_tiff_get_a_profile_and_those_of_srgb_none() -> None:
    tags = [(318, "2I", 2, rationals(ADOBE[:2]), True), (319, "2I", 6, rationals(ADOBE[2:]), True)]
    picture = read(tiff(photograph(), *tags))
    assert picture.notes == ("Adobe RGB primaries (PrimaryChromaticities) described by an ICC profile",)
    assert np.array_equal(picture.pixels, photograph()) and picture.metadata.icc
    plain = read(tiff(photograph(), (318, "2I", 2, rationals(SRGB[:2]), True), (319, "2I", 6, rationals(SRGB[2:]), True)))
    assert plain.notes == () and not plain.metadata.icc
    assert read(tiff(photograph(), *tags, (34675, "B", len(profile()), profile(), True))).metadata.icc == profile()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transfer_function_of_a_tiff_is_applied(channels: int) -> None:
    linear = tuple(round(value * 257) for value in range(256)) * channels
    picture = read(tiff(flat(55, 55, 55), (301, "H", len(linear), linear, True)))
    assert abs(int(picture.pixels[0, 0, 0]) - 128) <= 1 and picture.notes == ("another transfer function (TransferFunction) converted to sRGB",)
    display = tuple(round((value / 255) ** 2.2 * 65535) for value in range(256)) * channels
    assert np.array_equal(read(tiff(photograph(), (301, "H", len(display), display, True))).pixels, photograph())
    odd = read(tiff(photograph(), (301, "H", 5, (1, 2, 3, 4, 5), True)))
    assert np.array_equal(odd.pixels, photograph()) and "another length" in odd.notes[0]


def test_the_profile_of_a_gif_is_read() -> None:
    icc = made_profile("own", ADOBE)
    blocks = b"".join(bytes((len(part),)) + part for part in (icc[start : start + 255] for start in range(0, len(icc), 255)))
    data = saved(Image.fromarray(flat(200, 40, 40)).quantize(4), "GIF")
    start = 13 + (3 << (data[10] & 7) + 1)
    assert read(data[:start] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + data[start:]).metadata.icc == icc


def bmp(kind: bytes, *, numbers: bytes = bytes(48), profile: bytes = b"", offset: int | None = None) -> bytes:
    """Return a BMP file with a header of version 5."""
    plain = saved(Image.fromarray(photograph()), "BMP")
    pixels = plain[54:]
    header = struct.pack("<I", 124) + plain[18:54] + bytes(16) + kind + numbers + bytes(4)
    header += struct.pack("<II", 124 + len(pixels) if offset is None else offset, len(profile)) + bytes(4)
    return b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(profile), 0, 0, 138) + header + pixels + profile


def test_the_profile_of_a_bmp_is_read() -> None:
    picture = read(bmp(b"DEBM", profile=profile()))
    assert np.array_equal(picture.pixels, photograph()) and picture.metadata.icc == profile() and picture.notes == ()


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (bmp(b"DEBM", profile=profile(), offset=10**6), "behind the end"),
        (bmp(b"KNIL", profile=b"C:\\x.icc"), "a file of its own"),
        (bmp(bytes(4), numbers=bytes(36) + struct.pack("<III", 1, 1, 1)), "by numbers"),
    ],
)
def test_colours_of_a_bmp_that_are_not_read_are_noted(data: bytes, note: str) -> None:
    picture = read(data)
    assert np.array_equal(picture.pixels, photograph()) and not picture.metadata.icc and note in picture.notes[0] and len(picture.notes) == 1


@pytest.mark.parametrize("kind", [b"BGRs", b" niW", bytes(4)])
def test_a_plain_bmp_has_no_notes(kind: bytes) -> None:
    assert read(bmp(kind)).notes == ()


@pytest.mark.parametrize("format", ["bmp", "gif"])
def test_colours_are_converted_where_a_format_holds_no_profile(tmp_path: Path, format: str) -> None:
    picture = read(png(flat(234, 51, 35), cicp(12, 13)))
    assert "colours converted to sRGB" in write_picture(picture, tmp_path / "x", format)
    assert np.abs(read_picture(tmp_path / "x", max_pixels=LIMIT).pixels[0, 0].astype(int) - (255, 0, 0)).max() <= 3
    plain = Picture(flat(234, 51, 35), None, Metadata(icc=profile()))
    assert "colours converted to sRGB" not in write_picture(plain, tmp_path / "x", format)


def test_chunks_of_other_programs_are_noted() -> None:
    data = png(photograph(), chunk(b"mkBF", b"layers"), chunk(b"prVW", b"x"), chunk(b"tIME", bytes(7)), chunk(b"sBIT", b"\x08\x08\x08"))
    assert read(data).notes == ("chunks of other programs were left out (mkBF, prVW)",)
