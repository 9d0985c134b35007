"""Sheets of held-out images, checked pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pixlate.plugin.metric import Sample
from pixlate.training.sheets import CAPTION, MARGIN, SMALLEST, WIDEST, write_sheet

Image8 = NDArray[np.uint8]


def plain(height: int, width: int, *levels: int) -> Image8:
    return np.full((height, width, len(levels)), levels, np.uint8)


def noise(height: int, width: int, channels: int = 3) -> Image8:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def drawn(path: Path, *samples: Sample) -> Image8:
    write_sheet(path / "sheet.png", samples)
    with Image.open(path / "sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.mode == "RGB"
        return np.asarray(sheet)


def cell(sheet: Image8, column: int, height: int, width: int, top: int = 0) -> Image8:
    """Return the part of a sheet that shows an image, where all images are ``width`` wide."""
    left, top = MARGIN + column * (width + MARGIN), CAPTION + MARGIN + top
    return sheet[top : top + height, left : left + width]


def test_row_is_source_output_target_pixel_for_pixel(tmp_path: Path) -> None:
    images = [noise(200, 240), noise(200, 240)[::-1], noise(200, 240)[:, ::-1]]
    sheet = drawn(tmp_path, Sample(*images))
    assert sheet.shape == (CAPTION + 2 * MARGIN + 200, 4 * MARGIN + 3 * 240, 3)
    assert all(np.array_equal(cell(sheet, column, 200, 240), image) for column, image in enumerate(images))


def test_every_column_has_a_caption_above_it(tmp_path: Path) -> None:
    sheet = drawn(tmp_path, Sample(noise(200, 200), noise(200, 200), noise(200, 200)))
    for column in range(3):
        left = MARGIN + column * (200 + MARGIN)
        assert (sheet[: CAPTION + MARGIN, left : left + 100] < 128).any()
        assert (sheet[: MARGIN // 2] == 255).all() and (sheet[CAPTION + MARGIN - 2 : CAPTION + MARGIN] == 255).all(), "nothing touches the images"


def test_source_of_an_upscaling_model_is_shown_with_its_pixels_repeated(tmp_path: Path) -> None:
    source, target = noise(50, 60), noise(200, 240)
    sheet = drawn(tmp_path, Sample(source, target, target))
    assert np.array_equal(cell(sheet, 0, 200, 240), source.repeat(4, 0).repeat(4, 1))


@pytest.mark.parametrize(("levels", "shown"), [((7,), (7, 7, 7)), ((7, 99), (7, 7, 7)), ((1, 2, 3), (1, 2, 3)), ((1, 2, 3, 4, 5), (1, 2, 3))])
def test_channels_are_shown_as_grey_or_the_first_three(levels: tuple[int, ...], shown: tuple[int, int, int], tmp_path: Path) -> None:
    other = plain(200, 200, 50, 60, 70)
    sheet = drawn(tmp_path, Sample(plain(200, 200, *levels), other, other))
    assert (cell(sheet, 0, 200, 200) == shown).all() and (cell(sheet, 1, 200, 200) == (50, 60, 70)).all()


def test_target_of_another_scene_keeps_its_shape(tmp_path: Path) -> None:
    source, target = noise(200, 300), plain(300, 200, 50, 60, 70)
    sheet = drawn(tmp_path, Sample(source, source, target))
    assert np.array_equal(cell(sheet, 0, 200, 300), source)
    left = 3 * MARGIN + 2 * 300
    shown = sheet[CAPTION + MARGIN :][:200, left : left + 300]
    coloured = (shown == (50, 60, 70)).all(axis=2)
    assert coloured.any(axis=0).sum() == pytest.approx(200 * 200 / 300, abs=1) and coloured.any(axis=1).sum() == 200


def test_large_images_are_shrunk_to_their_means(tmp_path: Path) -> None:
    halves = np.concatenate([noise(1000, 1000) // 2, noise(1000, 1000) // 2 + 128], axis=1)
    columns = 3
    sheet = drawn(tmp_path, Sample(halves, halves, halves))
    width = (sheet.shape[1] - MARGIN) // columns - MARGIN
    assert WIDEST - columns < sheet.shape[1] <= WIDEST
    for column in range(columns):
        image = cell(sheet, column, width // 2, width).astype(float)
        assert abs(image[:, : width // 2 - 1].mean() - 63.25) < 1 and abs(image[:, width // 2 + 1 :].mean() - 191.25) < 1
        assert image[:, : width // 2 - 1].std() < 20, "a mean over pixels of a noise with a deviation of 37"


def test_small_images_are_enlarged_by_a_whole_number(tmp_path: Path) -> None:
    image = noise(28, 20)
    factor = SMALLEST // 28
    sheet = drawn(tmp_path, Sample(image, image, image))
    assert np.array_equal(cell(sheet, 2, 28 * factor, 20 * factor), image.repeat(factor, 0).repeat(factor, 1))


side = st.integers(1, 2000)


@given(sizes=st.lists(st.tuples(side, side, side, side, st.integers(1, 5)), min_size=1, max_size=3))
@settings(deadline=None, max_examples=15)
def test_images_of_any_sizes_fit_one_sheet(sizes: list[tuple[int, int, int, int, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    samples = []
    for height, width, other_height, other_width, channels in sizes:
        source, output = (np.zeros((*shape, channels), np.uint8) for shape in ((height, width), (other_height, other_width)))
        samples.append(Sample(source, output, source))
    assert drawn(tmp_path_factory.mktemp("sheet"), *samples).shape[1] <= WIDEST


def test_sheet_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "samples"
    first, second = (Sample(image, image, image) for image in (plain(200, 200, 1), plain(200, 200, 2)))
    write_sheet(folder / "step-1.png", [first])
    write_sheet(folder / "step-1.png", [second])
    assert [path.name for path in folder.iterdir()] == ["step-1.png"]
    with Image.open(folder / "step-1.png") as sheet:
        assert np.asarray(sheet)[CAPTION + MARGIN, MARGIN].tolist() == [2, 2, 2]


def test_failed_writing_keeps_the_older_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = plain(200, 200, 1)
    write_sheet(tmp_path / "step-1.png", [Sample(image, image, image)])
    before = (tmp_path / "step-1.png").read_bytes()

    def fail(self: Image.Image, path: Path, kind: str) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        write_sheet(tmp_path / "step-1.png", [Sample(image, image, image)])
    assert [path.name for path in tmp_path.iterdir()] == ["step-1.png"] and (tmp_path / "step-1.png").read_bytes() == before


def test_sheet_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected at least one sample, got none"):
        write_sheet(tmp_path / "sheet.png", [])
