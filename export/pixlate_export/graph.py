"""From a PyTorch network to an ONNX graph: (batch, channels, height, width) in [0, 1] in and out, all sides free."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pixlate.errors import PixlateError
from pixlate.inference.sizes import allowed_side
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate_export.conditions import drawn, to_module

INPUT, OUTPUT = "image", "translated"


class _Clamped(nn.Module):
    """A network whose output is clamped to [0, 1]; PyTorch's exporter makes this one with a clamp that the network ends in."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.network(*inputs)
        return output.clamp(0, 1)


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
                _Clamped(network).eval(),
                examples,
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=names,
                output_names=[OUTPUT],
                dynamic_shapes=(tuple({0: free, 2: free, 3: free} if example.ndim == 4 else {0: free} for example in examples),),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise PixlateError(f"PyTorch cannot write this network as ONNX ({reason}); report it to whoever made the network") from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for value in (*model.graph.input, *model.graph.output):
        sides = ("height", "width") if value.name != OUTPUT else ("height_out", "width_out") if spec.takes_image else ()
        for dimension, name in zip(value.type.tensor_type.shape.dim, ("batch", "", *sides), strict=False):
            if name:
                dimension.dim_param = name
    del model.graph.value_info[:]  # shapes in names of the tracer's own, which would contradict the ones above
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the exporting machine
        node.doc_string = ""
    return model


def finished(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Put the spec into the model's metadata and check the whole."""
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    return model


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
