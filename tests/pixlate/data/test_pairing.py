"""Sources and targets that show the same, and those that need not."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pixlate.data.pairing import PairedImages, UnpairedImages
from pixlate.data.patches import epoch_indices, sample_seed
from pixlate.errors import PixlateError
from pixlate.options import PairedOptions, UnpairedOptions
from pixlate.plugin.data import Batch
from pixlate.plugin.testing import make_photographs

SMALL = PairedOptions(patch=16, resize=20, hold_out=0)
SMALL_UNPAIRED = UnpairedOptions(patch=16, resize=20, hold_out=1)


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def negative_pairs(folder: Path, count: int, height: int = 30, width: int = 40) -> tuple[Path, Path]:
    """Write photographs and their negatives: a source plus its target is 1 wherever the two are in step."""
    source = make_photographs(folder / "source", count, height, width)
    for path in source.iterdir():
        save(folder / "target" / path.name, 255 - np.array(Image.open(path)))
    return source, folder / "target"


def summed(images: PairedImages, draws: int = 40) -> float:
    """Return by how much source and target differ from being each other's negative, at most."""
    samples = [images.load(draw, images.options.patch) for draw in images.draw(0, draws, 0)]
    return max(float((sample["source"] + sample["target"] - 1).abs().max()) for sample in samples)


def test_pairs_are_matched_by_path_whatever_their_suffix_and_order(tmp_path: Path) -> None:
    for index, name in enumerate(("z", "deep/a", "b")):
        save(tmp_path / "source" / f"{name}.png", np.full((20, 20, 3), index * 50, np.uint8))
        save(tmp_path / "target" / f"{name}.bmp", np.full((20, 20, 3), 255 - index * 50, np.uint8))
    images = PairedImages([tmp_path / "source", tmp_path / "target"], SMALL, 3, 3)
    assert images.images == 3 and images.validated and summed(images) < 1e-6


