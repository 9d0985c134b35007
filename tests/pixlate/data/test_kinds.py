"""From a method's data kind to its training images."""

from pathlib import Path

import pytest

from pixlate.data.degraded import DegradedImages
from pixlate.data.kinds import degraded, open_data, paired, unpaired
from pixlate.data.pairing import PairedImages, UnpairedImages
from pixlate.errors import PixlateError
from pixlate.options import DegradedOptions, PairedOptions, UnpairedOptions
from pixlate.plugin.data import DataKind
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.testing import make_photographs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_photographs(tmp_path / "source", 3)
    make_photographs(tmp_path / "target", 3)
    return tmp_path


def test_each_kind_opens_its_images(folder: Path) -> None:
    both = [folder / "source", folder / "target"]
    assert isinstance(open_data(unpaired, both, UnpairedOptions(hold_out=1), ModelSpec()), UnpairedImages)
    assert isinstance(open_data(paired, both, PairedOptions(hold_out=1), ModelSpec()), PairedImages)
    assert isinstance(open_data(paired, [make_photographs(folder / "wide", 3, 40, 80)], PairedOptions(hold_out=1), ModelSpec()), PairedImages)
    assert isinstance(open_data(paired, [*both, folder], PairedOptions(hold_out=1, grey=True), ModelSpec()), PairedImages)
    assert isinstance(open_data(degraded, both, DegradedOptions(patch=16, hold_out=1), ModelSpec(scale=4)), DegradedImages)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_unpaired_takes_two_folders(folder: Path, count: int) -> None:
    with pytest.raises(PixlateError, match=f"expected two folders, SOURCE TARGET, got {count}; name a"):
        open_data(unpaired, [folder] * count, UnpairedOptions(), ModelSpec())


@pytest.mark.parametrize("count", [0, 3])
def test_paired_takes_two_folders_or_one(folder: Path, count: int) -> None:
    with pytest.raises(PixlateError, match=f"SOURCE TARGET, or one of images side by side, got {count}; name two or one"):
        open_data(paired, [folder] * count, PairedOptions(), ModelSpec())


def test_patch_that_the_network_cannot_take_is_refused_with_one_that_it_can(folder: Path) -> None:
    with pytest.raises(PixlateError, match="--patch to be a multiple of 256, which the network takes, got 300; use 512, or a network of fewer halvings"):
        open_data(paired, [folder], PairedOptions(patch=300, resize=300), ModelSpec(multiple=256, minimum=256))
    with pytest.raises(PixlateError, match="a multiple of 4 of at least 16, which the network takes, got 8; use 16"):
        open_data(degraded, [folder], DegradedOptions(patch=8), ModelSpec(multiple=4, minimum=16))


@pytest.mark.parametrize(("kind", "options", "scale"), [(degraded, DegradedOptions, 1), (degraded, DegradedOptions, 2), (paired, PairedOptions, 1)])
@pytest.mark.parametrize("multiple", [2, 8])
def test_held_out_images_of_any_size_are_cut_to_what_the_network_takes(kind: DataKind, options: type, scale: int, multiple: int, tmp_path: Path) -> None:
    folders = [make_photographs(tmp_path / name, 3, 45, 51) for name in ("source", "target")]
    chosen = options(patch=8, hold_out=1, **({"noise": 9.0} if options is DegradedOptions else {"resize": 0}))
    (batch,) = open_data(kind, folders if kind is paired else folders[:1], chosen, ModelSpec(scale=scale, multiple=multiple, minimum=multiple)).validation()
    height, width = (side // scale // multiple * multiple for side in (45, 51))
    assert batch["source"].shape == (1, 3, height, width)
    assert batch["target"].shape == (1, 3, height * scale, width * scale)


def test_scale_and_channels_must_fit_the_kind(folder: Path) -> None:
    with pytest.raises(PixlateError, match="expected a network of scale 1 for paired images, got scale 2"):
        open_data(paired, [folder], PairedOptions(), ModelSpec(scale=2))
    with pytest.raises(PixlateError, match="3 channels in and out for photographs that are reduced, got 1 and 3"):
        open_data(degraded, [folder], DegradedOptions(), ModelSpec(channels_in=1))


def test_options_of_another_kind_raise_value_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="expected options of paired images, got UnpairedOptions"):
        open_data(paired, [folder], UnpairedOptions(), ModelSpec())
