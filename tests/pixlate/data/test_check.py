"""What a check of training folders finds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pixlate.data.check import check, examine, same_look
from pixlate.data.kinds import paired, unpaired
from pixlate.errors import PixlateError
from pixlate.plugin.testing import make_photographs


def save(path: Path, pixels: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_sound_folder_has_counts_sizes_channels_and_no_problems(tmp_path: Path) -> None:
    for index, (height, width) in enumerate(((30, 40), (50, 44), (70, 60))):
        make_photographs(tmp_path / str(index), 1, height, width, seed=index)
    report = check([tmp_path], None, 0)
    (folder,) = report.folders
    assert (report.kind, report.problems) == ("degraded", [])
    assert report.notes[0] == "training holds out 10 of them, and there are 3: add images or lower --hold-out"
    assert report.notes[1:] == [f"1 images are smaller than 32 pixels, the default --patch; training leaves them out: {tmp_path / '0' / '000.png'}"]
    assert (folder.images, folder.heights, folder.widths, folder.channels, folder.bits) == (3, (30, 50, 70), (40, 44, 60), {"3": 3}, {"8": 3})


def test_pairing_is_detected_from_names_widths_and_splits(tmp_path: Path) -> None:
    make_photographs(tmp_path / "a", 4)
    make_photographs(tmp_path / "b", 4, seed=1)
    for index, path in enumerate(make_photographs(tmp_path / "c", 4, seed=2).iterdir()):
        path.rename(path.with_name(f"other{index}.png"))
    make_photographs(tmp_path / "wide", 2, 30, 60)
    make_photographs(tmp_path / "splits" / "train", 2)
    make_photographs(tmp_path / "splits" / "test", 2, seed=3)
    expected = {("a", "b"): "paired", ("a", "c"): "unpaired", ("wide",): "paired", ("a",): "degraded", ("splits/train", "splits/test"): "degraded"}
    assert {names: check([tmp_path / name for name in names], None, 0).kind for names in expected} == expected
    assert check([tmp_path / "a", tmp_path / "b"], unpaired, 0).kind == "unpaired"


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path) -> None:
    make_photographs(tmp_path, 3)
    (tmp_path / "001.png").write_bytes((tmp_path / "001.png").read_bytes()[:-200])
    (tmp_path / "002.png").write_bytes(b"")
    (problem,) = check([tmp_path], None, 0).problems
    assert problem.startswith("2 files cannot be read; fix or remove them, or train with --damaged skip: ")
    assert "/001.png: the image is truncated or damaged" in problem and "/002.png: the file is empty" in problem


def test_pairs_whose_names_differ_in_case_are_taken_for_pairs_and_pointed_out(tmp_path: Path) -> None:
    for name, seed in (("source", 0), ("target", 1)):
        for path in make_photographs(tmp_path / name, 3, seed=seed).iterdir():
            path.rename(path.with_name(f"IMG{path.stem}.PNG" if seed else f"img{path.name}"))
    report = check([tmp_path / "source", tmp_path / "target"], None, 0)
    assert report.kind == "paired" and report.pairs == 0
    assert report.problems[0].endswith(
        "and 3 pairs of names differ in nothing else: img000 and IMG000, img001 and IMG001, img002 and IMG002; rename one of each"
    )


def test_unmatched_files_and_pairs_of_two_sizes_are_named(tmp_path: Path) -> None:
    make_photographs(tmp_path / "source", 4)
    make_photographs(tmp_path / "target", 3, seed=1)
    save(tmp_path / "target" / "002.png", np.arange(60 * 60, dtype=np.uint16).reshape(60, 60).astype(np.uint8))
    report = check([tmp_path / "source", tmp_path / "target"], None, 0)
    assert report.pairs == 3
    (problem,) = report.problems
    assert problem.startswith("1 files have no partner of the same name: ") and "/source/003.png" in problem
    assert any(note.startswith("1 pairs have two sizes, which --resize makes equal") and "002.png" in note for note in report.notes)
    save(tmp_path / "target" / "001.png", np.arange(64 * 96, dtype=np.uint16).reshape(96, 64).astype(np.uint8))
    shapes = check([tmp_path / "source", tmp_path / "target"], None, 0).problems[1]
    assert shapes.startswith("1 pairs have two shapes and cannot show the same: ") and "/target/001.png; turn or crop" in shapes
    save(tmp_path / "source" / "000.bmp", np.zeros((9, 9), np.uint8))
    assert any("one image of each name" in problem for problem in check([tmp_path / "source", tmp_path / "target"], paired, 0).problems)


def test_images_that_are_not_wide_are_no_pairs_side_by_side(tmp_path: Path) -> None:
    make_photographs(tmp_path / "high", 12, 100, 120)
    make_photographs(tmp_path / "wide", 12, 100, 240)
    assert [check([tmp_path / name], None, 0).kind for name in ("high", "wide")] == ["degraded", "paired"]
    (problem,) = check([tmp_path / "high"], paired, 0).problems
    assert problem.startswith("12 images are less than 1.3 times as wide as high and cannot hold source and target side by side: ")
    assert check([tmp_path / "wide"], paired, 0).problems == []


def test_odd_widths_side_by_side_and_halves_smaller_than_the_patch_are_named(tmp_path: Path) -> None:
    make_photographs(tmp_path / "odd", 1, 40, 81)
    make_photographs(tmp_path / "even", 1, 40, 60)
    problems = check([tmp_path], paired, 32).problems
    assert [problem.split(":")[0] for problem in problems] == [
        "1 images have an odd width and cannot be halved",
        "1 images are smaller than a patch of 32 pixels",
    ]
    assert "/odd/000.png" in problems[0] and "/even/000.png" in problems[1]


def test_mixed_channels_are_a_problem_and_mixed_grey_and_depth_a_note(tmp_path: Path) -> None:
    make_photographs(tmp_path, 2)
    save(tmp_path / "grey.png", np.arange(900, dtype=np.uint16).reshape(30, 30))
    report = check([tmp_path], None, 0)
    assert report.problems == []
    assert any("mixes grey and RGB" in note for note in report.notes) and any("mixes samples of 16, 8 bits" in note for note in report.notes)
    tifffile.imwrite(tmp_path / "five.tif", np.random.default_rng(0).integers(0, 256, (20, 20, 5), np.uint8), photometric="minisblack", planarconfig="contig")
    np.save(tmp_path / "two.npy", np.zeros((20, 20, 5), np.float32))
    report = check([tmp_path], None, 0)
    assert report.folders[0].channels == {"1": 1, "3": 2, "5": 2}
    (problem,) = report.problems
    assert "mixes images of 1, 3, 5 channels, and a network takes one number: take out or convert those of 1: " in problem and "grey.png" in problem


def test_copies_are_found_by_their_pixels_and_between_train_and_test(tmp_path: Path) -> None:
    make_photographs(tmp_path / "train", 4)
    make_photographs(tmp_path / "test", 2, seed=1)
    with Image.open(tmp_path / "train" / "000.png") as image:
        image.save(tmp_path / "train" / "copy.bmp")  # another file of the same pixels
    with Image.open(tmp_path / "train" / "001.png") as image:
        image.save(tmp_path / "test" / "leak.tif")
    for folders in ([tmp_path], [tmp_path / "train", tmp_path / "test"]):
        across, within = check(folders, None, 0).problems
        assert across.startswith("1 pictures are in more than one folder") and "train/001.png" in across and "test/leak.tif" in across
        assert within.startswith("1 picture is there more than once") and "train/000.png" in within and "train/copy.bmp" in within


def test_pictures_that_look_the_same_are_a_note(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for index in range(8):
        image = Image.fromarray(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((120, 90), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"{index}.png")
        if index < 3:
            image.resize((100, 75)).save(tmp_path / f"smaller {index}.jpg", quality=80)
    report = check([tmp_path], None, 0)
    assert report.problems == [] and len(report.notes) == 1
    assert report.notes[0].startswith("3 pairs of pictures look the same: ") and report.notes[0].count("smaller") == 3


def test_plain_pictures_are_not_said_to_look_the_same(tmp_path: Path) -> None:
    for level in range(4):
        save(tmp_path / f"{level}.png", np.full((30, 30, 3), level, np.uint8))
    assert not any("look the same" in note for note in check([tmp_path], None, 0).notes)


def test_different_photographs_do_not_look_the_same(data: Path) -> None:
    files = [examine(path) for path in sorted((data / "photos" / "train").iterdir())]
    assert len(files) > 100 and not any(file.error for file in files) and same_look(files) == []


def test_folders_that_do_not_fit_the_pairing_are_refused(tmp_path: Path) -> None:
    make_photographs(tmp_path / "a", 1)
    with pytest.raises(PixlateError, match="expected two folders, SOURCE TARGET, got 1"):
        check([tmp_path], unpaired, 0)
    with pytest.raises(PixlateError, match="or one of images side by side, got 3"):
        check([tmp_path] * 3, paired, 0)
    with pytest.raises(PixlateError, match="which is not there; name a folder"):
        check([tmp_path / "missing"], None, 0)
