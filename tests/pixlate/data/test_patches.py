"""Patches of images and their masks share geometry and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixlate.data.patches import PatchReader, bicubic
from pixlate.images.picture import Pixels
from pixlate.options import FolderOptions


def image_and_mask(height: int = 30, width: int = 40) -> tuple[Pixels, Pixels]:
    """Return an image that is white where its mask is."""
    mask = np.zeros((height, width, 1), np.uint8)
    mask[5:20, 3:17] = 255
    return np.repeat(mask, 3, axis=2), mask


@pytest.mark.parametrize("resize", [0, 24])
def test_image_and_mask_are_cropped_and_flipped_alike(resize: int) -> None:
    reader = PatchReader(FolderOptions(patch=16, resize=resize, keep_aspect=resize > 0))
    seen = set()
    for seed in range(20):
        image, mask = reader.patches("one", image_and_mask, np.random.default_rng(seed), masks=1)
        assert image.shape == (16, 16, 3) and mask.shape == (16, 16, 1)
        np.testing.assert_array_equal(image, np.repeat(mask, 3, axis=2))
        seen.add(mask.tobytes())
    assert len(seen) > 10


def test_transforms_of_colour_leave_masks_alone(tmp_path: Path) -> None:
    import albumentations

    path = tmp_path / "pipeline.json"
    albumentations.save(albumentations.Compose([albumentations.HorizontalFlip(p=1.0), albumentations.InvertImg(p=1.0)]), path)
    plain, changed = (
        PatchReader(FolderOptions(patch=16, resize=0, mirror=False, transforms=transforms)).patches("one", image_and_mask, np.random.default_rng(3), masks=1)
        for transforms in ("", str(path))
    )
    np.testing.assert_array_equal(changed[0], 255 - plain[0][:, ::-1])
    np.testing.assert_array_equal(changed[1], plain[1][:, ::-1])


@pytest.mark.parametrize("size", [(9, 31), (40, 64), (70, 17)])
def test_bicubic_is_that_of_pillow(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
    options = FolderOptions(patch=8, resize=16, resampling="bicubic")
    (small,) = PatchReader(options).resized((image,), keep_aspect=False)
    assert (small == np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC))).all()
    height, width = size
    expected = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    assert (bicubic(image, height, width) == expected).all()
    deep = bicubic(image.astype(np.uint16) * 257, height, width)
    unit = bicubic(image.astype(np.float32) / np.float32(255), height, width)
    assert deep.dtype == np.uint16 and np.abs(deep / 257 - expected).max() <= 1.5, "8 bits are rounded after rows and after columns"
    assert unit.dtype == np.float32 and unit.min() >= 0 and unit.max() <= 1 and np.abs(unit * 255 - expected).max() <= 1.5
    assert (bicubic(np.concatenate([image, image[:, :, :2]], axis=2), height, width)[:, :, 3:] == expected[:, :, :2]).all()


def test_images_are_read_once_while_there_is_room() -> None:
    reads: list[int] = []

    def read() -> tuple[Pixels, ...]:
        reads.append(1)
        return image_and_mask()

    for mebibytes, times in ((1, 1), (0, 3)):
        reads.clear()
        reader = PatchReader(FolderOptions(patch=16, resize=0, cache=mebibytes))
        for seed in range(3):
            reader.patches("one", read, np.random.default_rng(seed))
        assert len(reads) == times


def test_whole_images_have_sides_that_the_network_takes() -> None:
    assert [image.shape for image in PatchReader(FolderOptions(patch=16, resize=0), 4).whole(image_and_mask())] == [(28, 40, 3), (28, 40, 1)]
    assert [image.shape for image in PatchReader(FolderOptions(patch=16, resize=18), 4).whole(image_and_mask())] == [(16, 24, 3), (16, 24, 1)]
