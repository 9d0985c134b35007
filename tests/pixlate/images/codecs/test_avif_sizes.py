"""The sizes that the frames of an AVIF file have count against the limit, not those that its boxes state."""

import struct
from io import BytesIO
from itertools import chain

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.images import hostile
from tests.pixlate.images.conftest import LIMIT, photograph, samples

from pixlate.errors import PixlateError
from pixlate.images import ImageFile, read_picture
from pixlate.images.codecs.av1 import frame_sizes
from pixlate.images.codecs.boxes import coded


def avif(width: int, height: int, mode: str = "RGB", frames: int = 1, **options: object) -> bytes:
    images = [Image.fromarray(samples(height, width, 3, seed=seed)).convert(mode) for seed in range(frames)]
    stream = BytesIO()
    images[0].save(stream, "AVIF", speed=10, save_all=frames > 1, append_images=images[1:], **options)
    return stream.getvalue()


def sizes(data: bytes) -> set[tuple[int, int]]:
    found = coded(data)
    return {*frame_sizes(found.items), *frame_sizes(chain.from_iterable(found.tracks))}


def stated(data: bytes, width: int, height: int) -> bytes:
    """Return a file whose boxes state another size."""
    position = -1
    while (position := data.find(b"ispe", position + 1)) >= 0:
        data = data[: position + 8] + struct.pack(">II", width, height) + data[position + 16 :]
    return data


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 64), (130, 77), (513, 260)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_the_size_of_the_frames_is_read_from_the_coded_data(size: tuple[int, int], mode: str) -> None:
    assert sizes(avif(*size, mode)) == {size}
    assert sizes(avif(*size, mode, subsampling="4:4:4", quality=100)) == {size}


def test_frames_of_a_sequence_are_found_in_its_track() -> None:
    data = avif(40, 24, frames=3)
    assert [len(track) for track in coded(data).tracks] == [3] and sizes(data) == {(40, 24)}
    with ImageFile(data, max_pixels=40 * 24) as file:
        assert len(list(file.frames())) == 3


def test_frames_larger_than_stated_are_refused_before_they_are_decoded() -> None:
    data = stated(avif(600, 500), 64, 64)
    with ImageFile(data, max_pixels=250_000) as file, pytest.raises(PixlateError, match=r"at most 0\.25 million pixels, got 600 x 500"):
        file.read()
    with Image.open(BytesIO(data)) as image:  # libavif would decode and reduce it
        image.load()
        assert image.size == (64, 64)


def test_items_that_name_the_same_bytes_many_times_are_refused() -> None:
    data = avif(8, 8)
    begin = data.index(b"iloc") - 4
    length = int.from_bytes(data[begin : begin + 4], "big")
    items = b"".join(struct.pack(">HHHII", number, 0, 1, 0, len(data)) for number in range(1, 2000))
    iloc = b"iloc" + bytes(4) + b"\x44\0" + struct.pack(">H", 1999) + items
    meta = data.index(b"meta") - 4
    grown = int.from_bytes(data[meta : meta + 4], "big") + len(iloc) + 4 - length
    changed = data[:meta] + struct.pack(">I", grown) + data[meta + 4 : begin] + struct.pack(">I", len(iloc) + 4) + iloc + data[begin + length :]
    with pytest.raises(PixlateError, match="name the same bytes many times"):
        read_picture(changed, max_pixels=LIMIT)


def test_exif_whose_entries_name_the_same_bytes_costs_nothing() -> None:
    stream = BytesIO()
    Image.fromarray(photograph()).save(stream, "AVIF", exif=b"Exif\0\0" + hostile.aliases(1, 500))
    data = stream.getvalue()
    small, large = hostile.aliases(1, 500), hostile.aliases(40, 20)
    assert len(small) >= len(large)
    picture = read_picture(data.replace(small, large + bytes(len(small) - len(large))), max_pixels=LIMIT)
    assert picture.pixels.shape == (48, 64, 3) and len(picture.metadata.exif) == len(small)


def test_many_empty_units_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 400,000 units"):
        list(frame_sizes([b"\x7a\0" * 1_000_000]))


def test_damaged_coded_data_are_no_endless_loop() -> None:
    data = avif(16, 16)
    begin = data.index(b"mdat") + 4
    random = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        for place in random.integers(begin, len(data), 5):
            changed[place] = random.integers(256)
        for item in coded(bytes(changed)).items:
            list(frame_sizes_of(item))


def frame_sizes_of(item: bytes) -> list[tuple[int, int]]:
    try:
        return list(frame_sizes([item]))
    except PixlateError:
        return []
