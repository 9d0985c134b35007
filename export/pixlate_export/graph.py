"""What all ONNX graphs of this package share: names, metadata and how weights are stored. No PyTorch here."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pixlate.plugin.spec import METADATA_KEY, ModelSpec

INPUT, OUTPUT = "image", "translated"


def finished(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Put the spec into the model's metadata, beside what else is there, and check the whole."""
    helper.set_model_props(model, {entry.key: entry.value for entry in model.metadata_props} | {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    return model


def store_in_half(model: onnx.ModelProto) -> None:
    """Store weights that 16 bits hold exactly in 16 bits, each with a node that casts it back to 32."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim == 0:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if np.array_equal(half.astype(np.float32), values):
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
