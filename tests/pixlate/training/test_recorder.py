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

from pixlate.plugin.metric import Sample
from pixlate.training.recorder import TENSORBOARD, Recorder
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
