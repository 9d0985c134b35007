"""From one ONNX file to another: precision and pixels are changed in the graph, and compared with ONNX Runtime's run of the first. No PyTorch here."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, version_converter

import pixlate
from pixlate.errors import PixlateError
from pixlate.inference.conditions import Arrays
from pixlate.inference.models import find, load
from pixlate.plugin.spec import METADATA_KEY, ModelSpec
from pixlate_export.calibration import read_pictures
from pixlate_export.file import Exported, Original, require_place, write_converted
from pixlate_export.graph import INPUT, OUTPUT, store_in_half
from pixlate_export.options import OPSETS, ExportOptions
from pixlate_export.parity import Reference, outputs_of
from pixlate_export.pixels import rename

REMEDY = "export the run or the weights that it was made from"


def export_model(model: str | Path, path: Path, options: ExportOptions, data: str = "", licence: str = "") -> Exported:
    """Write a ready model or an ONNX file again, with another precision or with uint8 pixels, compared with the first in ONNX Runtime.

    Args:
        model: A name that ``pixlate models`` lists, or an ONNX file of one image of any size.
        path: The file to write; an existing one is replaced only by a whole new one.
        options: Input, precision and opset.
        data: What it was trained on, for the metadata; by default what the file says.
        licence: Terms of use of the weights, for the metadata; by default what the file says.

    Raises:
        PixlateError: The file cannot be opened or converted, has been converted before, or its outputs would change; nothing is written.
    """
    require_place(path)
    source = find(model)
    if path.exists() and path.samefile(source):
        raise PixlateError(f"expected another file to write than {source}, which is read; name another")
    graph = _read(source)
    spec = load(source, "cpu").spec
    _require_convertible(source, spec, options)
    known = any(entry.key == METADATA_KEY for entry in graph.metadata_props)
    _require_free_sides(source, graph, spec)
    _rename_ends(graph, spec)
    reference = _within_range(outputs_of(graph, spec))
    try:
        prepared, halved = _prepared(graph, options.opset or (options.written_opset if options.precision == "bfloat16" else 0), clamped=known)
        if halved and options.precision == spec.precision:
            store_in_half(prepared)
        origin = spec.provenance
        spec = spec.with_provenance(replace(origin, data=data or origin.data, licence=licence or origin.licence, version=pixlate.__version__))
        pictures = read_pictures(options.calibration, spec) if options.calibration is not None else None
        return write_converted(prepared, spec, Original(reference, f"ONNX Runtime's run of {source.name}", REMEDY), path, options, pictures)
    except (PixlateError, OSError):
        raise
    except Exception as error:  # onnx and ONNX Runtime raise whatever a graph has that they do not know
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise PixlateError(f"{source} cannot be converted ({reason}); {REMEDY}") from error


def _require_convertible(source: Path, spec: ModelSpec, options: ExportOptions) -> None:
    """Refuse what no change of the graph can give."""
    if options.norm != "auto":
        raise PixlateError(f"--norm is for runs and weights, and {source} has its norm ({spec.norm}) built in; leave it out")
    if spec.precision not in ("float32", options.precision):
        kept = f", or keep it with --precision {spec.precision}" if options.precision == "float32" and spec.precision != "int8" else ""
        raise PixlateError(f"expected a file of float32 for --precision {options.precision}, got {source}, which is {spec.precision} already; {REMEDY}{kept}")
    if spec.precision == "int8":
        raise PixlateError(f"expected a file of float32 for --precision int8, got {source}, which is int8 already; {REMEDY}")
    if spec.io == "uint8" and options.io == "float":
        raise PixlateError(f"expected a file that takes float for --io float, got {source}, which rounds to uint8 inside; {REMEDY}")
    if options.calibration is not None and not spec.takes_image:
        raise PixlateError("expected a model that takes an image for --precision int8, got one that draws its own; use another precision")


def _read(source: Path) -> onnx.ModelProto:
    """Return the graph of a file; refuse one that is damaged, weights in other files and control flow, before any of it is run."""
    try:
        model = onnx.load(source, load_external_data=False)
    except DecodeError as error:
        raise PixlateError(f"{source} is damaged or no ONNX model ({error}); download or export it again") from error
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise PixlateError(f"expected weights inside {source}, got some in another file; write them into one: onnx.save(onnx.load({str(source)!r}), ...)")
    if model.functions or any(attribute.HasField("g") or attribute.graphs for node in model.graph.node for attribute in node.attribute):
        raise PixlateError(f"expected a plain graph, got {source} with functions, loops or branches; {REMEDY}")
    return model


def _require_free_sides(source: Path, model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Refuse a file of fixed sizes, and one whose image is neither float32 nor uint8."""
    kinds = {TensorProto.FLOAT, TensorProto.UINT8}
    if not spec.takes_image:
        return
    image = _image(model, spec).type.tensor_type
    fixed = [side.dim_value for index, side in enumerate(image.shape.dim) if side.dim_value and index != (3 if spec.io == "uint8" else 1)]
    if fixed or image.elem_type not in kinds:
        shape = [side.dim_value or side.dim_param or "free" for side in image.shape.dim]
        raise PixlateError(
            f"expected an image of float32 or uint8 with free batch, height and width, got {TensorProto.DataType.Name(image.elem_type)}{shape} in {source}; {REMEDY}"
        )


