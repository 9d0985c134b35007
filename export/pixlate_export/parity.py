"""Compares an ONNX graph with what it was made from: a PyTorch network, or another file. No PyTorch here."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.inference.conditions import Arrays
from pixlate.inference.sizes import allowed_size, padding_indices
from pixlate.plugin.spec import ModelSpec, Precision
from pixlate_export.calibration import Planes
from pixlate_export.conditions import drawn, to_file
from pixlate_export.graph import INPUT
from pixlate_export.half import emulated

SIZES = ((7, 9), (16, 16), (33, 20), (64, 48), (101, 77))
"""Heights and widths compared; raised to what the network takes, where the file does not do that itself."""
PICTURE_SIZES = ((128, 128), (96, 160), (200, 150), (256, 192), (256, 256))
"""Heights and widths cut from pictures: a network in 8 bits was not given ranges for a few pixels of noise."""
LEVEL = 1 / 255

Reference = Callable[[NDArray[np.float32] | None, Arrays], NDArray[np.float32]]
"""Gives the outputs in [0, 1] that a graph is compared with, from images (batch, channels, height, width) in [0, 1] of any size, None where none is taken, and
conditions as on the wire."""


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
    original: str = "PyTorch"
    """What was compared with."""

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return float(np.max([difference.largest for difference in self.differences]))  # a number that is none stays none

    @property
    def psnr(self) -> float:
        """The least PSNR of all, in dB."""
        return float(np.min([difference.psnr for difference in self.differences]))

    def require(self, what: str, remedy: str) -> None:
        """Refuse a graph of which a difference is above the tolerance, or not a number; ``what`` it is, and what to do."""
        allowed = self.tolerance
        worst = max(self.differences, key=lambda difference: -difference.psnr if difference.psnr == difference.psnr else np.inf)
        if not self.largest <= allowed.largest or not self.psnr >= allowed.psnr:
            raise PixlateError(
                f"expected {what} to agree with {self.original} within {allowed.largest:.3g} and {allowed.psnr:g} dB, got {worst.largest:.3g} and "
                f"{worst.psnr:.1f} dB at {worst.shape}; nothing was written: {remedy}"
            )

    def __str__(self) -> str:
        rows = [f"{'x'.join(map(str, row.shape)):>16}  max {row.largest:.2e}  mean {row.mean:.2e}  {row.psnr:6.1f} dB" for row in self.differences]
        return "\n".join([f"parity with {self.original} (allowed: max {self.tolerance.largest:.3g}, least {self.tolerance.psnr:g} dB):", *rows])


@dataclass(frozen=True)
class Sample:
    """A batch that is compared."""

    image: NDArray[np.float32] | None
    """Whole levels of 255 as (batch, channels, height, width) in [0, 1]; None where none is taken."""
    conditions: Arrays
    """As on the wire."""
    expected: NDArray[np.float32]
    """What the original gives."""


def draw_samples(reference: Reference, spec: ModelSpec, pictures: Sequence[Planes] = (), original: str = "PyTorch") -> list[Sample]:
    """Return images of five sizes in batches of 1 to 4, cut from the pictures, or noise without them, and what the original makes of them."""
    draw = _from(pictures) if pictures else _noise(spec)
    samples = []
    for index, size in enumerate(PICTURE_SIZES if pictures else SIZES):
        if spec.io == "float":
            size = allowed_size(*size, spec)  # noqa: PLW2901 - the file leaves this to its caller
        image = draw(index % 4 + 1, *size) if spec.takes_image else None
        conditions = drawn(spec, index % 4 + 1, *size, index)
        expected = reference(image, conditions)
        if not np.isfinite(expected).all():
            raise PixlateError(
                f"the network itself gives values that are not numbers in {original}; its weights are damaged, or too large where they were rounded"
            )
        samples.append(Sample(image, conditions, expected))
    return samples


def compare(samples: Sequence[Sample], model: onnx.ModelProto, spec: ModelSpec, original: str = "PyTorch") -> ParityReport:
    """Run a model in ONNX Runtime on images whose right outputs are known.

    A model of 16 bits is run with its roundings on the CPU, as a GPU that sums in 32 bits runs it.
    """
    run = outputs_of(model, spec)
    differences = []
    for sample in samples:
        shape = (sample.expected if sample.image is None else sample.image).shape
        differences.append(_difference(shape, run(sample.image, sample.conditions), sample.expected, spec))
    allowed = TOLERANCES[spec.precision]
    if spec.io == "uint8":
        allowed = Tolerance(max(allowed.largest, 1.01 * LEVEL), min(allowed.psnr, 55))
    return ParityReport(tuple(differences), allowed, original)


def outputs_of(model: onnx.ModelProto, spec: ModelSpec) -> Reference:
    """Return what gives a model's outputs in [0, 1] for images of any size; those that a float model cannot take are padded, and its outputs cropped."""
    half = spec.precision in ("float16", "bfloat16")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if half:  # optimising would take the roundings out again
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = (emulated(model) if half else model).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    masks = [each.name for each in spec.conditions if each.kind == "mask"]

    def run(image: NDArray[np.float32] | None, conditions: Arrays) -> NDArray[np.float32]:
        given = to_file(spec, conditions)
        if image is None:
            return _planes(session.run(None, given)[0])
        if spec.io == "uint8":
            return _planes(session.run(None, {INPUT: to_levels(image), **given})[0])
        height, width = image.shape[2:]
        rows, columns = (padding_indices(*sides, spec.padding) for sides in zip((height, width), allowed_size(height, width, spec), strict=True))
        padded = {name: given[name][:, rows[:, None], columns] for name in masks}
        output: NDArray[np.float32] = session.run(None, {INPUT: image[:, :, rows[:, None], columns], **given, **padded})[0]
        return output[:, :, : height * spec.scale, : width * spec.scale]

    return run


def _planes(output: NDArray[Any]) -> NDArray[np.float32]:
    """Return pixels (batch, height, width, channels) of uint8 as (batch, channels, height, width) in [0, 1]; the same array where they are planes already."""
    return output.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255) if output.dtype == np.uint8 and output.ndim == 4 else output


def to_levels(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (batch, channels, height, width) in [0, 1] as uint8 (batch, height, width, channels)."""
    return np.ascontiguousarray(np.rint(image * 255).astype(np.uint8).transpose(0, 2, 3, 1))


def _difference(shape: tuple[int, ...], actual: NDArray[Any], expected: NDArray[np.float32], spec: ModelSpec) -> Difference:
    if spec.io == "uint8":
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
