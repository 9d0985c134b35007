"""Compares an ONNX file with the PyTorch network it was made from."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from pixlate.errors import PixlateError
from pixlate.inference.conditions import Arrays
from pixlate.inference.sizes import allowed_size, padding_indices
from pixlate.plugin.spec import ModelSpec, Precision
from pixlate_export.calibration import Planes
from pixlate_export.conditions import drawn, to_file, to_module
from pixlate_export.graph import INPUT
from pixlate_export.half import emulated

SIZES = ((7, 9), (16, 16), (33, 20), (64, 48), (101, 77))
"""Heights and widths compared; raised to what the network takes, where the file does not do that itself."""
PICTURE_SIZES = ((128, 128), (96, 160), (200, 150), (256, 192), (256, 256))
"""Heights and widths cut from pictures: a network in 8 bits was not given ranges for a few pixels of noise."""
LEVEL = 1 / 255


@dataclass(frozen=True)
class Tolerance:
    """What is allowed, of a range of 1."""

    largest: float
    psnr: float
    """Least, in dB."""


TOLERANCES: dict[Precision, Tolerance] = {
    "float32": Tolerance(1e-4, 80),
    "float16": Tolerance(0.05, 45),
    "bfloat16": Tolerance(0.3, 30),
    "int8": Tolerance(1.0, 30),
}
"""float32: a fortieth of a level of 255. The others round each value to 11, 8 and 8 bits."""


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
    tolerance: Tolerance

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return float(np.max([difference.largest for difference in self.differences]))  # a number that is none stays none

    @property
    def psnr(self) -> float:
        """The least PSNR of all, in dB."""
        return float(np.min([difference.psnr for difference in self.differences]))

    def require(self) -> None:
        """Refuse a file of which a difference is above the tolerance, or not a number."""
        allowed = self.tolerance
        worst = max(self.differences, key=lambda difference: -difference.psnr if difference.psnr == difference.psnr else np.inf)
        if not self.largest <= allowed.largest or not self.psnr >= allowed.psnr:
            raise PixlateError(
                f"expected the ONNX file to agree with PyTorch within {allowed.largest:.3g} and {allowed.psnr:g} dB, got {worst.largest:.3g} and "
                f"{worst.psnr:.1f} dB at {worst.shape}; nothing was written: use a higher --precision, or update onnxscript or report it where that is float32"
            )

    def __str__(self) -> str:
        rows = [f"{'x'.join(map(str, row.shape)):>16}  max {row.largest:.2e}  mean {row.mean:.2e}  {row.psnr:6.1f} dB" for row in self.differences]
        return "\n".join([f"parity with PyTorch (allowed: max {self.tolerance.largest:.3g}, least {self.tolerance.psnr:g} dB):", *rows])


def compare(network: nn.Module, model: onnx.ModelProto, spec: ModelSpec, pictures: Sequence[Planes] = ()) -> ParityReport:
    """Run the model in ONNX Runtime and the network in PyTorch on the same images, at five sizes and batches of 1 to 4.

    Images are cut from the pictures, or noise without them. A file of 16 bits is run with its roundings on the CPU, as a GPU that sums in 32 bits runs it.
    """
    half = spec.precision in ("float16", "bfloat16")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if half:  # optimising would take the roundings out again
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = (emulated(model) if half else model).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    draw = _from(pictures) if pictures else _noise(spec)
    differences = []
    for index, size in enumerate(PICTURE_SIZES if pictures else SIZES):
        if spec.io == "float":
            size = allowed_size(*size, spec)  # noqa: PLW2901 - the file leaves this to its caller
        image = draw(index % 4 + 1, *size)
        conditions = drawn(spec, index % 4 + 1, *size, index)
        with torch.no_grad():
            expected = run(network, torch.from_numpy(image), spec, conditions).numpy()
        if not np.isfinite(expected).all():
            raise PixlateError("the network itself gives values that are not numbers in PyTorch; its weights are damaged, or too large where they were rounded")
        given = {INPUT: image if spec.io == "float" else to_levels(image)} if spec.takes_image else {}
        actual = session.run(None, given | to_file(spec, conditions))[0]
        differences.append(_difference(image.shape if spec.takes_image else expected.shape, actual, expected, spec))
    allowed = TOLERANCES[spec.precision]
    return ParityReport(tuple(differences), Tolerance(max(allowed.largest, 1.01 * LEVEL), min(allowed.psnr, 55)) if spec.io == "uint8" else allowed)


def run(network: nn.Module, image: torch.Tensor, spec: ModelSpec, conditions: Arrays) -> torch.Tensor:
    """Return what the network makes of images of any size: padded to what it takes, cropped, in [0, 1]; of conditions alone where it takes no image."""
    others = to_module(spec, conditions)
    if not spec.takes_image:
        sampled: torch.Tensor = network(*others)
        return sampled.clamp(0, 1)
    height, width = image.shape[2:]
    rows, columns = (padding_indices(*sides, spec.padding) for sides in zip((height, width), allowed_size(height, width, spec), strict=True))
    output: torch.Tensor = network(*(value[:, :, rows[:, None], columns] if value.ndim == 4 else value for value in (image, *others)))
    return output[:, :, : height * spec.scale, : width * spec.scale].clamp(0, 1)


def to_levels(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (batch, channels, height, width) in [0, 1] as uint8 (batch, height, width, channels)."""
    return np.ascontiguousarray(np.rint(image * 255).astype(np.uint8).transpose(0, 2, 3, 1))


def _difference(shape: tuple[int, ...], actual: NDArray[Any], expected: NDArray[np.float32], spec: ModelSpec) -> Difference:
    if spec.io == "uint8" and actual.ndim == 4:
        actual = actual.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        expected = (np.rint(expected * 255) / np.float32(255)).astype(np.float32)
    error = np.abs(actual.astype(np.float32) - expected) if actual.shape == expected.shape else np.full(1, np.inf)
    mean_square = float(np.mean(error.astype(np.float64) ** 2))
    psnr = float("inf") if mean_square == 0 else -10 * float(np.log10(mean_square))
    return Difference(shape, float(error.max()), float(error.mean()), psnr)


def _noise(spec: ModelSpec) -> Callable[[int, int, int], NDArray[np.float32]]:
    """Draw whole levels of 255, which both kinds of files take."""
    generator = np.random.default_rng(0)
    return lambda batch, height, width: generator.integers(0, 256, (batch, spec.channels_in, height, width)).astype(np.float32) / np.float32(255)


def _from(pictures: Sequence[Planes]) -> Callable[[int, int, int], NDArray[np.float32]]:
    """Cut from the middle of one picture after the other, mirrored where it is too small."""
    rest = itertools.cycle(pictures)

    def cut(height: int, width: int) -> Planes:
        picture = next(rest)
        missing = [max(0, side - have) for side, have in zip((height, width), picture.shape[1:], strict=True)]
        picture = np.pad(picture, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric")
        top, left = (picture.shape[1] - height) // 2, (picture.shape[2] - width) // 2
        return picture[:, top : top + height, left : left + width]

    return lambda batch, height, width: np.stack([cut(height, width) for _ in range(batch)])
