"""Networks that take conditions besides the image, or no image at all, as files."""

from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pixlate.errors import PixlateError
from pixlate.plugin.spec import Io, ModelInput, ModelSpec, Precision
from pixlate_export.exporter import export_network
from pixlate_export.options import ExportOptions
from pixlate_onnx.runner import OnnxTranslator

pytestmark = pytest.mark.usefixtures("operators_read_once")

HOLE = ModelInput("hole", "mask")
HAIR = ModelInput("hair", "label", choices=("black", "grey", "blond"))
STYLE = ModelInput("style", "vector", length=3)
NOISE = ModelInput("z", "noise", length=2)
LOOK = ModelInput("look", "reference", channels=3, side=6)
SPEC = ModelSpec(scale=2, multiple=4, minimum=8, inputs=(ModelInput("image", "image"), HOLE, HAIR, STYLE, LOOK, NOISE))


class Conditional(nn.Module):
    """Fills the hole with a colour of label, style, reference and noise, and enlarges; takes multiples of 4 only."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.colours, self.linear = nn.Embedding(3, 3), nn.Linear(5, 3)
        self.layers = nn.Sequential(nn.Conv2d(4, 8, 4, 4), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(8, 3 * 64, 1))

    def forward(self, images: Tensor, hole: Tensor, hair: Tensor, style: Tensor, look: Tensor, z: Tensor) -> Tensor:
        assert look.shape[1:] == (3, 6, 6)
        colour = torch.sigmoid(self.colours(hair) + self.linear(torch.cat([style, z], 1)) + 3 * look[:, :, 0, 1])[:, :, None, None]
        filled = images * (1 - hole) + colour * hole
        return 0.5 + 0.3 * nn.functional.pixel_shuffle(self.layers(torch.cat([filled, hole], 1)), 8)


class Sampler(nn.Module):
    """Draws 8 x 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(2, 3 * 64)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.linear(z)).reshape(-1, 3, 8, 8)


def conditions(batch: int, height: int, width: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {
        "hole": generator.integers(0, 2, (batch, height, width, 1), np.uint8) * np.uint8(255),
        "hair": generator.integers(0, 3, batch),
        "style": generator.standard_normal((batch, 3), np.float32),
        "look": generator.integers(0, 256, (batch, 6, 6, 3), np.uint8),
        "z": generator.standard_normal((batch, 2), np.float32),
    }


@pytest.mark.parametrize("io", get_args(Io))
def test_conditions_are_inputs_of_the_file_by_name_and_the_image_is_first(io: Io, tmp_path: Path) -> None:
    network = Conditional().eval()
    exported = export_network(network, SPEC, tmp_path / "model.onnx", ExportOptions(io))
    inputs = onnx.load(exported.path).graph.input
    assert [value.name for value in inputs] == ["image", "hole", "hair", "style", "look", "z"]
    shapes = {value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim] for value in inputs}
    assert shapes["hole"] == ["batch", "height", "width", 1] and shapes["hair"] == ["batch"] and shapes["style"] == ["batch", 3]
    assert shapes["look"] == ["batch", 6, 6, 3]
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), np.uint8)
    given = conditions(3, 8, 12)
    with torch.no_grad():
        image, hole, look = (torch.from_numpy(value).permute(0, 3, 1, 2).float() / 255 for value in (pixels, given["hole"], given["look"]))
        hair, style, z = (torch.from_numpy(given[name]) for name in ("hair", "style", "z"))
        expected = network(image, hole, hair, style, look, z).clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255
    found = OnnxTranslator(exported.path, "cpu")(pixels, **given)
    assert np.abs(found - expected).max() <= 0.51
    odd = OnnxTranslator(exported.path, "cpu")(pixels[:2, :5, :7], **conditions(2, 5, 7))
    assert odd.shape == (2, 10, 14, 3)


def test_float_and_uint8_files_of_a_mask_agree_at_sizes_that_are_padded(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 13, 3), np.uint8)
    made = [
        OnnxTranslator(export_network(Conditional().eval(), SPEC, tmp_path / f"{io}.onnx", ExportOptions(io)).path, "cpu")(pixels, **conditions(2, 5, 13))
        for io in get_args(Io)
    ]
    assert np.abs(made[0].astype(int) - made[1]).max() <= 1


@pytest.mark.parametrize("precision", [precision for precision in get_args(Precision) if precision != "float32"])
def test_conditions_go_with_every_precision(precision: Precision, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(6):
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (40, 40, 3), np.uint8)).save(folder / f"{index}.png")
    options = ExportOptions(precision=precision, calibration=folder if precision == "int8" else None)
    assert export_network(Conditional().eval(), SPEC, tmp_path / "model.onnx", options).spec.conditions == (HOLE, HAIR, STYLE, LOOK, NOISE)


@pytest.mark.parametrize("io", get_args(Io))
def test_sampler_becomes_a_file_without_an_image(io: Io, tmp_path: Path) -> None:
    network, spec = Sampler().eval(), ModelSpec(inputs=(NOISE,))
    exported = export_network(network, spec, tmp_path / "model.onnx", ExportOptions(io))
    z = np.random.default_rng(0).standard_normal((5, 2), np.float32)
    found = OnnxTranslator(exported.path, "cpu")(None, z=z)
    with torch.no_grad():
        expected = network(torch.from_numpy(z)).permute(0, 2, 3, 1).numpy() * 255
    assert found.shape == (5, 8, 8, 3) and np.abs(found - expected).max() <= 0.51


def test_sampler_in_8_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="expected a model that takes an image for --precision int8"):
        export_network(Sampler(), ModelSpec(inputs=(NOISE,)), tmp_path / "model.onnx", ExportOptions(precision="int8", calibration=tmp_path))
