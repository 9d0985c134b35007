"""The answer is exactly the picture that Pixlate makes of the upload, with its metadata."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import Nearest, nearest, noise
from tests.pixlate_serve.conftest import PNG, Application, error_of, file, picture, pixels_of

import pixlate
from pixlate.images import ImageFile, Picture, read_picture, write_picture
from pixlate.images.colour import srgb
from pixlate.images.picture import Pixels
from pixlate.images.write import encode_picture
from pixlate.plugin.spec import ModelSpec
from pixlate_serve.transfer import MEDIA_TYPES

Start = Callable[..., Application]


def test_answer_is_the_picture_the_shipped_model_makes(start: Start) -> None:
    translator = pixlate.load("upscale-x2", "cpu")
    application = start({"upscale-x2": translator})
    pixels = noise(24, 32)
    answer = application.translate(file(pixels), "upscale-x2")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert np.array_equal(pixels_of(answer.content), translator(pixels[None])[0])


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_answer_has_the_format_of_the_upload(start: Start, format: str) -> None:
    answer = start().translate(picture(format=format.upper()), headers={"Content-Type": f"image/{format}"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{format}")
    with Image.open(BytesIO(answer.content)) as image:
        assert (image.format or "").lower() == format and image.size == (18, 12)


@pytest.mark.parametrize(("query", "accept", "expected"), [
    ("?format=jpeg", "image/png", "jpeg"), ("?format=jpg", "*/*", "jpeg"), ("?format=tif", None, "tiff"), ("", "image/webp", "webp"),
    ("", "image/*", "png"), ("", "image/webp;q=0.4, image/gif;q=0.9", "gif"), ("", "text/html, */*;q=0.1", "png"), ("", "image/gif, image/png", "png"),
])  # fmt: skip
def test_format_can_be_named_in_the_query_or_accepted_in_the_header(start: Start, query: str, accept: str | None, expected: str) -> None:
    answer = start().translate(picture(), headers=PNG | ({"Accept": accept} if accept else {}), query=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{expected}")


def test_format_that_cannot_be_written_is_refused_before_the_upload_is_read(start: Start) -> None:
    application = start()
    assert error_of(application.translate(picture(), query="?format=heic"))[:2] == (400, "unknown_format")
    assert error_of(application.translate(picture(), headers=PNG | {"Accept": "text/html, image/png;q=0"}))[:2] == (406, "not_acceptable")


def test_sixteen_bits_come_back_as_sixteen(start: Start) -> None:
    pixels = noise(6, 9, dtype=np.uint16)
    data, _ = encode_picture(Picture(pixels), "png")
    assert np.array_equal(pixels_of(start().translate(data).content), nearest(pixels[None], 2)[0])


def test_alpha_profile_exif_and_resolution_come_back_and_the_origin_is_noted(start: Start) -> None:
    rgba, exif = np.maximum(noise(6, 9, 4), 1), Image.Exif()  # nothing is quite hidden
    exif[274], exif[271] = 6, "Camera works"
    answer = start().translate(file(rgba, exif=exif, icc_profile=srgb(), dpi=(300, 300)))
    back = read_picture(answer.content, max_pixels=10**6)
    upright = np.rot90(rgba[:, :, :3], -1)
    assert np.array_equal(back.pixels, nearest(upright[None], 2)[0])
    assert back.alpha is not None and back.alpha.shape == (18, 12)
    assert back.metadata.icc == srgb() and b"Camera works" in back.metadata.exif and round((back.metadata.dpi or (0, 0))[0]) == 300
    assert b"algorithmicallyEnhanced" in back.metadata.xmp


def test_metadata_can_be_left_out(start: Start) -> None:
    answer = start(strip_metadata=True).translate(file(noise(6, 9), icc_profile=srgb(), dpi=(300, 300)))
    metadata = read_picture(answer.content, max_pixels=10**6).metadata
    assert (metadata.icc, metadata.exif, metadata.xmp, metadata.dpi) == (b"", b"", b"", None)


def test_notes_list_what_the_format_could_not_hold(start: Start) -> None:
    answer = start().translate(file(noise(6, 9, 4)), query="?format=jpeg")
    assert answer.headers["pixlate-notes"] == "JPEG holds no transparency; laid on white"
    assert "pixlate-notes" not in start().translate(picture()).headers


def test_quality_is_that_of_the_options(start: Start) -> None:
    low, high = (len(start(quality=quality).translate(picture(40, 60), query="?format=jpeg").content) for quality in (10, 95))
    assert low < high / 2


def test_grey_picture_stays_grey_and_colour_is_turned_to_grey_for_a_model_of_grey_ones(start: Start) -> None:
    grey = noise(6, 9, 1)
    application = start({"nearest": Nearest(), "grey": Nearest(ModelSpec(scale=2, channels_in=1, channels_out=1, tiling_exact=True, halo=0))})
    for name in ("nearest", "grey"):
        assert np.array_equal(pixels_of(application.translate(file(grey), name).content), nearest(grey[None], 2)[0])
    answer = application.translate(file(noise(6, 9)), "grey")
    luma = np.rint(noise(6, 9) @ np.array([0.299, 0.587, 0.114]))[:, :, None]
    assert np.abs(pixels_of(answer.content) - nearest(luma[None], 2)[0]).max() <= 1
    assert "the colours were turned to grey" in answer.headers["pixlate-notes"]


def test_model_of_one_size_serves_pictures_of_all_sizes(start: Start) -> None:
    class Fixed(Nearest):
        fixed_size = (16, 24)

        def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
            assert pixels is not None and pixels.shape[1:3] == self.fixed_size
            return super().__call__(pixels)

    application = start({"fixed": Fixed()})
    for size in ((16, 24), (5, 9), (40, 50)):
        answer = application.translate(file(noise(*size)), "fixed")
        assert np.array_equal(pixels_of(answer.content), nearest(noise(*size)[None], 2)[0])
        assert ("the one size that the model takes" in answer.headers.get("pixlate-notes", "")) == (size != (16, 24))


def test_what_is_hidden_under_transparency_does_not_show(start: Start) -> None:
    alpha = np.zeros((6, 9, 1), np.uint8)
    alpha[2:5, 3:7] = 255
    answers = []
    for hidden in (noise(6, 9), np.zeros((6, 9, 3), np.uint8)):
        answer = start().translate(file(np.dstack([np.where(alpha > 0, 200, hidden).astype(np.uint8), alpha])))
        answers.append(pixels_of(answer.content))
    assert (answers[0] == answers[1]).all()
    assert (answers[0][:, :, 0] == 200).all()


def test_upload_is_opened_once_from_its_header_to_its_pixels(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, open_file = [], ImageFile.__init__

    def counted(self: ImageFile, *arguments: Any, **options: Any) -> None:
        opened.append(self)
        open_file(self, *arguments, **options)

    monkeypatch.setattr(ImageFile, "__init__", counted)
    assert start().translate(picture()).status_code == 200
    assert len(opened) == 1


def test_large_picture_is_cut_into_tiles_and_is_the_same(start: Start) -> None:
    pixels, model = noise(100, 70), Nearest()
    assert np.array_equal(pixels_of(start({"nearest": model}, tile=32).translate(file(pixels)).content), nearest(pixels[None], 2)[0])
    assert max(max(shape[1:3]) for shape in model.shapes) <= 32


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_bytes_are_decoded_and_encoded_as_files_are(tmp_path: Path, format: str) -> None:
    path = tmp_path / "x"
    whole = Picture(noise(6, 9), noise(6, 9, 1)[:, :, 0])
    notes = write_picture(whole, path, format, quality=80)
    assert encode_picture(whole, format, quality=80) == (path.read_bytes(), notes)
    from_file, from_bytes = read_picture(path, max_pixels=100), read_picture(path.read_bytes(), max_pixels=100)
    assert np.array_equal(from_file.pixels, from_bytes.pixels) and from_file.metadata == from_bytes.metadata and from_file.notes == from_bytes.notes
    with ImageFile(path.read_bytes(), max_pixels=100) as file:
        assert file.size == (9, 6)
