"""Community upscalers through spandrel, against its own output."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import pixlate
from pixlate import ImportOptions, PixlateError
from pixlate.cli import main
from pixlate.images.picture import Pixels
from pixlate.plugin.testing import make_photographs
from pixlate.weights.reading import recognise
from pixlate_spandrel import upscalers

pytestmark = pytest.mark.usefixtures("operators_read_once")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    spandrel: Any = import_module("spandrel")
    Compact, DRCT, ESRGAN, SPAN, SwinIR = (
        getattr(import_module(f"spandrel.architectures.{name}"), name) for name in ("Compact", "DRCT", "ESRGAN", "SPAN", "SwinIR")
    )


def lively(network: Any) -> dict[str, Tensor]:
    """Return weights under which every layer matters."""
    torch.set_num_threads(1)  # the networks are too small for more
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = network.state_dict()
    for value in state.values():
        if value.is_floating_point() and value.ndim == 4:
            value.normal_(0, 1.2 / value[0].numel() ** 0.5, generator=generator)
        elif value.is_floating_point() and value.ndim == 1:
            value.add_(0.1)
    return state


def rrdbnet() -> dict[str, Tensor]:
    """RRDBNet at scale 4 under the names of Real-ESRGAN."""
    state = lively(ESRGAN(num_filters=8, num_blocks=1, scale=4))
    renamed = {}
    for key, value in state.items():
        for old, new in (
            ("model.0.", "conv_first."),
            ("model.1.sub.1.", "conv_body."),
            ("model.1.sub.", "body."),
            ("model.3.", "conv_up1."),
            ("model.6.", "conv_up2."),
            ("model.8.", "conv_hr."),
            ("model.10.", "conv_last."),
        ):
            if key.startswith(old):
                renamed[key.replace(old, new, 1).replace("RDB", "rdb").replace(".0.weight", ".weight").replace(".0.bias", ".bias")] = value
                break
    assert len(renamed) == len(state) and "body.0.rdb1.conv1.weight" in renamed
    return renamed


def swinir() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a call that newer versions of PyTorch want otherwise
        return SwinIR(img_size=16, embed_dim=12, depths=[2], num_heads=[2], window_size=8, mlp_ratio=2, upscale=2, upsampler="pixelshuffledirect")


STATES: dict[str, Callable[[], dict[str, Tensor]]] = {
    "RRDBNet": rrdbnet,
    "old RRDBNet": lambda: lively(ESRGAN(num_filters=8, num_blocks=1, scale=2)),
    "RRDBNet that shuffles": lambda: lively(ESRGAN(in_nc=12, num_filters=8, num_blocks=1, scale=4, shuffle_factor=2)),
    "Compact": lambda: lively(Compact(num_feat=8, num_conv=2, upscale=4)),
    "SwinIR": lambda: lively(swinir()),
}
FACTS = {
    "RRDBNet": ("ESRGAN", 4, 1, 2),
    "old RRDBNet": ("ESRGAN", 2, 1, 2),
    "RRDBNet that shuffles": ("ESRGAN", 2, 4, 4),
    "Compact": ("RealESRGAN Compact", 4, 1, 1),
    "SwinIR": ("SwinIR", 2, 1, 16),
}
"""Method, scale, multiple and minimum."""


def own_output(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """What spandrel itself makes of images in [0, 1]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        descriptor = spandrel.ModelLoader("cpu").load_from_state_dict(dict(state))
    output: Tensor = descriptor(images)
    return output


