"""Exported files: the pictures of PyTorch at every size, all that a user must know, and nothing of the exporting machine."""

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from pixlate.cli import main
from pixlate.errors import PixlateError
from pixlate.plugin.gan import GAN
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.spec import METADATA_KEY, ModelSpec, Provenance
from pixlate.plugin.testing import make_photographs, small_options
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate_export import exporter
from pixlate_export.exporter import export_gan, export_run
from pixlate_export.options import ExportOptions
from pixlate_export.parity import to_levels
from pixlate_export.tracing import trace

pytestmark = pytest.mark.usefixtures("operators_read_once")

METHOD = installed().offered(Method)["srgan"]
SMALL = replace(METHOD.options(), scale=2, channels=8, blocks=1, stages="pixel")
ORIGIN = Provenance("photographs", 7, 3, "CC0", "0")
FLOAT = ExportOptions("float")
KINDS = [("srresnet", "staged"), ("msrresnet", "staged"), ("msrresnet", "direct"), ("compact", "staged"), ("span", "staged")]


def make_gan(network: str = "msrresnet", tail: str = "direct", scale: int = 2) -> GAN:
    """Return networks with lively weights and running statistics."""
    torch.manual_seed(scale)
    torch.set_num_threads(1)  # the networks are too small for more
    gan = METHOD.build(replace(small_options(METHOD), network=network, tail=tail, scale=scale))
    for module in gan.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, 0.5)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            module.running_mean = torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.5
    return gan


@pytest.mark.parametrize(("network", "tail"), KINDS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_file_agrees_with_pytorch_at_sizes_and_batches_it_was_not_traced_with(network: str, tail: str, scale: int, tmp_path: Path) -> None:
    gan, path = make_gan(network, tail, scale), tmp_path / "new" / "model.onnx"
    exported = export_gan(gan, path, ORIGIN, FLOAT)
    assert exported.path == path and exported.parity.largest <= 1e-4
    assert [item.name for item in path.parent.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 1, 1), (5, 3, 3, 29), (2, 3, 40, 17)):
        image = torch.rand(shape)
        with torch.no_grad():
            expected = gan.generators["source_to_target"].eval()(image).clamp(0, 1).numpy()
        (actual,) = session.run(None, {"image": image.numpy()})
        assert actual.shape == expected.shape == (shape[0], 3, shape[2] * scale, shape[3] * scale)
        assert np.abs(actual - expected).max() <= 1e-4
        assert expected.std() > 0.05, "the comparison is of a picture, not of a constant"
    text = session.get_modelmeta().custom_metadata_map[METADATA_KEY]
    assert ModelSpec.from_json(text) == exported.spec == replace(gan.spec(), padding="reflect", provenance=ORIGIN)
    assert exported.spec.scale == scale and exported.spec.norm == ("running" if network == "srresnet" else "none")
    content = path.read_bytes()
    for place in (str(Path.cwd()), "site-packages", str(Path.home()), str(tmp_path), sys.prefix):
        assert place.encode() not in content
    assert [item.dim_param for item in onnx.load(path).graph.input[0].type.tensor_type.shape.dim] == ["batch", "", "height", "width"]


@pytest.fixture(scope="module")
def traced() -> onnx.ModelProto:
    gan = make_gan()
    return trace(gan.exported().eval(), gan.spec(), 18)


@pytest.mark.parametrize("reason", ["differs", "not a number", "another shape", "crash"])
def test_file_that_disagrees_is_not_written_and_leaves_nothing(reason: str, traced: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "trace", lambda network, spec, opset: copy.deepcopy(traced))
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the one before")

    class Other:
        def __init__(self, *arguments: object, **more: object) -> None:
            self.session = session(*arguments, **more)
            self.get_inputs = self.session.get_inputs

        def run(
            self, names: None, images: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
        ) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
            if reason == "crash":
                raise RuntimeError("no kernel")
            (output,) = self.session.run(names, images)
            return [{"differs": output + np.float32(2e-4), "not a number": output * np.float32("nan"), "another shape": output[..., 1:]}[reason]]

    session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", Other)
    sentence = "no kernel" if reason == "crash" else "to agree with PyTorch within 0.0001 and 80 dB, got .*; nothing was written"
    with pytest.raises((PixlateError, RuntimeError), match=sentence):
        export_gan(make_gan(), path, ORIGIN, FLOAT)
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"] and path.read_bytes() == b"the one before"


def test_generator_that_is_not_there_and_a_folder_as_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"one of the generators \['source_to_target'\], got 'back'"):
        export_gan(make_gan(), tmp_path / "model.onnx", ORIGIN, generator="back")
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(PixlateError, match=r"expected a file to write, but .* is a folder"):
        export_gan(make_gan(), tmp_path / "model.onnx", ORIGIN, FLOAT)


