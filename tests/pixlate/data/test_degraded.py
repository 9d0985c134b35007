"""Photographs and their reductions, with blur, noise and JPEG."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from pixlate.data.degraded import DegradedImages, degrade
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


def test_zero_strengths_leave_the_batch_and_the_random_state_unchanged(tmp_path: Path) -> None:
    images = DegradedImages([make_photographs(tmp_path, 1)], 2, DegradedOptions(patch=8, hold_out=0))
    batch = batch_of(images, 2, 0)
    before = torch.get_rng_state()
    assert images.finish(batch)["source"] is batch["source"]
    assert torch.equal(torch.get_rng_state(), before)


def test_finish_degrades_sources_alone_and_leaves_validation_clean(tmp_path: Path) -> None:
    folder = make_photographs(tmp_path, 2)
    images = DegradedImages([folder], 2, DegradedOptions(patch=16, hold_out=1, blur=1.0, noise=20.0, jpeg=30))
    clean = DegradedImages([folder], 2, DegradedOptions(patch=16, hold_out=1))
    batch = batch_of(images, 2, 0)
    finished = images.finish(batch)
    assert torch.equal(finished["target"], batch["target"]) and not torch.equal(finished["source"], batch["source"])
    assert all(torch.equal(first["source"], second["source"]) for first, second in zip(images.validation(), clean.validation(), strict=True))


def photographs(folder: Path, count: int, side: int = 48) -> Tensor:
    make_photographs(folder, count, side, side)
    images = [np.array(Image.open(path)) for path in sorted(folder.iterdir())]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def as_image(image: Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())


def test_blur_of_a_point_is_a_gaussian_of_a_strength_of_its_own() -> None:
    torch.manual_seed(0)
    points = torch.zeros(200, 3, 41, 41)
    points[:, :, 20, 20] = 1
    blurred = degrade(points, blur=2.0)[:, 0]
    places = torch.arange(41) - 20.0
    variance = (blurred.sum(dim=1) * places**2).sum(dim=1)
    assert blurred.sum(dim=(1, 2)).tolist() == pytest.approx([1.0] * 200, abs=1e-4)
    deviations = variance.sqrt()
    assert deviations.min() < 0.35 and 1.85 < deviations.max() < 2.0
    assert float(deviations[deviations > 0.6].mean()) == pytest.approx(1.3, abs=0.1)  # even draws up to 2


def test_noise_has_up_to_the_standard_deviation_asked_for() -> None:
    torch.manual_seed(0)
    noisy = degrade(torch.full((200, 3, 24, 24), 0.5), noise=25.0)
    deviations = (noisy - 0.5).flatten(1).std(dim=1) * 255
    assert deviations.min() < 1 and 24 < deviations.max() < 26 and float(deviations.mean()) == pytest.approx(12.5, abs=1.5)


def test_jpeg_is_near_what_pillow_stores_at_the_same_quality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = photographs(tmp_path, 4)
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: torch.zeros(shape))  # the least quality for each
    for quality in (20, 60, 90):
        ours = degrade(images, jpeg=quality)
        for image, stored in zip(images, ours, strict=True):
            stream = BytesIO()
            as_image(image).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
            theirs = np.array(Image.open(stream), np.float64)
            difference = theirs - np.array(as_image(stored), np.float64)
            own = theirs - np.array(as_image(image), np.float64)
            assert (difference**2).mean() < 0.3 * (own**2).mean() + 4


def test_values_stay_in_range_and_each_image_is_degraded_by_itself(tmp_path: Path) -> None:
    torch.manual_seed(0)
    image = photographs(tmp_path, 1)
    degraded = degrade(image.expand(6, -1, -1, -1), blur=1.5, noise=60.0, jpeg=10)
    assert degraded.shape == (6, 3, 48, 48) and degraded.min() >= 0 and degraded.max() <= 1
    assert len({each.numpy().tobytes() for each in degraded}) == 6


def test_blur_comes_before_noise(tmp_path: Path) -> None:
    torch.manual_seed(0)
    degraded = degrade(torch.full((8, 3, 32, 32), 0.5), blur=3.0, noise=40.0)
    smooth = torch.stack([torch.from_numpy(np.array(as_image(image).filter(ImageFilter.BoxBlur(1)), np.float32)) for image in degraded]) / 255
    assert (degraded - 0.5).std() > 2 * (smooth - 0.5).std()  # noise that was blurred would change little under another blur


def test_small_patches_take_a_wide_blur() -> None:
    assert degrade(torch.rand(2, 3, 4, 4), blur=5.0).shape == (2, 3, 4, 4)
