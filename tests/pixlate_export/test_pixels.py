"""Files that take uint8 pixels of any size, and generators of batch norm in their two modes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pixlate.errors import PixlateError
from pixlate.inference.sizes import allowed_size, pad
from pixlate.networks.symmetric import Symmetric
from pixlate.networks.unet import UNet
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.spec import ModelSpec, Provenance
from pixlate.plugin.testing import small_options
from pixlate_export.exporter import export_gan, export_network
from pixlate_export.norms import compared, with_norm
from pixlate_export.options import ExportOptions
from pixlate_export.parity import compare, draw_samples
from pixlate_export.pixels import take_pixels
from pixlate_export.tracing import outputs_of, trace
from pixlate_onnx.runner import OnnxTranslator

pytestmark = pytest.mark.usefixtures("operators_read_once")

METHODS = installed().offered(Method)


class Halving(nn.Module):
    """Halves and enlarges: takes multiples of 4 from 8 on and gives twice the size, of 2 channels from 3."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.LeakyReLU(0.2), nn.Conv2d(4, 2 * 64, 1), nn.PixelShuffle(8))
        nn.init.normal_(self.layers[2].bias, 0.5, 0.1)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        assert all(side % 4 == 0 for side in images.shape[2:])
        output: Tensor = self.layers(images)
        return output


SPEC = ModelSpec(scale=2, channels_out=2, multiple=4, minimum=8)


@pytest.fixture(scope="module")
def halving(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    network = Halving().eval()
    path = tmp_path_factory.mktemp("model") / "halving.onnx"
    assert export_network(network, SPEC, path).spec == replace(SPEC, io="uint8", padding="reflect")
    return network, path


@settings(max_examples=60, deadline=None)
@given(batch=st.integers(1, 3), height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9))
def test_pixels_of_any_size_come_back_as_pytorch_makes_them(halving: tuple[nn.Module, Path], batch: int, height: int, width: int, seed: int) -> None:
    network, path = halving
    pixels = np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3), np.uint8)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": pixels})
    padded = pad(pixels, *allowed_size(height, width, SPEC), "reflect")
    with torch.no_grad():
        planes = network(torch.from_numpy(padded.astype(np.float32)).permute(0, 3, 1, 2) / 255).clamp(0, 1)
    expected = (planes * 255).permute(0, 2, 3, 1).numpy()[:, : 2 * height, : 2 * width]
    assert found.dtype == np.uint8 and found.shape == expected.shape == (batch, 2 * height, 2 * width, 2)
    assert np.abs(found - expected).max() <= 0.5 + 1e-3, "rounded to the nearest level"
    np.testing.assert_array_equal(OnnxTranslator(path, "cpu")(pixels), found)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (5, 513), (2, 3), (40, 3)], ids=str)
