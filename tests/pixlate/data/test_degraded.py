"""Photographs and their reductions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pixlate.data.degraded import DegradedImages
from pixlate.data.folders import split_held_out
from pixlate.errors import PixlateError
from pixlate.images import Pixels
from pixlate.options import DegradedOptions
from pixlate.plugin.data import Batch, stack
from pixlate.plugin.testing import make_photographs

SavePipeline = Callable[..., str]


def batch_of(images: DegradedImages, size: int, seed: int) -> Batch:
    return stack([images.load(draw, images.options.patch) for draw in images.draw(0, size, seed)])


def planes(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


def levels(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return (3, height, width) in [0, 1] as 8-bit (height, width, 3)."""
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def save(folder: Path, name: str, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_source_is_the_bicubic_reduction_of_the_target(scale: int, tmp_path: Path) -> None:
    images = DegradedImages([make_photographs(tmp_path, 2, 110, 97)], scale, DegradedOptions(patch=14, hold_out=0))
    batch = batch_of(images, 8, 1)
    assert batch["source"].shape == (8, 3, 14, 14) and batch["target"].shape == (8, 3, 14 * scale, 14 * scale)
    assert batch["source"].dtype == batch["target"].dtype == torch.float32
    for source, target in zip(batch["source"], batch["target"], strict=True):
        reduced = np.array(Image.fromarray(levels(target)).resize((14, 14), Image.Resampling.BICUBIC))
        inner = slice(2, -2)  # Pillow's bicubic reaches two source pixels far; farther in, the patch has all it needs
        # Pillow's 8-bit kernels are rounded symmetrically, but passes horizontally first, so a turned patch may differ by one level
        assert np.abs(reduced[inner, inner].astype(int) - levels(source)[inner, inner]).max() <= 1


def test_unflipped_source_patch_is_bit_equal_to_the_bicubic_reduction(tmp_path: Path) -> None:
    images = DegradedImages([make_photographs(tmp_path, 1, 128, 128)], 4, DegradedOptions(patch=16, hold_out=0))
    source, target = images.pair(images.copies[0])
    crop = Image.fromarray(target[32:96, 16:80])
    reduced = np.array(crop.resize((16, 16), Image.Resampling.BICUBIC))
    assert np.array_equal(reduced[2:-2, 2:-2], source[8:24, 4:20][2:-2, 2:-2])


def test_same_seed_gives_the_same_batch_and_another_another(tmp_path: Path) -> None:
    images = DegradedImages([make_photographs(tmp_path, 3)], 2, DegradedOptions(patch=8, hold_out=1))

    def equal(first: Batch, second: Batch) -> bool:
        return all(torch.equal(first[name], second[name]) for name in first)

    assert equal(batch_of(images, 4, 7), batch_of(images, 4, 7))
    assert not equal(batch_of(images, 4, 7), batch_of(images, 4, 8))
    first, second = images.draw(0, 4, 7), images.draw(4, 4, 7)
    assert images.draw(0, 8, 7) == first + second
    assert {draw.seed for draw in first}.isdisjoint(draw.seed for draw in second)


def test_all_eight_rotations_and_flips_are_applied_alike_to_source_and_target(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((16, 16), Image.Resampling.BICUBIC)
    image.save(tmp_path / "one.png")
    images = DegradedImages([tmp_path], 2, DegradedOptions(patch=8, hold_out=0))  # the patch is the whole image
    batch = batch_of(images, 200, 0)
    source, target = map(planes, images.pair(images.copies[0]))

    def which(patch: Tensor, whole: Tensor) -> int:
        turned = [torch.rot90(whole, turns, (1, 2)) for turns in range(4)]
        return [torch.equal(patch, candidate.float() / 255) for candidate in (*turned, *(image.flip(2) for image in turned))].index(True)

    found = [which(patch, source) for patch in batch["source"]]
    assert set(found) == set(range(8))
    assert found == [which(patch, target) for patch in batch["target"]]


def test_larger_photographs_are_drawn_more_often_by_their_area(tmp_path: Path) -> None:
    save(tmp_path, "large.png", np.full((96, 96, 3), 255, np.uint8))
    save(tmp_path, "small.png", np.full((48, 48, 3), 0, np.uint8))
    batch = batch_of(DegradedImages([tmp_path], 2, DegradedOptions(patch=8, hold_out=0)), 2000, 0)
    assert batch["source"].mean().item() == pytest.approx(0.8, abs=0.03)


def test_held_out_images_are_never_drawn_and_are_validated_whole(tmp_path: Path) -> None:
    for index in range(10):
        save(tmp_path, f"{index}.png", np.full((41, 50, 3), index * 20, np.uint8))
    images = DegradedImages([tmp_path], 4, DegradedOptions(patch=4, hold_out=3))
    kept = {int(path.stem) * 20 for path in images.held_out}
    drawn = {int(level) for level in (batch_of(images, 500, 0)["target"] * 255).round().flatten().tolist()}
    assert len(kept) == 3 and drawn == set(range(0, 200, 20)) - kept
    batches = list(images.validation())
    assert {round(float(batch["source"].mean()) * 255) for batch in batches} == kept
    assert {(batch["source"].shape, batch["target"].shape) for batch in batches} == {((1, 3, 10, 12), (1, 3, 40, 48))}


def test_rescale_adds_smaller_copies_of_every_photograph(tmp_path: Path) -> None:
    make_photographs(tmp_path, 2, 101, 97)
    images = DegradedImages([tmp_path], 4, DegradedOptions(patch=8, rescale=(1.0, 0.5, 0.1), hold_out=0))
    assert [images.pair(copy)[1].shape[:2] for copy in images.copies] == [(100, 96), (48, 48)] * 2  # a tenth is too small for a patch
    with Image.open(tmp_path / "000.png") as photograph:
        half = np.array(photograph.resize((48, 50), Image.Resampling.BICUBIC))[:48]
    assert np.array_equal(images.pair(images.copies[1])[1], half)


def test_photographs_too_small_for_a_patch_are_refused_or_named(tmp_path: Path) -> None:
    make_photographs(tmp_path / "small", 3, 40, 80)
    with pytest.raises(PixlateError, match=r"at least 44 pixels on each side \(patch 11 x scale 4\), got only smaller ones; lower --patch"):
        DegradedImages([tmp_path / "small"], 4, DegradedOptions(patch=11, hold_out=1))
    make_photographs(tmp_path / "large", 2, 90, 90)
    with pytest.warns(UserWarning, match=r"at least 44 pixels .* 3 of 5 are smaller and not trained on"):
        images = DegradedImages([tmp_path], 4, DegradedOptions(patch=11, hold_out=0))
    assert images.images == 2


def test_held_out_photographs_smaller_than_a_patch_are_still_validated(tmp_path: Path) -> None:
    make_photographs(tmp_path / "a", 1, 96, 96)
    make_photographs(tmp_path / "b", 1, 40, 40)
    make_photographs(tmp_path / "c", 1, 96, 96)
    assert len(list(DegradedImages([tmp_path], 4, DegradedOptions(patch=16, hold_out=1)).validation())) == 1


def test_held_out_photographs_too_small_to_measure_are_refused(tmp_path: Path) -> None:
    make_photographs(tmp_path / "a", 1, 96, 96)
    make_photographs(tmp_path / "b", 1, 20, 20)
    make_photographs(tmp_path / "c", 1, 96, 96)
    with pytest.raises(PixlateError, match="held-out photographs of at least 32 pixels on each side, got only smaller ones"):
        DegradedImages([tmp_path], 4, DegradedOptions(patch=16, hold_out=1))


def test_nothing_held_out_gives_nothing_to_validate(tmp_path: Path) -> None:
    assert list(DegradedImages([make_photographs(tmp_path, 1)], 2, DegradedOptions(patch=8, hold_out=0)).validation()) == []


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_file_that_is_no_image_is_named(content: bytes, tmp_path: Path) -> None:
    make_photographs(tmp_path, 2)
    (tmp_path / "damaged.png").write_bytes(content)
    with pytest.raises(PixlateError, match=r"/damaged\.png: "):
        DegradedImages([tmp_path], 2, DegradedOptions(patch=8, hold_out=1))


def test_truncated_photograph_is_named(tmp_path: Path) -> None:
    whole = (make_photographs(tmp_path, 2) / "001.png").read_bytes()
    (tmp_path / "001.png").write_bytes(whole[: len(whole) // 2])
    images = DegradedImages([tmp_path], 2, DegradedOptions(patch=8, hold_out=0))
    with pytest.raises(PixlateError, match=r"/001\.png: .*(truncated|damaged)"):
        batch_of(images, 20, 0)


def test_photograph_whose_header_is_damaged_is_left_out_with_its_name_where_asked(tmp_path: Path) -> None:
    (make_photographs(tmp_path, 3) / "001.png").write_bytes(b"no image")
    with pytest.warns(UserWarning) as caught:
        images = DegradedImages([tmp_path], 2, DegradedOptions(patch=8, hold_out=0, damaged="skip"))
    assert images.images == 2
    assert any("left out: " in str(warning.message) and "001.png: " in str(warning.message) for warning in caught)


def test_damaged_photographs_are_not_called_small(tmp_path: Path) -> None:
    (make_photographs(tmp_path, 3) / "001.png").write_bytes(b"no image")
    with pytest.warns(UserWarning) as caught:
        DegradedImages([tmp_path], 2, DegradedOptions(patch=8, hold_out=0, damaged="skip"))
    assert not any("are smaller" in str(warning.message) for warning in caught)


@pytest.mark.parametrize(("hold_out", "count"), [(0, 3), (1, 1)])
def test_folders_of_which_nothing_can_be_read_are_refused(hold_out: int, count: int, tmp_path: Path) -> None:
    images = sorted(make_photographs(tmp_path, 3).iterdir())
    _, held_out = split_held_out(images, hold_out)
    for path in held_out or images:
        path.write_bytes(b"no image")
    with pytest.warns(UserWarning), pytest.raises(PixlateError, match=rf"photographs that can be read, got {count} that cannot, such as .*\.png; fix them"):
        DegradedImages([tmp_path], 2, DegradedOptions(patch=8, hold_out=hold_out, damaged="skip"))


def test_deep_grey_palette_and_transparent_pictures_become_8_bit_rgb(tmp_path: Path) -> None:
    ramp = np.arange(64, dtype=np.uint16).repeat(64).reshape(64, 64) * 1040
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(tmp_path / "grey.png")
    clear = np.zeros((64, 64, 4), np.uint8)
    clear[:32, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "transparent.png")
    images = DegradedImages([tmp_path], 2, DegradedOptions(patch=8, hold_out=0))
    deep, grey, transparent = (images.pair(copy)[1].transpose(2, 0, 1) for copy in images.copies)
    assert np.array_equal(deep, np.broadcast_to(np.round(ramp / 257).astype(np.uint8), (3, 64, 64)))
    assert np.array_equal(grey, np.broadcast_to((ramp >> 8).astype(np.uint8), (3, 64, 64)))
    assert not transparent[:, :32].any() and (transparent[:, 32:] == 255).all()


def test_growing_resolution_begins_with_smaller_patches(tmp_path: Path) -> None:
    images = DegradedImages([make_photographs(tmp_path, 1)], 4, DegradedOptions(patch=16, hold_out=0))
    sample = images.load(images.draw(0, 1, 0)[0], 4)
    assert (sample["source"].shape, sample["target"].shape) == ((3, 4, 4), (3, 16, 16))


def test_transforms_that_change_nothing_leave_every_patch_as_it_is_to_one_level(tmp_path: Path, save_pipeline: SavePipeline) -> None:
    folder = make_photographs(tmp_path / "images", 2, 64, 72)
    plain = DegradedImages([folder], 4, DegradedOptions(patch=6, hold_out=0))
    same = DegradedImages([folder], 4, DegradedOptions(patch=6, hold_out=0, transforms=save_pipeline("HorizontalFlip", p=0.0)))
    first, second = batch_of(plain, 40, 0), batch_of(same, 40, 0)
    assert torch.equal(first["target"], second["target"])
    assert (first["source"] - second["source"]).abs().max() < 1.5 / 255  # Pillow rounds its kernels by their place


def test_transforms_change_the_target_before_it_is_reduced(tmp_path: Path, save_pipeline: SavePipeline) -> None:
    folder = save(tmp_path / "images", "one.png", np.full((64, 64, 3), 40, np.uint8))
    images = DegradedImages([folder], 2, DegradedOptions(patch=8, hold_out=0, transforms=save_pipeline("InvertImg", p=1.0)))
    assert {round(float(image) * 255) for images in batch_of(images, 3, 0).values() for image in np.unique(images.numpy())} == {215}


def test_degraded_sources_keep_their_place_and_leave_targets_alone(tmp_path: Path) -> None:
    folder = make_photographs(tmp_path, 2)
    clean = DegradedImages([folder], 2, DegradedOptions(patch=16, hold_out=1))
    degraded = DegradedImages([folder], 2, DegradedOptions(patch=16, hold_out=1, blur=0.3, noise=4.0, jpeg=95))
    first, second = batch_of(clean, 8, 0), batch_of(degraded, 8, 0)
    assert torch.equal(first["target"], second["target"])
    assert 0 < (first["source"] - second["source"]).abs().mean() < 4 / 255


@pytest.mark.parametrize(
    "options", [{"noise": 20.0, "jpeg": 30, "blur_before": 1.0}, {"degradation": "second-order"}, {"darken": 3.0, "shot_noise": 0.01}], ids=str
)
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_same_sample_is_degraded_alike_each_time(options: dict[str, Any], scale: int, tmp_path: Path) -> None:
    images = DegradedImages([make_photographs(tmp_path, 2, 96, 104)], scale, DegradedOptions(patch=16, hold_out=0, **options))
    first, second = batch_of(images, 4, 3), batch_of(images, 4, 3)
    assert torch.equal(first["source"], second["source"])
    assert first["source"].shape == (4, 3, 16, 16) and first["target"].shape == (4, 3, 16 * scale, 16 * scale)


@pytest.mark.parametrize(("scale", "degrade", "alike"), [(2, False, True), (2, True, False)])
def test_validation_is_reduced_alone_unless_asked_for(scale: int, degrade: bool, alike: bool, tmp_path: Path) -> None:
    folder = make_photographs(tmp_path, 2)
    noisy = DegradedImages([folder], scale, DegradedOptions(patch=16, hold_out=1, noise=20.0, degrade_validation=degrade))
    clean = DegradedImages([folder], scale, DegradedOptions(patch=16, hold_out=1))
    ((first,), (again,), (second,)) = (list(images.validation()) for images in (noisy, noisy, clean))
    assert torch.equal(first["source"], again["source"])
    assert torch.equal(first["source"], second["source"]) == alike
    assert torch.equal(first["target"], second["target"])


def test_sides_that_are_no_patch_from_the_border_are_degraded_too(tmp_path: Path) -> None:
    images = DegradedImages([make_photographs(tmp_path, 1, 32, 33)], 2, DegradedOptions(patch=16, hold_out=0, degradation="second-order"))
    assert batch_of(images, 20, 0)["source"].shape == (20, 3, 16, 16)


def test_validation_at_scale_1_is_always_degraded(tmp_path: Path) -> None:
    images = DegradedImages([make_photographs(tmp_path, 2)], 1, DegradedOptions(patch=16, hold_out=1, noise=20.0))
    ((batch,),) = (list(images.validation()),)
    assert batch["source"].shape == batch["target"].shape and not torch.equal(batch["source"], batch["target"])


def test_scale_1_without_degradation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="expected a degradation at --scale 1, where sources would equal their targets; add --noise 25"):
        DegradedImages([make_photographs(tmp_path, 2)], 1, DegradedOptions(patch=16))
