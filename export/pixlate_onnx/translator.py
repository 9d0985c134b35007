"""Translates pictures with an ONNX file, whatever runtime has opened it: layouts, ranges, padding, conditions, statistics. No PyTorch, no onnx package."""

import copy
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.inference.conditions import Arrays, check_pixels, checked, kept
from pixlate.inference.sizes import allowed_size, pad, round_up
from pixlate.plugin.spec import MEASURED, Io, ModelSpec, Precision
from pixlate.plugin.translator import Statistics
from pixlate_onnx.program import Program, Value
from pixlate_onnx.statistics import FLOAT, FLOAT16, NORM, fixed, measuring

if TYPE_CHECKING:
    from pixlate.images.picture import Pixels

_TYPES: dict[str, type[np.generic]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
STRIP = 32
"""Rows converted at once."""
TRIAL = 64
"""Side of the image, in pixels, from which the scale of a file without metadata is found."""
FIRST_TRIAL = 8
"""Side of one that is tried before, so that a file which enlarges without measure is refused before it takes memory; it need not run."""
LARGEST_SCALE = 64
"""Most that a model may enlarge, as in a spec."""
LARGEST_BATCH = 1024
"""Most images of a fixed batch."""
LARGEST_SAMPLES = 2**28
"""Most numbers of one fixed batch: 1 GB in 32 bits."""


class FileTranslator:
    """A generator in an ONNX file with free batch, height and width.

    Files of ``float`` take (batch, channels, height, width) in [0, 1]; range, padding and rounding are done here. Files of ``uint8`` take the pixels
    as they are and do all of that themselves; pictures of 16 bits are rounded to 8 for them, and widened again.

    A file without Pixlate's metadata is opened too: channels are read from its shapes, the scale from a small trial.

    Args:
        path: The model file.
        program: The file, opened.
        model: What was opened in place of the file, which it was made of.

    Raises:
        PixlateError: It is no image model.
    """

    def __init__(self, path: Path, program: Program, model: bytes = b"") -> None:
        self.device = program.device
        self.fixed_size: tuple[int, int] | None = None
        self._path, self._run, self._model = path, program, model
        inputs, gives, text = program.inputs, program.outputs[0], program.metadata
        known = ModelSpec.from_json(text) if text else ModelSpec()
        self._names = [item.name for item in inputs]
        images = _images(path, inputs, known)
        pixels = images[0] if known.takes_image else gives  # a sampler's output has the layout of its pixels
        self._type = _TYPES[pixels.type]
        self._batch = inputs[0].shape[0]
        _require_bounded(path, (pixels.shape, gives.shape))
        self.spec = known if text else self._read_spec(path, pixels.shape)
        height, width = pixels.shape[1:3] if self._io == "uint8" else pixels.shape[2:]
        if known.takes_image and isinstance(height, int) and isinstance(width, int):
            self.fixed_size = height, width
            halo = min(self.spec.halo, min(height, width) // 4)  # more would be computed again and again
            self.spec = replace(self.spec, halo=halo, tiling_exact=self.spec.tiling_exact and halo == self.spec.halo)
        self._image = images[0].name if known.takes_image else ""
        ways = [("takes", images[0].shape, self.spec.channels_in)] if known.takes_image else []
        for way, shape, channels in (*ways, ("gives", gives.shape, self.spec.channels_out)):
            real = shape[3 if self._io == "uint8" else 1] if len(shape) == 4 else None
            if isinstance(real, int) and real != channels:
                raise PixlateError(f"{path}: expected {channels} channels, as its metadata says, but the model {way} {real}; export the model again")
        if self.spec.io != self._io:
            raise PixlateError(f"{path}: expected an input of {self.spec.io}, as its metadata says, got {pixels.type}; export the model again")

    def __call__(self, pixels: "Pixels | None", **conditions: NDArray[Any]) -> "Pixels":
        """Translate (batch, height, width, channels) of uint8 or uint16; see :class:`pixlate.Translator`."""
        if (pixels is not None) != self.spec.takes_image:
            wanted, came = ("pixels", "None") if pixels is None else ("None in place of pixels, since this model takes no image", "pixels")
            raise PixlateError(f"expected {wanted}, got {came}; change the first argument")
        if pixels is None:
            return self._sampled(conditions)
        check_pixels(pixels, self.spec)
        fitting = checked(self.spec, len(pixels), (pixels.shape[1], pixels.shape[2]), conditions)
        output = self._of_pixels(pixels, fitting) if self._io == "uint8" else self._of_planes(pixels, fitting)
        return kept(self.spec, pixels, output, fitting)

    def _sampled(self, conditions: Arrays) -> "Pixels":
        """Run a file without an image input: as many outputs as each condition has entries."""
        lengths = {len(value) if np.iterable(value) else 1 for value in conditions.values()}
        if len(lengths) != 1:
            raise PixlateError(f"expected conditions with one entry for each output, got {sorted(lengths) or 'none'} entries; pass noise=... or its like")
        output = self._run_batches(checked(self.spec, lengths.pop(), (0, 0), conditions))
        return output if self._io == "uint8" else self._levels(output, np.dtype(np.uint8))

    @property
    def _io(self) -> Io:
        return "uint8" if self._type is np.uint8 else "float"

    def _of_pixels(self, pixels: "Pixels", conditions: Arrays) -> "Pixels":
        """Run a file of uint8."""
        deep = pixels.dtype == np.uint16
        output = self._run_batches(self._inputs(pixels, conditions))
        batch, height, width, _ = pixels.shape
        self._require_shape(output, (batch, height * self.spec.scale, width * self.spec.scale, self.spec.channels_out))
        return output.astype(np.uint16) * np.uint16(257) if deep else output

    def _of_planes(self, pixels: "Pixels", conditions: Arrays) -> "Pixels":
        """Run a file of float."""
        height, width = pixels.shape[1:3]
        scale, (rows, columns) = self.spec.scale, allowed_size(height, width, self.spec)
        output = self._run_batches(self._inputs(pixels, conditions))
        self._require_shape(output, (len(pixels), self.spec.channels_out, rows * scale, columns * scale))
        return self._levels(output[:, :, : height * scale, : width * scale], pixels.dtype)

    def _inputs(self, pixels: "Pixels", conditions: Arrays) -> dict[str, NDArray[Any]]:
        """Return the inputs of the file by name, those of ``float`` padded to the sizes that it takes."""
        from pixlate.images.picture import full_scale, to_8_bits

        if self._io == "uint8":
            return {self._image: np.ascontiguousarray(to_8_bits(pixels)), **conditions}
        sides = allowed_size(pixels.shape[1], pixels.shape[2], self.spec)
        padded = pad(pixels, *sides, self.spec.padding)
        masks = {each.name: pad(conditions[each.name], *sides, self.spec.padding) for each in self.spec.conditions if each.kind == "mask"}
        images = np.ascontiguousarray(padded.transpose(0, 3, 1, 2), dtype=np.float32)
        images *= 1 / float(full_scale(pixels))
        return {self._image: images.astype(self._type, copy=False), **conditions, **masks}

    def terminate(self) -> None:
        """End what runs, in any thread; see :class:`pixlate.plugin.translator.Interruptible`."""
        self._run.terminate()

    @property
    def measures(self) -> bool:
        """Whether the file has norms that measure each image, and can be given statistics; see :class:`pixlate.plugin.translator.Measuring`."""
        return self._edited is not None

    def statistics(self, pixels: "Pixels", **conditions: NDArray[Any]) -> Statistics:
        """Return mean and variance of each channel at each norm, measured on one image; see :class:`pixlate.plugin.translator.Measuring`."""
        check_pixels(pixels, self.spec)
        inputs = self._inputs(pixels, checked(self.spec, 1, (pixels.shape[1], pixels.shape[2]), conditions))
        if self._programs is None:
            self._edited = None
            return ()
        measured = self._programs[0]
        outputs = measured.every(*(inputs[name] for name in self._names))
        norms = sum(not output.name.startswith(MEASURED) for output in measured.outputs)
        flat = [output.reshape(-1) for output in outputs[:norms]]
        return [*zip(flat[::2], flat[1::2], strict=True), *((output,) for output in outputs[norms:])]

    def arithmetic(self, kind: np.dtype[Any]) -> str:
        """Return what pictures of a type are computed in; see :class:`pixlate.plugin.translator.Computing`."""
        return self.spec.precision

    def with_statistics(self, statistics: Statistics) -> Self:
        """Return the same model with given statistics; see :class:`pixlate.plugin.translator.Measuring`."""
        assert self._programs is not None
        measured, taking = self._programs
        values = [value for each in statistics for value in each]
        found = copy.copy(self)
        found._run = taking.given([value.astype(_TYPES[output.type]) for value, output in zip(values, measured.outputs, strict=True)])
        return found

    @cached_property
    def _edited(self) -> bytes | None:
        """The file with the statistics of its norms for outputs; None where it has no such norms, or cannot be edited."""
        if self.fixed_size is not None or (isinstance(self._batch, int) and self._batch != 1):
            return None
        try:
            model = self._model or self._path.read_bytes()
            return measuring(model) if NORM in model or MEASURED.encode() in model else None
        except (OSError, ValueError):
            return None

    @cached_property
    def _programs(self) -> "tuple[Program, Program] | None":
        """The file with the statistics of its norms for outputs, and with statistics for inputs; None where the runtime does not take what was made of it."""
        assert self._edited is not None
        try:
            measured = self._run.edited(self._edited)
            elements = [FLOAT16 if output.type == "tensor(float16)" else FLOAT for output in measured.outputs]
            other = fixed(self._model or self._path.read_bytes(), elements)
            assert other is not None
            return measured, self._run.edited(other)
        except PixlateError:
            return None

    def _levels(self, images: NDArray[Any], kind: np.dtype[Any]) -> "Pixels":
        """Return images (batch, channels, height, width) of [0, 1] as rounded levels (batch, height, width, channels).

        Strip by strip, so that what a strip needs stays in the processor's cache: five times as fast as whole images.
        """
        batch, channels, height, width = images.shape
        peak = np.float32(np.iinfo(kind).max)
        result: Pixels = np.empty((batch, height, width, channels), kind)
        for top in range(0, height, STRIP):
            strip = images[:, :, top : top + STRIP].astype(np.float32)
            strip *= peak
            strip += np.float32(0.5)
            np.clip(strip, 0, peak, out=strip)
            try:
                with np.errstate(invalid="raise"):
                    levels = strip.astype(kind)
            except FloatingPointError as error:
                raise PixlateError(f"the model gave values that are not numbers, as {self.spec.precision} can; use a model of higher precision") from error
            for channel in range(channels):
                result[:, top : top + STRIP, :, channel] = levels[:, channel]
        return result

    def _require_shape(self, output: NDArray[Any], expected: tuple[int, ...]) -> None:
        if output.shape != expected:
            raise PixlateError(f"expected the model to give {expected}, as its metadata says, got {output.shape}; export it again with `pixlate export`")

    def _run_batches(self, inputs: Arrays) -> NDArray[Any]:
        """Run a batch; a model made for a fixed batch gets it in its portions, the last one filled up with copies."""
        arrays = [inputs[name] for name in self._names]
        count = len(arrays[0])
        if not isinstance(self._batch, int) or self._batch == count:
            return self._run(*arrays)
        portions = round_up(count, self._batch) // self._batch
        taken = np.minimum(np.arange(portions * self._batch), count - 1)
        return np.concatenate([np.array(self._run(*(array[part] for array in arrays))) for part in np.split(taken, portions)])[:count]

    def _read_spec(self, path: Path, shape: list[int | str | None]) -> ModelSpec:
        """Find channels and scale of a file without metadata."""
        last = self._io == "uint8"
        channels, sides = (shape[3], shape[1:3]) if last else (shape[1], shape[2:])
        if not isinstance(channels, int):
            raise PixlateError(f"{path}: expected a fixed number of channels, got the free dimension {channels!r}; export it with `pixlate export`")
        height, width = (side if isinstance(side, int) else TRIAL for side in sides)
        if not any(isinstance(side, int) for side in sides):
            with suppress(PixlateError):
                if max(self._tried(channels, FIRST_TRIAL, FIRST_TRIAL)) > LARGEST_SCALE * FIRST_TRIAL:
                    height = width = FIRST_TRIAL
        shape_out = self._tried(channels, height, width)
        found = shape_out if len(shape_out) != 4 or not last else (shape_out[0], shape_out[3], *shape_out[1:3])
        scale, remainder = divmod(found[-1], width) if len(found) == 4 else (0, 0)
        if scale < 1 or remainder or found[2] != height * scale:
            raise PixlateError(
                f"{path}: expected an output of a whole multiple of the input's {width}x{height}, got the shape {shape_out}; use a model for images"
            )
        if scale > LARGEST_SCALE:
            raise PixlateError(f"{path}: expected a model that enlarges at most by {LARGEST_SCALE}, got one that enlarges by {scale}; use another model")
        precision: Precision = "float16" if self._type is np.float16 else "float32"
        return ModelSpec(scale=scale, channels_in=channels, channels_out=int(found[1]), precision=precision, io=self._io)

    def _tried(self, channels: int, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of the output for black images of a size."""
        given = (height, width, channels) if self._io == "uint8" else (channels, height, width)
        return self._run(np.zeros((self._batch if isinstance(self._batch, int) else 1, *given), self._type)).shape


def _require_bounded(path: Path, shapes: Iterable[list[int | str | None]]) -> None:
    """Refuse fixed sides of images that no picture has, or that take more memory than a picture, before any is allocated."""
    for shape in shapes:
        sides = [TRIAL if not isinstance(side, int) else side for side in shape[1:]]
        batch = shape[0] if shape and isinstance(shape[0], int) else 1
        if batch not in range(1, LARGEST_BATCH + 1):
            raise PixlateError(f"{path}: expected a fixed batch of 1 to {LARGEST_BATCH} images, got {batch}; export it with a free batch")
        if min(sides, default=1) < 1 or batch * math.prod(sides) > LARGEST_SAMPLES:
            raise PixlateError(
                f"{path}: expected images of at least 1 and at most {LARGEST_SAMPLES:,} numbers, got the shape {shape}; export it with free sides"
            )


def _images(path: Path, inputs: Sequence[Value], spec: ModelSpec) -> list[Value]:
    """Return the image among a file's inputs, where its spec has one.

    Raises:
        PixlateError: There are others than the image and the conditions of its spec.
    """
    conditions = {each.name for each in spec.conditions}
    images = [item for item in inputs if item.name not in conditions]
    found = ", ".join(f"{item.type}{item.shape}" for item in inputs)
    if len(images) + len(conditions) != len(inputs) or (conditions and len(images) != spec.takes_image):
        raise PixlateError(
            f"{path}: expected the inputs {', '.join(['image'] * spec.takes_image + sorted(conditions))}, as its metadata says, got "
            f"{', '.join(item.name for item in inputs)}; export the model again"
        )
    if spec.takes_image and (len(images) != 1 or images[0].type not in _TYPES or len(images[0].shape) != 4):
        raise PixlateError(
            f"{path}: expected a model of one image, float (batch, channels, height, width) in [0, 1] or uint8 (batch, height, width, channels), "
            f"got {found}; export it with `pixlate export`"
        )
    for each in spec.conditions:
        item = next(item for item in inputs if item.name == each.name)
        kind = "tensor(int64)" if each.kind == "label" else "tensor(uint8)" if each.pictured and spec.io == "uint8" else "tensor(float)"
        sides: dict[str, list[int | str | None]] = {"label": [], "mask": ["height", "width", 1], "reference": [each.side, each.side, each.channels]}
        shape: list[int | str | None] = ["batch", *sides.get(each.kind, [each.length])]
        differ = any(isinstance(real, int) and isinstance(wanted, int) and real != wanted for real, wanted in zip(item.shape, shape, strict=False))
        if item.type != kind or len(item.shape) != len(shape) or differ:
            raise PixlateError(f"{path}: expected {kind}{shape} for {each.name}, as its metadata says, got {item.type}{item.shape}; export the model again")
    return images