def _image(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ValueInfoProto:
    """Return the input that is no weight and no condition."""
    others = {tensor.name for tensor in model.graph.initializer} | {each.name for each in spec.conditions}
    image: onnx.ValueInfoProto = next(value for value in model.graph.input if value.name not in others)
    return image


def _rename_ends(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Give the image and the output the names that all files of Pixlate have, and leave out other outputs."""
    graph = model.graph
    del graph.output[1:]
    names = {graph.output[0].name: OUTPUT} | ({_image(model, spec).name: INPUT} if spec.takes_image else {})
    taken = {name for node in graph.node for name in (*node.input, *node.output)} & {INPUT, OUTPUT}
    rename(graph, {name: f"{name}.inside" for name in taken if name not in names} | names)
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def _within_range(outputs: Reference) -> Reference:
    """Clamp, as whatever runs a file does, outputs of files that do not themselves."""

    def run(image: NDArray[np.float32] | None, conditions: Arrays) -> NDArray[np.float32]:
        return np.clip(outputs(image, conditions), 0, 1)

    return run


def _prepared(model: onnx.ModelProto, opset: int, clamped: bool) -> tuple[onnx.ModelProto, bool]:
    """Return a copy with what conversions expect: an opset that has their nodes, weights in 32 bits, names, and outputs in [0, 1]; and whether weights were in 16."""
    found = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    wanted = max(opset, found, OPSETS[0])
    if opset and opset < found:
        raise PixlateError(f"expected --opset of at least {found}, which the file has, got {opset}; leave it out")
    weights = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in weights]
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = max(copy.ir_version, 8)
    del copy.graph.input[:]  # before version 4, weights were inputs that a caller could replace
    copy.graph.input.extend(kept)
    if wanted > found:
        copy = version_converter.convert_version(copy, wanted)
    del copy.graph.value_info[:]
    halved = _widen_weights(copy.graph)
    if not clamped:
        rename(copy.graph, {OUTPUT: f"{OUTPUT}.unclamped"})
        copy.graph.initializer.extend(numpy_helper.from_array(np.array(bound, np.float32), f"{OUTPUT}.{bound}") for bound in (0, 1))
        copy.graph.node.append(helper.make_node("Clip", [f"{OUTPUT}.unclamped", f"{OUTPUT}.0", f"{OUTPUT}.1"], [OUTPUT]))
    for index, node in enumerate(copy.graph.node):
        node.name = f"node_{index}"  # int8 tells convolutions apart by them
    return copy, halved


def _widen_weights(graph: onnx.GraphProto) -> bool:
    """Store in 32 bits the weights that are stored in 16 and cast; return whether there were any."""
    weights: Mapping[str, onnx.TensorProto] = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    casts = [node for node in graph.node if node.op_type == "Cast" and node.input[0] in weights and node.attribute[0].i == TensorProto.FLOAT]
    for node in casts:
        graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(weights[node.input[0]]).astype(np.float32), node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for name, tensor in weights.items() if name not in used]:
        graph.initializer.remove(tensor)
    return bool(casts)
