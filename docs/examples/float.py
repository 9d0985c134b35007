"""Translate with a file that takes float: it wants channels first, values in [0, 1] and sides of a multiple, which the caller sees to."""

import json

import numpy as np
import onnxruntime


def translate(model: str, pixels: np.ndarray) -> np.ndarray:
    """Take and give uint8 pixels (batch, height, width, channels)."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    spec = json.loads(session.get_modelmeta().custom_metadata_map["pixlate"])
    sides = pixels.shape[1:3]
    more = [-(-max(side, spec["minimum"]) // spec["multiple"]) * spec["multiple"] - side for side in sides]
    padded = np.pad(pixels, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)), mode="edge")
    images = (padded.astype(np.float32) / 255).transpose(0, 3, 1, 2)
    output: np.ndarray = session.run(["translated"], {"image": images})[0]
    cropped = output.transpose(0, 2, 3, 1)[:, : sides[0] * spec["scale"], : sides[1] * spec["scale"]]
    return np.round(cropped.clip(0, 1) * 255).astype(np.uint8)