def opened(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.array(picture)


@pytest.fixture(params=STATES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_upscaler_gives_spandrels_own_pictures(name: str) -> None:
    state = STATES[name]()
    foreign = recognise(state, ImportOptions(), Path("a.pth"))
    spec = foreign.spec
    assert (spec.method, spec.scale, spec.multiple, spec.minimum) == FACTS[name]
    assert (spec.channels_in, spec.channels_out, spec.tiling_exact, spec.norm) == (3, 3, False, "none")
    assert spec.halo % spec.multiple == 0 and spec.halo >= 16
    assert foreign.name.endswith(f"at scale {spec.scale}, spandrel")
    images = torch.rand(2, 3, 24, 32)
    with torch.no_grad():
        found = foreign.network(images).clamp(0, 1)
    expected = own_output(state, images)
    assert expected.std() > 0.05
    assert (found - expected).abs().max() < 1e-5


@pytest.mark.parametrize("kind", [np.uint8, np.uint16], ids=["8 bits", "16 bits"])
def test_upscaler_translates_pixels(name: str, kind: type) -> None:
    state = STATES[name]()
    foreign = recognise(state, ImportOptions(), Path("a.pth"))
    from pixlate_spandrel.translator import TorchTranslator

    translator = TorchTranslator(foreign, "cpu")
    pixels: Pixels = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (2, 24, 32, 3), endpoint=True).astype(kind)
    expected = own_output(state, torch.from_numpy(pixels.astype(np.float32) / np.iinfo(kind).max).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    found = translator(pixels)
    assert found.dtype == kind and found.shape == expected.shape
    assert np.abs(found / np.iinfo(kind).max - expected).max() < 0.51 / np.iinfo(kind).max + 1e-5


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_folder_is_converted_with_the_weights_themselves(name: str, suffix: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state, weights = STATES[name](), tmp_path / f"model{suffix}"
    save_file({key: value.clone() for key, value in state.items()}, weights) if suffix == ".safetensors" else torch.save({"params_ema": state}, weights)
    photographs = make_photographs(tmp_path / "in", 2, 24, 32)
    Image.new("RGB", (5, 3), "red").save(photographs / "small.png")
    summary = pixlate.convert(photographs, tmp_path / "out", model=weights, options=pixlate.ConvertOptions(device="cpu"))
    assert (summary.converted, summary.failed, summary.device) == (3, 0, "cpu")
    scale = FACTS[name][1]
    assert opened(tmp_path / "out/small.png").shape == (3 * scale, 5 * scale, 3)
    source = torch.from_numpy(opened(photographs / "000.png")).permute(2, 0, 1)[None] / 255
    expected = own_output(state, source)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(opened(tmp_path / "out/000.png") - expected).max() < 0.51


def pixlate_command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, arguments)])
    return main()


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name == "SwinIR" else name for name in STATES])
def test_upscaler_is_written_as_onnx_or_refused_with_the_way_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = STATES[name]()
    torch.save(state, tmp_path / "a.pth")
    code = pixlate_command(monkeypatch, "import", tmp_path / "a.pth", tmp_path / "a.onnx")
    printed = capsys.readouterr()
    if name == "SwinIR":  # the mask of its windows is made in Python, for the size of the traced image
        assert code == 2 and not (tmp_path / "a.onnx").exists()
        assert f"; or convert with its weights directly: pixlate convert photos/ out/ --model {tmp_path / 'a.pth'}" in printed.err
        assert printed.err.count("\n") == 1
        return
    assert code == 0, printed.err
    assert f"recognised: {FACTS[name][0]}" in printed.out
    model = pixlate.load(tmp_path / "a.onnx", "cpu")
    assert model.spec.padding == "reflect"
    for size in ((20, 28), (21, 27), (3, 5), (1, 2)):  # of no multiple, and smaller than what is padded
        pixels = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
        expected = own_output(state, torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).permute(0, 2, 3, 1).numpy() * 255
        assert np.abs(model(pixels) - expected).max() < 0.51


def drct() -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lively(DRCT(img_size=16, embed_dim=12, depths=[2], num_heads=[2], window_size=16, mlp_ratio=2, upscale=2, upsampler="pixelshuffle"))


@pytest.mark.parametrize(("make", "multiple"), [(STATES["RRDBNet that shuffles"], 4), (drct, 16)], ids=["x2plus", "DRCT"])
def test_sizes_of_no_multiple_are_padded_as_spandrel_pads_them(make: Callable[[], dict[str, Tensor]], multiple: int) -> None:
    from pixlate_spandrel.translator import TorchTranslator

    state = make()
    foreign = recognise(state, ImportOptions(), Path("a.pth"))
    assert (foreign.spec.multiple, foreign.spec.padding) == (multiple, "reflect")
    translator = TorchTranslator(foreign, "cpu")
    repeated = 0.0
    for size in ((21, 27), (33, 50), (7, 9), (1, 5)):
        pixels = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
        expected = own_output(state, images).permute(0, 2, 3, 1).numpy() * 255
        assert np.abs(translator(pixels) - expected).max() < 0.51
        missing = [-side % multiple for side in size]
        with torch.no_grad():
            other = foreign.network(nn.functional.pad(images, (0, missing[1], 0, missing[0]), "replicate")).clamp(0, 1)
        repeated = max(repeated, float(np.abs(other.permute(0, 2, 3, 1).numpy()[:, : 2 * size[0], : 2 * size[1]] * 255 - expected).max()))
    assert repeated > 10, "padding matters"


def span() -> dict[str, Tensor]:
    torch.manual_seed(0)
    state: dict[str, Tensor] = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2).state_dict()
    state["upsampler.0.weight"].mul_(0.02)
    state["upsampler.0.bias"].fill_(0.5)
    return state


def test_branches_that_span_merges_in_each_call_are_merged_once_and_written_as_onnx(tmp_path: Path) -> None:
    state = span()
    foreign = recognise(state, ImportOptions(), Path("a.pth"))
    assert not [name for name, _ in foreign.network.named_modules() if "eval_conv" in name or name.endswith(".sk")]
    images = torch.rand(2, 3, 21, 27)
    expected = own_output(state, images)
    assert 0.05 < expected.std() < 0.4
    assert torch.equal(foreign.network(images).clamp(0, 1), expected)
    from pixlate_export.exporter import export_network

    exported = export_network(foreign.network, foreign.spec, tmp_path / "span.onnx")
    found = pixlate.load(exported.path, "cpu")((images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8))
    assert np.abs(found - own_output(state, (images * 255).round() / 255).permute(0, 2, 3, 1).numpy() * 255).max() < 0.51


