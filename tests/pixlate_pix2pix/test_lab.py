"""Colorization in CIELAB: light stays, colours are learned, and files give what PyTorch does."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.pixlate_pix2pix.test_pix2pix import METHOD, fit, options

import pixlate
from pixlate.convert import ConvertOptions, convert
from pixlate.errors import PixlateError
from pixlate.images.picture import luma
from pixlate.plugin.spec import Io
from pixlate.plugin.testing import check_method
from pixlate.training.checkpoint import load_checkpoint
from pixlate_export.exporter import export_network
from pixlate_export.options import ExportOptions

pytestmark = pytest.mark.usefixtures("operators_read_once")

SMALL: dict[str, Any] = {"channels": 8, "depth": 3, "discriminator_channels": 4, "discriminator_layers": 2, "dropout": 0.0}
COLOURS = np.array([[220, 110, 60], [40, 80, 190], [120, 190, 90]], np.uint8)
"""Of other luma each: light alone tells which."""


@pytest.mark.parametrize("changes", [{"channels_in": 1}, {}, {"generator": "resnet", "depth": None, "blocks": 1}])
def test_contract_is_kept(changes: dict[str, Any]) -> None:
    values = {name: value for name, value in {**SMALL, "lab": True, **changes}.items() if value is not None}
    check_method(METHOD, METHOD.options(**values), side=48)


@pytest.mark.parametrize("changes", [{"channels_out": 1}, {"channels_in": 4}, {"whole": 32}, {"generator": "resnet", "skip": True}])
def test_options_that_do_not_go_with_it_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(
        PixlateError, match=r"expected --lab with --channels-in 1 or 3, --channels-out 3, and without --whole and --skip, got .*leave --lab out"
    ):
        METHOD.options(lab=True, **changes)


def vivid(channels_in: int) -> Any:
    """Return an untrained network of strong colours."""
    torch.manual_seed(0)
    gan = METHOD.build(METHOD.options(**{**SMALL, "lab": True, "channels_in": channels_in, "initialisation": "xavier", "initial_gain": 2.0}))
    return next(iter(gan.eval().exports().values()))


@pytest.mark.parametrize("io", get_args(Io))
@pytest.mark.parametrize("channels_in", [1, 3])
def test_luma_of_converted_files_is_that_of_their_sources_within_a_level(channels_in: int, io: Io, tmp_path: Path) -> None:
    export = vivid(channels_in)
    model = export_network(export.module, export.spec, tmp_path / "model.onnx", ExportOptions(io)).path
    generator = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    sources: dict[str, NDArray[Any]] = {
        "grey.png": generator.integers(0, 256, (37, 45), np.uint8),
        "rgb.png": generator.integers(0, 256, (37, 45, 3), np.uint8),
    }
    for name, pixels in sources.items():
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    sources["deep.tif"] = generator.integers(0, 65536, (37, 45), np.uint16)
    tifffile.imwrite(tmp_path / "in/deep.tif", sources["deep.tif"])
    assert convert(tmp_path / "in", tmp_path / "out", model, ConvertOptions(threads=2, device="cpu")).converted == 3
    for name, pixels in sources.items():
        found = tifffile.imread(tmp_path / "out" / name) if name.endswith("tif") else np.array(Image.open(tmp_path / "out" / name))
        assert found.shape == (37, 45, 3) and found.dtype == pixels.dtype
        wanted = pixels[:, :, None] if pixels.ndim == 2 else luma(pixels)
        level = 257 if name.endswith("tif") and io == "uint8" else 1  # a file of 8 bits has levels of these
        assert np.abs(luma(found).astype(int) - wanted).max() <= level, name
        assert np.ptp(found, axis=2).mean() > 0.1 * np.iinfo(found.dtype).max, f"{name} has colour"


def test_exported_file_gives_the_pictures_of_pytorch_at_any_size(tmp_path: Path) -> None:
    export = vivid(1)
    model = pixlate.load(export_network(export.module, export.spec, tmp_path / "model.onnx", ExportOptions("float")).path, "cpu")
    for height, width in ((8, 8), (16, 8), (40, 48), (64, 24), (16, 136)):
        pixels = np.random.default_rng(0).integers(0, 256, (2, height, width, 1), np.uint8)
        with torch.no_grad():
            expected = export.module(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).permute(0, 2, 3, 1).numpy() * 255
        assert np.abs(model(pixels) - expected).max() <= 1, (height, width)


def painted(folder: Path, count: int, seed: int) -> Path:
    """Write rectangles of three colours."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for index in range(count):
        pixels = np.empty((32, 32, 3), np.uint8)
        pixels[:] = COLOURS[index % 3]
        for _ in range(4):
            top, left = generator.integers(0, 24, 2)
            pixels[top : top + 12, left : left + 12] = COLOURS[generator.integers(3)]
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return folder


def test_training_on_grey_learns_colours_that_light_tells(tmp_path: Path) -> None:
    length = {"patch": 32, "resize": 0, "hold_out": 0, "batch": 4, "steps": 150, "learning_rate": 2e-3, "checkpoint_every": 1000}
    chosen = options(
        painted(tmp_path / "painted", 24, 0),
        **SMALL,
        lab=True,
        grey=True,
        channels_in=1,
        norm="none",
        discriminator_norm="none",
        initialisation="xavier",
        initial_gain=1.0,
        **length,
    )
    fit(chosen, tmp_path / "run")
    unseen = painted(tmp_path / "unseen", 6, 1)
    targets = np.stack([np.array(Image.open(path)) for path in sorted(unseen.iterdir())])
    grey = np.stack([luma(target) for target in targets])
    errors = {}
    for name in ("untrained", "trained"):
        torch.manual_seed(0)
        gan = METHOD.build(chosen.method_options)
        if name == "trained":
            gan.load_state_dict(load_checkpoint(tmp_path / "run").average)
        with torch.no_grad():
            made = gan.exported().eval()(torch.from_numpy(grey).permute(0, 3, 1, 2) / 255).permute(0, 2, 3, 1).numpy() * 255
        errors[name] = float(np.abs(made - targets).mean())
    assert errors["trained"] < 20 < 40 < errors["untrained"], errors