def test_float_and_uint8_files_pad_alike_at_any_size(size: tuple[int, int], tmp_path: Path) -> None:
    class Grown(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.avg_pool2d(images, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)

    spec = ModelSpec(multiple=4, minimum=24)
    inside, outside = (export_network(Grown(), spec, tmp_path / f"{io}.onnx", ExportOptions(io)).path for io in ("uint8", "float"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    found = OnnxTranslator(inside, "cpu")(pixels)
    assert np.abs(found.astype(int) - OnnxTranslator(outside, "cpu")(pixels)).max() <= 1
    height, width = allowed_size(*size, spec)
    padded = pad(pixels, height, width, "reflect").astype(np.float64)
    means = padded.reshape(2, height // 4, 4, width // 4, 4, 3).mean(axis=(2, 4)).repeat(4, 1).repeat(4, 2)
    assert np.abs(found - means[:, : size[0], : size[1]]).max() <= 0.501


def test_pictures_of_16_bits_are_rounded_and_widened_for_a_file_of_8(halving: tuple[nn.Module, Path]) -> None:
    translator = OnnxTranslator(halving[1], "cpu")
    deep = np.random.default_rng(0).integers(0, 65536, (1, 9, 11, 3)).astype(np.uint16)
    found = translator(deep)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, translator(np.rint(deep / 257).astype(np.uint8)).astype(np.uint16) * 257)


def test_sides_of_the_file_are_free_and_named(halving: tuple[nn.Module, Path]) -> None:
    graph = onnx.load(halving[1]).graph
    shapes = [[item.dim_param or item.dim_value for item in value.type.tensor_type.shape.dim] for value in (graph.input[0], graph.output[0])]
    assert shapes == [["batch", "height", "width", 3], ["batch", "height_out", "width_out", 2]]
    assert (graph.input[0].name, graph.output[0].name) == ("image", "translated")


def test_network_that_pads_nothing_has_no_pad_in_its_file(tmp_path: Path) -> None:
    export_network(nn.Conv2d(3, 3, 3, padding=1), ModelSpec(), tmp_path / "model.onnx")
    assert not {"Pad", "Slice"} & {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}


@pytest.mark.parametrize("io", ["uint8", "float"])
def test_values_beyond_the_range_are_clamped_in_the_file(io: str, tmp_path: Path) -> None:
    class Tripled(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return 3 * images - 0.4

    export_network(Tripled(), ModelSpec(), tmp_path / "model.onnx", ExportOptions(io))  # type: ignore[arg-type]
    assert OnnxTranslator(tmp_path / "model.onnx", "cpu")(np.array([[[[10, 100, 255]]]], np.uint8)).tolist() == [[[[0, 198, 255]]]]


@pytest.mark.parametrize(("least", "most"), [(-1, 1), (0, 6), (0, 1)])
def test_network_that_ends_in_a_clamp_of_its_own_is_clamped_all_the_same(least: int, most: int, tmp_path: Path) -> None:
    class Clamped(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (4 * images - 1).clamp(least, most)

    export_network(Clamped(), ModelSpec(), tmp_path / "model.onnx")
    assert OnnxTranslator(tmp_path / "model.onnx", "cpu")(np.array([[[[0, 100, 255]]]], np.uint8)).tolist() == [[[[0, 145, 255]]]]


def test_network_that_outputs_nan_is_distinguished_from_a_wrong_file(tmp_path: Path) -> None:
    layer = nn.Conv2d(3, 3, 1)
    layer.weight.data *= float("inf")
    with pytest.raises(PixlateError, match="the network itself gives values that are not numbers in PyTorch"):
        export_network(layer, ModelSpec(), tmp_path / "model.onnx")


def test_unwritable_output_path_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixlate_export import exporter

    monkeypatch.setattr(exporter, "trace", None)  # not reached
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PixlateError, match=r"the file .*model\.onnx cannot be written, since .*file is no folder; name another folder"):
        export_network(nn.Conv2d(3, 3, 1), ModelSpec(), tmp_path / "file" / "model.onnx")


def test_network_that_onnx_cannot_hold_is_refused_with_one_sentence(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images if images.sum() > 0 else -images

    with pytest.raises(PixlateError, match="PyTorch cannot write this network as ONNX") as caught:
        export_network(Branching(), ModelSpec(), tmp_path / "model.onnx")
    assert "\n" not in str(caught.value) and not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", METHODS)
def test_every_installed_method_exports_through_hooks_alone(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    gan = METHODS[name].gan(small_options(METHODS[name]), METHODS[name].data.example_facts)
    exported = export_gan(gan, tmp_path / "model.onnx", Provenance())
    spec = OnnxTranslator(exported.path, "cpu").spec
    assert spec == exported.spec == replace(gan.spec(), io="uint8", padding="reflect")


def lively_unet() -> nn.Module:
    torch.manual_seed(1)
    network = Symmetric(UNet(depth=3, channels=8))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias, 0, 0.3)
            module.running_mean, module.running_var = torch.randn(module.num_features), torch.rand(module.num_features) + 0.5
    return network.eval()


UNET = ModelSpec(multiple=8, minimum=8, norm="running", tiling_exact=True, halo=200)


def test_per_image_mode_is_batch_norm_in_training_mode_on_a_batch_of_one(tmp_path: Path) -> None:
    network = lively_unet()
    exported = export_network(network, UNET, tmp_path / "model.onnx", ExportOptions("float", norm="per-image"))
    assert (exported.spec.norm, exported.spec.tiling_exact, exported.spec.halo) == ("per-image", False, 128)
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    images = torch.rand(3, 3, 32, 40)
    (found,) = session.run(None, {"image": images.numpy()})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    with torch.no_grad():
        expected = torch.cat([network(image[None]) for image in images]).numpy()
    assert np.abs(found - expected).max() < 1e-5
    assert expected.std() > 0.05


def test_running_mode_is_folded_into_the_convolutions(tmp_path: Path) -> None:
    network = lively_unet()
    exported = export_network(network, UNET, tmp_path / "model.onnx", ExportOptions("float", norm="running"))
    assert exported.spec.norm == "running" and exported.spec.tiling_exact
    assert not {"BatchNormalization", "InstanceNormalization"} & {node.op_type for node in onnx.load(exported.path).graph.node}
    images = torch.rand(2, 3, 16, 24)
    (found,) = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"]).run(None, {"image": images.numpy()})
    with torch.no_grad():
        assert np.abs(found - network(images).numpy()).max() < 1e-5


def test_two_norm_modes_give_two_pictures_and_leave_the_network_as_it_was() -> None:
    network = lively_unet()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    other, spec = with_norm(network, UNET, "per-image")
    same, _ = with_norm(network, UNET, "auto")
    assert same is network and spec.norm == "per-image"
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert (network(image) - other.eval()(image)).abs().max() > 0.05
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_difference_between_the_norm_modes_is_reported() -> None:
    network = lively_unet()
    other, spec = with_norm(network, UNET, "per-image")
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    image = nn.functional.interpolate(coarse, (128, 128), mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        levels = float((network(image) - other.eval()(image)).abs().mean()) * 255
    assert levels > 5
    sentence = compared(network, UNET, spec)
    assert sentence.startswith(
        "norm per-image: statistics are those of each image; with --norm running they are those gathered in training, and outputs differ by "
    )
    assert f" {levels:.1f} levels of 255 on average" in sentence
    assert compared(network, UNET, UNET).startswith("norm running: statistics are those gathered in training; with --norm per-image ")
    assert compared(nn.Conv2d(3, 3, 1), ModelSpec(), ModelSpec()) == ""


class AlmostTheSame(nn.Module):
    """Is traced with outputs a twentieth of a level too dark, at some places: rounded to levels they are nearly all the same."""

    def forward(self, images: Tensor) -> Tensor:
        return images - 2e-4 if torch.compiler.is_compiling() else images * 1


def test_a_graph_that_differs_by_less_than_a_level_is_refused_for_uint8_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = r"expected the graph before its conversion to agree with PyTorch within 0\.0001 and 80 dB, got 0\.0002 and .* nothing was written"
    with pytest.raises(PixlateError, match=sentence):
        export_network(AlmostTheSame(), ModelSpec(), tmp_path / "model.onnx")
    assert not any(tmp_path.iterdir())
    spec = ModelSpec(io="uint8")
    model = trace(AlmostTheSame(), ModelSpec(), 18)
    take_pixels(model, spec)
    compare(draw_samples(outputs_of(AlmostTheSame(), spec), spec), model, spec).require("the file", "")  # which outputs in 8 bits would not show


@pytest.mark.parametrize("norm", ["running", "per-image"])
def test_norm_mode_of_a_generator_without_batch_norm_is_refused(norm: str, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=f"expected a generator with batch norm for --norm {norm}, got one whose norm is none; leave out --norm"):
        export_network(nn.Conv2d(3, 3, 1), ModelSpec(), tmp_path / "model.onnx", ExportOptions(norm=norm))  # type: ignore[arg-type]