def test_a_merged_convolution_keeps_the_activation_that_followed_it() -> None:
    branches = import_module("spandrel.architectures.SPAN.__arch.span").Conv3XC(3, 4, gain1=2, relu=True).eval()
    images = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        expected = branches(images)
        assert torch.equal(upscalers.with_plain_convolutions(nn.Sequential(branches))(images), expected)


@pytest.mark.slow
def test_windows_that_are_traced_slightly_wrong_are_refused_for_uint8_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = {"img_size": 64, "embed_dim": 32, "depths": [2], "num_heads": [2], "window_size": 16, "squeeze_factor": 8, "mlp_ratio": 2, "num_feat": 8}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = import_module("spandrel.architectures.HAT").HAT(**made, upscale=2, upsampler="pixelshuffle")
    foreign = recognise(network.state_dict(), ImportOptions(), Path("a.pth"))
    from pixlate_export.exporter import export_network

    with pytest.raises(PixlateError, match=r"expected the graph before its conversion to agree with PyTorch within 0\.0001 and 80 dB"):
        export_network(foreign.network, foreign.spec, tmp_path / "hat.onnx")
    assert not any(tmp_path.iterdir())


def test_weights_that_describe_a_far_larger_network_are_refused_before_memory_is_allocated() -> None:
    state = STATES["Compact"]()
    state["body.0.weight"] = torch.zeros(1, 3, 3, 3).expand(60_000, 3, 3, 3)
    with pytest.raises(PixlateError, match="speak of a far larger one"):
        upscalers.import_upscaler(state)
    state = rrdbnet() | {"body.999999999.rdb1.conv1.weight": torch.zeros(1)}
    assert upscalers.import_upscaler(state) is None


def test_weights_with_wrong_shapes_are_refused_in_one_sentence() -> None:
    state = STATES["Compact"]()
    state["body.2.weight"] = torch.zeros(3, 3)
    with pytest.raises(PixlateError, match=r"the plugin spandrel \(pixlate [^)]*\) failed on them") as caught:
        recognise(state, ImportOptions(), Path("a.pth"))
    assert "\n" not in str(caught.value)


def test_networks_that_do_not_translate_whole_pictures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = STATES["Compact"]()
    real = spandrel.ModelLoader("cpu").load_from_state_dict(dict(state))

    def with_changed(**changes: Any) -> None:
        for attribute, value in changes.items():
            monkeypatch.setattr(real, attribute, value)
        monkeypatch.setattr(spandrel.ModelLoader, "load_from_state_dict", lambda self, state: real)

    with_changed(_purpose="FaceSR")
    with pytest.raises(PixlateError, match=r"expected a network for pictures of any size, got RealESRGAN Compact"):
        upscalers.import_upscaler(state)
    with_changed(_purpose="SR", size_requirements=spandrel.SizeRequirements(square=True))
    with pytest.raises(PixlateError, match=r"which takes cut-out squares"):
        upscalers.import_upscaler(state)
    masked = spandrel.MaskedImageModelDescriptor(real.model, state, real.architecture, "Inpainting", [], False, False, 3, 3)
    monkeypatch.setattr(spandrel.ModelLoader, "load_from_state_dict", lambda self, state: masked)
    with pytest.raises(PixlateError, match=r"which fills in a mask"):
        upscalers.import_upscaler(state)


def test_networks_that_return_more_than_the_picture_are_run_as_spandrel_runs_them() -> None:
    network = upscalers.SpandrelNetwork(nn.Identity(), lambda model, images: model((images, 3))[0])
    images = torch.rand(1, 3, 2, 2)
    assert network(images) is images


def test_without_spandrel_the_install_command_is_named_and_nothing_else_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    import pixlate_spandrel

    monkeypatch.setitem(sys.modules, "spandrel", None)  # as if it were not installed, to whoever looks for it
    with pytest.raises(
        PixlateError,
        match=r"no installed plugin recognises .*; many community upscalers need: pip install 'pixlate\[spandrel\]' \(from a checkout: pip install '\.\[spandrel\]'\)$",
    ):
        recognise(STATES["Compact"](), ImportOptions(), Path("a.pth"))
    assert pixlate_spandrel.pixlate_open_model(Path("a.onnx"), "cpu") is None


def test_importing_the_plugin_loads_neither_torch_nor_spandrel() -> None:
    script = "import sys, pixlate_spandrel\nprint(*sorted(sys.modules.keys() & {'torch', 'spandrel', 'safetensors', 'numpy'}))"
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60).stdout
    assert printed.split() == []
