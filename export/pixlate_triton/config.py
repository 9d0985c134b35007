"""``config.pbtxt``: the options of ``pixlate triton``, and Triton's ModelConfig in protobuf's text format made of them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from pixlate.errors import PixlateError
from pixlate.options import check_least, check_most, check_types, check_used
from pixlate.system.cores import granted_cores
from pixlate_triton.interface import Interface, Tensor

CACHE = "/tensorrt"
"""Folder in the server's container where TensorRT keeps what it compiled."""
DEFAULT_BATCH = 8
_PRECISIONS = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16", "int8": "INT8"}
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")
LARGEST = 1_000_000
"""Most that any number may be, so that a slip of the finger is refused here and not by Triton."""
_TOKEN = re.compile(r"""#.*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^\s#"'{}\[\]<>:,;]+|\S""")
"""A comment, a quoted string, a word or number, or a sign."""
_SHOWN = 80
"""Most characters of a line shown on each side of a difference."""


@dataclass(frozen=True)
class TritonOptions:
    """How Triton is to run a model."""

    name: str = ""
    """Name of the model for clients; by default the ready model's or the file's."""
    version_number: int = 1
    """Number of this version; others of the same name are kept."""
    served_versions: int = 1
    """Newest versions that Triton serves at a time."""
    max_batch: int = 0
    """Most images in a batch; 0 is 8 if the file's batch is dynamic, and no batching if it is fixed."""
    preferred_batch: tuple[int, ...] = ()
    """Sizes of batches that are run without waiting for more; by default only those of --max-batch are."""
    queue_delay_us: int = 500
    """Longest an image waits for others of its size, in microseconds."""
    instances: int = 1
    """Copies of the model that run at once, for each GPU."""
    device: Literal["cpu", "gpu"] = "gpu"
    """Where the server runs it."""
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs, from 0; by default all that the server sees."""
    threads: int = 0
    """Threads of one instance on --device cpu; 0 divides the available cores among the instances."""
    tensorrt: bool = False
    """Compile the model with TensorRT, which takes minutes for the first image and is cached; in half precision if the file is."""
    tensorrt_workspace: int = 4096
    """Workspace of TensorRT in GPU memory, in MiB."""
    overwrite: bool = False
    """Replace an existing version and configuration."""

    def __post_init__(self) -> None:
        check_types(self)
        least = {"version_number": 1, "served_versions": 1, "max_batch": 0, "queue_delay_us": 0, "instances": 1, "threads": 0, "tensorrt_workspace": 1}
        check_least(self, **least)
        check_most(self, **dict.fromkeys(least, LARGEST))
        if self.name:
            require_name(self.name)
        check_used(self, self.device == "gpu", "--device gpu", "gpus", "tensorrt")
        check_used(self, self.device == "cpu", "--device cpu", "threads")
        check_used(self, self.tensorrt, "--tensorrt", "tensorrt_workspace")
        for name, values, smallest in (("gpus", self.gpus, 0), ("preferred-batch", self.preferred_batch, 1)):
            wrong = [value for value in values if not smallest <= value <= LARGEST or values.count(value) > 1]
            if wrong:
                raise PixlateError(f"expected every --{name} once, from {smallest} to {LARGEST}, got {wrong[0]}; correct it")
        if self.tensorrt and self.served_versions > 1:
            raise PixlateError(
                f"expected --served-versions 1 with --tensorrt, got {self.served_versions}: versions would share a cache of compiled weights; use a --name each"
            )


def require_name(name: str) -> str:
    """Return a model's name that is safe as a folder, in a URL and in quotes.

    Raises:
        PixlateError: It is not.
    """
    if not _NAME.fullmatch(name):
        raise PixlateError(
            f"expected a model name of up to 128 letters, digits, points, hyphens and underscores, that begins with a letter or digit, got {name[:60]!r}; "
            "choose one with --name"
        )
    return name


def config_text(name: str, interface: Interface, options: TritonOptions) -> str:
    """Return the configuration of a model whose name :func:`require_name` has passed.

    Raises:
        PixlateError: An option asks for batches that the file cannot do.
    """
    batch = max_batch(interface, options)
    gpus = f" gpus: [ {_listed(options.gpus)} ]" if options.gpus else ""
    lines = [
        "# Written by `pixlate triton`; the fields are those of Triton's model_config.proto.",
        f'name: "{name}"',
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {batch}",
        *(_tensor("input", tensor, interface.batches) for tensor in interface.inputs),
        _tensor("output", interface.output, interface.batches),
        f"version_policy {{ latest {{ num_versions: {options.served_versions} }} }}",
        f"instance_group [ {{ count: {options.instances} kind: KIND_{options.device.upper()}{gpus} }} ]",
    ]
    if batch:
        preferred = f"preferred_batch_size: [ {_listed(sorted(options.preferred_batch))} ] " if options.preferred_batch else ""
        lines.append(f"dynamic_batching {{ {preferred}max_queue_delay_microseconds: {options.queue_delay_us} }}")
    black = " ".join(
        f'inputs {{ key: "{tensor.name}" value {{ data_type: {tensor.type} dims: [ {_listed(_sides(shape, batch > 0))} ] zero_data: true }} }}'
        for tensor, shape in zip(interface.inputs, interface.smallest, strict=True)
    )  # one black image, and where there are batches a full one, run before the server says that it is ready
    for warm_up, count in {"one image": 1, **({"full batch": batch} if batch > 1 else {})}.items():
        lines.append(f'model_warmup [ {{ name: "{warm_up}" batch_size: {count} {black} }} ]')
    lines += [f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in _parameters(interface, options).items()]
    if options.tensorrt:
        values = " ".join(f'parameters {{ key: "{key}" value: "{value}" }}' for key, value in _tensorrt(name, interface, options).items())
        lines.append(f'optimization {{ execution_accelerators {{ gpu_execution_accelerator [ {{ name: "tensorrt" {values} }} ] }} }}')
    return "\n".join([*lines, "response_cache { enable: false }", ""])


def difference(existing: str, wanted: str) -> tuple[str, str] | None:
    """Return the first line of an existing configuration that differs, and that of the wanted one; None if only comments and white space differ."""
    for found, expected in zip_longest(_tokens(existing), _tokens(wanted)):
        if found is None or expected is None or found[0] != expected[0]:
            number = existing.count("\n", 0, found.start()) + 1 if found else 0
            return f"{_line(found)} in line {number}" if found else _line(found), _line(expected)
    return None


def _tokens(text: str) -> Iterator[re.Match[str]]:
    return (token for token in _TOKEN.finditer(text) if not token[0].startswith("#"))


def _line(token: re.Match[str] | None) -> str:
    """Return the quoted line of a token, and of a long line the part around it."""
    if token is None:
        return "nothing more"
    before = token.string[: token.start()].rpartition("\n")[2].lstrip()
    after = token.string[token.start() :].partition("\n")[0].rstrip()
    return repr("..." * (len(before) > _SHOWN) + before[-_SHOWN:] + after[:_SHOWN] + "..." * (len(after) > _SHOWN))


def max_batch(interface: Interface, options: TritonOptions) -> int:
    """Return the largest batch Triton may make; 0 where images must come in the file's own batches.

    Raises:
        PixlateError: An option asks for batches and the file's batch is fixed, or a preferred batch is larger than the largest.
    """
    if not interface.batches:
        for option, value in (("--max-batch", options.max_batch), ("--preferred-batch", options.preferred_batch)):
            if value:
                raise PixlateError(f"{option} needs a file with a free batch, but this one takes {interface.inputs[0].shape}; leave it out, or export it again")
        return 0
    batch = options.max_batch or max(DEFAULT_BATCH, *options.preferred_batch, 0)
    if options.preferred_batch and max(options.preferred_batch) > batch:
        raise PixlateError(f"expected --preferred-batch of at most --max-batch {batch}, got {max(options.preferred_batch)}; lower it")
    return batch


def threads(options: TritonOptions) -> int:
    """Return the threads of one instance on a CPU."""
    return options.threads or max(1, granted_cores() // options.instances)


def _tensor(kind: str, tensor: Tensor, batches: bool) -> str:
    """Return an input or output; its batch is left out where Triton adds it.

    Triton takes no empty ``dims``: a label, of which a batch is a plain list, is sent as one of [1] and given to the model without it.
    """
    reshape = " reshape: { shape: [ ] }" if batches and len(tensor.shape) == 1 else ""
    return f'{kind} [ {{ name: "{tensor.name}" data_type: {tensor.type} dims: [ {_listed(_sides(tensor.shape, batches))} ]{reshape} }} ]'


def _sides(shape: tuple[int, ...], batches: bool) -> tuple[int, ...]:
    return (shape[1:] or (1,)) if batches else shape


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _parameters(interface: Interface, options: TritonOptions) -> dict[str, str]:
    """What Triton's ONNX Runtime backend reads from ``parameters``.

    Its README calls the CUDA settings there deprecated, but where ``parameters`` are present the backend takes them, or their defaults, over those given
    to the accelerator named cuda; so this is the place that counts.
    """
    values = {}
    if any(-1 in tensor.shape[1:] for tensor in interface.inputs):
        values["enable_mem_pattern"] = "0"  # a plan of memory is kept for every shape ever seen
    if options.device == "cpu":
        values["intra_op_thread_count"] = str(threads(options))
    else:
        values["cudnn_conv_algo_search"] = "1"  # heuristic: an exhaustive search would stall on every new size
        values["arena_extend_strategy"] = "1"  # as much as is requested, not the next power of two
    return values


def _tensorrt(name: str, interface: Interface, options: TritonOptions) -> dict[str, str]:
    """What Triton gives to TensorRT, which keeps the engines of every file in a folder of their own.

    ONNX Runtime names an engine after the graph and not after its weights, so that a model trained again would be answered with the old one's engine
    from a shared folder (microsoft/onnxruntime issue 6455).
    """
    half = interface.inputs[0].type == "TYPE_FP16"
    return {
        "precision_mode": _PRECISIONS[interface.spec.precision] if interface.spec else "FP16" if half else "FP32",
        "max_workspace_size_bytes": str(options.tensorrt_workspace << 20),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": f"{CACHE}/{name}-{interface.digest}",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": CACHE,
    }
