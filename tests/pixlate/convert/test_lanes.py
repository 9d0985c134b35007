"""Several devices, each with lanes of its own, and images of many sizes that meet few shapes."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.pixlate.conftest import NEAREST, Nearest, folder, load, nearest, noise, outputs, save

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.report import Summary
from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference import models
from pixlate.inference.executor import Executor
from pixlate.inference.models import split_devices


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Summary]:
    """Convert with one stand-in model for each device, made by a function of its name."""

    def start(make: Callable[[str], Nearest], source: Path, **options: object) -> Summary:
        model = tmp_path / "stand-in.model"
        model.write_bytes(b"a model")
        monkeypatch.setattr(models, "load", lambda model, device, *_, **__: make(device))
        return convert(source, tmp_path / "out", model, ConvertOptions(threads=2, **options))  # type: ignore[arg-type]

    return start


def test_devices_are_named_one_by_one() -> None:
    assert split_devices("cuda:0,1,3") == ["cuda:0", "cuda:1", "cuda:3"]
    assert split_devices("tensorrt:0,1") == ["tensorrt:0", "tensorrt:1"]
    assert [split_devices(device) for device in ("auto", "cpu", "cuda", "cuda:2")] == [["auto"], ["cpu"], ["cuda"], ["cuda:2"]]
    with pytest.raises(PixlateError, match="each GPU once for --device, got cuda:1,1; leave out the second"):
        split_devices("cuda:1,1")


def test_two_devices_work_at_the_same_time_and_every_picture_is_right(fleet: Callable[..., Summary], tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=30)
    met: set[str] = set()

    def make(device: str) -> Nearest:
        def wait(pixels: Pixels) -> None:
            if device not in met:  # continues only when the other device is working too
                met.add(device)
                together.wait()

        return Nearest(device=device, before=wait)

    source = folder(tmp_path / "in", 12)
    summary = fleet(make, source, device="cuda:0,1", batch=2)
    assert (summary.converted, summary.exit_code, summary.device) == (12, 0, "cuda:0,1")
    assert met == {"cuda:0", "cuda:1"}
    for name, path in outputs(tmp_path / "out").items():
        np.testing.assert_array_equal(np.array(load(path)), nearest(np.array(load(source / name))[None], 2)[0])


def test_failure_on_one_device_costs_the_pictures_it_had_and_no_others(fleet: Callable[..., Summary], tmp_path: Path) -> None:
    def make(device: str) -> Nearest:
        def fail(pixels: Pixels) -> None:
            if pixels.shape[1] == 7:
                raise ValueError("the GPU has vanished")

        return Nearest(device=device, before=fail)

    source = folder(tmp_path / "in", 9)
    save(source / "bad.png", 7, 7)
    summary = fleet(make, source, device="cuda:0,1", bucket="off")
    assert (summary.converted, summary.failed) == (9, 1)
    assert "the GPU has vanished" in summary.failures[0][1]


def test_one_picture_that_fails_costs_none_of_its_batch(fleet: Callable[..., Summary], tmp_path: Path) -> None:
    def fail(pixels: Pixels) -> None:
        if (pixels == 7).all(axis=(1, 2, 3)).any():
            raise PixlateError("the model gave values that are not numbers")

    source = folder(tmp_path / "in", 8)
    Image.fromarray(np.full((6, 9, 3), 7, np.uint8)).save(source / "bad.png")
    model = Nearest(before=fail)
    summary = fleet(lambda device: model, source, batch=9)
    assert (summary.converted, summary.failed) == (8, 1)
    assert summary.failures[0][0].endswith("bad.png") and "not numbers" in summary.failures[0][1]


def test_tile_that_shrinks_after_images_were_grouped_leaves_their_sizes(tmp_path: Path) -> None:
    images = [noise(*size, seed=index) for index, size in enumerate([(90, 90), (100, 96)])]
    executor = Executor(Nearest(), "auto", 2, 64)
    assert executor.shape(90, 90) == executor.shape(100, 96) == (128, 128)
    executor._tile = 64  # as another lane does, out of memory meanwhile
    for image, output in zip(images, executor.translate(images), strict=True):
        np.testing.assert_array_equal(output, nearest(image[None], 2)[0])


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=6),
    bucket=st.integers(1, 40),
    tile=st.sampled_from(["off", 32, 64]),
    channels=st.sampled_from([1, 3]),
)
def test_images_of_one_bucket_come_back_each_at_its_own_size(sizes: list[tuple[int, int]], bucket: int, tile: str | int, channels: int) -> None:
    executor = Executor(Nearest(replace(NEAREST, channels_in=channels, channels_out=channels)), tile, 3, bucket)  # type: ignore[arg-type]
    images = [noise(*size, channels, seed=index) for index, size in enumerate(sizes)]
    groups: dict[tuple[int, int], list[Pixels]] = {}
    for image in images:
        groups.setdefault(executor.shape(*image.shape[:2]), []).append(image)
    for (height, width), group in groups.items():
        assert all(height >= image.shape[0] > height - bucket and width >= image.shape[1] > width - bucket for image in group)
        for image, output in zip(group, executor.translate(group), strict=True):
            np.testing.assert_array_equal(output, nearest(image[None], 2)[0])
            assert output.flags.c_contiguous


def test_two_hundred_sizes_meet_few_shapes(fleet: Callable[..., Summary], tmp_path: Path) -> None:
    model = Nearest()
    for index in range(60):
        save(tmp_path / "in" / f"{index}.png", 5 + index, 70 - index, seed=index)
    assert fleet(lambda device: model, tmp_path / "in", bucket=32, batch=4).converted == 60
    assert {shape[1:3] for shape in model.shapes} <= {(height, width) for height in (32, 64, 96) for width in (32, 64, 96)}
    assert max(shape[0] for shape in model.shapes) > 1, "images of different sizes run together"


def test_bucket_is_off_on_the_cpu_and_64_on_a_gpu() -> None:
    assert Executor(Nearest(), "auto", "auto", "auto").shape(65, 100) == (65, 100)
    for device in ("cuda:0", "tensorrt:1"):
        assert Executor(Nearest(device=device), "auto", "auto", "auto").shape(65, 100) == (128, 128)


def test_sides_that_are_cut_into_tiles_are_not_raised() -> None:
    executor = Executor(Nearest(), 100, 1, 64)
    assert executor.shape(65, 99) == (100, 100), "a bucket beyond the tile would be cut"
    assert executor.shape(130, 20) == (130, 64)


def test_gpu_gets_two_lanes_and_the_cpu_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "load", lambda model, device, *_, **__: Nearest(NEAREST, device))
    lanes = {device: models.load_executors("model", ConvertOptions(device=device)) for device in ("cpu", "cuda:0", "cuda:0,1")}
    assert {device: len(executors) for device, executors in lanes.items()} == {"cpu": 1, "cuda:0": 2, "cuda:0,1": 4}
    assert lanes["cuda:0"][0] is lanes["cuda:0"][1] and len({id(executor) for executor in lanes["cuda:0,1"]}) == 2