def test_files_without_a_partner_are_listed_and_refused(tmp_path: Path) -> None:
    source, target = negative_pairs(tmp_path, 14)
    for index in range(12):
        (target / f"{index:03}.png").unlink()
    (source / "013.png").unlink()
    with pytest.raises(PixlateError, match=r"got 13 without a partner: .*/source/000\.png, .*009\.png and 3 more; add the partners or take them out"):
        PairedImages([source, target], SMALL, 3, 3)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    source, target = negative_pairs(tmp_path, 2)
    save(source / "001.bmp", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(PixlateError, match=r"one image of each name, got .*/source/001\.bmp and 001\.png, which would have the same partner; remove one"):
        PairedImages([source, target], SMALL, 3, 3)


@pytest.mark.parametrize("changes", [{}, {"keep_aspect": True}, {"mirror": False}, {"resize": 0}, {"cache": 0}])
def test_source_and_target_are_cropped_and_mirrored_in_step(tmp_path: Path, changes: dict[str, bool | int]) -> None:
    options = PairedOptions(**{"patch": 16, "resize": 20, "hold_out": 0, **changes})  # type: ignore[arg-type]
    assert summed(PairedImages(negative_pairs(tmp_path, 3), options, 3, 3)) <= 1.01 / 255  # resizing rounds each of the two to levels


def test_user_transforms_are_applied_alike_to_both_and_differ_between_samples(tmp_path: Path, save_pipeline: Callable[..., str]) -> None:
    noiseless = save_pipeline("RandomRotate90", p=1.0)
    images = PairedImages(negative_pairs(tmp_path, 1), PairedOptions(patch=16, resize=16, hold_out=0, mirror=False, transforms=noiseless), 3, 3)
    assert summed(images) <= 1.01 / 255
    sources = [images.load(draw, 16)["source"] for draw in images.draw(0, 40, 0)]
    assert len({source.numpy().tobytes() for source in sources}) == 4


def test_one_folder_holds_source_left_and_target_right_and_reverse_swaps(tmp_path: Path) -> None:
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        save(tmp_path / f"{index}.png", np.concatenate([pixels // 2, 255 - pixels // 2], axis=1))
    for reverse in (False, True):
        images = PairedImages([tmp_path], PairedOptions(patch=16, resize=20, hold_out=0, reverse=reverse), 3, 3)
        assert summed(images) < 1e-6
        assert (images.load(images.draw(0, 1, 0)[0], 16)["source"].max() <= 0.5) != reverse


def test_reverse_swaps_two_folders(tmp_path: Path) -> None:
    folders = negative_pairs(tmp_path, 2)
    plain, swapped = (PairedImages(folders, PairedOptions(patch=16, resize=20, hold_out=0, reverse=reverse), 3, 3) for reverse in (False, True))
    (draw,) = plain.draw(0, 1, 0)
    first, second = plain.load(draw, 16), swapped.load(draw, 16)
    assert torch.equal(first["source"], second["target"]) and torch.equal(first["target"], second["source"])


def test_odd_width_side_by_side_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "odd.png", np.zeros((20, 41, 3), np.uint8))
    with pytest.raises(PixlateError, match=r"one width side by side, got .*/odd\.png \(41 pixels wide\); fix them, or name two folders"):
        PairedImages([tmp_path], SMALL, 3, 3)


def test_halves_smaller_than_a_patch_are_refused_without_resize(tmp_path: Path) -> None:
    save(tmp_path / "narrow.png", np.zeros((16, 30, 3), np.uint8))
    with pytest.raises(PixlateError, match=r"at least 16 x 16 pixels .*narrow\.png"):
        PairedImages([tmp_path], PairedOptions(patch=16, resize=0, hold_out=0), 3, 3)


def test_pair_of_two_sizes_is_refused_without_resize_and_brought_together_with_it(tmp_path: Path) -> None:
    source, target = negative_pairs(tmp_path, 2)
    save(target / "001.png", np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(PixlateError, match=r"one size with --resize 0, got .*/source/001\.png \(40 x 30\) and .*/target/001\.png \(80 x 60\); fix them"):
        PairedImages([source, target], PairedOptions(patch=16, resize=0, hold_out=0), 3, 3)
    images = PairedImages([source, target], PairedOptions(patch=16, resize=20, keep_aspect=True, hold_out=0), 3, 3)
    assert {image.shape for draw in images.draw(0, 4, 0) for image in images.load(draw, 16).values()} == {(3, 16, 16)}


def test_pair_of_two_shapes_is_warned_of_as_one_of_them_may_be_turned(tmp_path: Path) -> None:
    source, target = negative_pairs(tmp_path, 3)
    save(target / "001.png", np.rot90(np.array(Image.open(target / "001.png"))))
    with pytest.warns(UserWarning, match=r"got 1 that differ .*: .*/source/001\.png \(40 x 30\) and .*/target/001\.png \(30 x 40\); turn or crop one of each"):
        PairedImages([source, target], SMALL, 3, 3)


def test_damaged_held_out_pair_ends_validation_or_is_left_out_with_its_name(tmp_path: Path) -> None:
    source, target = negative_pairs(tmp_path, 4)
    options = {name: PairedOptions(patch=16, resize=20, hold_out=2, damaged=name) for name in ("stop", "skip")}
    images = {name: PairedImages([source, target], option, 3, 3) for name, option in options.items()}
    damaged = images["stop"].held_out[0][1]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(PixlateError, match=f"{damaged.name}: "):
        list(images["stop"].validation())
    with pytest.warns(UserWarning, match=f"left out: .*/target/{damaged.name}: "):
        assert len(list(images["skip"].validation())) == 1


def test_held_out_pairs_are_whole_in_step_and_never_drawn(tmp_path: Path) -> None:
    images = PairedImages(negative_pairs(tmp_path, 6), PairedOptions(patch=16, resize=20, hold_out=2), 3, 3, multiple=8)
    assert images.images == 4 and set(images.pairs).isdisjoint(images.held_out)
    batches = list(images.validation())
    assert [tuple(batch["source"].shape) for batch in batches] == [(1, 3, 16, 24)] * 2  # 30 x 40 to 20 x 27
    assert all((batch["source"] + batch["target"] - 1).abs().max() <= 1.01 / 255 for batch in batches)


def test_grey_source_is_the_luma_of_its_target(tmp_path: Path) -> None:
    make_photographs(tmp_path / "one", 2)
    make_photographs(tmp_path / "two", 2, seed=1)
    images = PairedImages([tmp_path / "one", tmp_path / "two"], PairedOptions(patch=16, resize=20, hold_out=1, grey=True), 1, 3)
    assert images.images == 3
    for sample in [
        *(images.load(draw, 16) for draw in images.draw(0, 5, 0)),
        *({name: image[0] for name, image in batch.items()} for batch in images.validation()),
    ]:
        red, green, blue = sample["target"]
        assert (sample["source"][0] - (0.299 * red + 0.587 * green + 0.114 * blue)).abs().max() <= 0.51 / 255


def test_hidden_source_is_its_target_but_for_black_squares(tmp_path: Path) -> None:
    make_photographs(tmp_path, 3, 100, 100)
    images = PairedImages([tmp_path], PairedOptions(patch=96, resize=0, hold_out=1, hidden=0.4), 3, 3)
    shares = []
    for sample in [
        *(images.load(draw, 96) for draw in images.draw(0, 60, 0)),
        *({name: image[0] for name, image in batch.items()} for batch in images.validation()),
    ]:
        changed = (sample["source"] != sample["target"]).any(dim=0)
        assert not sample["source"][:, changed].any()
        shares.append(float(changed.float().mean()))
    assert sum(shares) / len(shares) == pytest.approx(0.4, abs=0.1)
    first, second = (next(iter(images.validation()))["source"] for _ in range(2))
    assert torch.equal(first, second), "validation hides the same each time"
    with pytest.raises(PixlateError, match="as many channels in as out with --hidden, got 1 and 3"):
        PairedImages([tmp_path], PairedOptions(hidden=0.4), 1, 3)


def test_share_of_lines_is_the_share_of_patches_whose_source_is_drawn(tmp_path: Path) -> None:
    source = make_photographs(tmp_path / "source", 2)
    for path in source.iterdir():
        save(tmp_path / "target" / path.name, np.array(Image.open(path)))
    images = PairedImages([source, tmp_path / "target"], PairedOptions(patch=16, resize=20, hold_out=0, lines=0.3), 3, 3)
    drawn = [not torch.equal(sample["source"], sample["target"]) for sample in (images.load(draw, 16) for draw in images.draw(0, 400, 0))]
    assert sum(drawn) / 400 == pytest.approx(0.3, abs=0.07)


def test_with_all_lines_the_folders_hold_targets_alone_and_drawings_are_grey(tmp_path: Path) -> None:
    images = PairedImages([make_photographs(tmp_path, 3)], PairedOptions(patch=64, resize=96, hold_out=1, lines=1.0), 3, 3)
    sample = images.load(images.draw(0, 1, 0)[0], 64)
    assert torch.equal(sample["source"][0], sample["source"][2]) and sample["source"].mean() > 0.5
    first, second = list(images.validation()), list(images.validation())
    assert all(torch.equal(one["source"], other["source"]) for one, other in zip(first, second, strict=True))


def test_lines_of_images_with_many_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="1 or 3 channels with --grey and --lines, got 3 and 5; leave the option out"):
        PairedImages([tmp_path], PairedOptions(grey=True), 3, 5)


def test_folder_whose_images_are_not_wide_is_not_cut_in_half(tmp_path: Path) -> None:
    make_photographs(tmp_path, 3, 100, 120)
    with pytest.raises(PixlateError, match=r"side by side, got \S*/000\.png \(120 x 100\), .*; name two folders, SOURCE TARGET, or add --grey or --lines 1"):
        PairedImages([tmp_path], SMALL, 3, 3)
    for index in range(4):
        make_photographs(tmp_path / str(index), 1, 100, 130)
    assert PairedImages([tmp_path], SMALL, 3, 3).images == 7, "most are wide"


def test_file_that_cannot_be_read_is_named_with_both_remedies(tmp_path: Path) -> None:
    source, target = negative_pairs(tmp_path, 2)
    (target / "001.png").write_bytes((target / "001.png").read_bytes()[:-200])
    images = PairedImages([source, target], PairedOptions(patch=16, resize=20, hold_out=1), 3, 3)
    with pytest.raises(PixlateError, match=r"/target/001\.png: .*; fix or remove it, or add --damaged skip$"):
        list(images.validation())
    (target / "001.png").write_bytes(b"")
    with pytest.raises(PixlateError, match=r"/target/001\.png: .*; fix or remove it, or add --damaged skip$"):
        PairedImages([source, target], SMALL, 3, 3)


def test_multichannel_images_are_paired_and_others_among_them_refused_by_name(tmp_path: Path) -> None:
    for index in range(2):
        for folder, channels in (("source", 5), ("target", 2)):
            (tmp_path / folder).mkdir(exist_ok=True)
            np.save(tmp_path / folder / f"{index}.npy", np.full((30, 20, channels), 0.25 * index, np.float32))
    folders = [tmp_path / "source", tmp_path / "target"]
    images = PairedImages(folders, PairedOptions(patch=16, resize=0, hold_out=1), 5, 2)
    sample = images.load(images.draw(0, 1, 0)[0], 8)
    assert (sample["source"].shape, sample["target"].shape) == ((5, 8, 8), (2, 8, 8))
    with pytest.raises(PixlateError, match=r"/source/0\.npy: expected an image of 4 channels, got 5"):
        images = PairedImages(folders, PairedOptions(patch=16, resize=20, hold_out=1), 4, 2)
        images.load(images.draw(0, 1, 0)[0], 16)


def test_drawn_and_transformed_patches_are_the_same_in_any_thread(tmp_path: Path, save_pipeline: Callable[..., str]) -> None:
    inner = [{"__class_fullname__": name, "p": 0.5} for name in ("ColorJitter", "RandomRotate90", "GaussNoise")]
    pipeline = save_pipeline("Compose", p=1.0, transforms=inner, bbox_params=None, keypoint_params=None, additional_targets={}, is_check_shapes=True)
    options = PairedOptions(patch=32, resize=40, hold_out=0, lines=0.5, transforms=pipeline)
    images = PairedImages(negative_pairs(tmp_path, 3, 60, 60), options, 3, 3)
    draws = images.draw(0, 24, 0)
    expected = [images.load(draw, 32) for draw in draws]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(images.load, draws, [32] * len(draws)))
    assert all(torch.equal(one[name], other[name]) for one, other in zip(expected, found, strict=True) for name in one)
    assert len({sample["target"].numpy().tobytes() for sample in expected}) > 20


def test_deep_pixels_keep_their_precision(tmp_path: Path) -> None:
    ramp = (np.arange(16 * 16, dtype=np.uint16) * 256 + 7).reshape(16, 16)
    for folder in ("source", "target"):
        (tmp_path / folder).mkdir()
        Image.fromarray(ramp).save(tmp_path / folder / "deep.png")
    options = PairedOptions(patch=16, resize=0, hold_out=0, mirror=False)
    images = PairedImages([tmp_path / "source", tmp_path / "target"], options, 1, 3)
    sample = images.load(images.draw(0, 1, 0)[0], 16)
    assert np.array_equal(sample["source"][0].numpy(), ramp.astype(np.float32) / np.float32(65535))
    assert torch.equal(sample["target"], sample["source"].expand(3, -1, -1))


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
    images = UnpairedImages(*folders, SMALL_UNPAIRED, 3, 1)
    sample = images.load(images.draw(0, 1, 0)[0], 16)
    assert (sample["source"].shape, sample["target"].shape) == ((3, 16, 16), (1, 16, 16))
    assert all(image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1 for image in sample.values())
    assert not images.validated and images.finish(sample) is sample


def test_epoch_goes_through_the_larger_folder_with_partners_from_all_of_the_other(folders: tuple[Path, Path]) -> None:
    for images, larger in ((UnpairedImages(*folders, SMALL_UNPAIRED, 3, 3), 1), (UnpairedImages(folders[1], folders[0], SMALL_UNPAIRED, 3, 3), 0)):
        assert images.images == 8
        draws = images.draw(0, 800, 3)
        assert set(Counter(draw.indices[larger] for draw in draws).values()) == {100}
        partners = Counter(draw.indices[1 - larger] for draw in draws)
        assert set(partners) == set(range(4)) and all(150 < count < 250 for count in partners.values())


def test_same_draws_give_the_same_tensors_in_any_thread_with_or_without_cache(folders: tuple[Path, Path]) -> None:
    images = UnpairedImages(*folders, SMALL_UNPAIRED, 3, 3)
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
    images = UnpairedImages(*folders, SMALL_UNPAIRED, 3, 3)
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
        UnpairedImages(folders[0], folders[0].parent, SMALL_UNPAIRED, 3, 3)
