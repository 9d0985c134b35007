"""Which images a training folder gives, and which are held out."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.data.folders import list_images, split_held_out
from pixlate.errors import PixlateError


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_images_come_sorted_folder_after_folder_whatever_order_they_were_written_in(tmp_path: Path) -> None:
    touch(tmp_path / "b", "9.png", "10.JPG", "deep/1.webp", "notes.txt")
    touch(tmp_path / "a", "z.tif")
    expected = [tmp_path / name for name in ("b/10.JPG", "b/9.png", "b/deep/1.webp", "a/z.tif")]
    assert list_images([tmp_path / "b", tmp_path / "a"]) == expected


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    (seen,) = touch(tmp_path / ".home", "photo.jpg")
    touch(tmp_path / ".home", "._photo.jpg", ".thumbnails/photo.jpg")
    assert list_images([tmp_path / ".home"]) == [seen]


def test_image_below_two_of_the_folders_counts_once(tmp_path: Path) -> None:
    first, second = touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "b" / "link.png").symlink_to(first)
    assert list_images([tmp_path / "a", tmp_path, tmp_path / "b"]) == [first, second]


def test_missing_folder_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (file,) = touch(tmp_path, "1.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PixlateError, match=r"got .*/missing, which is not there; name a folder"):
        list_images([tmp_path / "missing"])
    with pytest.raises(PixlateError, match=r"got .*1\.png, which is a file; name a folder"):
        list_images([file])
    with pytest.raises(PixlateError, match=r"expected images \(\.bmp, .*\.webp\) in .*/empty, found none"):
        list_images([tmp_path, tmp_path / "empty"])


@given(st.integers(1, 60), st.data())
def test_held_out_images_are_spread_and_the_rest_is_trained_on(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total - 1))
    images = [Path(f"{index:03}.png") for index in range(total)]
    training, held_out = split_held_out(images, count)
    assert len(held_out) == count
    assert sorted(training + held_out) == images
    places = [images.index(path) for path in held_out]
    assert all(total // count <= second - first <= -(-total // count) for first, second in pairwise(places))


def test_holding_out_everything_is_refused() -> None:
    with pytest.raises(PixlateError, match=r"more than 3 images, of which 3 are held out for validation, got 3; add images or lower --hold-out"):
        split_held_out([Path("1"), Path("2"), Path("3")], 3)
