"""Half precision and 8 bits: which numbers a file computes in, how near its pictures are, and what is refused."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from PIL import Image
from torch import Tensor, nn

from pixlate.errors import PixlateError
from pixlate.images import Picture
from pixlate.networks.resnet import ResNet
from pixlate.networks.symmetric import Symmetric
from pixlate.networks.unet import UNet
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import Plugins
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.testing import make_photographs
from pixlate_export import exporter
from pixlate_export.calibration import read_pictures
from pixlate_export.exporter import export_network
from pixlate_export.graph import finished
from pixlate_export.half import emulated, halve
from pixlate_export.options import ExportOptions
from pixlate_export.parity import compare, draw_samples
from pixlate_export.tracing import outputs_of, trace
from pixlate_onnx.runner import OnnxTranslator
from pixlate_onnx.statistics import measuring

pytestmark = pytest.mark.usefixtures("operators_read_once")

RESNET = ModelSpec(multiple=4, minimum=8, norm="per-image")
UNET = ModelSpec(multiple=8, minimum=8, norm="running", tiling_exact=True)


def lively(network: nn.Module) -> nn.Module:
    """Return the network with weights that make its output spread."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, 0.5)
        if isinstance(module, nn.BatchNorm2d):
            module.running_var = torch.rand(module.num_features) + 0.5
    return network.eval()


@pytest.fixture(scope="module")
def networks() -> dict[str, tuple[nn.Module, ModelSpec, onnx.ModelProto]]:
    """A small ResNet and a small U-Net, each with its spec and its graph at opset 22."""
    made = {}
    for name, network, spec in (("resnet", ResNet(blocks=2, channels=8), RESNET), ("unet", UNet(depth=3, channels=8), UNET)):
        whole = lively(Symmetric(network))
        made[name] = (whole, spec, trace(whole, spec, 22))
    return made


