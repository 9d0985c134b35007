"""``pixlate import``: weights of another code base as one ONNX file."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import pixlate
from pixlate.errors import PixlateError
from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
from pixlate.plugin.spec import Provenance
from pixlate.system.extras import import_for
from pixlate_export.command import print_exported, require_name
from pixlate_export.options import ExportOptions

SHOWN = 5
"""Keys left out of a file that are printed."""


def import_weights(
    file: Path,
    model: Path,
    *,
    known: Annotated[ImportOptions | None, Parameter(name="*")] = None,
    options: Annotated[ExportOptions | None, Parameter(name="*")] = None,
    data: str = "",
    licence: str = "",
) -> int:
    """Write a generator of another code base as an ONNX file, after comparing it with PyTorch at several sizes.

    Nothing in the file is run. What the file does not contain is assumed, and printed with the option that changes it.

    Parameters
    ----------
    file
        File of weights: .pth, .pt, .ckpt or .safetensors.
    model
        The .onnx file to write.
    data
        What it was trained on, for the file's metadata.
    licence
        Terms of use of the weights, for the file's metadata.
    """
    require_name(model)
    if model.is_dir():
        raise PixlateError(f"expected a file to write, but {model} is a folder; name a file in it")
    exporter = import_for("importing weights", "pixlate_export.exporter")
    from pixlate.weights.reading import read_weights, recognise

    weights = read_weights(file)
    foreign = recognise(weights.tensors, known or ImportOptions(), file)
    print(f"recognised: {foreign.name}")
    if weights.left_out:
        more = f" and {len(weights.left_out) - SHOWN} more" if len(weights.left_out) > SHOWN else ""
        print(f"left out of the file: {', '.join(weights.left_out[:SHOWN])}{more}")
    asked = options or ExportOptions()
    for sentence in foreign.assumed:
        if asked.norm == "auto" or not sentence.startswith("norm: statistics"):
            print(f"assumed {sentence}")
    padding = (known or ImportOptions()).padding
    if padding != "reflect" and not any(sentence.startswith("padding") for sentence in foreign.assumed):
        raise PixlateError(f"--padding is for ResNets whose blocks have padding layers, got {padding} for {foreign.name}; leave it out")
    spec = foreign.spec.with_provenance(Provenance(data=data, licence=licence, version=pixlate.__version__))
    try:
        exported = exporter.export_network(foreign.network, spec, model, export_options(foreign, asked))
    except OSError:
        raise
    except Exception as error:  # tracing raises whatever a network does that ONNX has no words for
        if isinstance(error, PixlateError) and (asked.norm, asked.precision) != ("auto", "float32"):
            raise  # another choice may do
        reason = str(error) if isinstance(error, PixlateError) else f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise PixlateError(
            f"{foreign.name} cannot be written as ONNX: {reason}; or convert with its weights directly: pixlate convert photos/ out/ --model {file}"
        ) from error
    print_exported(exported)
    return 0


def export_options(foreign: ForeignGenerator, options: ExportOptions) -> ExportOptions:
    """Return the options with the norm mode that the generator's own code has when it tests, where none is asked for."""
    return replace(options, norm=foreign.norm) if options.norm == "auto" and foreign.spec.norm == "running" else options
