"""From a PyTorch network to an ONNX graph: (batch, channels, height, width) in [0, 1] in and out, all sides free."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO

import numpy as np
import onnx
import torch
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pixlate.errors import PixlateError
from pixlate.inference.sizes import allowed_side
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate_export.conditions import drawn, to_module

INPUT, OUTPUT = "image", "translated"


def trace(network: nn.Module, spec: ModelSpec, opset: int) -> onnx.ModelProto:
    """Return the network as a simplified ONNX model with free batch, height and width, clamped to [0, 1].

    Its inputs are the image, if the network takes one, and the conditions by name, masks as (batch, 1, height, width) in [0, 1].

    PyTorch's exporter folds constants and batch norms into the convolutions before them.

    Raises:
        PixlateError: PyTorch cannot write the network as ONNX.
    """
    side = allowed_side(2 * max(spec.minimum, spec.multiple, 8), spec)
    free = torch.export.Dim.AUTO
    images = [torch.rand(2, spec.channels_in, side, side + spec.multiple)] if spec.takes_image else []
    examples = (*images, *to_module(spec, drawn(spec, 2, side, side + spec.multiple)))
    names = [*([INPUT] if spec.takes_image else []), *(each.name for each in spec.conditions)]
    try:
        with quiet():
            program = torch.onnx.export(
                network,
                examples,
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=names,
                output_names=[OUTPUT],
                dynamic_shapes=tuple({0: free, 2: free, 3: free} if example.ndim == 4 else {0: free} for example in examples),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise PixlateError(f"PyTorch cannot write this network as ONNX ({reason}); report it to whoever made the network") from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    if not _ends_clamped(model.graph):
        _clamp(model.graph)
    for value in model.graph.input:
        name_sides(value, "batch", "", *(("height", "width") if len(value.type.tensor_type.shape.dim) == 4 else ()))
    name_sides(model.graph.output[0], "batch", "", *(("height_out", "width_out") if spec.takes_image else ("", "")))
    del model.graph.value_info[:]  # shapes in names of the tracer's own, which would contradict the ones above
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the exporting machine
        node.doc_string = ""
    return model


def name_sides(value: onnx.ValueInfoProto, *names: str) -> None:
    """Name the free sides of an input or output; an empty name leaves a side as it is."""
    for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
        if name:
            dimension.dim_param = name


def finished(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Put the spec into the model's metadata and check the whole."""
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    return model


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give values other names in all nodes."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def constant(graph: onnx.GraphProto, name: str, value: ArrayLike, kind: type[np.generic]) -> str:
    """Add a constant to a graph; return its name."""
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, kind), name))
    return name


def _ends_clamped(graph: onnx.GraphProto) -> bool:
    """Return whether the graph clamps its output to [0, 1] already."""
    last = next((node for node in graph.node if OUTPUT in node.output), None)
    if last is None or last.op_type != "Clip":
        return False
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in last.input[1:]}
    return [float(values[name]) if name in values else None for name in last.input[1:]] == [0.0, 1.0]


def _clamp(graph: onnx.GraphProto) -> None:
    """Let the graph end in [0, 1]."""
    raw = f"{OUTPUT}.raw"
    rename(graph, {OUTPUT: raw})
    low, high = (constant(graph, f"{OUTPUT}.{name}", value, np.float32) for name, value in (("least", 0), ("most", 1)))
    graph.node.append(helper.make_node("Clip", [raw, low, high], [OUTPUT]))


def store_in_half(model: onnx.ModelProto) -> None:
    """Store weights that 16 bits hold exactly in 16 bits, each with a node that casts it back to 32."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16) if values.dtype == np.float32 and values.ndim > 0 else values
        if half.dtype == np.float16 and np.array_equal(half.astype(np.float32), values):
            name, stored = tensor.name, f"{tensor.name}.half"
            tensor.CopyFrom(numpy_helper.from_array(half, stored))
            casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what PyTorch and ONNX Runtime log and print from the terminal; an error says it in a sentence."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logging.disable(before)
