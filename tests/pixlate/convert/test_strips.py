"""A large picture is written while it is translated, strip by strip, and is then the same as one that was translated whole."""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pixlate.conftest import NEAREST, Nearest, load, nearest, noise, outputs, save

from pixlate.convert import ConvertOptions, convert, pipeline, room
from pixlate.convert.preview import preview
from pixlate.convert.strips import Strips
from pixlate.images import Metadata, Picture, Pixels, read_picture, write_picture
from pixlate.inference.executor import Executor
from pixlate.plugin.spec import ModelInput, ModelSpec
from pixlate.plugin.translator import Statistics, Translator

BLENDED = replace(NEAREST, tiling_exact=False, halo=4)


def _written(path: Path) -> Picture:
    return read_picture(path, max_pixels=10**9)


def _source(height: int, width: int, kind: str, deep: bool) -> Picture:
    channels, dtype = 1 if kind.startswith("grey") else 3, np.uint16 if deep else np.uint8
    alpha = noise(height, width, 1, 1, dtype)[:, :, 0] if kind.endswith("alpha") else None
    return Picture(noise(height, width, channels, 0, dtype), alpha, Metadata(dpi=(300.0, 300.0), comments=("of a test",)))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["grey", "grey alpha", "colour", "colour alpha"])
@pytest.mark.parametrize(("spec", "strength"), [(NEAREST, None), (NEAREST, 0.4), (replace(BLENDED, scale=3), 0.7), (replace(NEAREST, scale=1), None)])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_strips_give_the_file_of_the_whole_picture(
    format: str, spec: ModelSpec, strength: float | None, kind: str, deep: bool, use: Callable[[Translator], Path], tmp_path: Path
) -> None:
    write_picture(_source(157, 211, kind, deep), tmp_path / "in.png", "png")
    for out, sheet in (("strips", None), ("whole", tmp_path / "sheet.png")):  # a sheet needs whole pictures
        model = use(_Smooth(spec))
        options = ConvertOptions(threads=2, tile=64, format=format, strength=strength, sheet=sheet)
        assert convert(tmp_path / "in.png", tmp_path / out, model, options).converted == 1
    (one,), (other,) = (outputs(tmp_path / out).values() for out in ("strips", "whole"))
    first, second = _written(one), _written(other)
    assert first.metadata == second.metadata
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert (first.alpha is None) == (second.alpha is None)
    if first.alpha is not None and second.alpha is not None:
        np.testing.assert_array_equal(first.alpha, second.alpha)


class _Smooth(Nearest):
    """Enlarges, and adds a ramp that begins in each tile, so that tiles of inexact models differ where they overlap."""

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        output = super().__call__(pixels)
        if self.spec.tiling_exact:
            return output
        ramp = np.arange(output.shape[1], dtype=output.dtype)[None, :, None, None] // 4
        return (output // 2 + ramp).astype(output.dtype)


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 90), st.integers(1, 90)), st.integers(1, 3), st.booleans(), st.integers(16, 40), st.sampled_from([1, 2, 5]))
def test_strips_of_an_executor_are_the_rows_of_the_whole(size: tuple[int, int], scale: int, exact: bool, tile: int, multiple: int) -> None:
    spec = ModelSpec(method="nearest", scale=scale, tiling_exact=exact, halo=multiple, multiple=multiple)
    tile = max(tile, 40)
    image = noise(*size)
    whole = Executor(_Smooth(spec), tile, 2).translate([image])[0]
    strips = list(Executor(_Smooth(spec), tile, 2).strips(image))
    np.testing.assert_array_equal(np.concatenate(strips), whole)
    assert (len(strips) > 1) == (len(strips[0]) < len(whole))


def test_no_strip_is_higher_than_a_row_of_tiles() -> None:
    strips = [len(strip) for strip in Executor(Nearest(), 64, 1).strips(noise(1000, 70))]
    assert sum(strips) == 2000
    assert max(strips) <= 128


def test_a_picture_that_fails_midway_leaves_no_file(use: Callable[[Translator], Path], tmp_path: Path) -> None:
    save(tmp_path / "in/large.png", 400, 100)
    save(tmp_path / "in/small.png", 40, 40)
    model = Nearest()

    def fail(pixels: Pixels) -> None:
        if pixels.shape[1] == 64 and len([shape for shape in model.shapes if shape[1] == 64]) == 8:
            raise ValueError("a bad tile")

    model.before = fail
    summary = convert(tmp_path / "in", tmp_path / "out", use(model), ConvertOptions(threads=2, tile=64))
    assert (summary.converted, summary.failed) == (1, 1)
    assert "a bad tile" in summary.failures[0][1]
    assert [*outputs(tmp_path / "out")] == ["small.png"]
    assert not [path for path in (tmp_path / "out/.pixlate").rglob("*") if path.is_file() and path.parent.name == "parts"]


