"""Files of generators with attention: the pictures of PyTorch at sizes they were not traced with, in every arithmetic, whole and in tiles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pixlate
from pixlate.inference.executor import Executor
from pixlate.networks.initialisation import initialise
from pixlate.plugin.gan import GAN
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.spec import Io, Precision, Provenance
from pixlate_export.exporter import export_gan
from pixlate_export.options import ExportOptions

pytestmark = pytest.mark.usefixtures("operators_read_once")

VIT: dict[str, Any] = {"generator": "unet-vit", "depth": 2, "channels": 4, "blocks": 2, "features": 12, "heads": 3, "norm": "instance"}
SWIN: dict[str, Any] = {"generator": "swin", "channels": 8, "blocks": 2, "groups": 1, "heads": 2}
MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "unet-vit": ("pix2pix", VIT),
    "swin": ("cyclegan", SWIN),
    "swin that enlarges": ("srgan", {"network": "swin", "scale": 2, "channels": 8, "blocks": 2, "groups": 1, "heads": 2, "stages": "pixel"}),
}


def make_gan(name: str) -> GAN:
    """Return networks whose attention matters."""
    torch.set_num_threads(1)  # the networks are too small for more
    torch.manual_seed(0)
    method, values = MADE[name]
    chosen = installed().offered(Method)[method]
    gan = chosen.gan(chosen.options(**values), {})
    initialise(gan, "xavier", 1.5)
    for parameter in gan.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.3, 0.2)
    return gan.eval()


@pytest.mark.parametrize(("io", "precision"), [("float", "float32"), ("uint8", "float16")])
@pytest.mark.parametrize("name", MADE)
def test_file_agrees_with_pytorch_at_five_sizes(name: str, io: Io, precision: Precision, tmp_path: Path) -> None:
    gan = make_gan(name)
    exported = export_gan(gan, tmp_path / "model.onnx", Provenance(), ExportOptions(io, precision))
    sizes = {row.shape[2:] if io == "float" else row.shape[2:4] for row in exported.parity.differences}
    assert len(sizes) == 5
    assert exported.parity.largest <= exported.parity.tolerance.largest
    assert exported.spec.norm == ("per-image" if name == "unet-vit" else "none")
    if precision == "float32":
        pixels = np.random.default_rng(0).integers(0, 256, (2, 21, 37, 3), np.uint8)
        padded = np.pad(pixels, ((0, 0), (0, 24 - 21), (0, 40 - 37), (0, 0)), mode="reflect")
        with torch.no_grad():
            expected = gan.exported()(torch.from_numpy(padded).permute(0, 3, 1, 2).float() / 255).permute(0, 2, 3, 1).numpy()
        found = Executor(pixlate.load(tmp_path / "model.onnx", "cpu"), "auto", "auto")(pixels)
        assert np.abs(found / 255 - expected[:, : found.shape[1], : found.shape[2]]).max() <= 0.51 / 255
        assert expected.std() > 0.03, "the comparison is of a picture, not of a constant"


@pytest.mark.parametrize("name", ["swin", "swin that enlarges"])
def test_tiles_of_windows_are_those_of_the_whole_picture(name: str, tmp_path: Path) -> None:
    exported = export_gan(make_gan(name), tmp_path / "model.onnx", Provenance(), ExportOptions("float"))
    assert exported.spec.tiling_exact and exported.spec.multiple == 8
    translator = pixlate.load(tmp_path / "model.onnx", "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 90, 131, 3), np.uint8)
    whole, tiled = (Executor(translator, tile, 1)(pixels) for tile in ("off", 64))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_tiles_of_unet_vit_are_blended_since_it_sees_the_whole_picture() -> None:
    assert not make_gan("unet-vit").spec().tiling_exact
