"""Which images are found, how they are matched, and what is refused before any work."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import noise, save

from pixlate.data.pairing import PairedImages
from pixlate.errors import PixlateError
from pixlate.evaluation.folders import Layout, degraded, find_images, read
from pixlate.options import PairedOptions
from pixlate.plugin.testing import make_photographs


def test_two_folders_are_matched_by_name_whatever_the_format(tmp_path: Path) -> None:
    for name in ("b", "deep/a"):
        save(tmp_path / "source" / f"{name}.jpg", 6, 9)
        save(tmp_path / "target" / f"{name}.png", 12, 18)
    save(tmp_path / "target" / ".hidden.png", 12, 18)
    sets = find_images([tmp_path / "source", tmp_path / "target"], "auto", 2)
    assert (sets.layout, sets.paired, sets.smallest_side) == ("folders", True, 12)
    assert [path.relative_to(tmp_path / "source").as_posix() for path in sets.sources] == ["b.jpg", "deep/a.jpg"]
    assert [path.relative_to(tmp_path / "target").as_posix() for path in sets.targets] == ["b.png", "deep/a.png"]
    source, target = sets.source_and_target(1)
    assert target is not None
    assert (source.shape, target.shape) == ((6, 9, 3), (12, 18, 3))


def test_files_without_a_partner_are_listed_up_to_five(tmp_path: Path) -> None:
    save(tmp_path / "source" / "both.png")
    save(tmp_path / "target" / "both.png")
    save(tmp_path / "source" / "left.png")
    for number in range(6):
        save(tmp_path / "target" / f"{number}.png")
    with pytest.raises(PixlateError, match=r"left\.png, .*0\.png, .*3\.png and 2 more; .*--layout unpaired"):
        find_images([tmp_path / "source", tmp_path / "target"], "auto", 1)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "a.jpg")
    with pytest.raises(PixlateError, match=r"one image of each name, got .*a\.jpg and .*a\.png"):
        find_images([tmp_path], "auto", 2)


def test_a_target_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    save(tmp_path / "source" / "a.png", 6, 9)
    save(tmp_path / "target" / "a.png", 12, 17)
    with pytest.raises(PixlateError, match=r"a\.png of 18x12 pixels, since .*a\.png of 9x6, got 17x12"):
        find_images([tmp_path / "source", tmp_path / "target"], "auto", 2)


def test_sides_of_one_image_are_source_and_target(tmp_path: Path) -> None:
    both = noise(5, 14)
    Image.fromarray(both).save(tmp_path / "a.png")
    source, target = find_images([tmp_path], "side-by-side", 1).source_and_target(0)
    assert (source == both[:, :7]).all()
    assert target is not None
    assert (target == both[:, 7:]).all()


@pytest.mark.parametrize("layout", ["grey", "lines"])
def test_sources_are_made_from_targets_as_training_validates(tmp_path: Path, layout: Layout) -> None:
    make_photographs(tmp_path / "photos", 2, 40, 48)
    source, target = find_images([tmp_path / "photos"], layout, 1, (1, 3)).source_and_target(0)
    made = {"grey": PairedOptions(grey=True, hold_out=1, resize=0, patch=8), "lines": PairedOptions(lines=1.0, hold_out=1, resize=0, patch=8)}[layout]
    data = PairedImages([tmp_path / "photos"], made, 1, 3)
    data.held_out = [*data.held_out, *data.pairs]
    batches = {name: [np.rint(batch[name][0].numpy().transpose(1, 2, 0) * 255) for batch in data.validation()] for name in ("source", "target")}
    assert target is not None and source.shape == (40, 48, 1) and target.shape == (40, 48, 3)
    number = next(index for index, each in enumerate(batches["target"]) if (each == target).all())
    assert (batches["source"][number] == source).all()


def test_an_image_that_cannot_be_halved_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 6, 9)
    with pytest.raises(PixlateError, match=r"side by side, of one width, but .*a\.png is 9 pixels wide"):
        find_images([tmp_path], "side-by-side", 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_reduced_images_are_pillows_of_the_cropped_target(channels: int) -> None:
    image = noise(13, 18, channels).astype(np.uint8)
    source, target = degraded(image, 4)
    assert (target == image[:12, :16]).all()
    expected = [Image.fromarray(target[:, :, channel]).resize((4, 3), Image.Resampling.BICUBIC) for channel in range(channels)]
    assert (source == np.stack([np.asarray(plane) for plane in expected], axis=2)).all()


def test_one_folder_means_reduced_images_for_a_model_that_enlarges(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 13, 18)
    sets = find_images([tmp_path], "auto", 4)
    assert (sets.layout, sets.smallest_side) == ("degraded", 12)


def test_an_image_smaller_than_the_scale_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 3, 18)
    with pytest.raises(PixlateError, match=r"at least 4 pixels on each side, to reduce by 4, but .*a\.png has 18x3"):
        find_images([tmp_path], "auto", 4)


@pytest.mark.parametrize(
    ("layout", "folders", "scale", "reason"),
    [
        ("auto", 1, 1, "expected a folder of sources and one of targets, got one folder"),
        ("folders", 1, 2, "expected 2 folders for --layout folders, got 1"),
        ("unpaired", 1, 1, "expected 2 folders for --layout unpaired, got 1"),
        ("degraded", 2, 2, "expected 1 folder for --layout degraded, got 2"),
        ("side-by-side", 1, 2, "expected a model of scale 1 for --layout side-by-side, this one enlarges by 2"),
        ("degraded", 1, 1, "expected a model that enlarges for --layout degraded"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(tmp_path: Path, layout: Layout, folders: int, scale: int, reason: str) -> None:
    with pytest.raises(PixlateError, match=reason):
        find_images([tmp_path] * folders, layout, scale)


def test_unpaired_sets_may_differ_in_number_names_and_sizes(tmp_path: Path) -> None:
    save(tmp_path / "source" / "a.png", 6, 9)
    for number in range(2):
        save(tmp_path / "target" / f"{number}.png", 20, 13)
    sets = find_images([tmp_path / "source", tmp_path / "target"], "unpaired", 2)
    assert (sets.paired, len(sets.sources), len(sets.targets), sets.smallest_side) == (False, 1, 2, 12)
    assert sets.source_and_target(0)[1] is None


def test_empty_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="found none"):
        find_images([tmp_path], "auto", 2)
    with pytest.raises(PixlateError, match="which is not there"):
        find_images([tmp_path / "nowhere"], "auto", 2)
    with pytest.raises(PixlateError, match="which is a file"):
        find_images([save(tmp_path / "a.png")], "auto", 2)


def test_a_file_that_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not an image")
    with pytest.raises(PixlateError, match=r"b\.png cannot be measured, and the figures would mislead without it: expected"):
        find_images([tmp_path], "auto", 2)


def test_a_truncated_image_is_refused_by_name_when_it_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 40, 40)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(PixlateError, match=r"a\.png cannot be measured, and the figures would mislead without it"):
        read(path)


def test_transparency_is_composited_over_white_and_16_bits_are_rounded(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint8)).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").tolist() == [[[255, 255, 255], [10, 20, 30]]]
    Image.fromarray(np.array([[257 * 7 + 100, 257 * 7 + 200]], np.uint16)).save(tmp_path / "deep.png")
    assert read(tmp_path / "deep.png").tolist() == [[[7], [8]]]
