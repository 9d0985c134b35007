"""8-bit arithmetic for CPUs: convolutions between QuantizeLinear and DequantizeLinear, with ranges found on pictures."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelSpec
from pixlate_export.calibration import Planes
from pixlate_export.conditions import drawn, to_file
from pixlate_export.graph import INPUT, quiet
from pixlate_export.parity import to_levels

_QUANTISED = ("Conv", "MatMul", "Gemm")


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
        conditions = to_file(self._spec, drawn(self._spec, 1, picture.shape[1], picture.shape[2], index))
        return {INPUT: picture[None] if self._spec.io == "float" else to_levels(picture[None]), **conditions}
