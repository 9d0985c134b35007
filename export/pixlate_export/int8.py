"""8-bit arithmetic for CPUs: convolutions between QuantizeLinear and DequantizeLinear, with ranges found on pictures of a folder."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from pixlate.errors import PixlateError
from pixlate.images import read_picture
from pixlate.images.picture import to_8_bits
from pixlate.inference.sizes import allowed_size, pad
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import installed
from pixlate.plugin.spec import ModelSpec
from pixlate_export.graph import INPUT, drawn, quiet, to_module

MOST_PICTURES = 16
"""Pictures used of a folder, spread evenly over its names."""
LEAST_PICTURES = 4
LEAST_SPREAD = 0.02
"""Least standard deviation of a picture, of a range of 1: one of a single shade calibrates no layer's range, and any file agrees on it."""
LARGEST_SIDE = 320
"""Pixels of a picture used on each side, from its middle."""
MOST_PIXELS = 200_000_000
_QUANTISED = ("Conv", "MatMul", "Gemm")
Planes = NDArray[np.float32]


@dataclass(frozen=True)
class Pictures:
    """Pictures (channels, height, width) in [0, 1]: those that set ranges, and others to judge by."""

    calibrating: Sequence[Planes]
    judging: Sequence[Planes]
    """A quarter of the pictures, which set no range."""
    told: str = ""
    """How many were used, and which were left out and why."""


def read_pictures(folder: Path, spec: ModelSpec) -> Pictures:
    """Read pictures of a folder, and of those below it, with the channels a network takes.

    Raises:
        PixlateError: It is no folder, or fewer than four pictures in it can be used.
    """
    if not folder.is_dir():
        raise PixlateError(f"expected --calibration to name a folder of typical source images, got {folder}; check its path")
    formats = installed().image_formats()
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in formats and path.is_file())
    if not paths:
        raise PixlateError(f"expected typical source images in {folder} for --calibration, found none; name another folder")
    chosen = [paths[index] for index in sorted({round(place) for place in np.linspace(0, len(paths) - 1, MOST_PICTURES)})]
    found: list[Planes] = []
    left_out: list[str] = []
    for path in chosen:
        try:
            found.append(_planes(path, spec, formats))
        except PixlateError as error:
            left_out.append(f"{path.name}: {error}")
    if len(found) < LEAST_PICTURES:
        reason = f" ({left_out[0]}{f', and {len(left_out) - 1} more' if len(left_out) > 1 else ''})" if left_out else ""
        raise PixlateError(
            f"expected at least {LEAST_PICTURES} typical source images in {folder} for --calibration, of which a quarter judge, got {len(found)} that can be "
            f"used{reason}; name another folder"
        )
    told = "; ".join([f"calibrated on {len(found) - len(found[::4])} pictures of {len(paths)}, judged by {len(found[::4])} others", *left_out])
    return Pictures([picture for index, picture in enumerate(found) if index % 4], found[::4], told)


def _planes(path: Path, spec: ModelSpec, formats: Mapping[str, ImageFormat]) -> Planes:
    """Return the middle of a picture, at least the size that the network takes."""
    pixels = to_8_bits(read_picture(path, max_pixels=MOST_PIXELS, formats=formats, channels=spec.channels_in).pixels)
    if pixels.shape[2] != spec.channels_in:
        if pixels.shape[2] != 1:
            raise PixlateError(f"expected {spec.channels_in} channels, got {pixels.shape[2]}; convert it to grey")
        pixels = np.repeat(pixels, spec.channels_in, axis=2)
    sides = [min(side, max(LARGEST_SIDE, spec.minimum)) for side in pixels.shape[:2]]
    top, left = ((have - side) // 2 for have, side in zip(pixels.shape, sides, strict=False))
    pixels = pixels[top : top + sides[0], left : left + sides[1]]
    if pixels.std() < LEAST_SPREAD * 255:
        raise PixlateError("it is of a single shade and calibrates nothing; leave it out")
    padded = pad(pixels[None], *allowed_size(sides[0], sides[1], spec), spec.padding)[0]
    return np.ascontiguousarray(padded.transpose(2, 0, 1), np.float32) / np.float32(255)


def quantise(model: onnx.ModelProto, pictures: Sequence[Planes], spec: ModelSpec) -> onnx.ModelProto:
    """Return the model with its convolutions in 8 bits, weights per channel; the first and the last one, which meet the picture itself, stay in 32.

    Ranges of activations are the least and largest value on the pictures (static calibration; Jacob et al. 2018, section 3).

    Conditions are drawn at random for each picture.

    Raises:
        PixlateError: The network has no convolution between the first and the last.
    """
    nodes = [node.name for node in model.graph.node if node.op_type in _QUANTISED]
    if len(nodes) < 3:
        raise PixlateError(f"expected a network of more than two convolutions for --precision int8, got {len(nodes)}; use float32")
    prepared = onnx.shape_inference.infer_shapes(model)
    with tempfile.TemporaryDirectory() as name, quiet():  # of advice on what PyTorch's exporter has done already
        path = Path(name) / "int8.onnx"
        quantize_static(
            prepared,
            path,
            _Reader(pictures, spec),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[nodes[0], nodes[-1]],
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(path)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands over one picture after the other."""

    def __init__(self, pictures: Sequence[Planes], spec: ModelSpec) -> None:
        self._spec, self._rest = spec, enumerate(pictures)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next picture as a batch of one, or None at the end."""
        index, picture = next(self._rest, (0, None))
        if picture is None:
            return None
        conditions = to_module(self._spec, drawn(self._spec, 1, picture.shape[1], picture.shape[2], index))
        return {INPUT: picture[None], **{each.name: value.numpy() for each, value in zip(self._spec.conditions, conditions, strict=True)}}
