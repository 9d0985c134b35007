"""JPEG pixels decoded and encoded elsewhere: Pillow's checks, tables and metadata stay."""

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data as photographs
from tests.pixlate.images.conftest import LIMIT, everything, exif_block, grey_profile, photograph, same, saved

from pixlate.errors import PixlateError
from pixlate.images import Picture, read_picture
from pixlate.images.jpeg import Plain, Subsampling, frame_of, joined, plain
from pixlate.images.picture import Pixels
from pixlate.images.read import decode_picture
from pixlate.images.write import encode_picture


def pillow(file: Plain) -> Pixels:
    """Decode what a decoder is given, with Pillow."""
    array = np.array(Image.open(BytesIO(file.coded)))
    return array if array.ndim == 3 else array[:, :, None]


def pillow_encoder(pixels: Pixels, quality: int, subsampling: Subsampling) -> bytes:
    """Encode what an encoder is given, with Pillow."""
    return saved(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), "JPEG", quality=quality, subsampling=subsampling)


def refused(file: Plain) -> Pixels:
    raise AssertionError("not for this decoder")


COLOUR, GREY = Image.fromarray(photograph()), Image.fromarray(photograph(channels=1)[:, :, 0])


@pytest.mark.parametrize("restarts", [0, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "grey"])
def test_a_plain_file_without_its_metadata_has_the_same_pixels(sampling: str, progressive: bool, restarts: int) -> None:
    options = {"progressive": progressive, "restart_marker_blocks": restarts, "exif": exif_block(6), "comment": b"a comment", "dpi": (72, 72)}
    data = saved(GREY, "JPEG", **options) if sampling == "grey" else saved(COLOUR, "JPEG", subsampling=sampling, **options)
    file = plain(data)
    assert file is not None
    assert (file.frame.width, file.frame.height, file.frame.sampling, file.frame.progressive) == (64, 48, sampling, progressive)
    assert file.frame.channels == (1 if sampling == "grey" else 3)
    assert Image.open(BytesIO(file.coded)).info == {"progressive": 1, "progression": 1} if progressive else not Image.open(BytesIO(file.coded)).info
    np.testing.assert_array_equal(np.array(Image.open(BytesIO(file.coded))), np.array(Image.open(BytesIO(data))))


def test_tables_are_those_pillow_reads() -> None:
    data = saved(COLOUR, "JPEG", quality=60)
    frame = frame_of(data)
    assert frame is not None
    with Image.open(BytesIO(data)) as image:
        tables = image.quantization  # type: ignore[attr-defined]
    assert [sorted(table) for table in frame.tables] == [sorted(tables[0]), sorted(tables[1]), sorted(tables[1])]


@settings(max_examples=300, deadline=None)
@given(progressive=st.booleans(), share=st.floats(0, 1, exclude_max=True), zeros=st.booleans())
def test_a_file_cut_anywhere_or_ending_in_zeros_is_not_whole(progressive: bool, share: float, zeros: bool) -> None:
    data = WHOLE[progressive]
    kept = int(len(data) * share)
    assert plain(data[:kept] + bytes(len(data) - kept if zeros else 0)) is None


WHOLE = {progressive: saved(COLOUR, "JPEG", progressive=progressive, exif=exif_block(6), icc_profile=b"x" * 999) for progressive in (False, True)}


