"""Which images a training folder gives, and which are held out."""

import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.data.folders import ARRAY_SUFFIXES, differing_in_case, digest_names, list_images, listed_as, match_by_name, split_held_out
from pixlate.errors import PixlateError
from pixlate.images import BUILT_IN


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


def test_training_finds_the_suffixes_that_conversion_reads(tmp_path: Path) -> None:
    files = touch(tmp_path, *(f"image{suffix}" for suffix in BUILT_IN))
    assert list_images([tmp_path], ARRAY_SUFFIXES) == sorted(files)
    assert list_images([tmp_path]) == sorted(path for path in files if path.suffix != ".npy")
    assert {path.suffix for path in files} >= {".jfif", ".jpe", ".gif", ".avif"}


def test_linked_folders_are_followed_and_a_link_back_is_warned_of(tmp_path: Path) -> None:
    (image,) = touch(tmp_path / "far", "deep/1.png")
    folder = tmp_path / "photos"
    (other,) = touch(folder, "0.png")
    (folder / "linked").symlink_to(tmp_path / "far", target_is_directory=True)
    assert list_images([folder]) == [other, folder / "linked/deep/1.png"]
    (image.parent / "back").symlink_to(folder, target_is_directory=True)
    with pytest.warns(UserWarning, match="back is a link back to a folder that holds it"):
        assert list_images([folder]) == [other, folder / "linked/deep/1.png"]


def test_link_to_a_file_that_is_not_there_is_found_and_its_reading_says_so(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert list_images([tmp_path]) == [tmp_path / "gone.png"]


def test_run_of_an_earlier_version_finds_the_files_it_found_then(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    before = touch(folder, "0.png", "1.JPG")
    with listed_as("0.1"):
        digest = digest_names([folder])
    touch(folder, "2.gif", "3.avif", "4.jfif")
    touch(tmp_path / "far", "5.png")
    (folder / "linked").symlink_to(tmp_path / "far", target_is_directory=True)
    with listed_as("0.1"):
        assert list_images([folder]) == before and digest_names([folder]) == digest
    assert len(list_images([folder])) == 6 and digest_names([folder]) != digest


def test_names_pair_in_any_form_of_unicode(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "café") for form in ("NFD", "NFC")]
    (source,), (target,) = touch(tmp_path / "a", f"{names[0]}.png"), touch(tmp_path / "b", f"{names[1]}.jpg")
    assert names[0] != names[1]
    assert match_by_name(tmp_path / "a", tmp_path / "b") == ([(source, target)], [])


def test_names_that_differ_in_case_alone_are_pointed_out() -> None:
    advice = differing_in_case(["IMG_1", "IMG_2", "Other"], ["img_1", "img_2", "else"])
    assert advice == "; upper and lower case count, and 2 pairs of names differ in nothing else: IMG_1 and img_1, IMG_2 and img_2; rename one of each"
    assert differing_in_case(["a", "b"], ["b", "c"]) == ""


def test_missing_folder_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (file,) = touch(tmp_path, "1.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PixlateError, match=r"got .*/missing, which is not there; name a folder"):
        list_images([tmp_path / "missing"])
    with pytest.raises(PixlateError, match=r"got .*1\.png, which is a file; name a folder"):
        list_images([file])
    with pytest.raises(PixlateError, match=r"expected images \(.*\.bmp, .*\.webp.*\) in .*/empty, found none"):
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