def kinds(model: onnx.ModelProto, op: str) -> set[int]:
    """Return the element types of everything that nodes of a kind take and give."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input, *graph.output)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {types[name] for node in graph.node if node.op_type == op for name in (*node.input, *node.output) if name}


@pytest.mark.parametrize(("half", "kind"), [("float16", TensorProto.FLOAT16), ("bfloat16", TensorProto.BFLOAT16)])
@pytest.mark.parametrize("name", ["resnet", "unet"])
def test_convolutions_compute_in_half_precision_and_norms_in_32_bits(
    name: str, half: str, kind: int, networks: dict[str, tuple[nn.Module, ModelSpec, onnx.ModelProto]]
) -> None:
    network, spec, traced = networks[name]
    model = onnx.ModelProto()
    model.CopyFrom(traced)
    halve(model, half)  # type: ignore[arg-type]
    onnx.checker.check_model(model, full_check=True)
    assert kinds(model, "Conv") == {kind}
    assert kinds(model, "ConvTranspose") == {TensorProto.FLOAT16 if half == "float16" else TensorProto.FLOAT}
    if name == "resnet":
        norms = {"InstanceNormalization"} if half == "float16" else {"ReduceMean", "Sub", "Sqrt", "Div"}
        assert set().union(*(kinds(model, norm) for norm in norms)) - {TensorProto.INT64} == {TensorProto.FLOAT}
    assert {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)} == {TensorProto.FLOAT}
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4 and tensor.data_type == TensorProto.FLOAT]
    assert half == "bfloat16" or not weights, "weights are stored once, in 16 bits"
    halved = ModelSpec(**{**vars(spec), "precision": half})
    report = compare(draw_samples(outputs_of(network, halved), halved), finished(model, spec), halved)
    report.require("the file", "")
    assert report.largest > 1e-5, "something was rounded"


def test_norms_of_bfloat16_are_spelt_out_since_no_runtime_has_them_on_gpus_and_tiles_still_share_their_statistics(
    networks: dict[str, tuple[nn.Module, ModelSpec, onnx.ModelProto]],
) -> None:
    _, _, traced = networks["resnet"]
    model = onnx.ModelProto()
    model.CopyFrom(traced)
    halve(model, "bfloat16")
    count = sum(node.op_type == "InstanceNormalization" for node in traced.graph.node)
    assert count > 5 and not any(node.op_type == "InstanceNormalization" for node in model.graph.node)
    session = [onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]) for content in (_measuring(traced), _measuring(emulated(model)))]
    image = {"image": np.random.default_rng(0).random((1, 3, 24, 32), np.float32)}
    expected, found = (each.run(None, image) for each in session)
    assert len(expected) == len(found) == 2 * count
    for one, other in zip(expected[:4], found[:4], strict=True):  # of the first two norms; roundings add up in the later ones
        np.testing.assert_allclose(other, one, rtol=0.02, atol=0.01)


def _measuring(model: onnx.ModelProto) -> bytes:
    content = measuring(model.SerializeToString())
    assert content is not None
    return content


def test_emulated_half_precision_rounds_as_pytorch_does() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1)
    model = trace(nn.Sequential(layer, nn.Hardtanh(0.0, 1.0)).eval(), ModelSpec(channels_out=4), 22)
    for half, kind in (("float16", torch.float16), ("bfloat16", torch.bfloat16)):
        halved = onnx.ModelProto()
        halved.CopyFrom(model)
        halve(halved, half)  # type: ignore[arg-type]
        image = torch.rand(1, 3, 9, 9)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(emulated(halved).SerializeToString(), options, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"image": image.numpy()})
        weights = [parameter.to(kind).float() for parameter in layer.parameters()]
        with torch.no_grad():
            expected = nn.functional.conv2d(image.to(kind).float(), weights[0], weights[1], padding=1).to(kind).float().clamp(0, 1).numpy()
        step = 2.0 ** (-10 if half == "float16" else -7)
        assert np.abs(found - expected).max() <= step / 2, "at most one rounding apart, where sums end on its edge"
        assert (found == expected).mean() > 0.99
        assert 1e-5 < np.abs(expected - layer(image).clamp(0, 1).detach().numpy()).max() < 4 * step


class Scaled(nn.Module):
    """One convolution whose features are enlarged and made small again."""

    def __init__(self, factor: float, weight: float = 1.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 1, bias=False) for _ in range(3))
        self.factor = factor
        for layer, value in zip(self.layers, (factor, weight, weight), strict=True):
            layer.weight.data = value * torch.eye(3)[:, :, None, None]

    def forward(self, images: Tensor) -> Tensor:
        for layer in self.layers:
            images = layer(images)
        return images / self.factor


def test_weight_beyond_the_range_of_16_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected weights within the range of float16, but .* is not; use --precision float32 or bfloat16"):
        export_network(Scaled(1e6), ModelSpec(), tmp_path / "model.onnx", ExportOptions(precision="float16"))
    assert export_network(Scaled(1e6), ModelSpec(), tmp_path / "model.onnx", ExportOptions(precision="bfloat16")).parity.psnr > 30
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_features_beyond_the_range_of_16_bits_are_noticed_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"agree with PyTorch .*; nothing was written: use a higher --precision"):
        export_network(Scaled(600.0, 600.0), ModelSpec(), tmp_path / "model.onnx", ExportOptions("float", "float16"))
    assert not any(tmp_path.iterdir())


def test_file_of_float16_runs_on_a_cpu_and_one_of_bfloat16_says_that_it_does_not(
    tmp_path: Path, networks: dict[str, tuple[nn.Module, ModelSpec, onnx.ModelProto]], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, _, at_22 = networks["resnet"]
    graphs = {22: at_22}

    def traced_once(network: nn.Module, spec: ModelSpec, opset: int) -> onnx.ModelProto:
        if opset not in graphs:
            graphs[opset] = trace(network, spec, opset)
        copy = onnx.ModelProto()
        copy.CopyFrom(graphs[opset])
        return copy

    monkeypatch.setattr(exporter, "trace", traced_once)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 21, 30, 3), np.uint8)
    pictures = {}
    for precision in ("float32", "float16", "bfloat16"):
        exported = export_network(network, RESNET, tmp_path / f"{precision}.onnx", ExportOptions(precision=precision))
        assert (exported.spec.precision, exported.spec.io) == (precision, "uint8")
        assert exported.opset == onnx.load(exported.path).opset_import[0].version == (22 if precision == "bfloat16" else 18)
        if precision == "bfloat16":
            with pytest.raises(PixlateError, match=r"cpu cannot run the model .*bfloat16.onnx \(.*\); use another device, or a model of --precision float32"):
                OnnxTranslator(exported.path, "cpu")
        else:
            pictures[precision] = OnnxTranslator(exported.path, "cpu")(pixels).astype(int)
    assert np.abs(pictures["float32"] - pictures["float16"]).max() <= 3
    assert pictures["float32"].std() > 20


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photographs(tmp_path_factory.mktemp("photographs"), 8, 72, 88)


def test_int8_computes_in_8_bits_between_the_first_and_the_last_convolution(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate_export.parity.PICTURE_SIZES", ((48, 48), (33, 40)))
    network = lively(Symmetric(ResNet(blocks=2, channels=16, skip=True)))
    for parameter in list(network.parameters())[-2:]:
        parameter.data *= 0.3  # of the last convolution: a trained network adds less to a picture than a random one
    exported = export_network(network, RESNET, tmp_path / "model.onnx", ExportOptions(precision="int8", calibration=photographs))
    assert exported.spec.precision == "int8" and 30 <= exported.parity.psnr < 60
    model = onnx.load(exported.path)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    made_by = {name: node for node in model.graph.node for name in node.output}
    eight = [node for node in convolutions if node.input[1] in made_by and made_by[node.input[1]].op_type == "DequantizeLinear"]
    assert len(eight) == len(convolutions) - 2
    scales = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert all(scales[made_by[node.input[1]].input[1]].size > 1 for node in eight), "one range a channel"
    pixels = np.random.default_rng(0).integers(0, 256, (2, 21, 30, 3), np.uint8)
    assert OnnxTranslator(exported.path, "cpu")(pixels).shape == (2, 21, 30, 3)
    assert f"{exported.parity.psnr:.1f} dB" in str(exported.parity)


def test_int8_below_30_db_is_refused_and_nothing_is_written(photographs: Path, tmp_path: Path) -> None:
    class Cancelling(nn.Module):
        """The difference of large features, which 256 levels do not hold."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
            for layer in self.layers:
                layer.weight.data = torch.eye(3)[:, :, None, None] * 1.0
                layer.bias.data = torch.full((3,), 400.0 if layer is self.layers[0] else 0.0)

        def forward(self, images: Tensor) -> Tensor:
            output: Tensor = self.layers(images) - 400
            return output

    with pytest.raises(PixlateError, match=r"within 1 and 30 dB, got .* nothing was written: use a higher --precision"):
        export_network(Cancelling(), ModelSpec(), tmp_path / "model.onnx", ExportOptions(precision="int8", calibration=photographs))
    assert not any(tmp_path.iterdir())


