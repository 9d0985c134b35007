"""Model repositories for Triton, parsed with Triton's own protobuf."""

import csv
import errno
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tritonclient.grpc import model_config_pb2 as pb

from pixlate.cli import main
from pixlate.errors import PixlateError
from pixlate.inference.models import find, load
from pixlate.plugin.spec import METADATA_KEY, ModelInput, ModelSpec
from pixlate_triton import command as writing
from pixlate_triton.command import docker_command, write_model
from pixlate_triton.config import TritonOptions, config_text
from pixlate_triton.interface import Interface, Tensor, read_interface

Save = Callable[..., Path]
FREE = ("batch", 3, "height", "width")
UINT8_FREE = ("batch", "height", "width", 3)
DOUBLES = ModelSpec(scale=2)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a model that doubles its images, or does what ``nodes`` do, and return its path."""

    def write(
        name: str = "double.onnx",
        shape: tuple[Any, ...] = FREE,
        out: tuple[Any, ...] | None = None,
        kind: int = TensorProto.FLOAT,
        spec: ModelSpec | None = DOUBLES,
        axes: tuple[int, int] = (2, 3),
        scale: float = 2,
        names: tuple[str, str] = ("image", "translated"),
        conditions: Sequence[tuple[str, int, tuple[Any, ...]]] = (),
    ) -> Path:
        scales = np.ones(4, np.float32)
        scales[list(axes)] = scale
        given, gives = helper.make_tensor_value_info(names[0], kind, shape), helper.make_tensor_value_info(names[1], kind, out or _doubled(shape, axes))
        resize = helper.make_node(
            "Resize", [names[0], "", "scales"], [names[1]], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
        )
        graph = helper.make_graph(
            [resize], "test", [given, *(helper.make_tensor_value_info(*item) for item in conditions)], [gives], [onnx.numpy_helper.from_array(scales, "scales")]
        )
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        if spec is not None:
            helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
        path = tmp_path / name
        onnx.save(model, path)
        return path

    return write


def _doubled(shape: tuple[Any, ...], axes: tuple[int, int]) -> tuple[Any, ...]:
    return tuple((size * 2 if isinstance(size, int) else f"{size}_out") if place in axes else size for place, size in enumerate(shape))


def uint8(save: Save, **more: Any) -> Path:
    """Write a model from uint8 to uint8 pixels."""
    return save(**{"shape": UINT8_FREE, "kind": TensorProto.UINT8, "spec": ModelSpec(scale=2, io="uint8"), "axes": (1, 2), "name": "bytes.onnx", **more})


def parsed(path: Path) -> Any:
    return text_format.Parse(path.read_text(), pb.ModelConfig())


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["pixlate", "triton", *map(str, arguments)])
    return main()


def test_shipped_model_becomes_a_repository_and_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "upscale-x2", tmp_path / "repository") == 0
    assert sorted(tree(tmp_path)) == ["repository/upscale-x2/1/model.onnx", "repository/upscale-x2/config.pbtxt"]
    printed = capsys.readouterr().out
    assert "upscale-x2 takes image: fp32 (free, 3, free, free) and gives translated: fp32 (free, 3, free, free)" in printed
    words = shlex.split(printed.splitlines()[-1])
    assert words[:5] == ["docker", "run", "--rm", "--gpus", "all"] and words[-2:] == ["tritonserver", "--model-repository=/models"]
    assert f"type=bind,source={tmp_path}/repository,target=/models,readonly" in words
    assert [word for word in words if word.count(":") == 2] == [f"127.0.0.1:{port}:{port}" for port in (8000, 8001, 8002)]


def test_copied_model_is_byte_identical_and_gives_the_same_pictures(tmp_path: Path) -> None:
    model = write_model("upscale-x2", tmp_path / "repository").model
    assert model.read_bytes() == find("upscale-x2").read_bytes()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 11, 3), np.uint8)
    assert np.array_equal(load(model, "cpu")(pixels), load("upscale-x2", "cpu")(pixels))


def test_uint8_model_is_described_with_channels_last_and_free_sides(save: Save, tmp_path: Path) -> None:
    done = write_model(uint8(save), tmp_path / "repository")
    config = parsed(done.config)
    assert (config.name, config.backend, config.default_model_filename, config.max_batch_size) == ("bytes", "onnxruntime", "model.onnx", 8)
    (image,), (translated,) = config.input, config.output
    assert (image.name, image.data_type, list(image.dims)) == ("image", pb.TYPE_UINT8, [-1, -1, 3])
    assert (translated.name, translated.data_type, list(translated.dims)) == ("translated", pb.TYPE_UINT8, [-1, -1, 3])


@pytest.mark.parametrize(("kind", "word"), [(TensorProto.FLOAT, "TYPE_FP32"), (TensorProto.FLOAT16, "TYPE_FP16")])
def test_float_model_is_described_with_channels_first(kind: int, word: str, save: Save, tmp_path: Path) -> None:
    config = parsed(write_model(save(kind=kind), tmp_path / "repository").config)
    for tensor in (config.input[0], config.output[0]):
        assert (tensor.data_type, list(tensor.dims)) == (getattr(pb, word), [3, -1, -1])


def test_every_option_reaches_the_field_triton_reads(save: Save, tmp_path: Path) -> None:
    options = TritonOptions(
        name="night", version_number=7, served_versions=2, max_batch=16, preferred_batch=(8, 4), queue_delay_us=250, instances=3, device="gpu", gpus=(0, 2)
    )
    done = write_model(save(), tmp_path / "repository", options)
    config = parsed(done.config)
    assert done.model == tmp_path / "repository/night/7/model.onnx"
    assert (config.name, config.max_batch_size, config.version_policy.latest.num_versions) == ("night", 16, 2)
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 8] and config.dynamic_batching.max_queue_delay_microseconds == 250
    (group,) = config.instance_group
    assert (group.count, group.kind, list(group.gpus)) == (3, pb.ModelInstanceGroup.KIND_GPU, [0, 2])
    assert not config.response_cache.enable and not config.optimization.HasField("execution_accelerators")


def parameters(config: Any) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}


def test_cuda_searches_by_heuristic_and_takes_no_more_memory_than_it_needs(save: Save, tmp_path: Path) -> None:
    config = parsed(write_model(save(), tmp_path / "repository").config)
    assert parameters(config) == {"cudnn_conv_algo_search": "1", "arena_extend_strategy": "1", "enable_mem_pattern": "0"}


def test_cores_granted_are_shared_among_the_instances_on_a_cpu(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate_triton.config.granted_cores", lambda: 8)
    for instances, threads, expected in ((1, 0, 8), (3, 0, 2), (9, 0, 1), (3, 5, 5)):
        options = TritonOptions(device="cpu", instances=instances, threads=threads, overwrite=True)
        config = parsed(write_model(save(), tmp_path / "repository", options).config)
        assert parameters(config)["intra_op_thread_count"] == str(expected)
        assert (config.instance_group[0].kind, config.instance_group[0].count) == (pb.ModelInstanceGroup.KIND_CPU, instances)
        words = shlex.split(docker_command(tmp_path, options))
        assert "--gpus" not in words and words[words.index("--cpus") + 1] == str(expected * instances)


def test_warm_up_is_the_smallest_image_the_model_takes_alone_and_in_a_full_batch(save: Save, tmp_path: Path) -> None:
    path = uint8(save, spec=ModelSpec(scale=2, io="uint8", minimum=9, multiple=4))
    config = parsed(write_model(path, tmp_path / "repository", TritonOptions(max_batch=4)).config)
    assert [(sample.batch_size, list(sample.inputs["image"].dims)) for sample in config.model_warmup] == [(1, [12, 12, 3]), (4, [12, 12, 3])]
    assert all(sample.inputs["image"].data_type == pb.TYPE_UINT8 and sample.inputs["image"].zero_data for sample in config.model_warmup)


def accelerator(config: Any) -> tuple[str, dict[str, str]]:
    (found,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    return found.name, dict(found.parameters)


@pytest.mark.parametrize(("precision", "mode"), [("float32", "FP32"), ("float16", "FP16"), ("bfloat16", "BF16"), ("int8", "INT8")])
def test_tensorrt_works_in_the_precision_of_the_file_and_keeps_its_engines(precision: Any, mode: str, save: Save, tmp_path: Path) -> None:
    path = save(spec=ModelSpec(scale=2, precision=precision))
    config = parsed(write_model(path, tmp_path / "repository", TritonOptions(tensorrt=True, tensorrt_workspace=100)).config)
    name, given = accelerator(config)
    assert name == "tensorrt"
    assert given.pop("trt_engine_cache_path").startswith("/tensorrt/double-")
    assert given == {
        "precision_mode": mode,
        "max_workspace_size_bytes": "104857600",
        "trt_engine_cache_enable": "1",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": "/tensorrt",
    }
    assert "type=volume,source=pixlate-tensorrt,target=/tensorrt" in shlex.split(docker_command(tmp_path, TritonOptions(tensorrt=True)))


def test_engines_of_a_file_with_other_weights_are_cached_in_another_folder(save: Save, tmp_path: Path) -> None:
    folders = set()
    for data in ("one", "other"):
        spec = ModelSpec(scale=2).with_provenance(ModelSpec().provenance.__class__(data=data))
        done = write_model(save(spec=spec), tmp_path / data, TritonOptions(tensorrt=True))
        folders.add(accelerator(parsed(done.config))[1]["trt_engine_cache_path"])
    assert len(folders) == 2


@pytest.mark.parametrize("batch", [1, 4])
def test_model_of_a_fixed_batch_is_served_without_batching(batch: int, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    path = save(shape=(batch, 3, 8, 12))
    assert run(monkeypatch, path, tmp_path / "repository") == 0
    assert "its batch is fixed in the file" in capsys.readouterr().out
    config = parsed(tmp_path / "repository/double/config.pbtxt")
    assert config.max_batch_size == 0 and not config.HasField("dynamic_batching")
    assert (list(config.input[0].dims), list(config.output[0].dims)) == ([batch, 3, 8, 12], [batch, 3, 16, 24])
    assert [(sample.batch_size, list(sample.inputs["image"].dims)) for sample in config.model_warmup] == [(1, [batch, 3, 8, 12])]
    assert "enable_mem_pattern" not in parameters(config)
    for options in (TritonOptions(max_batch=2), TritonOptions(preferred_batch=(2,))):
        with pytest.raises(PixlateError, match=r"needs a file with a free batch, but this one takes \(\d, 3, 8, 12\); leave it out"):
            write_model(path, tmp_path / "other", options)


@pytest.mark.parametrize("shape", [FREE, (None, 3, None, None), ("n", 3, 8, "w")])
def test_model_of_others_without_metadata_is_described_by_its_shapes(shape: tuple[Any, ...], save: Save, tmp_path: Path) -> None:
    config = parsed(write_model(save(shape=shape, out=(None, 3, None, None), spec=None), tmp_path / "repository").config)
    assert list(config.input[0].dims) == [3, shape[2] if isinstance(shape[2], int) else -1, -1]
    assert list(config.model_warmup[0].inputs["image"].dims) == [3, 8 if isinstance(shape[2], int) else 64, 64]


def test_names_of_tensors_are_those_of_the_file(save: Save, tmp_path: Path) -> None:
    config = parsed(write_model(save(names=("input.1 { x: é", "onnx::Out/3")), tmp_path / "repository").config)
    assert (config.input[0].name, config.output[0].name) == ("input.1 { x: é", "onnx::Out/3")
    assert set(config.model_warmup[0].inputs) == {"input.1 { x: é"}


CHANNELS_FIRST, CHANNELS_LAST = (-1, 3, -1, -1), (-1, -1, -1, 3)


@given(
    last=st.booleans(),
    max_batch=st.integers(1, 1000),
    preferred=st.lists(st.integers(1, 8), max_size=4, unique=True),
    delay=st.integers(0, 1_000_000),
    instances=st.integers(1, 64),
    gpus=st.lists(st.integers(0, 15), max_size=4, unique=True),
    tensorrt=st.booleans(),
    workspace=st.integers(2, 100_000),
    versions=st.integers(1, 9),
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}[A-Za-z0-9_-]", fullmatch=True),
)
@settings(deadline=None, max_examples=200)
def test_whatever_the_options_triton_reads_back_what_was_asked(
    last: bool, max_batch: int, preferred: list[int], delay: int, instances: int, gpus: list[int], tensorrt: bool, workspace: int, versions: int, name: str
) -> None:
    image = Tensor("image", "TYPE_UINT8" if last else "TYPE_FP32", CHANNELS_LAST if last else CHANNELS_FIRST)
    interface = Interface(b"model", (image,), image, ModelSpec(io="uint8" if last else "float"), ((1, 1, 1, 3) if last else (1, 3, 1, 1),))
    options = TritonOptions(
        max_batch=max(max_batch, *preferred, 1), preferred_batch=tuple(preferred), queue_delay_us=delay, instances=instances, gpus=tuple(gpus),
        tensorrt=tensorrt, tensorrt_workspace=workspace if tensorrt else 4096, served_versions=1 if tensorrt else versions,
    )  # fmt: skip
    config = text_format.Parse(config_text(name, interface, options), pb.ModelConfig())
    assert (config.name, config.max_batch_size) == (name, options.max_batch)
    assert list(config.dynamic_batching.preferred_batch_size) == sorted(preferred)
    assert config.dynamic_batching.max_queue_delay_microseconds == delay
    assert (config.instance_group[0].count, list(config.instance_group[0].gpus)) == (instances, gpus)
    assert config.version_policy.latest.num_versions == options.served_versions
    assert list(config.input[0].dims) == list(image.shape[1:])
    assert bool(config.optimization.execution_accelerators.gpu_execution_accelerator) == tensorrt
    if tensorrt:
        assert accelerator(config)[1]["max_workspace_size_bytes"] == str(workspace * 2**20)


@given(name=st.text(max_size=20))
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_refused_or_stays_within_its_folder_and_its_quotes(name: str) -> None:
    image = Tensor("image", "TYPE_FP32", CHANNELS_FIRST)
    try:
        chosen = TritonOptions(name=name).name or "default"
    except PixlateError as error:
        assert "choose one with --name" in str(error) and "\n" not in str(error)
        return
    config = text_format.Parse(config_text(chosen, Interface(b"", (image,), image, None, ((1, 3, 64, 64),)), TritonOptions()), pb.ModelConfig())
    assert config.name == chosen and Path(chosen).name == chosen


def half_brain(path: Path) -> Path:
    """Write a model in bfloat16, which ONNX Runtime has no operators for on a CPU, between uint8 pixels."""
    tensors = [helper.make_tensor_value_info(name, TensorProto.UINT8, ("batch", "height", None, 3)) for name in ("image", "translated")]
    weight = helper.make_tensor("w", TensorProto.BFLOAT16, (3, 3, 1, 1), np.zeros(9, np.float32))
    nodes = [
        helper.make_node("Cast", ["image"], ["half"], to=TensorProto.BFLOAT16),
        helper.make_node("Transpose", ["half"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w"], ["result"]),
        helper.make_node("Transpose", ["result"], ["pixels"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["pixels"], ["translated"], to=TensorProto.UINT8),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", tensors[:1], tensors[1:], [weight]), ir_version=10, opset_imports=[helper.make_opsetid("", 22)])
    helper.set_model_props(model, {"author": "née", METADATA_KEY: ModelSpec(io="uint8", precision="bfloat16", minimum=5).to_json()})
    onnx.save(model, path)
    return path


def test_file_for_gpus_alone_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"half\.onnx is tried on the CPU, where ONNX Runtime cannot run it \(.*\); export it in float32 or float16"):
        write_model(half_brain(tmp_path / "half.onnx"), tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def test_every_input_is_described_and_warmed_up() -> None:
    image, mask = Tensor("image", "TYPE_UINT8", CHANNELS_LAST), Tensor("mask", "TYPE_UINT8", (-1, -1, -1, 1))
    label, noise = Tensor("hair", "TYPE_INT64", (-1,)), Tensor("z", "TYPE_FP32", (-1, 8))
    interface = Interface(b"", (image, mask, label, noise), image, None, ((1, 4, 4, 3), (1, 4, 4, 1), (1,), (1, 8)))
    config = text_format.Parse(config_text("m", interface, TritonOptions()), pb.ModelConfig())
    assert [(item.name, item.data_type, list(item.dims), item.HasField("reshape")) for item in config.input] == [
        ("image", pb.TYPE_UINT8, [-1, -1, 3], False), ("mask", pb.TYPE_UINT8, [-1, -1, 1], False),
        ("hair", pb.TYPE_INT64, [1], True), ("z", pb.TYPE_FP32, [8], False),
    ]  # fmt: skip
    assert list(config.input[2].reshape.shape) == []
    for sample in config.model_warmup:
        assert {name: list(given.dims) for name, given in sample.inputs.items()} == {"image": [4, 4, 3], "mask": [4, 4, 1], "hair": [1], "z": [8]}


CONDITIONS = ModelSpec(
    scale=2,
    minimum=4,
    inputs=(
        ModelInput("image", "image"),
        ModelInput("hole", "mask"),
        ModelInput("hair", "label", choices=("dark", "fair")),
        ModelInput("z", "noise", length=8),
    ),
)
TAKEN = [("hole", TensorProto.UINT8, ("batch", "height", "width", 1)), ("hair", TensorProto.INT64, ("batch",)), ("z", TensorProto.FLOAT, ("batch", 8))]


def test_conditions_of_a_model_become_inputs_with_the_image_first(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert run(monkeypatch, save(spec=CONDITIONS, conditions=TAKEN), tmp_path / "repository") == 0
    assert "hole: uint8 (free, free, free, 1), hair: int64 (free), z: fp32 (free, 8) and gives" in capsys.readouterr().out
    config = parsed(tmp_path / "repository/double/config.pbtxt")
    assert [(item.name, list(item.dims)) for item in config.input] == [("image", [3, -1, -1]), ("hole", [-1, -1, 1]), ("hair", [1]), ("z", [8])]
    assert {name: list(given.dims) for name, given in config.model_warmup[0].inputs.items()} == {"image": [3, 4, 4], "hole": [4, 4, 1], "hair": [1], "z": [8]}


def test_model_without_an_image_among_its_inputs_is_described(tmp_path: Path) -> None:
    spec = ModelSpec(inputs=(ModelInput("z", "noise", length=12),))
    shape = onnx.numpy_helper.from_array(np.array([-1, 3, 2, 2], np.int64), "shape")
    given, gives = (helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name, sizes in (("z", ("n", 12)), ("translated", ("n", 3, 2, 2))))
    graph = helper.make_graph([helper.make_node("Reshape", ["z", "shape"], ["translated"])], "g", [given], [gives], [shape])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.save(model, tmp_path / "sampler.onnx")
    config = parsed(write_model(tmp_path / "sampler.onnx", tmp_path / "repository").config)
    assert (list(config.input[0].dims), list(config.output[0].dims), config.max_batch_size) == ([12], [3, 2, 2], 8)


@pytest.mark.parametrize(
    "conditions",
    [TAKEN[:2], [TAKEN[1], TAKEN[0], TAKEN[2]], [("other", *TAKEN[0][1:]), *TAKEN[1:]], [TAKEN[0], ("hair", TensorProto.FLOAT, ("batch",)), TAKEN[2]]],
)
def test_inputs_other_than_those_of_the_metadata_are_refused(conditions: list[Any], save: Save, tmp_path: Path) -> None:
    with pytest.raises(
        PixlateError, match=r"expected the inputs image \(image\), hole \(mask\), hair \(label\), z \(noise\) .* got image, .*; export it again"
    ):
        write_model(save(spec=CONDITIONS, conditions=conditions), tmp_path / "repository")


HOSTILE = ["../evil", "a/b", "..", ".hidden", "a.", 'a" } input { name: "x', "a\nb", "a b", "é", "-rm", "a" * 129, "a\\b", "$(rm)", "\x00"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_and_write_nothing(name: str, save: Save, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected a model name of up to 128 letters, .*; choose one with --name"):
        write_model(save(), tmp_path / "repository", TritonOptions(name=name))
    assert not (tmp_path / "repository").exists()


def test_file_with_a_hostile_name_asks_for_another(save: Save, tmp_path: Path) -> None:
    path = save(name='a" } x.onnx')
    with pytest.raises(PixlateError, match="got 'a\" } x'; choose one with --name"):
        write_model(path, tmp_path / "repository")
    assert write_model(path, tmp_path / "repository", TritonOptions(name="ax")).name == "ax"


@pytest.mark.parametrize("names", [('x" } evil { "', "y"), ("x", "y\ny"), ("x\\", "y"), ("x", "y'")])
def test_hostile_tensor_names_are_refused(names: tuple[str, str], save: Save, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected names of inputs and outputs without quotes, backslashes and control characters, got .*; rename it"):
        write_model(save(names=names), tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"version_number": 0}, "--version-number of at least 1, got 0"),
        ({"max_batch": -1}, "--max-batch of at least 0, got -1"),
        ({"instances": 0}, "--instances of at least 1, got 0"),
        ({"queue_delay_us": 10**9}, "--queue-delay-us of at most 1000000, got 1000000000"),
        ({"preferred_batch": (0,)}, "every --preferred-batch once, from 1 to 1000000, got 0"),
        ({"preferred_batch": (4, 4)}, "every --preferred-batch once, .* got 4"),
        ({"gpus": (-1,)}, "every --gpus once, from 0"),
        ({"device": "cpu", "gpus": (0,)}, "expected --gpus with --device gpu only"),
        ({"device": "cpu", "tensorrt": True}, "expected --tensorrt with --device gpu only"),
        ({"threads": 2}, "expected --threads with --device cpu only"),
        ({"tensorrt_workspace": 8}, "expected --tensorrt-workspace with --tensorrt only"),
        ({"tensorrt": True, "served_versions": 2}, "--served-versions 1 with --tensorrt, got 2: versions would share a cache"),
        ({"device": "tpu"}, "--device to be one of cpu, gpu, got 'tpu'"),
        ({"instances": "2"}, "--instances to be a whole number, got '2'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=sentence):
        TritonOptions(**options)


def test_preferred_batch_larger_than_the_largest_is_refused(save: Save, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="expected --preferred-batch of at most --max-batch 4, got 8; lower it"):
        write_model(save(), tmp_path, TritonOptions(max_batch=4, preferred_batch=(8,)))
    assert parsed(write_model(save(), tmp_path, TritonOptions(preferred_batch=(12,))).config).max_batch_size == 12


def test_another_version_of_the_same_options_is_added_beside_the_first(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "repository"
    write_model(save(), repository, TritonOptions(instances=2))
    before = tree(repository)
    path = save(spec=ModelSpec(scale=2, method="newer"))
    assert run(monkeypatch, path, repository, "--version-number", 2, "--instances", 2) == 0
    assert tree(repository) == {**before, "double/2/model.onnx": path.read_bytes()}


SHARED = "use the options it was written with, choose another --name, or replace it with --overwrite"


def test_configuration_other_than_these_options_write_is_replaced_only_when_asked(save: Save, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    write_model(save(), repository, TritonOptions(instances=2))
    before = tree(repository)
    with pytest.raises(PixlateError, match=SHARED):
        write_model(save(), repository, TritonOptions(version_number=2))
    assert tree(repository) == before
    write_model(save(), repository, TritonOptions(version_number=2, overwrite=True))
    assert tree(repository).keys() == {*before, "double/2/model.onnx"}
    assert parsed(repository / "double/config.pbtxt").instance_group[0].count == 1


GROUP, CACHED = "instance_group [ { count: 1 kind: KIND_GPU } ]", "response_cache { enable: false }"


@pytest.mark.parametrize(
    ("old", "new", "expected", "got"),
    [
        (GROUP, GROUP.replace("1", "2"), repr(GROUP), "'instance_group [ { count: 2 kind: KIND_GPU } ]' in line 9"),
        (GROUP, "instance_group {\n  # twice\n  count: 2\n}", repr(GROUP), "'instance_group {' in line 9"),
        (GROUP, GROUP.replace("count: 1 ", "\n  # twice\n  count: 2\n  "), repr(GROUP), "'count: 2' in line 11"),
        ('"double"', '"double # mine"', "'name: \"double\"'", "'name: \"double # mine\"' in line 2"),
        (f"{CACHED}\n", "", repr(CACHED), "nothing more"),
        (f"{CACHED}\n", f"{CACHED}\nversion: 2\n", "nothing more", "'version: 2' in line 17"),
    ],
)
def test_refusal_shows_the_first_line_of_the_configuration_that_differs(old: str, new: str, expected: str, got: str, save: Save, tmp_path: Path) -> None:
    config = write_model(save(), tmp_path / "repository").config
    text = config.read_text()
    assert text.count(old) == 1
    config.write_text(text.replace(old, new))
    said = f"expected {config}, which all versions share, to say {expected}, got {got}; {SHARED}"
    with pytest.raises(PixlateError, match=f"^{re.escape(said)}$"):
        write_model(save(), tmp_path / "repository", TritonOptions(version_number=2))


def test_refusal_shows_the_part_of_a_long_line_that_differs(save: Save, tmp_path: Path) -> None:
    options = TritonOptions(tensorrt=True, tensorrt_workspace=100)
    write_model(save(), tmp_path / "repository", options)
    with pytest.raises(PixlateError, match=r"to say '\.\.\..*: \"209715200\" .*\.\.\.', got '\.\.\..*: \"104857600\" .*\.\.\.' in line 16") as refused:
        write_model(save(), tmp_path / "repository", TritonOptions(tensorrt=True, tensorrt_workspace=200, version_number=2))
    assert len(str(refused.value)) - len(str(tmp_path)) < 600


def test_comments_blank_lines_and_white_space_of_a_configuration_are_kept(save: Save, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    config = write_model(save(), repository).config
    text = config.read_text()
    config.write_text(text.replace("{ ", "{\n\n\t").replace(": ", ":").replace("\n", " # mine: \"it's\r\n"), newline="")
    assert parsed(config) == text_format.Parse(text, pb.ModelConfig())
    before = tree(repository)
    path = save()
    write_model(path, repository, TritonOptions(version_number=2))
    assert tree(repository) == {**before, "double/2/model.onnx": path.read_bytes()}


def test_folder_without_a_configuration_is_written_only_when_asked(save: Save, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "double").mkdir(parents=True)
    with pytest.raises(PixlateError, match=rf", got no such file; {SHARED}"):
        write_model(save(), repository)
    assert tree(repository) == {}
    assert parsed(write_model(save(), repository, TritonOptions(overwrite=True)).config).name == "double"


def test_version_that_is_there_is_replaced_only_when_asked(save: Save, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    write_model(save(), repository)
    write_model("upscale-x2", repository)
    before = tree(repository)
    newer = save(spec=ModelSpec(scale=2, method="newer"))
    with pytest.raises(PixlateError, match=r"double/1 is there already; choose another --version-number or --name, or replace it with --overwrite"):
        write_model(newer, repository)
    assert tree(repository) == before
    write_model(newer, repository, TritonOptions(max_batch=3, overwrite=True))
    after = tree(repository)
    assert after["double/1/model.onnx"] == newer.read_bytes() and after.keys() == before.keys()
    assert parsed(repository / "double/config.pbtxt").max_batch_size == 3
    assert {name: content for name, content in after.items() if "upscale" in name} == {name: content for name, content in before.items() if "upscale" in name}


def test_version_with_other_inputs_needs_another_name(save: Save, tmp_path: Path) -> None:
    write_model(save(), tmp_path / "repository", TritonOptions(name="m"))
    before = tree(tmp_path / "repository")
    for path in (uint8(save), save(shape=(1, 3, 8, 8), name="fixed.onnx"), save(names=("x", "y"), name="renamed.onnx")):
        with pytest.raises(PixlateError, match=SHARED):
            write_model(path, tmp_path / "repository", TritonOptions(name="m", version_number=2))
    assert tree(tmp_path / "repository") == before


def test_version_with_other_weights_never_uses_the_engines_of_the_first(save: Save, tmp_path: Path) -> None:
    write_model(save(), tmp_path / "repository", TritonOptions(tensorrt=True))
    newer = save(spec=ModelSpec(scale=2, method="newer"))
    for tensorrt in (True, False):
        with pytest.raises(PixlateError, match=SHARED):
            write_model(newer, tmp_path / "repository", TritonOptions(version_number=2, tensorrt=tensorrt))
    config = write_model(newer, tmp_path / "repository", TritonOptions(version_number=2, tensorrt=True, overwrite=True)).config
    assert accelerator(parsed(config))[1]["trt_engine_cache_path"].endswith(read_interface(newer).digest)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"shape": ("n", 3, "h"), "out": ("n", 3, "h")}, "of 4 dimensions each, in uint8 or float, got"),
        ({"kind": TensorProto.INT32}, r"in uint8 or float, got tensor\(int32\)"),
        ({"shape": ("n", "c", "h", "w"), "spec": None}, "a fixed number of channels, got a free dimension"),
        ({"spec": ModelSpec(scale=3)}, r"expected a picture of 3 times the input's sides, got \(1, 3, 2, 2\) from \(1, 3, 1, 1\)"),
        ({"spec": None, "scale": 0.5}, r"expected a picture of a whole number of times the input's sides, got \(1, 3, 32, 32\)"),
        ({"spec": ModelSpec(scale=2, io="uint8")}, "expected uint8 pixels, as its metadata says, but the file takes TYPE_FP32; export it again"),
    ],
)
def test_what_is_no_model_of_images_is_refused_and_writes_nothing(model: dict[str, Any], sentence: str, save: Save, tmp_path: Path) -> None:
    if "out" in model:
        three = helper.make_tensor_value_info("x", TensorProto.FLOAT, model["shape"])
        graph = helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])], "g", [three], [helper.make_tensor_value_info("y", TensorProto.FLOAT, model["out"])]
        )
        path = tmp_path / "m.onnx"
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    else:
        path = save(**model)
    with pytest.raises(PixlateError, match=sentence):
        write_model(path, tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "is empty"), (b"no model at all", "of 15 bytes is damaged, newer than ONNX Runtime .*, or no ONNX model")]
)
def test_damaged_file_is_refused_and_writes_nothing(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(PixlateError, match=sentence):
        write_model(tmp_path / "m.onnx", tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("name", ["a.param", "a.pth"])
def test_weights_are_refused_with_the_command_that_makes_them_onnx(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(
        PixlateError, match=rf"expected an ONNX file for Triton, got .*{name}, which is named as weights; .*: pixlate import .*{name} model\.onnx"
    ):
        write_model(tmp_path / name, tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def test_model_with_weights_in_another_file_is_refused_with_the_command_that_fixes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, FREE) for name in ("x", "y")]
    weight = onnx.numpy_helper.from_array(np.ones((3, 3, 3, 3), np.float32), "w")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], "g", tensors[:1], tensors[1:], [weight])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    old, new = tmp_path / "OLD.onnx", tmp_path / "NEW.onnx"
    onnx.save_model(model, old, save_as_external_data=True, location="weights.data", size_threshold=0)
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would find the weights, and Triton would not
    assert run(monkeypatch, old, tmp_path / "repository") == 2
    error = capsys.readouterr().err
    assert "keeps its weights in another file" in error and not (tmp_path / "repository").exists()
    command = shlex.split(error.partition("write them into one: ")[2])
    subprocess.run([sys.executable, *command[1:]], check=True, timeout=60)
    assert run(monkeypatch, new, tmp_path / "repository") == 0


def test_repository_that_is_a_file_is_refused(save: Save, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository/double").write_text("mine")
    with pytest.raises(PixlateError, match=r"expected a folder for REPOSITORY, but .*file is a file; name another"):
        write_model(save(), tmp_path / "file")
    with pytest.raises(PixlateError, match=r"expected a folder for the model double, but .*double is a file; name another"):
        write_model(save(), tmp_path / "repository", TritonOptions(overwrite=True))
    with pytest.raises(PixlateError, match=r"the repository .*file/below cannot be written \(Not a directory\)"):
        write_model(save(), tmp_path / "file/below")
    assert (tmp_path / "file").read_text() == (tmp_path / "repository/double").read_text() == "mine"


def test_repository_that_is_a_url_is_refused(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PixlateError, match=r"expected a folder on this machine for REPOSITORY, got the URL s3:/bucket/models; write it here"):
        write_model(path, Path("s3://bucket/models"))
    assert [item.name for item in tmp_path.iterdir()] == ["double.onnx"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOSPC])
def test_folder_that_cannot_be_written_leaves_nothing_behind(code: int, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    path = save()
    with monkeypatch.context() as patched:
        patched.setattr(writing, "_write_file", refuse)
        with pytest.raises(PixlateError, match=rf"cannot be written \({os.strerror(code)}\); check its permissions and the space on its disk"):
            write_model(path, tmp_path / "new/repository")
    assert list((tmp_path / "new/repository").iterdir()) == []
    write_model(path, tmp_path / "repository")
    before = tree(tmp_path / "repository")
    monkeypatch.setattr(writing, "_write_file", refuse)
    for options in (TritonOptions(version_number=2), TritonOptions(overwrite=True)):
        with pytest.raises(PixlateError):
            write_model(path, tmp_path / "repository", options)
        assert tree(tmp_path / "repository") == before
        assert sorted(item.name for item in (tmp_path / "repository").iterdir()) == ["double"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


def test_full_disk_is_one_sentence_and_nothing_half_written(disk: Path) -> None:
    with pytest.raises(PixlateError, match="No space left on device"):
        write_model("upscale-x2", disk / "repository")
    assert list((disk / "repository").iterdir()) == []


def test_failed_move_leaves_the_version_that_was_to_be_replaced(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(save(), tmp_path / "repository")
    before = tree(tmp_path / "repository")

    def refuse(self: Path, to: Path) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PixlateError, match="Input/output error"):
        write_model(save(spec=ModelSpec(scale=2, method="newer")), tmp_path / "repository", TritonOptions(overwrite=True))
    assert tree(tmp_path / "repository") == before


def test_killed_command_leaves_no_model_and_the_next_one_writes_it(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom pixlate_triton.command import write_model\n"
        "os.fsync = lambda handle: (print('writing', flush=True), sys.stdin.read())\n"
        f"write_model('upscale-x2', Path({str(tmp_path / 'repository')!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "repository/upscale-x2").exists()
    assert write_model("upscale-x2", tmp_path / "repository").config.exists()


def test_two_commands_at_once_leave_one_whole_model(save: Save, tmp_path: Path) -> None:
    path = save()
    script = f"import sys\nfrom pixlate.cli import main\nsys.argv = ['pixlate', 'triton', {str(path)!r}, {str(tmp_path / 'repository')!r}]\nsys.exit(main())"
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2, 2]
    refused = re.compile(r"pixlate: .*/double(/1 is there already; choose another .*|; look at it, and run this one again)\n")
    assert sum(bool(refused.fullmatch(error)) for error in errors) == 2
    assert sorted(tree(tmp_path / "repository")) == ["double/1/model.onnx", "double/config.pbtxt"]


def test_what_another_command_writes_meanwhile_is_not_overwritten(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, write_file = tmp_path / "repository", writing._write_file

    def write_while_another_does(path: Path, content: bytes) -> None:
        write_file(path, content)
        if path.name == "config.pbtxt":
            (repository / "double/1").mkdir(parents=True)
            (repository / "double/1/model.onnx").write_text("the other's")

    monkeypatch.setattr(writing, "_write_file", write_while_another_does)
    with pytest.raises(PixlateError, match=r"another command has just written .*double; look at it"):
        write_model(save(), repository)
    assert tree(repository) == {"double/1/model.onnx": b"the other's"}


def test_folders_and_files_can_be_read_by_the_server(save: Save, tmp_path: Path) -> None:
    write_model(save(), tmp_path / "repository")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "repository").rglob("*")}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == {0o777 & ~umask, 0o666 & ~umask}


@pytest.mark.parametrize("name", ["plain", "with space", "a,b", 'quo"te', "co:lon", "it's", "$HOME"])
def test_printed_command_mounts_the_repository(name: str, tmp_path: Path) -> None:
    words = shlex.split(docker_command(tmp_path / name, TritonOptions()))
    fields = dict(field.partition("=")[::2] for field in next(csv.reader([words[words.index("--mount") + 1]])))
    assert fields == {"type": "bind", "source": str(tmp_path / name), "target": "/models", "readonly": ""}


def test_command_loads_neither_pytorch_nor_onnx_nor_protobuf(save: Save, tmp_path: Path) -> None:
    script = (
        f"import sys\nfrom pixlate.cli import main\nsys.argv = ['pixlate', 'triton', {str(save())!r}, {str(tmp_path / 'repository')!r}]\nassert main() == 0\n"
        "assert not {'torch', 'onnx', 'google.protobuf', 'tritonclient'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=120, stdout=subprocess.DEVNULL)


def test_a_link_in_a_repository_is_not_followed(tmp_path: Path, save: Save) -> None:
    elsewhere, repository = tmp_path / "elsewhere", tmp_path / "repository"
    elsewhere.mkdir()
    repository.mkdir()
    model = save()
    (repository / "linked").symlink_to(elsewhere)
    (repository / "model").mkdir()
    (repository / "model" / "1").symlink_to(elsewhere)
    for name, link in (("linked", "linked"), ("model", "model/1")):
        with pytest.raises(PixlateError, match=f"{repository / link} is a link, and Pixlate follows none"):
            write_model(model, repository, TritonOptions(name=name, overwrite=True))
    assert not list(elsewhere.iterdir())
