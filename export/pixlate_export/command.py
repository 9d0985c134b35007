"""``pixlate export`` and ``pixlate import``: a trained generator, or weights of another code base, as one ONNX file. No PyTorch here."""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

import pixlate
from pixlate.errors import PixlateError
from pixlate.inference.files import ncnn_pair
from pixlate.inference.ready import cards, named, unavailable
from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
from pixlate.plugin.spec import Provenance
from pixlate.system.extras import import_for
from pixlate.weights.reading import require_weights
from pixlate_export.apart import Report, apart
from pixlate_export.options import ExportOptions

SHOWN = 5
"""Keys left out of a file that are printed."""


def export(
    run: Path,
    model: Path,
    *,
    options: Annotated[ExportOptions | None, Parameter(name="*")] = None,
    generator: str = "",
    data: str = "",
    licence: str = "",
    best: bool = False,
    plugin: Path | None = None,
) -> int:
    """Write the averaged generator of a run as an ONNX file, after comparing it with PyTorch at several sizes; or a model again, with another precision or input.

    Parameters
    ----------
    run
        Folder that pixlate train wrote, or one of its checkpoints; or an ONNX file, or the name of a ready model.
    model
        The .onnx file to write.
    generator
        Which of the method's generators, or of what else it exports; by default the first, source_to_target for the built-in methods.
    data
        What it was trained on, for the file's metadata; by default the names of the folders.
    licence
        Terms of use of the weights, for the file's metadata.
    best
        Take the checkpoint that validated best instead of the newest.
    plugin
        The single file whose method the run trained, where it was started with one.
    """
    require_name(model)
    _require_run_or_model(run, model)
    if not run.is_dir() and (run.suffix.lower() == ".onnx" or named(str(run)) is not None):
        for option, value in (("--generator", generator), ("--best", best), ("--plugin", plugin)):
            if value:
                raise PixlateError(f"{option} is for runs, got {run}, which is a model; leave it out")
        apart("export the run or the weights that it was made from", export_model, run, model, options or ExportOptions(), data, licence)
    else:
        remedy = "update PyTorch and onnxscript, or report it to whoever made the network"
        apart(remedy, export_run, run, model, options or ExportOptions(), generator, data, licence, best, plugin)
    return 0


def _require_run_or_model(run: Path, model: Path) -> None:
    """Refuse weights of other code bases, and what is not there, before a process is started."""
    if run.suffix.lower() in (".pth", ".ckpt", ".safetensors") or ncnn_pair(run) is not None:
        raise PixlateError(
            f"expected a run of Pixlate's own or a model, got {run}, which is named as weights of another code base; write: pixlate import {run} {model}"
        )
    if (ready := named(str(run))) is not None and ready[0].path.suffix.lower() != ".onnx":
        raise PixlateError(f"expected a model that is an ONNX file, got {run}, which is made of weights; write: pixlate import {ready[0].path} {model}")
    if not run.exists() and not run.suffix and named(str(run)) is None:
        if lacking := unavailable(str(run)):
            raise PixlateError(lacking)
        near = get_close_matches(str(run), cards(), 1)
        remedy = f"did you mean {near[0]}?" if near else "check its path, or see `pixlate models`"
        raise PixlateError(f"expected a run folder with options.toml, but {run} has none, and no ready model has that name; {remedy}")


def export_model(report: Report, source: Path, model: Path, options: ExportOptions, data: str, licence: str) -> None:
    """Write a model again; the work of ``pixlate export MODEL``."""
    from_onnx = import_for("exporting", "pixlate_export.from_onnx", say=True)
    report_exported(report, from_onnx.export_model(str(source), model, options, data, licence))


def export_run(
    report: Report, run: Path, model: Path, options: ExportOptions, generator: str, data: str, licence: str, best: bool, plugin: Path | None
) -> None:
    """Write a run; the work of ``pixlate export RUN``."""
    exporter = import_for("exporting", "pixlate_export.exporter", say=True)
    report_exported(report, exporter.export_run(run, model, options, generator, data, licence, best, plugin))


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
        File of weights: .pth, .pt, .ckpt or .safetensors, or .param of ncnn with its .bin beside it.
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
    require_weights(file)
    apart(_remedy(file), import_file, file, model, known or ImportOptions(), options or ExportOptions(), data, licence)
    return 0


def import_file(report: Report, file: Path, model: Path, known: ImportOptions, options: ExportOptions, data: str, licence: str) -> None:
    """Write weights as an ONNX file; the work of ``pixlate import``."""
    exporter = import_for("importing weights", "pixlate_export.exporter", say=True)
    from pixlate.weights.reading import read_weights, recognise

    weights = read_weights(file)
    foreign = recognise(weights.tensors, known, file)
    report(f"recognised: {foreign.name}")
    if weights.left_out:
        more = f" and {len(weights.left_out) - SHOWN} more" if len(weights.left_out) > SHOWN else ""
        report(f"left out of the file: {', '.join(weights.left_out[:SHOWN])}{more}")
    for sentence in foreign.assumed:
        if options.norm == "auto" or not sentence.startswith("norm: statistics"):
            report(f"assumed {sentence}")
    if known.padding != "reflect" and not any(sentence.startswith("padding") for sentence in foreign.assumed):
        raise PixlateError(f"--padding is for ResNets whose blocks have padding layers, got {known.padding} for {foreign.name}; leave it out")
    spec = foreign.spec.with_provenance(Provenance(data=data, licence=licence, version=pixlate.__version__))
    try:
        exported = exporter.export_network(foreign.network, spec, model, export_options(foreign, options))
    except OSError:
        raise
    except Exception as error:  # tracing raises whatever a network does that ONNX has no words for
        if isinstance(error, PixlateError) and (options.norm, options.precision) != ("auto", "float32"):
            raise  # another choice may do
        reason = str(error) if isinstance(error, PixlateError) else f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise PixlateError(f"{foreign.name} cannot be written as ONNX: {reason}; or {_remedy(file)}") from error
    report_exported(report, exported)


def _remedy(file: Path) -> str:
    return f"convert with its weights directly: pixlate convert photos/ out/ --model {file}"


def export_options(foreign: ForeignGenerator, options: ExportOptions) -> ExportOptions:
    """Return the options with the norm mode that the generator's own code has when it tests, where none is asked for."""
    return replace(options, norm=foreign.norm) if options.norm == "auto" and foreign.spec.norm == "running" else options


def require_name(model: Path) -> None:
    """Refuse a file whose name does not say that it is ONNX."""
    if model.suffix.lower() != ".onnx":
        raise PixlateError(f"expected a file named *.onnx, got {model}; change its ending")


def report_exported(report: Report, exported: Any) -> None:
    """Report the differences and what was written."""
    spec = exported.spec
    size = exported.path.stat().st_size / 1e6
    written = f"wrote {exported.path}, {size:.1f} MB: opset {exported.opset}, {spec.precision}, {spec.io} in and out, norm {spec.norm}"
    for line in filter(None, (exported.calibration, exported.norms, str(exported.parity), written)):
        report(line)
