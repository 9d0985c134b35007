"""Translate with a file that takes float: it wants channels first, values in [0, 1] and sides of a multiple, which the caller sees to."""

import json

import numpy as np
import onnxruntime


def shown(side: int, padded: int, padding: str) -> np.ndarray:
    """Return which row of the picture each row of the padded one shows: mirrored about the last row, or the last row again in files of Pixlate 0.1."""
    rows = np.arange(padded)
    found: np.ndarray = np.minimum(rows, side - 1) if padding == "edge" else np.maximum(np.minimum(rows, 2 * (side - 1) - rows), 0)
    return found


def translate(model: str, pixels: np.ndarray) -> np.ndarray:
    """Take and give uint8 pixels (batch, height, width, channels)."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    spec = json.loads(session.get_modelmeta().custom_metadata_map["pixlate"])
    sides = pixels.shape[1:3]
    least, multiple, padding = spec["minimum"], spec["multiple"], spec.get("padding", "edge")
    rows, columns = (shown(side, -(-max(side, least) // multiple) * multiple, padding) for side in sides)
    padded = pixels[:, rows[:, None], columns]
    images = (padded.astype(np.float32) / 255).transpose(0, 3, 1, 2)
    output: np.ndarray = session.run(["translated"], {"image": images})[0]
    cropped = output.transpose(0, 2, 3, 1)[:, : sides[0] * spec["scale"], : sides[1] * spec["scale"]]
    return np.round(cropped.clip(0, 1) * 255).astype(np.uint8)
