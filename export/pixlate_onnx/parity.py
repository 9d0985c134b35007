"""Compares an ONNX file with the PyTorch network it was made from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from pixlate.errors import PixlateError
from pixlate.spec import ModelSpec

TOLERANCE = 1e-4
"""Largest difference allowed in 32 bits, of a range of 1: a fortieth of a level of 255."""
SIZES = ((7, 9), (16, 16), (33, 20), (64, 48), (101, 77))
"""Heights and widths compared, raised to what the network takes."""


@dataclass(frozen=True)
class Difference:
    """The difference at one size."""

    shape: tuple[int, ...]
    largest: float
    mean: float
    psnr: float
    """In dB, of a range of 1."""


@dataclass(frozen=True)
class ParityReport:
    """The differences at all sizes."""

    differences: tuple[Difference, ...]
    tolerance: float

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return float(np.max([difference.largest for difference in self.differences]))  # a number that is none stays none

    def require(self) -> None:
        """Refuse a file whose pictures differ.

        Raises:
            PixlateError: The largest difference is above the tolerance, or not a number.
        """
        if not self.largest <= self.tolerance:
            worst = max(self.differences, key=lambda difference: difference.largest)
            raise PixlateError(
                f"expected the ONNX file to agree with PyTorch within {self.tolerance:g}, got {worst.largest:.3g} at {worst.shape}; nothing was written: update onnxscript or report it"
            )

    def __str__(self) -> str:
        rows = [f"{'x'.join(map(str, row.shape)):>16}  max {row.largest:.2e}  mean {row.mean:.2e}  {row.psnr:6.1f} dB" for row in self.differences]
        return "\n".join([f"parity with PyTorch (tolerance {self.tolerance:g}):", *rows])


def compare(network: nn.Module, path: Path, spec: ModelSpec) -> ParityReport:
    """Run the file in ONNX Runtime and the network in PyTorch on the same noise, at five sizes and batches of 1 to 4."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    differences = []
    for index, size in enumerate(SIZES):
        height, width = (-(-max(side, spec.minimum) // spec.multiple) * spec.multiple for side in size)
        image = torch.rand(index % 4 + 1, spec.channels_in, height, width, generator=generator)
        with torch.no_grad():
            expected = network(image).numpy()
        actual = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
        error = np.abs(actual - expected) if actual.shape == expected.shape else np.full(1, np.inf)
        mean_square = float(np.mean(error.astype(np.float64) ** 2))
        psnr = float("inf") if mean_square == 0 else -10 * float(np.log10(mean_square))
        differences.append(Difference(tuple(image.shape), float(error.max()), float(error.mean()), psnr))
    return ParityReport(tuple(differences), TOLERANCE)
