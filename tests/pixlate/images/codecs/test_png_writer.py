"""PNG files as they are written: read back by two other decoders, and as small as those of libpng."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from tests.pixlate.images.conftest import photograph

from pixlate.images import Picture
from pixlate.images.codecs import png_writer
from pixlate.images.picture import Metadata, Pixels
from pixlate.images.write import encode_picture

SIDES = st.integers(1, 40) | st.sampled_from([1, 255, 256, 257])


def written(pixels: Pixels, alpha: Pixels | None = None) -> bytes:
    return encode_picture(Picture(pixels, alpha), "png")[0]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_every_sample_is_kept_at_any_size_depth_and_kind(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([np.uint8, np.uint16]))
    height, width, channels = data.draw(SIDES), data.draw(SIDES), data.draw(st.sampled_from([1, 3]))
    pixels = data.draw(arrays.arrays(kind, (height, width, channels)))
    alpha = data.draw(st.none() | arrays.arrays(kind, (height, width)))
    expected = (pixels if alpha is None else np.dstack([pixels, alpha])).reshape(height, width, -1)
    assert np.array_equal(imagecodecs.png_decode(written(pixels, alpha)).reshape(expected.shape), expected)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 1), (7, 1, 3), (3, 100_000, 3), (100_000, 1, 1), (70_000, 2, 3)])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_pillow_reads_rows_and_columns_of_any_length(shape: tuple[int, int, int], with_alpha: bool) -> None:
    random = np.random.default_rng(sum(shape))
    pixels = random.integers(0, 256, shape, np.uint8)
    alpha = random.integers(0, 256, shape[:2], np.uint8) if with_alpha else None
    with Image.open(BytesIO(written(pixels, alpha))) as image:
        samples = np.asarray(image).reshape(*shape[:2], -1)
    assert np.array_equal(samples, pixels if alpha is None else np.dstack([pixels, alpha]))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_views_that_are_not_contiguous_are_written_as_they_are_seen(kind: type[np.uint8] | type[np.uint16]) -> None:
    pixels = photograph(kind)
    for view in (pixels[::-1, ::2], pixels.transpose(1, 0, 2), pixels[5:6, :, :1], pixels[:, 5:6], np.broadcast_to(pixels[:, :, :1], pixels.shape)):
        assert np.array_equal(imagecodecs.png_decode(written(view)).reshape(view.shape), view)


def test_pixels_of_more_than_one_chunk_are_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_writer, "_MOST", 1000)
    pixels = photograph()
    data = written(pixels)
    assert data.count(b"IDAT") > 5
    with Image.open(BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_every_chunk_has_the_checksum_that_its_bytes_have() -> None:
    data = encode_picture(Picture(photograph(), metadata=Metadata(comments=("a comment",), dpi=(72.0, 72.0), text=(("Title", "x" * 3000),))), "png")[0]
    position, names = 8, []
    while position < len(data):
        length, name = struct.unpack(">I4s", data[position : position + 8])
        body = data[position + 8 : position + 8 + length]
        assert zlib.crc32(name + body).to_bytes(4, "big") == data[position + 8 + length : position + 12 + length]
        names.append(name)
        position += 12 + length
    assert names[0] == b"IHDR" and names[-2:] == [b"IDAT", b"IEND"] and {b"tEXt", b"zTXt", b"pHYs"} <= set(names)


def test_a_photograph_takes_at_most_a_tenth_more_than_through_pillow(data: Path) -> None:
    ours = pillows = 0
    for path in sorted((data / "photos/test").glob("*.jpg"))[::40]:
        with Image.open(path) as image:
            stream = BytesIO()
            image.save(stream, "PNG", compress_level=2)
            pillows += len(stream.getvalue())
            ours += len(written(np.asarray(image)))
    assert ours < 1.1 * pillows


def test_strips_filtered_one_by_one_are_the_rows_of_the_whole() -> None:
    rows = png_writer.rows_of(photograph(np.uint16))
    strips = [png_writer.filtered(rows[top : top + 7], rows[top - 1] if top else None) for top in range(0, len(rows), 7)]
    assert np.array_equal(np.concatenate(strips), png_writer.filtered(rows))
