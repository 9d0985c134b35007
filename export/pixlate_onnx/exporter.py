"""From a trained run to one ONNX file that says everything about itself."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

import pixlate
from pixlate.errors import PixlateError
from pixlate.gan import GAN, MAIN_GENERATOR
from pixlate.plugins import installed
from pixlate.spec import METADATA_KEY, ModelSpec, Provenance
from pixlate.training.checkpoint import is_checkpoint
from pixlate.training.run import OPTIONS, RunOptions
from pixlate.training.starting import load_checkpoint
from pixlate_onnx.options import ExportOptions
from pixlate_onnx.parity import ParityReport, compare

OPSET = 18
DEFAULT = ExportOptions()


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    path: Path
    spec: ModelSpec
    parity: ParityReport


def export_run(
    run: Path, path: Path, generator: str = MAIN_GENERATOR, data: str = "", licence: str = "", best: bool = False, half_weights: bool = False
) -> Exported:
    """Write the averaged generator of a run as an ONNX file, compared with PyTorch first.

    Args:
        run: Folder that training wrote, or one of its checkpoints.
        path: The file to write; an existing one is replaced only by a whole new one.
        generator: Which of the method's generators.
        data: Tells users what it was trained on; by default the names of the folders.
        licence: Terms of use of the weights.
        best: Whether the checkpoint that validated best is taken instead of the newest.
        half_weights: See :func:`export_gan`.

    Raises:
        PixlateError: No such generator or checkpoint, or the file's pictures differ from PyTorch's; nothing is written.
    """
    chosen = run.resolve()
    if is_checkpoint(chosen) and best:
        raise PixlateError(f"expected a run with --best, got one of its checkpoints, {run}; leave out --best, or name the run")
    run = chosen.parent.parent if is_checkpoint(chosen) else run
    options = RunOptions.load(run, installed().methods())
    gan = options.method.build(options.method_options)
    checkpoint = load_checkpoint(chosen, best)
    try:
        gan.load_state_dict(checkpoint.average)
    except RuntimeError as error:
        raise PixlateError(
            f"expected the weights of {run / OPTIONS}, but its checkpoint holds those of another network; undo the change of its options"
        ) from error
    provenance = Provenance(data or ", ".join(folder.name for folder in options.folders), checkpoint.step, options.training.seed, licence, pixlate.__version__)
    return export_gan(gan, path, generator, provenance, half_weights)


def export_gan(gan: GAN, path: Path, generator: str, provenance: Provenance, half_weights: bool = False) -> Exported:
    """Write one generator of a GAN as an ONNX file; see :func:`export_run`.

    With ``half_weights`` the weights are rounded to 16 bits and stored so, which halves the file; they are read back into 32 bits when it is
    opened, and all arithmetic stays in 32. The report compares with PyTorch on the rounded weights.
    """
    if generator not in gan.generators:
        raise PixlateError(f"expected one of the generators {sorted(gan.generators)}, got {generator!r}; choose one for --generator")
    return export_network(gan.exported(generator), gan.spec(generator).with_provenance(provenance), path, ExportOptions("float", half_weights=half_weights))


def export_network(network: nn.Module, spec: ModelSpec, path: Path, options: ExportOptions = DEFAULT) -> Exported:
    """Write a network of (batch, channels, height, width) in [0, 1], in and out, as an ONNX file, compared with PyTorch first.

    Args:
        network: What the file holds; a network whose values leave [0, 1] is clamped by the file.
        spec: What the file says of itself; ``io``, ``precision`` and ``norm`` are set here.
        path: The file to write; an existing one is replaced only by a whole new one.
        options: Input, precision, norm mode and opset.

    Raises:
        PixlateError: The file's pictures differ from PyTorch's, or it cannot be made; nothing is written.
    """
    if path.is_dir():
        raise PixlateError(f"expected a file to write, but {path} is a folder; name a file in it")
    half_weights = options.half_weights
    network = network.cpu().eval()
    if half_weights:
        for parameter in network.parameters():
            parameter.data = parameter.data.half().float()
    part = path.with_name(f".{path.name}.part.onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        model = _trace(network, spec)
        onnx.save(_store_in_half(model) if half_weights else model, part)
        parity = compare(network, part, spec)
        parity.require()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Exported(path, spec, parity)


def _trace(network: nn.Module, spec: ModelSpec) -> onnx.ModelProto:
    """Return the network as an ONNX model with free batch, height and width, and the spec in its metadata."""
    side = 2 * max(spec.minimum, spec.multiple, 8)
    free = torch.export.Dim.AUTO
    example = torch.rand(2, spec.channels_in, side, side + spec.multiple)
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["translated"],
        dynamic_shapes=({0: free, 2: free, 3: free},),
    )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for value, sides in ((model.graph.input[0], ("height", "width")), (model.graph.output[0], ("height_out", "width_out"))):
        for index, name in zip((0, 2, 3), ("batch", *sides), strict=True):
            value.type.tensor_type.shape.dim[index].dim_param = name
    del model.graph.value_info[:]  # shapes in names of the tracer's own, which would contradict the ones above
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the exporting machine
        node.doc_string = ""
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    return model


def _store_in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store weights that 16 bits hold exactly in 16 bits, with a node each that brings them back to 32."""
    casts = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        half = values.astype(np.float16) if values.dtype == np.float32 and values.ndim > 0 else values
        if half.dtype == np.float16 and np.array_equal(half.astype(np.float32), values):
            name, stored = tensor.name, f"{tensor.name}.half"
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, stored))
            casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model
