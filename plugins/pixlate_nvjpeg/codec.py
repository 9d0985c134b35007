"""JPEG through nvJPEG, as torchvision calls it.

What torchvision offers decides what is left to the CPU. Its decoder repeats colours that are stored at half resolution, where libjpeg
interpolates them, so that of colour files only 4:4:4 comes out the same. Its encoder always writes 4:4:4 of RGB, so that neither qualities
below 90, for which Pixlate stores colours at half resolution, nor grey pictures are its own.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import numpy as np
import torch
from torchvision import io

from pixlate.contracts import JpegCodec
from pixlate.errors import PixlateError
from pixlate.images.jpeg import Subsampling, frame_of
from pixlate.images.picture import Pixels

Given = TypeVar("Given")
Made = TypeVar("Made")


def open_codec(device: str) -> JpegCodec:
    """Return the codec of a GPU.

    Raises:
        PixlateError: PyTorch does not see the GPU, or this torchvision has no JPEG codec.
    """
    if not (hasattr(io, "decode_jpeg") and hasattr(io, "encode_jpeg")):
        raise PixlateError("the installed torchvision no longer decodes and encodes JPEG; an older one does")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if torch.device(device).index not in range(count):
        raise PixlateError(f"PyTorch {torch.__version__} sees {count} GPU{'' if count == 1 else 's'} and no {device}")
    return NvjpegCodec(device)


class NvjpegCodec:
    """Decodes grey and 4:4:4, and encodes RGB as 4:4:4, on a GPU; on ``cpu``, for tests, torchvision encodes as 4:2:0."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._device = torch.device(device)
        self._on_gpu = self._device.type == "cuda"
        self._writes: Subsampling = "4:4:4" if self._on_gpu else "4:2:0"

    def decode(self, files: Sequence[bytes]) -> list[Pixels | None]:
        """Decode files; see :class:`pixlate.contracts.JpegCodec`."""
        frames = [frame_of(data) for data in files]
        decoded: list[Pixels | None] = [None] * len(files)
        for sampling, mode in (("grey", io.ImageReadMode.GRAY), ("4:4:4", io.ImageReadMode.RGB)):
            chosen = [index for index, frame in enumerate(frames) if frame is not None and frame.sampling == sampling]
            made = _each(lambda data, mode=mode: self._decoded(data, mode), [files[index] for index in chosen])  # type: ignore[misc]
            for index, pixels in zip(chosen, made, strict=True):
                decoded[index] = pixels
        return decoded

    def encode(self, images: Sequence[Pixels], quality: int, subsampling: Subsampling) -> list[bytes | None]:
        """Encode pictures; see :class:`pixlate.contracts.JpegCodec`."""
        encoded: list[bytes | None] = [None] * len(images)
        chosen = [index for index, pixels in enumerate(images) if pixels.shape[2] == 3 and subsampling == self._writes]
        made = _each(lambda pixels: self._encoded(pixels, quality), [images[index] for index in chosen])
        for index, data in zip(chosen, made, strict=True):
            encoded[index] = data
        return encoded

    def _decoded(self, files: Sequence[bytes], mode: io.ImageReadMode) -> list[Pixels]:
        with self._current():
            tensors = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files]
            images = io.decode_jpeg(tensors, mode=mode, device=self._device)
            self._wait()
            return [image.permute(1, 2, 0).contiguous().cpu().numpy() for image in images]

    def _encoded(self, images: Sequence[Pixels], quality: int) -> list[bytes]:
        with self._current():
            tensors = [torch.from_numpy(np.array(pixels)).to(self._device).permute(2, 0, 1).contiguous() for pixels in images]
            self._wait()
            files = io.encode_jpeg(tensors, quality)
            self._wait()
            return [data.cpu().numpy().tobytes() for data in files]

    def _current(self) -> AbstractContextManager[None]:
        return torch.cuda.device(self._device) if self._on_gpu else nullcontext()

    def _wait(self) -> None:
        """See that all that was begun is there: torchvision has a stream of its own, which does not wait for PyTorch's."""
        if self._on_gpu:
            torch.cuda.synchronize(self._device)


def _each(call: Callable[[Sequence[Given]], list[Made]], items: Sequence[Given]) -> list[Made | None]:
    """Call with all items; where that fails, since one is damaged or memory is short, with each by itself, and None for those that fail."""
    if not items:
        return []
    try:
        return list(call(items))
    except RuntimeError:
        if len(items) == 1:
            return [None]
        return [made for item in items for made in _each(call, [item])]
