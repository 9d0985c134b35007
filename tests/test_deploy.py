"""docs/deploy.md: it shows the programs of docs/examples, and they run."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import text_format
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from pixlate.cli import main
from pixlate.inference.models import find, load
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate_triton.command import write_model
from pixlate_triton.config import TritonOptions

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/deploy.md"
EXAMPLES = ROOT / "docs/examples"
LANGUAGES = {"python.py": "python", "float.py": "python", "triton_client.py": "python", "node.mjs": "js", "main.cpp": "cpp", "CMakeLists.txt": "cmake"}
NODE = ROOT / "build/node/node_modules"
INSTALL_NODE = "npm install --prefix build/node --no-save --no-audit --no-fund --ignore-scripts onnxruntime-node@1.30.0"
HEADERS = "com.github.asus4.onnxruntime"
"""An npm package that carries the headers of ONNX Runtime's C++ interface."""

Translate = Callable[..., subprocess.CompletedProcess[str]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", LANGUAGES)
def test_page_shows_the_exact_text_of_the_example(name: str) -> None:
    assert (EXAMPLES / name).read_text() in blocks(LANGUAGES[name])


def test_page_shows_every_example_and_no_other_program() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_file()) == sorted(LANGUAGES)
    assert sum(len(blocks(language)) for language in set(LANGUAGES.values())) == len(LANGUAGES)


def test_links_of_the_page_exist() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), target


def test_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("pixlate ")]
    assert [command.split()[1] for command in commands] == ["export", "triton", "triton"]
    monkeypatch.chdir(tmp_path)
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        assert main() == 0
    assert sorted(path.name for path in (tmp_path / "repository/upscale-x2").iterdir()) == ["1", "2", "config.pbtxt"]
    assert load(tmp_path / "upscale-x2.onnx", "cpu").spec.io == "uint8", "as the examples expect it"


def test_dockerfiles_and_images_of_the_page_are_those_of_the_repository() -> None:
    assert set(re.findall(r"export/docker/Dockerfile\.\w+", PAGE.read_text())) == {"export/docker/Dockerfile.cpu"}
    built = set(re.findall(r"--tag (\S+)", "".join(path.read_text() for path in (ROOT / "export/docker").glob("Dockerfile.*"))))
    assert built == set(re.findall(r"pixlate:\w+", PAGE.read_text()))


def test_every_metadata_key_is_documented() -> None:
    table = PAGE.read_text().partition("| key |")[2].partition("\n\n")[0]
    assert {name for name in ModelSpec.__dataclass_fields__ if f"`{name}`" not in table} == set()


@pytest.fixture
def uint8_model(tmp_path: Path) -> Callable[[int], Path]:
    """Write a model that doubles images of so many channels, bytes in and bytes out."""

    def write(channels: int) -> Path:
        given = helper.make_tensor_value_info("image", TensorProto.UINT8, ("batch", "height", "width", channels))
        gives = helper.make_tensor_value_info("translated", TensorProto.UINT8, ("batch", "height_out", "width_out", channels))
        scales = onnx.numpy_helper.from_array(np.array([1, 2, 2, 1], np.float32), "scales")
        nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        graph = helper.make_graph([helper.make_node("Resize", ["image", "", "scales"], ["translated"], **nearest)], "double", [given], [gives], [scales])
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        spec = ModelSpec(scale=2, io="uint8", channels_in=channels, channels_out=channels)
        helper.set_model_props(model, {"other": "née", METADATA_KEY: spec.to_json()})
        path = tmp_path / f"double-{channels}.onnx"
        onnx.save(model, path)
        return path

    return write


@pytest.fixture
def python_program() -> Translate:
    return program(sys.executable, "-W", "error", EXAMPLES / "python.py")


