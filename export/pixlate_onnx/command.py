"""``pixlate export``: a trained generator as one ONNX file."""

from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.extras import import_for


def export(
    run: Path, model: Path, *, generator: str = "source_to_target", data: str = "", licence: str = "", best: bool = False, half_weights: bool = False
) -> int:
    """Write the averaged generator of a run as an ONNX file, after comparing it with PyTorch at several sizes.

    Parameters
    ----------
    run
        Folder that pixlate train wrote, or one of its checkpoints.
    model
        The .onnx file to write.
    generator
        Which of the method's generators.
    data
        What it was trained on, for the file's metadata; by default the names of the folders.
    licence
        Terms of use of the weights, for the file's metadata.
    best
        Take the checkpoint that validated best instead of the newest.
    half_weights
        Store the weights in 16 bits, which halves the file; arithmetic stays in 32.
    """
    if model.suffix.lower() != ".onnx":
        raise PixlateError(f"expected a file named *.onnx, got {model}; change its ending")
    exporter = import_for("exporting", "pixlate_onnx.exporter")
    exported = exporter.export_run(run, model, generator, data, licence, best, half_weights)
    print(exported.parity)
    print(f"wrote {model}, {model.stat().st_size / 1e6:.1f} MB")
    return 0
