"""What teacher and student cost: parameters, multiply-adds and seconds."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pixlate.inference.executor import Executor
from pixlate.inference.sizes import allowed_side
from pixlate.plugin.spec import ModelSpec

SIDE = 64
"""Height and width of the pictures by which costs are measured, raised to what the network takes."""
UNCOUNTED = {"MatMul", "Gemm", "Einsum", "Attention", "ConvInteger", "QLinearConv"}
"""Operators of ONNX that multiply and are not counted: a file with one has no multiply-adds in the report."""
Costs = dict[str, float]
"""``parameters``, ``macs_per_pixel`` of the source, and ``seconds_per_megapixel`` of it."""


def network_costs(network: nn.Module, spec: ModelSpec, device: torch.device) -> Costs:
    """Return the costs of a module of (batch, 3, height, width), which is on the device."""
    side = allowed_side(SIDE, spec)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(network).eval().to("meta")(torch.empty(1, 3, side, side, device="meta"))
    images = torch.full((1, 3, side, side), 0.5, device=device)
    shown = copy.deepcopy(network).eval()

    def run() -> None:
        with torch.no_grad():
            float(shown(images).sum())  # waits for the device

    parameters = sum(weights.numel() for weights in network.parameters())
    return {"parameters": parameters, "macs_per_pixel": counter.get_total_flops() / 2 / side**2, "seconds_per_megapixel": _seconds(run) * 1e6 / side**2}


def translator_costs(executor: Executor, path: Path) -> Costs:
    """Return the costs of a model file: seconds of any, the rest of an ONNX file whose weights are of floating point and whose operators can be counted."""
    side = allowed_side(SIDE, executor.spec)
    picture = np.full((1, side, side, executor.spec.channels_in), 127, np.uint8)
    costs = {"seconds_per_megapixel": _seconds(lambda: executor(picture)) * 1e6 / side**2}
    countable = path.suffix.lower() == ".onnx" and executor.spec.precision != "int8"
    return (_counted(path, (1, side, side, 3) if executor.spec.io == "uint8" else (1, 3, side, side)) if countable else {}) | costs


def _seconds(run: Callable[[], object]) -> float:
    """Return how long something takes, the second time."""
    run()
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _counted(path: Path, shape: tuple[int, ...]) -> Costs:
    """Return parameters and multiply-adds of an ONNX file's graph for a picture of a shape, whose third number is a side."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    weights = {each.name: each.dims for each in graph.initializer if each.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)}
    costs: Costs = {"parameters": sum(math.prod(dims) for dims in weights.values())}
    for axis, length in zip(graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        axis.dim_value = length
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    del graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {each.name: [axis.dim_value for axis in each.type.tensor_type.shape.dim] for each in (*inferred.value_info, *inferred.input, *inferred.output)}
    macs = 0
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            kernel, positions = weights.get(node.input[1]), shapes.get(node.output[0] if node.op_type == "Conv" else node.input[0])
            if not kernel or not positions or not all(positions):
                return costs
            macs += math.prod(positions) * math.prod(kernel[1:])
        elif node.op_type in UNCOUNTED:
            return costs
    return costs | {"macs_per_pixel": macs / shape[2] ** 2}
