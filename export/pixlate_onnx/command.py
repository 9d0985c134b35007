"""``pixlate export``: a trained generator as one ONNX file."""

from pathlib import Path

from pixlate.errors import PixlateError


def export(run: Path, model: Path, *, generator: str = "source_to_target", data: str = "", licence: str = "") -> int:
    """Write the averaged generator of a run as an ONNX file, after comparing it with PyTorch at several sizes.

    Parameters
    ----------
    run
        Folder that pixlate train wrote.
    model
        The .onnx file to write.
    generator
        Which of the method's generators.
    data
        What it was trained on, for the file's metadata; by default the names of the folders.
    licence
        Terms of use of the weights, for the file's metadata.
    """
    if model.suffix.lower() != ".onnx":
        raise PixlateError(f"expected a file named *.onnx, got {model}; change its ending")
    try:
        from pixlate_onnx.exporter import export_run
    except ImportError as error:
        raise PixlateError(f"exporting needs PyTorch and onnx, and {error.name} is missing; run: pip install 'pixlate[train]'") from error
    exported = export_run(run, model, generator, data, licence)
    print(exported.parity)
    print(f"wrote {model}, {model.stat().st_size / 1e6:.1f} MB")
    return 0
