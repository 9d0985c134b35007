"""``pixlate export``: a trained generator as one ONNX file."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.system.extras import import_for
from pixlate_export.options import ExportOptions


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
    """Write the averaged generator of a run as an ONNX file, after comparing it with PyTorch at several sizes.

    Parameters
    ----------
    run
        Folder that pixlate train wrote, or one of its checkpoints.
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
    exporter = import_for("exporting", "pixlate_export.exporter")
    print_exported(exporter.export_run(run, model, options or ExportOptions(), generator, data, licence, best, plugin))
    return 0


def require_name(model: Path) -> None:
    """Refuse a file whose name does not say that it is ONNX."""
    if model.suffix.lower() != ".onnx":
        raise PixlateError(f"expected a file named *.onnx, got {model}; change its ending")


def print_exported(exported: Any) -> None:
    """Print the parity report and what was written."""
    spec = exported.spec
    if exported.calibration:
        print(exported.calibration)
    print(exported.parity)
    print(
        f"wrote {exported.path}, {exported.path.stat().st_size / 1e6:.1f} MB: opset {exported.opset}, {spec.precision}, {spec.io} in and out, norm {spec.norm}"
    )
