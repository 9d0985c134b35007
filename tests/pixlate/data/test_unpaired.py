"""Sources and targets that need not show the same."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixlate.data.sampling import epoch_indices, sample_seed
from pixlate.data.unpaired import UnpairedImages
from pixlate.errors import PixlateError
from pixlate.options import UnpairedOptions
from pixlate.plugin.data import Batch
from pixlate.plugin.testing import make_photographs

SMALL = UnpairedOptions(patch=16, resize=20, hold_out=1)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return make_photographs(tmp_path / "source", 5, 30, 40, seed=1), make_photographs(tmp_path / "target", 9, 50, 28, seed=2)


def equal(first: Batch, second: Batch) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@given(st.integers(1, 30), st.integers(0, 200), st.integers(0, 50), st.integers(0, 2**32 - 1))
def test_every_epoch_covers_all_images_and_can_start_at_any_step(images: int, start: int, count: int, seed: int) -> None:
    run = epoch_indices(images, 0, start + count + images, seed)
    assert epoch_indices(images, start, count, seed) == run[start : start + count]
    first = run[: len(run) // images * images]
    assert all(sorted(first[place : place + images]) == list(range(images)) for place in range(0, len(first), images))


def test_epochs_differ_and_so_do_the_seeds_of_all_samples() -> None:
    assert epoch_indices(50, 0, 50, 0) != epoch_indices(50, 50, 50, 0) != epoch_indices(50, 50, 50, 1)
    assert len({sample_seed(number, seed) for number in range(1000) for seed in range(2)}) == 2000


def test_sample_is_a_patch_of_each_in_unit_range(folders: tuple[Path, Path]) -> None:
    images = UnpairedImages(*folders, SMALL, 3, 1)
    sample = images.load(images.draw(0, 1, 0)[0], 16)
    assert (sample["source"].shape, sample["target"].shape) == ((3, 16, 16), (1, 16, 16))
    assert all(image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1 for image in sample.values())
    assert not images.validated and images.finish(sample) is sample


def test_epoch_goes_through_the_larger_folder_with_partners_from_all_of_the_other(folders: tuple[Path, Path]) -> None:
    for images, larger in ((UnpairedImages(*folders, SMALL, 3, 3), 1), (UnpairedImages(folders[1], folders[0], SMALL, 3, 3), 0)):
        assert images.images == 8
        draws = images.draw(0, 800, 3)
        assert set(Counter(draw.indices[larger] for draw in draws).values()) == {100}
        partners = Counter(draw.indices[1 - larger] for draw in draws)
        assert set(partners) == set(range(4)) and all(150 < count < 250 for count in partners.values())


def test_same_draws_give_the_same_tensors_in_any_thread_with_or_without_cache(folders: tuple[Path, Path]) -> None:
    images = UnpairedImages(*folders, SMALL, 3, 3)
    uncached = UnpairedImages(*folders, UnpairedOptions(patch=16, resize=20, hold_out=1, cache=0), 3, 3)
    draws = images.draw(5, 60, 7)
    assert draws == uncached.draw(0, 65, 7)[5:]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(images.load, draws, repeat(16)))
    assert all(equal(first, uncached.load(draw, 16)) for first, draw in zip(threaded, draws, strict=True))


def test_images_are_brought_to_a_square_and_with_aspect_to_their_shorter_side(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 30:] = 255
    for folder in ("source", "target"):
        (tmp_path / folder).mkdir()
        Image.fromarray(wide).save(tmp_path / folder / "wide.png")
    for keep_aspect, white in ((False, 0.5), (True, None)):
        options = UnpairedOptions(patch=10, resize=10, keep_aspect=keep_aspect, hold_out=0)
        images = UnpairedImages(tmp_path / "source", tmp_path / "target", options, 3, 3)
        means = [float(images.load(draw, 10)["source"].mean()) for draw in images.draw(0, 60, 0)]
        if white is not None:
            assert means == pytest.approx([white] * 60, abs=0.03)  # the whole image is in every patch
        else:
            assert min(means) < 0.02 and max(means) > 0.98  # the patch is a third of the image


def test_half_of_the_patches_are_mirrored_and_none_where_not_asked(tmp_path: Path) -> None:
    half = np.zeros((16, 16, 3), np.uint8)
    half[:, 8:] = 255
    for folder in ("source", "target"):
        (tmp_path / folder).mkdir()
        Image.fromarray(half).save(tmp_path / folder / "half.png")
    for mirror, least, most in ((True, 160, 240), (False, 0, 0)):
        images = UnpairedImages(tmp_path / "source", tmp_path / "target", UnpairedOptions(patch=16, resize=16, mirror=mirror, hold_out=0), 3, 3)
        mirrored = [[bool(image[0, 0, 0]) for image in images.load(draw, 16).values()] for draw in images.draw(0, 400, 0)]
        counts = Counter(map(tuple, mirrored))
        assert least <= sum(source for source, _ in mirrored) <= most
        assert not mirror or min(counts[True, False], counts[False, True]) > 60  # the two are drawn apart


def test_smaller_side_shows_the_same_content_averaged(folders: tuple[Path, Path]) -> None:
    images = UnpairedImages(*folders, SMALL, 3, 3)
    (draw,) = images.draw(0, 1, 0)
    full, small = images.load(draw, 16), images.load(draw, 4)
    for name, image in full.items():
        averaged = torch.nn.functional.avg_pool2d(image[None], 4)[0]
        assert (averaged - small[name]).abs().max() <= 0.51 / 255  # OpenCV rounds to levels


def test_held_out_images_are_never_drawn_and_come_whole_at_a_multiple(folders: tuple[Path, Path]) -> None:
    images = UnpairedImages(*folders, UnpairedOptions(patch=16, resize=20, hold_out=2), 3, 3, multiple=4)
    assert len(images.sources) == 3 and len(images.targets) == 7
    assert set(images.sources + images.targets).isdisjoint(path for pair in images.held_out for path in pair)
    shapes = [(tuple(batch["source"].shape), tuple(batch["target"].shape)) for batch in images.validation()]
    assert shapes == [((1, 3, 20, 24), (1, 3, 36, 20))] * 2  # 30 x 40 to 20 x 27, 50 x 28 to 36 x 20


def test_own_sizes_are_kept_without_resize_and_smaller_images_are_refused_by_name(folders: tuple[Path, Path]) -> None:
    images = UnpairedImages(*folders, UnpairedOptions(patch=28, resize=0, hold_out=1), 3, 3)
    assert images.load(images.draw(0, 1, 0)[0], 28)["target"].shape == (3, 28, 28)
    Image.new("RGB", (27, 99)).save(folders[1] / "narrow.png")
    with pytest.raises(PixlateError, match=r"at least 28 x 28 pixels \(--patch\) with --resize 0, got smaller ones: .*/target/narrow\.png; lower --patch"):
        UnpairedImages(*folders, UnpairedOptions(patch=28, resize=0), 3, 3)


def test_folder_that_holds_the_other_is_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(PixlateError, match="where one holds the other; name two that do not"):
        UnpairedImages(folders[0], folders[0].parent, SMALL, 3, 3)
