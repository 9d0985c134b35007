"""Options of writing an ONNX file; the string under a field is its help on the command line. No PyTorch here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixlate.errors import PixlateError
from pixlate.options import check_types

OPSETS = (18, 23)
"""Least and largest opset offered: what the oldest supported ONNX Runtime reads."""
BFLOAT16_OPSET = 22
"""First opset whose convolutions take bfloat16."""


@dataclass(frozen=True)
class ExportOptions:
    """How a generator becomes a file."""

    io: Literal["uint8", "float"] = "uint8"
    """What the file takes and gives: uint8 is (batch, height, width, channels) with range, padding and rounding inside the file; float is
    (batch, channels, height, width) in [0, 1], which keeps 16-bit pictures exact."""
    precision: Literal["float32", "float16", "bfloat16", "int8"] = "float32"
    """Arithmetic: float16 and bfloat16 are for GPUs and keep norms in float32; int8 needs --calibration and is for CPUs."""
    calibration: Path | None = None
    """Folder of typical source images from which int8 takes the range of every layer."""
    norm: Literal["auto", "running", "per-image"] = "auto"
    """Statistics of batch norms: running are those gathered in training, folded into the convolutions; per-image are those of each image,
    as Pix2Pix is tested in its own code. auto takes what the generator says of itself."""
    opset: int | None = None
    """Version of the ONNX operators; by default 18, and 22 for bfloat16, whose convolutions no earlier one has."""
    half_weights: bool = False
    """Store the weights in 16 bits, which halves the file; arithmetic stays in 32."""

    def __post_init__(self) -> None:
        check_types(self)
        if self.opset is not None and not OPSETS[0] <= self.opset <= OPSETS[1]:
            raise PixlateError(f"expected --opset from {OPSETS[0]} to {OPSETS[1]}, got {self.opset}; choose one in between")
        if self.precision == "bfloat16" and self.written_opset < BFLOAT16_OPSET:
            raise PixlateError(f"expected --opset of at least {BFLOAT16_OPSET} for bfloat16, got {self.opset}; leave it out")
        if (self.precision == "int8") != (self.calibration is not None):
            raise PixlateError(
                "expected --calibration with a folder of typical source images for --precision int8, got none; name one"
                if self.precision == "int8"
                else f"--calibration is for --precision int8, got {self.precision}; leave one of them out"
            )
        if self.half_weights and self.precision != "float32":
            raise PixlateError(f"--half-weights is for --precision float32, got {self.precision}, which stores fewer bits already; leave it out")

    @property
    def written_opset(self) -> int:
        """The opset of the file."""
        return self.opset or (BFLOAT16_OPSET if self.precision == "bfloat16" else OPSETS[0])