@pytest.fixture
def node_program(tmp_path: Path) -> Translate:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    if not (NODE / "onnxruntime-node").is_dir():
        pytest.skip(f"onnxruntime-node is not installed; run: {INSTALL_NODE}")
    (tmp_path / "node_modules").symlink_to(NODE)
    shutil.copy(EXAMPLES / "node.mjs", tmp_path)
    return program(node, tmp_path / "node.mjs")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ example, built with its CMakeLists.txt."""
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("there is no cmake or no C++ compiler")
    release = os.environ.get("ONNXRUNTIME")
    header = next((NODE / HEADERS).rglob("onnxruntime_cxx_api.h"), None)
    library = next((NODE / "onnxruntime-node/bin").glob("*/linux/x64/libonnxruntime.so.1"), None)
    if release:
        where = [f"-DONNXRUNTIME={release}"]
    elif header is not None and library is not None:
        where = [f"-DONNXRUNTIME_INCLUDE={header.parent}", f"-DONNXRUNTIME_LIBRARY={library}"]
    else:
        pytest.skip(f"no headers of ONNX Runtime; name an unpacked release by ONNXRUNTIME, or run: {INSTALL_NODE} {HEADERS}@0.4.9")
    build = tmp_path_factory.mktemp("cpp")
    subprocess.run(["cmake", "-S", EXAMPLES, "-B", build, "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", *where], check=True, capture_output=True, timeout=120)
    subprocess.run(["cmake", "--build", build], check=True, capture_output=True, timeout=300)
    return build / "translate"


@pytest.fixture
def cpp_program(compiled: Path) -> Translate:
    return program(compiled)


def program(*start: str | Path) -> Translate:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*start, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=120)

    return run


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


class Triton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Answers as Triton does for a model of a repository, and checks that requests are as its configuration says."""

    def __init__(self, folder: Path) -> None:
        self.config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
        self.session = onnxruntime.InferenceSession(folder / "1/model.onnx", providers=["CPUExecutionProvider"])

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        assert request.name == self.config.name
        tensors = [
            [service_pb2.ModelMetadataResponse.TensorMetadata(name=each.name, datatype=self.datatype(each), shape=[-1, *each.dims]) for each in side]
            for side in (self.config.input, self.config.output)
        ]
        return service_pb2.ModelMetadataResponse(name=request.name, inputs=tensors[0], outputs=tensors[1])

    def ModelInfer(self, request: Any, context: Any) -> Any:
        (given,), (wanted,), (raw,) = request.inputs, request.outputs, request.raw_input_contents
        (known,) = self.config.input
        assert (given.name, given.datatype, len(given.shape)) == (known.name, self.datatype(known), 1 + len(known.dims))
        assert 1 <= given.shape[0] <= self.config.max_batch_size
        assert all(dim in (-1, side) for dim, side in zip(known.dims, given.shape[1:], strict=True))
        (made,) = self.session.run([wanted.name], {given.name: np.frombuffer(raw, np.uint8).reshape(given.shape)})
        output = service_pb2.ModelInferResponse.InferOutputTensor(name=wanted.name, datatype="UINT8", shape=made.shape)
        return service_pb2.ModelInferResponse(model_name=request.model_name, outputs=[output], raw_output_contents=[made.tobytes()])

    @staticmethod
    def datatype(tensor: Any) -> str:
        return str(model_config_pb2.DataType.Name(tensor.data_type)).removeprefix("TYPE_")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Triton(folder), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("channels", [1, 3])
def test_triton_client_sends_what_the_configuration_asks_for(channels: int, uint8_model: Callable[[int], Path], tmp_path: Path) -> None:
    write_model(uint8_model(channels), tmp_path / "repository", TritonOptions(device="cpu", name="double"))
    pixels = noise(7, 30, channels)
    Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels).save(tmp_path / "source.png")
    with serving(tmp_path / "repository/double") as address:
        client = program(sys.executable, EXAMPLES / "triton_client.py")
        done = client(address, "double", tmp_path / "source.png", tmp_path / "output.png")
    assert done.returncode == 0, done.stderr
    output = np.asarray(Image.open(tmp_path / "output.png"))
    assert np.array_equal(output.reshape(*output.shape[:2], channels), pixels.repeat(2, 0).repeat(2, 1))


def test_triton_client_refuses_a_model_that_takes_float(tmp_path: Path) -> None:
    write_model(find("upscale-x2"), tmp_path / "repository", TritonOptions(device="cpu", name="float"))
    with serving(tmp_path / "repository/float") as address:
        done = program(sys.executable, EXAMPLES / "triton_client.py")(address, "float", tmp_path / "source.png", tmp_path / "output.png")
    assert done.returncode != 0 and "expected a model that takes uint8" in done.stderr


PROGRAMS = ["python_program", "node_program", "cpp_program"]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (65, 33)])
@pytest.mark.parametrize("channels", [1, 3])
def test_program_gives_the_pictures_that_pixlate_gives(
    name: str, size: tuple[int, int], channels: int, uint8_model: Callable[[int], Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    translate: Translate = request.getfixturevalue(name)
    ending = "pgm" if channels == 1 else "ppm"
    pixels = noise(*size, channels)
    Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels).save(tmp_path / f"source.{ending}")
    done = translate(uint8_model(channels), tmp_path / f"source.{ending}", tmp_path / f"output.{ending}")
    assert done.returncode == 0, done.stderr
    output = np.asarray(Image.open(tmp_path / f"output.{ending}"))
    assert np.array_equal(output.reshape(*output.shape[:2], channels), pixels.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_refuses_a_file_that_takes_float(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    translate: Translate = request.getfixturevalue(name)
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "source.ppm")
    done = translate(find("upscale-x2"), tmp_path / "source.ppm", tmp_path / "output.ppm")
    assert done.returncode != 0 and "expected a file that takes uint8" in done.stderr
    assert not (tmp_path / "output.ppm").exists()


def test_float_file_gives_the_pictures_that_pixlate_gives() -> None:
    spec = importlib.util.spec_from_file_location("float_example", EXAMPLES / "float.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    for model in ("upscale-x2", "sketch-to-photo", "day-to-night"):
        pixels = noise(2, 37, 70, load(model, "cpu").spec.channels_in)
        assert np.abs(example.translate(str(find(model)), pixels).astype(int) - load(model, "cpu")(pixels)).max() <= 1
