"""Pipelines of albumentations from files."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pixlate.data.transforms import Transforms
from pixlate.errors import PixlateError
from pixlate.images import Pixels


def image(seed: int = 0, channels: int = 3, side: int = 16) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_saved_albumentations_pipeline_is_applied(tmp_path: Path, suffix: str) -> None:
    import albumentations

    path = tmp_path / f"pipeline.{suffix}"
    pipeline = albumentations.Compose([albumentations.VerticalFlip(p=1.0), albumentations.OneOf([albumentations.InvertImg(p=1.0)], p=1.0)])
    albumentations.save(pipeline, path, data_format=suffix)
    (changed,) = Transforms(str(path))([image()], 0)
    assert np.array_equal(changed, 255 - image()[::-1])


def test_same_seed_gives_the_same_in_any_thread_and_alike_for_all_images(save_pipeline: Callable[..., str]) -> None:
    transforms = Transforms(save_pipeline("ColorJitter", p=1.0))
    expected = [transforms([image(), image()], seed) for seed in range(20)]
    assert all(np.array_equal(first, second) for first, second in expected)
    assert len({first.tobytes() for first, _ in expected}) == 20
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: transforms([image(), image()], seed), list(range(20)) * 3))
    assert all(np.array_equal(one[0], expected[index % 20][0]) for index, one in enumerate(found))


def test_deep_and_mixed_images_go_through_in_unit_range(save_pipeline: Callable[..., str]) -> None:
    deep = image().astype(np.uint16) * 257
    first, second = Transforms(save_pipeline("HorizontalFlip", p=1.0))([deep, image()], 0)
    assert first.dtype == second.dtype == np.float32
    assert np.allclose(first * 255, image()[:, ::-1], atol=1e-3) and np.array_equal(first, second)


def test_masks_are_transformed_with_their_images_and_keep_their_values(tmp_path: Path) -> None:
    import albumentations

    path = tmp_path / "pipeline.json"
    albumentations.save(albumentations.Compose([albumentations.HorizontalFlip(p=1.0), albumentations.InvertImg(p=1.0)]), path)
    mask = (image(1, channels=1) > 127).astype(np.uint8) * 255
    deep = image().astype(np.uint16) * 257
    for source in (image(), deep):
        changed, other, moved = Transforms(str(path))([source, source], 0, [mask])
        assert np.array_equal(changed, other) and not np.array_equal(changed, source)
        assert np.array_equal(moved, mask[:, ::-1]) and moved.dtype == np.uint8


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels_is_flipped(channels: int, save_pipeline: Callable[..., str]) -> None:
    (changed,) = Transforms(save_pipeline("HorizontalFlip", p=1.0))([image(channels=channels)], 0)
    assert np.array_equal(changed, image(channels=channels)[:, ::-1])


def test_pipeline_that_changes_the_size_is_refused_by_name(save_pipeline: Callable[..., str]) -> None:
    transforms = Transforms(save_pipeline("CenterCrop", height=8, width=8, p=1.0))
    with pytest.raises(PixlateError, match=r"pipeline\.json: expected patches of \(16, 16, 3\) and uint8 to stay so, got \(8, 8, 3\)"):
        transforms([image()], 0)


def test_pipeline_that_fails_on_the_images_is_named(save_pipeline: Callable[..., str]) -> None:
    transforms = Transforms(save_pipeline("RandomCrop", height=99, width=99, p=1.0))
    with pytest.raises(PixlateError, match=r"pipeline\.json: the pipeline fails on patches of \(16, 16, 3\) \(.*\); fix the file"):
        transforms([image()], 0)


@pytest.mark.parametrize("name", ["os.system", "Lambda", "NoSuchTransform", "subprocess.Popen", 7, ["A"]])
def test_classes_that_are_no_transforms_of_albumentations_are_refused(tmp_path: Path, name: object) -> None:
    path = tmp_path / "pipeline.json"
    inner = {"__class_fullname__": name, "p": 1.0}
    path.write_text(json.dumps({"transform": {"__class_fullname__": "Compose", "p": 1.0, "transforms": [inner]}}))
    with pytest.raises(PixlateError, match=r"pipeline\.json: expected transforms of albumentations .*, got .*; take it out"):
        Transforms(str(path))


def test_transforms_of_other_packages_are_refused_even_where_they_are_registered(tmp_path: Path) -> None:
    import albumentations

    class Foreign(albumentations.ImageOnlyTransform):  # type: ignore[misc]
        pass

    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps({"transform": {"__class_fullname__": Foreign.get_class_fullname(), "p": 1.0}}))
    with pytest.raises(PixlateError, match=r"expected transforms of albumentations .*Foreign'; take it out"):
        Transforms(str(path))


def test_yaml_that_makes_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text("transform: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(PixlateError, match=r"pipeline\.yaml: expected \.yaml written by albumentations\.save"):
        Transforms(str(path))


def test_files_that_are_no_pipeline_are_refused(tmp_path: Path, save_pipeline: Callable[..., str]) -> None:
    for name, text, message in (
        ("p.txt", "", "expected a .json or .yaml file for --transforms, got"),
        ("p.json", "{", "p.json: expected .json written by albumentations.save"),
        ("q.json", "[]", "q.json: expected a pipeline written by albumentations.save, which has a 'transform'"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(PixlateError) as refused:
            Transforms(str(tmp_path / name))
        assert message in str(refused.value)
    with pytest.raises(PixlateError, match=r"expected a readable file for --transforms, got .*missing\.json"):
        Transforms(str(tmp_path / "missing.json"))
    with pytest.raises(PixlateError, match=r"expected a pipeline that albumentations 2.* can load"):
        Transforms(save_pipeline("RandomCrop", height="high", p=1.0))


def test_yaml_of_nested_aliases_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    levels = [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, 12)]
    path.write_text("\n".join(["l0: &l0 [1]", *levels, "transform: {__class_fullname__: Compose, p: 1.0, transforms: *l11}"]))
    with pytest.raises(PixlateError, match=r"pipeline\.yaml: expected a pipeline of at most 100000 values, got more; save it again"):
        Transforms(str(path))


def test_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.json"
    path.write_text(" " * 1_000_001)
    with pytest.raises(PixlateError, match="expected a pipeline of at most 1000000 bytes, got 1000001; save it again"):
        Transforms(str(path))
