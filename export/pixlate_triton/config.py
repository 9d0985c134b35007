"""The text of a ``config.pbtxt``: Triton's ModelConfig in protobuf's text format."""

from collections.abc import Iterable

from pixlate.errors import PixlateError
from pixlate.system.process import granted_cores
from pixlate_triton.interface import Interface, Tensor
from pixlate_triton.options import TritonOptions

CACHE = "/tensorrt"
"""Folder in the server's container where TensorRT keeps what it compiled."""
DEFAULT_BATCH = 8
_PRECISIONS = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16", "int8": "INT8"}


def config_text(name: str, interface: Interface, options: TritonOptions) -> str:
    """Return the configuration of a model.

    Args:
        name: A name that :func:`~pixlate_triton.options.require_name` has passed.
        interface: What the file takes and gives.
        options: How to run it.

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
        *(tensor_text("input", tensor, interface.batches) for tensor in interface.inputs),
        tensor_text("output", interface.output, interface.batches),
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


def tensor_text(kind: str, tensor: Tensor, batches: bool) -> str:
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
    half = interface.inputs[0].type == "TYPE_FP16"
    return {
        "precision_mode": _PRECISIONS[interface.spec.precision] if interface.spec else "FP16" if half else "FP32",
        "max_workspace_size_bytes": str(options.tensorrt_workspace << 20),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": cache_folder(name, interface),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": CACHE,
    }


def cache_folder(name: str, interface: Interface) -> str:
    """Return where TensorRT keeps the engines of this very file.

    ONNX Runtime names an engine after the graph and not after its weights, so that a model trained again would be answered with the old one's engine
    from a shared folder (microsoft/onnxruntime issue 6455).
    """
    return f"{CACHE}/{name}-{interface.digest}"
