"""What TensorBoard's own reader finds."""

import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from pixlate.training.board import TENSORBOARD, Board


def read(run: Path) -> Any:
    reader = EventAccumulator(str(run / TENSORBOARD))
    reader.Reload()
    return reader


def scalars(run: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(run).Scalars(name)]


def test_scalars_are_read_back_by_name_and_step(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.scalars(50, {"losses/pixel": 0.5, "learning_rate": 0.25})
        board.scalars(100, {"losses/pixel": 0.125})
    assert scalars(tmp_path, "losses/pixel") == [(50, 0.5), (100, 0.125)]
    assert scalars(tmp_path, "learning_rate") == [(50, 0.25)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_left_out(value: float, tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.scalars(1, {"pixel": value, "other": 1.0})
    assert read(tmp_path).Tags()["scalars"] == ["other"]


def test_resumed_run_hides_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        for step in range(10, 80, 10):
            board.scalars(step, {"pixel": 1.0})
    with Board(tmp_path, done=50) as board:
        board.scalars(55, {"pixel": 2.0})
    assert scalars(tmp_path, "pixel") == [(10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0), (50, 1.0), (55, 2.0)]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_sheet_comes_back_pixel_for_pixel(mode: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(tmp_path / "sheet.png")
    with Board(tmp_path) as board:
        board.sheet(1000, tmp_path / "sheet.png")
        (event,) = read(tmp_path).Images("samples")
    with Image.open(tmp_path / "sheet.png") as sheet, Image.open(io.BytesIO(event.encoded_image_string)) as shown:
        assert event.step == 1000 and np.array_equal(np.asarray(shown), np.asarray(sheet.convert("RGB")))


def test_importing_the_module_does_not_import_tensorboard() -> None:
    code = "import sys, pixlate.training.board; sys.exit('tensorboard' in sys.modules or 'torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
