"""What TensorBoard's own reader finds, and sheets of held-out images, checked pixel by pixel."""

import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from pixlate.plugin.metric import Sample
from pixlate.training.recorder import CAPTION, MARGIN, SMALLEST, TENSORBOARD, WIDEST, Recorder, write_sheet
from pixlate.training.validation import Validation


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "options.toml").write_text("[train.srgan]\n")
    return tmp_path


def record(run: Path, done: int = 0) -> Recorder:
    return Recorder(run, done, print)


def read(run: Path) -> Any:
    reader = EventAccumulator(str(run / TENSORBOARD))
    reader.Reload()
    return reader


def scalars(run: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(run).Scalars(name)]


def test_scalars_are_read_back_by_name_and_step(run: Path) -> None:
    with record(run) as recorder:
        recorder.losses(50, **{"losses/pixel": 0.5, "learning_rate": 0.25})
        recorder.losses(100, **{"losses/pixel": 0.125})
    assert scalars(run, "losses/pixel") == [(50, 0.5), (100, 0.125)]
    assert scalars(run, "learning_rate") == [(50, 0.25)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_left_out(value: float, run: Path) -> None:
    with record(run) as recorder:
        recorder.losses(1, pixel=value, other=1.0)
    assert read(run).Tags()["scalars"] == ["other"]


def test_resumed_run_hides_what_came_after_its_checkpoint(run: Path) -> None:
    with record(run) as recorder:
        for step in range(10, 80, 10):
            recorder.losses(step, pixel=1.0)
    with record(run, done=50) as recorder:
        recorder.losses(55, pixel=2.0)
    assert scalars(run, "pixel") == [(10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0), (50, 1.0), (55, 2.0)]


@pytest.mark.parametrize("channels", [3, 1])
def test_sheet_comes_back_pixel_for_pixel(channels: int, run: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, channels), np.uint8)
    with record(run) as recorder:
        recorder.validation(1000, Validation(samples=[Sample(pixels, pixels, pixels)]))
        (event,) = read(run).Images("samples")
    with Image.open(run / "samples" / "step-00001000.png") as sheet, Image.open(io.BytesIO(event.encoded_image_string)) as shown:
        assert event.step == 1000 and np.array_equal(np.asarray(shown), np.asarray(sheet.convert("RGB")))


def test_importing_the_module_does_not_import_tensorboard() -> None:
    code = "import sys, pixlate.training.recorder; sys.exit('tensorboard' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


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
