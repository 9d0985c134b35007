"""``pixlate import`` as a user meets it."""

import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import pixlate
from pixlate.cli import main
from pixlate.networks.resnet import ResNet
from pixlate.networks.symmetric import Symmetric
from pixlate.plugin.entries import Plugin
from pixlate.plugin.manager import installed
from pixlate.plugin.testing import make_photographs

pytestmark = pytest.mark.usefixtures("operators_read_once")

Import = Callable[..., tuple[int, str, str]]


def published(norm: str, blocks: int = 1, channels: int = 4) -> tuple[ResNet, dict[str, Tensor]]:
    """Return a ResNet and its weights under the names of pytorch-CycleGAN-and-pix2pix."""
    torch.manual_seed(0)
    network = ResNet(blocks=blocks, channels=channels, norm=norm)  # type: ignore[arg-type]
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5) if value.ndim == 1 else value.normal_(0, 0.8 / value[0].numel() ** 0.5)
    names = {"head.1": "1", "head.2": "2", "tail.1": str(17 + blocks)}
    for stage in (0, 1):
        names |= {f"downsample.{stage}.{layer}": str(4 + 3 * stage + layer) for layer in (0, 1)}
        names |= {f"upsample.{stage}.{layer}": str(10 + blocks + 3 * stage + layer) for layer in (0, 1)}
    for block in range(blocks):
        names |= {f"body.{block}.layers.{layer}": f"{10 + block}.conv_block.{layer}" for layer in (1, 2, 5, 6)}
    state = {f"model.{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in network.state_dict().items()}
    return network.eval(), state


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Import:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pixlate", "import", *map(str, arguments)])
        try:
            code = main()
        except SystemExit as left:
            code = int(left.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def difference(path: Path, network: nn.Module) -> float:
    """Return the largest difference, in levels, between a file's pictures and a network's of [-1, 1]."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3), np.uint8)
    with torch.no_grad():
        expected = Symmetric(network)(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).permute(0, 2, 3, 1).numpy() * 255
    return float(np.abs(pixlate.load(path, "cpu")(pixels) - expected).max())


def test_a_generator_is_written_with_all_that_was_recognised_and_assumed(run: Import, tmp_path: Path) -> None:
    network, state = published("instance")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "latest_net_G.pth")
    code, out, err = run(tmp_path / "latest_net_G.pth", tmp_path / "g.onnx", "--data", "horses", "--licence", "CC0-1.0", "--direction", "target-to-source")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["recognised: ResNet of 1 blocks with instance norm, pytorch-CycleGAN-and-pix2pix", "left out of the file: epoch"]
    assert lines[2] == "assumed direction: target-to-source, which users of the file see; --direction changes it"
    assert lines[3] == "assumed padding: reflect in the blocks; --padding changes it"
    assert lines[4].startswith("parity with PyTorch") and lines[-1].startswith(f"wrote {tmp_path / 'g.onnx'}, ")
    spec = pixlate.load(tmp_path / "g.onnx", "cpu").spec
    assert (spec.method, spec.direction, spec.norm, spec.multiple) == ("cyclegan", "target-to-source", "per-image", 4)
    assert (spec.provenance.data, spec.provenance.licence, spec.provenance.version) == ("horses", "CC0-1.0", pixlate.__version__)
    assert difference(tmp_path / "g.onnx", network) < 0.51


def test_batch_norm_is_written_as_its_own_code_tests_it_unless_asked_otherwise(run: Import, tmp_path: Path) -> None:
    network, state = published("batch")
    torch.save(state, tmp_path / "g.pth")
    code, out, err = run(tmp_path / "g.pth", tmp_path / "auto.onnx")
    assert (code, err) == (0, "") and "assumed norm: statistics of each image" in out
    assert "\nnorm per-image: statistics are those of each image; with --norm running they are those gathered in training, and outputs differ by " in out
    code, out, err = run(tmp_path / "g.pth", tmp_path / "running.onnx", "--norm", "running")
    assert (code, err) == (0, "") and "assumed norm" not in out
    assert difference(tmp_path / "running.onnx", network) < 0.51
    for layer in network.modules():
        layer.train(isinstance(layer, nn.BatchNorm2d))
    assert difference(tmp_path / "auto.onnx", network) < 0.51
    specs = {name: pixlate.load(tmp_path / f"{name}.onnx", "cpu").spec for name in ("auto", "running")}
    assert {name: (spec.norm, spec.tiling_exact) for name, spec in specs.items()} == {"auto": ("per-image", False), "running": ("running", True)}


def test_padding_and_input_can_be_chosen(run: Import, tmp_path: Path) -> None:
    torch.save(published("instance")[1], tmp_path / "g.pth")
    code, out, _ = run(tmp_path / "g.pth", tmp_path / "g.onnx", "--padding", "replicate", "--io", "float")
    assert code == 0 and "assumed padding: replicate" in out
    assert onnx.load(tmp_path / "g.onnx").graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    reference = ResNet(blocks=1, channels=4, padding="replicate").eval()
    reference.load_state_dict(published("instance")[0].state_dict())
    assert difference(tmp_path / "g.onnx", reference) < 0.51


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def write(path: Path, content: object) -> None:
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, [], "expected a PyTorch file, but {file} is not there; check its path"),
        (b"", [], "is empty; download or save it again"),
        (b"PK\x03\x04 cut", [], "is cut off or damaged"),
        ({"strange.weight": torch.zeros(1)}, [], "no installed plugin recognises the weights of {file} (strange.weight)"),
        ({"epoch": 1}, [], "expected weights by name, but {file} holds none (epoch)"),
        ({"model.1.weight": torch.tensor([float("nan")])}, [], "holds NaN or infinity"),
        (published("instance")[1], ["--padding", "zero"], "expected --padding reflect or replicate"),
        (published("instance")[1], ["--norm", "running"], "expected a generator with batch norm for --norm running"),
        (published("instance")[1], ["--precision", "int8"], "expected --calibration"),
        (published("instance")[1] | {"model.4.weight": torch.zeros(3)}, [], "no installed plugin recognises"),
    ],
    ids=["missing", "empty", "cut", "unknown", "no tensors", "nan", "padding", "norm", "int8", "shape"],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(content: object, arguments: list[str], message: str, run: Import, tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    if content is not None:
        write(file, content)
    code, _, err = run(file, tmp_path / "out/a.onnx", *arguments)
    assert code == 2 and err.count("\n") == 1
    assert message.format(file=file) in err
    assert not (tmp_path / "out").exists()


def test_code_in_a_file_is_not_run(run: Import, tmp_path: Path) -> None:
    write(tmp_path / "a.pth", published("instance")[1] | {"x": Hostile(tmp_path / "proof")})
    code, out, err = run(tmp_path / "a.pth", tmp_path / "a.onnx")
    assert (code, out) == (2, "") and "nothing of it was run" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pth"]


@pytest.mark.parametrize(("model", "message"), [("a.pt", "expected a file named *.onnx, got"), ("folder.onnx", "is a folder; name a file in it")])
def test_an_invalid_output_path_is_refused_before_anything_is_read(model: str, message: str, run: Import, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    code, _, err = run(tmp_path / "missing.pth", tmp_path / model)
    assert code == 2 and message in err


def test_a_missing_file_is_refused_before_a_process_is_started(run: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate_export.command.apart", lambda *_: pytest.fail("a process was started"))
    code, _, err = run(tmp_path / "missing.pth", tmp_path / "a.onnx")
    assert code == 2 and err == f"pixlate: expected a PyTorch file, but {tmp_path / 'missing.pth'} is not there; check its path\n"


class Untraceable(nn.Module):
    """A network whose work depends on the values of the picture, which no graph holds."""

    def forward(self, images: Tensor) -> Tensor:
        return images if float(images.mean()) > 0.5 else 1 - images


def test_a_network_that_onnx_cannot_hold_is_refused_with_the_way_out(run: Import, tmp_path: Path) -> None:
    class Recogniser:
        @pixlate.hookimpl
        def pixlate_import_checkpoint(self) -> pixlate.ForeignGenerator:
            return pixlate.ForeignGenerator("Untraceable", Untraceable(), pixlate.ModelSpec())

    recogniser = Recogniser()
    installed().manager.register(recogniser, name="tester")
    installed().plugins.append(Plugin("tester", "tester", "1"))
    try:
        torch.save({"w": torch.zeros(1)}, tmp_path / "a.pth")
        code, out, err = run(tmp_path / "a.pth", tmp_path / "a.onnx")
    finally:
        installed().manager.unregister(recogniser)
        installed().plugins.pop()
    assert code == 2 and out == "recognised: Untraceable\n"
    assert err.startswith("pixlate: Untraceable cannot be written as ONNX: ") and err.count("\n") == 1
    assert err.endswith(f"; or convert with its weights directly: pixlate convert photos/ out/ --model {tmp_path / 'a.pth'}\n")
    assert not (tmp_path / "a.onnx").exists()


GUIDE = Path(__file__).parents[2] / "docs/import.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


def test_examples_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(published("instance")[1], "latest_net_G.pth")
    for folder in ("photos", "day", "night"):
        make_photographs(tmp_path / folder, 2, 24, 32)
    commands = "".join(blocks("sh")).splitlines()
    assert len(commands) == 4
    small = "--channels 4 --blocks 1 --discriminator-channels 4 --discriminator-layers 1 --patch 16 --resize 20 --hold-out 0 --steps 1 --device cpu --workers 1"
    for command in commands:
        words = shlex.split(f"{command} {small}" if " train " in command else command)
        monkeypatch.setattr(sys, "argv", words)
        assert main() == 0, command
    for block in blocks("python"):
        exec(compile(block, GUIDE.name, "exec"), {})