@settings(max_examples=500, deadline=None)
@given(progressive=st.booleans(), share=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_changed_byte_raises_nothing(progressive: bool, share: float, value: int) -> None:
    data = bytearray(WHOLE[progressive])
    data[int(len(data) * share)] = value
    plain(bytes(data))


def _precise() -> bytes:
    data = bytearray(saved(COLOUR, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


def _marked(mark: int) -> bytes:
    data = bytearray(saved(COLOUR, "JPEG"))
    data[data.index(b"\xff\xc0") + 1] = mark
    return bytes(data)


ODD = {
    "CMYK": saved(COLOUR.convert("CMYK"), "JPEG"),
    "red, green and blue": saved(COLOUR, "JPEG", keep_rgb=True),
    "12 bits": _precise(),
    "arithmetic codes": _marked(0xC9),
    "lossless": _marked(0xC3),
    "extended": _marked(0xC1),
    "another file": saved(COLOUR, "PNG"),
    "nothing": b"",
    "the beginning of one file and the whole of another": WHOLE[False][:-100] + WHOLE[False],
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_not_plain_is_none(what: str) -> None:
    assert plain(ODD[what]) is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_and_metadata_are_those_of_the_cpu(file: Callable[[str, bytes], Path], orientation: int) -> None:
    metadata = everything()
    written = saved(COLOUR, "JPEG", exif=b"Exif\0\0" + exif_block(orientation), icc_profile=metadata.icc, xmp=metadata.xmp, dpi=(300, 200))
    path = file("x.jpg", written)
    asked: list[Plain] = []

    def decoder(given: Plain) -> Pixels:
        asked.append(given)
        return pillow(given)

    picture, cpu = read_picture(path, max_pixels=LIMIT, jpeg_decoder=decoder), read_picture(path, max_pixels=LIMIT)
    assert len(asked) == 1 and b"Exif" not in asked[0].coded
    assert same(picture, cpu) and (picture.metadata, picture.notes) == (cpu.metadata, cpu.notes)
    assert picture.pixels.shape == ((64, 48, 3) if orientation >= 5 else (48, 64, 3))


def test_grey_stays_grey_with_its_profile(file: Callable[[str, bytes], Path]) -> None:
    path = file("x.jpg", saved(GREY, "JPEG", icc_profile=grey_profile()))
    picture, cpu = read_picture(path, max_pixels=LIMIT, jpeg_decoder=pillow), read_picture(path, max_pixels=LIMIT)
    assert same(picture, cpu) and picture.metadata == cpu.metadata
    assert picture.pixels.shape == (48, 64, 1)


def test_the_first_of_several_pictures_is_noted(file: Callable[[str, bytes], Path]) -> None:
    stream = BytesIO()
    COLOUR.save(stream, "MPO", save_all=True, append_images=[GREY.convert("RGB")])
    path = file("x.jpg", stream.getvalue())
    picture = read_picture(path, max_pixels=LIMIT, jpeg_decoder=pillow)
    assert picture.notes == ("first of 2 pictures",)
    assert same(picture, read_picture(path, max_pixels=LIMIT))


@pytest.mark.parametrize("what", [what for what in ODD if what not in ("another file", "nothing")])
def test_what_is_not_plain_is_left_to_pillow(file: Callable[[str, bytes], Path], what: str) -> None:
    path = file("x.jpg", ODD[what])

    def outcome(decoder: Callable[[Plain], Pixels] | None) -> object:
        try:
            return read_picture(path, max_pixels=LIMIT, jpeg_decoder=decoder).pixels.tobytes()
        except PixlateError as error:
            return str(error)

    assert outcome(refused) == outcome(None)


@pytest.mark.parametrize("cut", [lambda data: data[: len(data) // 2], lambda data: data[:-2], lambda data: data[:2000] + bytes(len(data) - 2000)])
def test_a_damaged_file_is_refused_as_on_the_cpu(file: Callable[[str, bytes], Path], cut: Callable[[bytes], bytes]) -> None:
    path = file("x.jpg", cut(saved(COLOUR, "JPEG", quality=95)))
    with pytest.raises(PixlateError, match="truncated or damaged") as alone:
        read_picture(path, max_pixels=LIMIT)
    with pytest.raises(PixlateError) as asked:
        read_picture(path, max_pixels=LIMIT, jpeg_decoder=refused)
    assert str(asked.value) == str(alone.value)


@pytest.mark.parametrize("wrong", [None, np.zeros((64, 48, 3), np.uint8), np.zeros((48, 64, 1), np.uint8), np.zeros((48, 64, 3), np.uint16)])
def test_pixels_of_another_shape_are_not_taken(file: Callable[[str, bytes], Path], wrong: Pixels | None) -> None:
    path = file("x.jpg", saved(COLOUR, "JPEG"))
    assert same(read_picture(path, max_pixels=LIMIT, jpeg_decoder=lambda given: wrong), read_picture(path, max_pixels=LIMIT))


def test_another_format_does_not_ask(file: Callable[[str, bytes], Path]) -> None:
    path = file("x.png", saved(COLOUR, "PNG"))
    assert same(read_picture(path, max_pixels=LIMIT, jpeg_decoder=refused), Picture(photograph()))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [80, 95])
def test_a_file_encoded_elsewhere_is_the_cpus(quality: int, channels: int) -> None:
    """Its pixels and metadata are: the bytes of the two files differ in nothing that a reader sees."""
    metadata = everything() if channels == 3 else Picture(photograph()).metadata
    picture = Picture(photograph(channels=channels), None, metadata)
    asked: list[tuple[int, str]] = []

    def encoder(pixels: Pixels, quality: int, subsampling: Subsampling) -> bytes:
        assert pixels.shape == (48, 64, channels)
        asked.append((quality, subsampling))
        return pillow_encoder(pixels, quality, subsampling)

    data, notes = encode_picture(picture, "jpeg", quality=quality, jpeg_encoder=encoder)
    assert asked == [(quality, "4:4:4" if quality == 95 else "4:2:0")]
    assert (data, notes) == encode_picture(picture, "jpeg", quality=quality)
    assert decode_picture(data, max_pixels=LIMIT).metadata == metadata


def test_transparency_is_laid_on_white_before_the_encoder_is_asked() -> None:
    picture = Picture(photograph(), np.zeros((48, 64), np.uint8))
    seen: list[Pixels] = []
    data, notes = encode_picture(picture, "jpeg", jpeg_encoder=lambda pixels, *settings: seen.append(pixels))
    assert notes == ("JPEG holds no transparency; laid on white",) and seen[0].min() == 255
    assert data == encode_picture(picture, "jpeg")[0]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda pixels: pillow_encoder(pixels, 94, "4:4:4"),
        lambda pixels: pillow_encoder(pixels, 95, "4:2:0"),
        lambda pixels: pillow_encoder(pixels[:40], 95, "4:4:4"),
        lambda pixels: pillow_encoder(pixels[:, :, :1], 95, "4:4:4"),
        lambda pixels: pillow_encoder(pixels, 95, "4:4:4")[:-2],
        lambda pixels: b"",
        lambda pixels: None,
    ],
)
def test_another_quality_subsampling_or_size_is_not_taken(wrong: Callable[[Pixels], bytes | None]) -> None:
    picture = Picture(photograph(), None, everything())
    assert encode_picture(picture, "jpeg", jpeg_encoder=lambda pixels, *settings: wrong(pixels)) == encode_picture(picture, "jpeg")


def test_metadata_of_the_encoded_file_is_left_out() -> None:
    head, coded = saved(Image.new("RGB", (1, 1)), "JPEG", dpi=(300, 300)), saved(COLOUR, "JPEG", exif=exif_block(), comment=b"of the encoder")
    data = joined(head, coded, 64, 48)
    assert data is not None and b"Exif" not in data and b"of the encoder" not in data
    with Image.open(BytesIO(data)) as image:
        assert image.info["dpi"] == (300, 300)


def test_a_large_photograph_is_plain() -> None:
    """Scans of many restarts and escapes, and a size of two bytes."""
    pixels = np.tile(photographs.astronaut(), (3, 3, 1))  # type: ignore[no-untyped-call]
    data = saved(Image.fromarray(pixels), "JPEG", quality=100, subsampling=0, restart_marker_rows=1)
    file = plain(data + b"a trailer")
    assert file is not None and (file.frame.width, file.frame.height, file.frame.kind) == (1536, 1536, "4:4:4")
    assert file.coded.endswith(b"\xff\xd9") and struct.unpack(">H", file.coded[:2]) == (0xFFD8,)