def test_a_full_disk_stops_the_model_and_the_same_command_continues(use: Callable[[Translator], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, model = save(tmp_path / "in/large.png", 4000, 100), Nearest()

    def full(strips: object, height: int, path: Path, format: str, **words: object) -> tuple[str, ...]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "write_strips", full)
        summary = convert(source, tmp_path / "out", use(model), ConvertOptions(threads=1, tile=64))
    assert (summary.converted, summary.failed) == (0, 1)
    assert "takes no more" in summary.stopped
    assert len(model.shapes) < 4 * 64
    assert convert(source, tmp_path / "out", use(Nearest()), ConvertOptions(threads=1, tile=64)).converted == 1
    np.testing.assert_array_equal(np.array(load(tmp_path / "out/large.png")), nearest(np.array(load(source))[None], 2)[0])


def test_large_pictures_beside_small_ones_are_all_right(use: Callable[[Translator], Path], tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / f"in/{number}.png", 30 + 150 * (number % 2), 90, seed=number)
    assert convert(tmp_path / "in", tmp_path / "out", use(Nearest()), ConvertOptions(threads=1, tile=64)).converted == 6
    for name, path in outputs(tmp_path / "out").items():
        np.testing.assert_array_equal(np.array(load(path)), nearest(np.array(load(tmp_path / "in" / name))[None], 2)[0])


def test_the_model_waits_until_the_strip_before_is_written() -> None:
    strips, put = Strips(), threading.Event()
    strip = noise(2, 2)

    def model() -> None:
        strips.put(strip)
        strips.put(strip)
        put.set()
        strips.end()

    thread = threading.Thread(target=model)
    thread.start()
    rows = iter(strips)
    next(rows)
    assert not put.is_set()
    next(rows)
    assert put.wait(30)
    assert next(rows, None) is None
    thread.join(30)


def test_who_writes_no_more_ends_the_model() -> None:
    strips = Strips()
    strips.close()
    assert not strips.put(noise(2, 2))


@pytest.mark.parametrize(("format", "options", "reason"), [
    ("webp", {}, "since WebP is written whole; use --format tiff or png"),
    ("png", {"tile": "off"}, "since it is not written strip by strip; leave out --tile off"),
    ("png", {"tile": "auto"}, "since it is not written strip by strip; ask for a smaller size, or a smaller --tile"),
])  # fmt: skip
def test_an_output_that_must_be_whole_and_does_not_fit_is_refused_before_the_model_runs(
    format: str, options: dict[str, object], reason: str, use: Callable[[Translator], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "granted_memory", lambda: 1_000_000)
    source, model = save(tmp_path / "in.png", 200, 300), Nearest()
    summary = convert(source, tmp_path / "out", use(model), ConvertOptions(threads=1, format=format, **{"tile": 64, **options}))  # type: ignore[arg-type]
    ((_, said),) = summary.failures
    assert "one of 600 x 400 pixels takes about 0.00186 GB" in said
    assert "0.001 GB of memory here" in said
    assert reason in said
    assert model.shapes == []
    (found,) = preview([source], tmp_path / "out", use(model), ConvertOptions(format=format, **{"tile": 64, **options}))  # type: ignore[arg-type]
    assert found.action == f"fail: {said}"


def test_an_output_by_strips_needs_no_room_for_all_of_it(use: Callable[[Translator], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "granted_memory", lambda: 1_000_000)
    assert convert(save(tmp_path / "in.png", 200, 300), tmp_path / "out", use(Nearest()), ConvertOptions(threads=1, tile=64)).converted == 1


class _Masked(_Smooth):
    """Keeps what a mask covers and counts pictures' levels down elsewhere."""

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        mask = conditions["mask"]
        assert pixels is not None
        assert isinstance(mask, np.ndarray)
        assert mask.shape == (*pixels.shape[:3], 1)
        return super().__call__(np.where(mask > 127, pixels, 255 - pixels))


class _Fixed(_Smooth):
    """Takes pictures of one size alone."""

    fixed_size = (48, 40)


@dataclass
class _Measuring(_Smooth):
    """Subtracts half of the mean of the whole picture, which it measures, as models with per-image norms do."""

    mean: float | None = None
    measures = True

    def statistics(self, pixels: Pixels, **_: object) -> Statistics:
        return [(pixels.mean(axis=(0, 1, 2)).astype(np.float32),)]

    def with_statistics(self, statistics: Statistics) -> "_Measuring":
        return _Measuring(self.spec, mean=float(statistics[0][0].mean()))

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        assert pixels is not None
        assert self.mean is not None, "a tile was run without the statistics of the whole picture"
        return super().__call__((pixels // 2 + np.uint8(self.mean / 2)).astype(pixels.dtype))


INPUTS = (ModelInput("image", "image"), ModelInput("mask", "mask"))


@pytest.mark.parametrize("size", [(157, 211), (100, 300), (300, 49)])
@pytest.mark.parametrize("bucket", ["off", 32])
@pytest.mark.parametrize(
    "model",
    [
        _Masked(replace(NEAREST, inputs=INPUTS)),
        _Masked(replace(BLENDED, inputs=INPUTS)),
        _Measuring(replace(BLENDED, norm="per-image")),
        _Fixed(replace(BLENDED, scale=1)),
    ],
)
def test_strips_of_models_with_masks_norms_of_each_image_or_a_fixed_size_are_the_rows_of_the_whole(
    model: _Smooth, bucket: int | Literal["off"], size: tuple[int, int]
) -> None:
    image, mask = noise(*size), noise(*size, 1, seed=3)
    conditions = {"mask": mask} if isinstance(model, _Masked) else {}
    tile: int | Literal["auto"] = "auto" if isinstance(model, _Fixed) else 64
    whole = Executor(model, tile, 2, bucket).translate([image], conditions=[conditions])[0]
    strips = list(Executor(model, tile, 2, bucket).strips(image, conditions=conditions))
    assert len(strips) > 1
    np.testing.assert_array_equal(np.concatenate(strips), whole)
