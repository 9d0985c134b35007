"""From a PyTorch network to an ONNX graph, and what the network itself makes of the same images: (batch, channels, height, width) in [0, 1]."""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from pixlate.errors import PixlateError
from pixlate.inference.conditions import Arrays
from pixlate.inference.sizes import allowed_side, allowed_size, padding_indices
from pixlate.networks.measured import Measured
from pixlate.plugin.spec import MEASURED, ModelSpec
from pixlate_export.conditions import drawn
from pixlate_export.graph import INPUT, OUTPUT, quiet
from pixlate_export.parity import Reference

_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where PyTorch's exporter says which modules a node is of."""


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

    Its inputs are the image, if the network takes one, and the conditions by name, masks and references as (batch, channels, height, width) in [0, 1].

    PyTorch's exporter folds constants and batch norms into the convolutions before them.

    Raises:
        PixlateError: PyTorch cannot write the network as ONNX.
    """
    side = allowed_side(2 * max(spec.minimum, spec.multiple, 8), spec)
    free = torch.export.Dim.AUTO
    images = [torch.rand(2, spec.channels_in, side, side + spec.multiple)] if spec.takes_image else []
    examples = (*images, *to_module(spec, drawn(spec, 2, side, side + spec.multiple)))
    names = [*([INPUT] if spec.takes_image else []), *(each.name for each in spec.conditions)]
    fixed = {each.name for each in spec.conditions if each.kind == "reference"}
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
                dynamic_shapes=(
                    tuple(
                        {0: free} if name in fixed or example.ndim < 4 else {0: free, 2: free, 3: free} for name, example in zip(names, examples, strict=True)
                    ),
                ),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise PixlateError(f"PyTorch cannot write this network as ONNX ({reason}); report it to whoever made the network") from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for value in (*model.graph.input, *model.graph.output):
        sides = () if value.name in fixed else ("height", "width") if value.name != OUTPUT else ("height_out", "width_out") if spec.takes_image else ()
        for dimension, name in zip(value.type.tensor_type.shape.dim, ("batch", "", *sides), strict=False):
            if name:
                dimension.dim_param = name
    _name_measured(model, network)
    del model.graph.value_info[:]  # shapes in names of the tracer's own, which would contradict the ones above
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the exporting machine
        node.doc_string = ""
    return model


def _name_measured(model: onnx.ModelProto, network: nn.Module) -> None:
    """Give what modules measure on whole images the names by which tiles are given it."""
    modules = [f"network.{name}".rstrip(".") for name, module in network.named_modules() if isinstance(module, Measured)]
    for number, module in enumerate(modules):
        within = [node for node in model.graph.node if repr(module) in next((each.value for each in node.metadata_props if each.key == _SCOPES), "")]
        (last,) = within[-1].output
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = [f"{MEASURED}{number}" if name == last else name for name in names]


def outputs_of(network: nn.Module, spec: ModelSpec) -> Reference:
    """Return what gives a network's own outputs for images of any size: padded to what it takes, cropped, in [0, 1]; from conditions alone where it takes no image."""

    def run(image: NDArray[np.float32] | None, conditions: Arrays) -> NDArray[np.float32]:
        others = to_module(spec, conditions)
        with torch.no_grad():
            if image is None:
                sampled: NDArray[np.float32] = network(*others).clamp(0, 1).numpy()
                return sampled
            height, width = image.shape[2:]
            rows, columns = (padding_indices(*sides, spec.padding) for sides in zip((height, width), allowed_size(height, width, spec), strict=True))
            padded = [True, *(each.kind == "mask" for each in spec.conditions)]
            given = zip(padded, (torch.from_numpy(image), *others), strict=True)
            output: torch.Tensor = network(*(value[:, :, rows[:, None], columns] if pad else value for pad, value in given))
            translated: NDArray[np.float32] = output[:, :, : height * spec.scale, : width * spec.scale].clamp(0, 1).numpy()
        return translated

    return run


def to_module(spec: ModelSpec, conditions: Arrays) -> list[torch.Tensor]:
    """Return conditions as a PyTorch module takes them after the image: masks and references as (batch, channels, height, width) in [0, 1]."""
    found = [(each, torch.from_numpy(conditions[each.name])) for each in spec.conditions]
    return [value.permute(0, 3, 1, 2).float() / 255 if each.pictured else value for each, value in found]