def make_nothing(folder: Path) -> Path:
    folder.mkdir()
    return folder


def make_damaged(folder: Path) -> Path:
    (make_nothing(folder) / "a.png").write_bytes(b"no picture")
    return folder


def make_black(folder: Path) -> Path:
    make_nothing(folder)
    for index in range(5):
        Image.new("RGB", (64, 64)).save(folder / f"{index}.png")
    return folder


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: folder, r"expected --calibration to name a folder of typical source images, got .*; check its path"),
        (make_nothing, r"expected typical source images in .*, found none; name another folder"),
        (make_damaged, r"expected at least 4 typical source images .*, got 0 that can be used \(a\.png: expected PNG, got a file that is none of .*\)"),
        (make_black, r"got 0 that can be used \(0\.png: it is of a single shade and calibrates nothing; leave it out, and 4 more\); name another folder"),
    ],
    ids=["missing", "empty", "damaged", "black"],
)
def test_calibration_folder_without_pictures_is_refused_before_work_starts(
    make: Callable[[Path], Path], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "trace", None)  # not reached
    folder = make(tmp_path / "pictures")
    with pytest.raises(PixlateError, match=sentence):
        export_network(Scaled(1), ModelSpec(), tmp_path / "model.onnx", ExportOptions(precision="int8", calibration=folder))
    assert not (tmp_path / "model.onnx").exists()


def test_a_bad_calibration_picture_is_left_out_and_grey_ones_are_used_too(photographs: Path, tmp_path: Path) -> None:
    folder = make_damaged(tmp_path / "pictures")
    Image.open(photographs / "000.png").convert("L").save(folder / "grey.png")
    for index in range(3):
        Image.open(photographs / f"00{index + 1}.png").save(folder / f"rgb-{index}.png")
    pictures = read_pictures(folder, RESNET)
    assert (len(pictures.calibrating), len(pictures.judging)) == (3, 1)
    assert pictures.told.startswith("calibrated on 3 pictures of 5, judged by 1 others; a.png: expected PNG")
    assert all(picture.shape == (3, 72, 88) and picture.dtype == np.float32 and 0 <= picture.min() <= picture.max() <= 1 for picture in pictures.judging)


def test_calibration_pictures_for_validation_set_no_range(photographs: Path) -> None:
    pictures = read_pictures(photographs, RESNET)
    assert (len(pictures.calibrating), len(pictures.judging)) == (6, 2)
    assert not any(np.array_equal(first, second) for first in pictures.calibrating for second in pictures.judging)


def test_calibration_reads_the_image_format_of_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> Picture:
        return Picture(np.random.default_rng(path.read_bytes()[0]).integers(0, 256, (72, 88, 1), np.uint8))

    monkeypatch.setattr(Plugins, "image_formats", lambda self: {".grey": ImageFormat("grey", (".grey",), read)})
    for index in range(4):
        (tmp_path / f"{index}.grey").write_bytes(bytes([index]))
    (tmp_path / "other.png").write_bytes(b"of no format that is offered")
    pictures = read_pictures(tmp_path, RESNET)
    assert pictures.told == "calibrated on 3 pictures of 4, judged by 1 others"
    np.testing.assert_array_equal(np.rint(pictures.judging[0] * 255), np.repeat(read(tmp_path / "0.grey").pixels.transpose(2, 0, 1), 3, axis=0))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precision": "int8"}, "expected --calibration with a folder of typical source images for --precision int8, got none; name one"),
        ({"calibration": Path("photos")}, "--calibration is for --precision int8, got float32; leave one of them out"),
        ({"opset": 17}, "expected --opset from 18 to 23, got 17; choose one in between"),
        ({"opset": 18, "precision": "bfloat16"}, "expected --opset of at least 22 for bfloat16, got 18; leave it out"),
        (
            {"half_weights": True, "precision": "float16"},
            "--half-weights is for --precision float32, got float16, which stores fewer bits already; leave it out",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(PixlateError, match=f"^{re.escape(sentence)}$"):
        ExportOptions(**options)  # type: ignore[arg-type]