def test_report_names_every_size(traced: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "trace", lambda network, spec, opset: copy.deepcopy(traced))
    report = str(export_gan(make_gan(), tmp_path / "model.onnx", ORIGIN, FLOAT).parity)
    assert report.startswith("parity with PyTorch (allowed: max 0.0001, least 80 dB):") and len(report.splitlines()) == 6 and "4x3x64x48" in report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of 100 steps that was stopped after the second."""
    folder = tmp_path_factory.mktemp("run")
    photographs = make_photographs(folder / "photographs", 3, 48, 56)
    options = RunOptions(
        METHOD,
        SMALL,
        (photographs,),
        METHOD.data.options(patch=8, hold_out=1),
        replace(METHOD.training(), steps=100, batch=2, device="cpu", checkpoint_every=2, seed=5, average_decay=0.5),
    )

    def stop(progress: object) -> None:
        if getattr(progress, "step", 0) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(options, folder / "run", stop, print)
    return folder / "run"


def test_provenance_is_that_of_the_weights(run: Path, tmp_path: Path) -> None:
    import pixlate

    origin = export_run(run, tmp_path / "model.onnx", licence="CC0").spec.provenance
    assert origin == Provenance("photographs", 2, 5, "CC0", pixlate.__version__), "two steps were made, not the hundred asked for"


def test_averaged_weights_are_exported_with_the_data_in_the_metadata(run: Path, tmp_path: Path) -> None:
    assert export_run(run, tmp_path / "model.onnx", data="mine").spec.provenance.data == "mine"
    gan = METHOD.build(SMALL)
    gan.load_state_dict(load_checkpoint(run).average)
    image = torch.randint(256, (1, 3, 9, 9)) / 255
    with torch.no_grad():
        expected = gan.exported().eval()(image).numpy()
    (actual,) = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"]).run(None, {"image": to_levels(image.numpy())})
    assert np.abs(actual - to_levels(expected)).max() == 0


def test_run_whose_options_were_changed_is_refused(run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run, tmp_path / "run")
    text = (run / "options.toml").read_text()
    (tmp_path / "run" / "options.toml").write_text(text.replace("channels = 8", "channels = 9"))
    with pytest.raises(PixlateError, match="holds those of another network; undo the change of its options"):
        export_run(tmp_path / "run", tmp_path / "model.onnx")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, arguments)])
    return main()


def test_trained_exported_and_converted_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    photographs, model = make_photographs(tmp_path / "photographs", 3, 48, 56), tmp_path / "model.onnx"
    small = ["--scale", 2, "--channels", 8, "--blocks", 1, "--patch", 8, "--hold-out", 1, "--batch", 2, "--steps", 3, "--device", "cpu", "--stages", "pixel"]
    assert call(monkeypatch, "train", "srgan", photographs, "--out", tmp_path / "run", *small) == 0
    assert call(monkeypatch, "export", tmp_path / "run", model, "--licence", "CC0") == 0
    printed = capsys.readouterr().out
    assert "parity with PyTorch" in printed and f"wrote {model}, " in printed
    assert call(monkeypatch, "convert", photographs, tmp_path / "out", "--model", model, "--device", "cpu", "--json") == 0
    assert json.loads(capsys.readouterr().out)["converted"] == 3
    gan = METHOD.build(SMALL)
    gan.load_state_dict(load_checkpoint(tmp_path / "run").average)
    for path in sorted(photographs.iterdir()):
        source = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            expected = (gan.exported().eval()(source)[0].permute(1, 2, 0) * 255).round().numpy()
        actual = np.array(Image.open(tmp_path / "out" / path.name)).astype(np.float32)
        assert actual.shape == (96, 112, 3) and np.abs(actual - expected).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{run}", "model.pt"], r"expected a file named \*\.onnx, got model\.pt; change its ending"),
        (["missing", "{tmp}/model.onnx"], r"expected a run folder with options\.toml, but missing has none"),
        (["upscale-x3", "{tmp}/model.onnx"], r"and no ready model has that name; did you mean upscale-x"),
        (["a.param", "{tmp}/model.onnx"], r"weights of another code base; write: pixlate import a\.param .*model\.onnx"),
        (["a.pth", "{tmp}/model.onnx"], r"weights of another code base; write: pixlate import a\.pth .*model\.onnx"),
        (["a.onnx", "{tmp}/model.onnx"], r"there is no such file: a\.onnx"),
        (["{run}", "{tmp}/model.onnx", "--generator", "back"], "expected one of the generators"),
    ],
)
def test_wrong_export_prints_one_line_and_writes_nothing(
    arguments: list[str], sentence: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    assert call(monkeypatch, "export", *(argument.format(run=run, tmp=tmp_path) for argument in arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(sentence, line)
    assert list(tmp_path.iterdir()) == []


def test_run_without_checkpoint_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "options.toml").write_bytes((run / "options.toml").read_bytes())
    with pytest.raises(PixlateError, match="expected a run or a checkpoint with weights"):
        export_run(tmp_path / "run", tmp_path / "model.onnx")


def test_best_checkpoint_is_exported_where_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    photographs = make_photographs(tmp_path / "photographs", 3, 48, 56)
    training = replace(METHOD.training(), steps=5, batch=2, device="cpu", validate_every=1, keep=1, learning_rate=0.5)
    options = RunOptions(METHOD, SMALL, (photographs,), METHOD.data.options(patch=8, hold_out=1), training)
    figures: dict[int, float] = {}
    assert train(options, tmp_path / "run", lambda progress: figures.update({progress.step: progress.figures["psnr_luma"]}), print)
    step = max(figures, key=lambda number: figures[number])
    assert step != 5, "a learning rate of 0.5 makes pictures worse from some step on"
    assert call(monkeypatch, "export", tmp_path / "run", tmp_path / "best.onnx", "--best") == 0
    assert call(monkeypatch, "export", tmp_path / "run", tmp_path / "newest.onnx") == 0
    steps = [
        ModelSpec.from_json(
            onnxruntime.InferenceSession(tmp_path / f"{name}.onnx", providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map[METADATA_KEY]
        ).provenance.steps
        for name in ("best", "newest")
    ]
    assert steps == [step, 5]
