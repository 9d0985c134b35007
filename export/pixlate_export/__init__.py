"""Writes ONNX files, of trained generators and of foreign weights, after comparing them with PyTorch."""

from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from cyclopts import App

PIXLATE_API = 2


@pixlate.hookimpl
def pixlate_commands(app: "App") -> None:
    """Add ``pixlate export`` and ``pixlate import``."""
    app.command("pixlate_export.command:export", name="export", help="Write a trained generator as one ONNX file, checked against PyTorch.")
    app.command("pixlate_export.command:import_weights", name="import", help="Write weights of another code base as one ONNX file, checked against PyTorch.")
