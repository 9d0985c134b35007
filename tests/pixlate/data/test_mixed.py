"""Several sets of images in one run, each as often as its weight says."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixlate.data.kinds import degraded, open_data, paired, unpaired
from pixlate.data.mixed import MixedData
from pixlate.errors import PixlateError
from pixlate.options import DegradedOptions, PairedOptions, UnpairedOptions
from pixlate.plugin.data import Draw
from pixlate.plugin.spec import ModelSpec


class Numbers:
    """A set of images that are numbers, each in turn."""

    validated = True

    def __init__(self, images: int) -> None:
        self.images = images

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        return [Draw((number % self.images,), seed) for number in range(start, start + count)]

    def load(self, draw: Draw, side: int) -> dict[str, torch.Tensor]:
        return {"source": torch.tensor(draw.indices)}

    def finish(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return batch

    def validation(self) -> Any:
        yield {"source": torch.tensor([self.images])}


SETS = st.lists(st.tuples(st.integers(1, 60), st.floats(0.01, 100)), min_size=2, max_size=4)


@given(SETS, st.integers(0, 3), st.integers(0, 2**31))
def test_each_set_is_drawn_as_often_as_its_weight_says(sets: list[tuple[int, float]], epoch: int, seed: int) -> None:
    images, weights = zip(*sets, strict=True)
    mixed = MixedData([Numbers(count) for count in images], weights)
    drawn = Counter(draw.indices[0] for draw in mixed.draw(epoch * mixed.images, mixed.images, seed))
    for index, weight in enumerate(weights):
        fair = weight / sum(weights) * sum(images)
        assert drawn[index] >= 1 and abs(drawn[index] - fair) <= max(1, 1 - fair + 1e-9), "a whole number beside the share"


@given(SETS, st.integers(0, 200), st.integers(1, 50), st.integers(0, 2**31))
def test_samples_do_not_depend_on_how_many_are_drawn_at_once(sets: list[tuple[int, float]], start: int, count: int, seed: int) -> None:
    mixed = MixedData([Numbers(count) for count, _ in sets], [weight for _, weight in sets])
    together = mixed.draw(start, count, seed)
    assert together == [mixed.draw(number, 1, seed)[0] for number in range(start, start + count)]
    assert [mixed.load(draw, 8)["source"].item() for draw in together] == [draw.indices[1] for draw in together]


def test_small_set_goes_through_all_its_images_before_one_comes_again() -> None:
    mixed = MixedData([Numbers(50), Numbers(7)], (1, 1))
    seen = [draw.indices[1] for draw in mixed.draw(0, 4 * mixed.images, 0) if draw.indices[0] == 1]
    assert seen == [number % 7 for number in range(len(seen))] and len(seen) > 100


def test_held_out_images_are_those_of_every_set() -> None:
    assert [batch["source"].item() for batch in MixedData([Numbers(3), Numbers(5)], (1, 2)).validation()] == [3, 5]


def plain(folder: Path, level: int, count: int = 4) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (32, 32), (level,) * 3).save(folder / f"{index}.png")
    return folder


def test_pairs_of_several_folders_are_mixed(tmp_path: Path) -> None:
    folders = [plain(tmp_path / name, level, 13) for name, level in (("a source", 0), ("a target", 60), ("b source", 120), ("b target", 180))]
    options = PairedOptions(patch=16, resize=16, hold_out=1, weights=(3.0, 1.0))
    data = open_data(paired, folders, options, ModelSpec())
    found: Counter[tuple[int, int]] = Counter()
    for draw in data.draw(0, 48, 0):
        batch = data.load(draw, 16)
        found[round(255 * float(batch["source"].mean())), round(255 * float(batch["target"].mean()))] += 1
    assert found == {(0, 60): 36, (120, 180): 12}
    assert len(list(data.validation())) == 2


def test_photographs_of_two_folders_are_drawn_alike_where_one_has_many_more(tmp_path: Path) -> None:
    folders = [plain(tmp_path / "few", 0, 3), plain(tmp_path / "many", 255, 30)]
    data = open_data(degraded, folders, DegradedOptions(patch=8, hold_out=1, weights=(1.0, 1.0)), ModelSpec(scale=2))
    levels = [float(data.load(draw, 8)["target"].mean()) for draw in data.draw(0, 62, 1)]
    assert np.mean(levels) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, -2.0), (1.0, float("nan")), (1.0, float("inf"))])
def test_weights_that_mean_nothing_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(PixlateError, match=r"expected --weights (of two or more|to be a list of) numbers"):
        UnpairedOptions(weights=weights)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_folders_that_are_not_as_many_for_each_set_are_refused(count: int, tmp_path: Path) -> None:
    plain(tmp_path / "folder", 0)
    sentence = "expected two folders, SOURCE TARGET, got 1" if count == 2 else f"expected folders for 2 sets of images, as --weights has 2 numbers, got {count}"
    with pytest.raises(PixlateError, match=sentence):
        open_data(unpaired, [tmp_path / "folder"] * count, UnpairedOptions(weights=(1.0, 1.0)), ModelSpec())
