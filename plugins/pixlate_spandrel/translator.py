"""Runs a foreign generator with PyTorch."""

import re
import threading
from dataclasses import replace

import numpy as np
import torch
from torch import nn

import pixlate
from pixlate.images.picture import Pixels, full_scale
from pixlate.inference.conditions import check_pixels
from pixlate.inference.sizes import allowed_size, blended_halo, pad
from pixlate.system.cores import granted_cores

_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


class TorchTranslator:
    """A generator of another code base, in 32 bits, with the statistics of batch norms that its own code has when it tests.

    Args:
        foreign: The generator, which is changed.
        device: As in :func:`choose`.
    """

    def __init__(self, foreign: pixlate.ForeignGenerator, device: str = "auto") -> None:
        self.device = choose(device)
        self.spec = replace(foreign.spec, padding="reflect")
        self._one_by_one = foreign.spec.norm == "running" and foreign.norm == "per-image"
        if self._one_by_one:
            for layer in foreign.network.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.running_mean = layer.running_var = None  # those of the current batch are used, which is one image
            self.spec = replace(self.spec, norm="per-image", tiling_exact=False, halo=blended_halo(foreign.spec.halo))
        if self.device == "cpu":
            torch.set_num_threads(granted_cores())
        self._network = foreign.network.to(self.device).eval()
        self._lock = threading.Lock()

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        """Translate (batch, height, width, channels) of uint8 or uint16; see :class:`pixlate.Translator`."""
        if conditions or pixels is None:
            raise pixlate.PixlateError(
                f"expected the image alone for a file of PyTorch weights, got {', '.join(conditions) or 'none'}; leave out --set and --mask"
            )
        check_pixels(pixels, self.spec)
        try:
            return self._translate(pixels)
        except RuntimeError as error:
            text = " ".join(str(error).split())[:160]
            if isinstance(error, torch.OutOfMemoryError) or any(sign in text.lower() for sign in _OUT_OF_MEMORY):
                torch.cuda.empty_cache()
                raise pixlate.OutOfDeviceMemory(f"{self.device} has no memory for {pixels.shape}") from error
            if "CUDA error" in text:
                raise pixlate.DeviceLost(f"{self.device} answers no more ({text}); run `pixlate doctor`, or use --device cpu") from error
            raise pixlate.PixlateError(f"the model cannot take an image of {pixels.shape[2]}x{pixels.shape[1]} ({text}); use another size or model") from error

    @torch.inference_mode()
    def _translate(self, pixels: Pixels) -> Pixels:
        peak, scale = full_scale(pixels), self.spec.scale
        height, width = pixels.shape[1:3]
        padded = pad(pixels, *allowed_size(height, width, self.spec), self.spec.padding)
        given = torch.from_numpy(np.require(padded, requirements=("C", "W")) if pixels.dtype == np.uint8 else padded.astype(np.int32))
        # Two threads may run the model, and cuDNN's settings are the process's own. Searching for kernels at each new shape would take longer than it saves.
        with self._lock, torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            images = given.to(self.device).permute(0, 3, 1, 2).to(torch.float32) / peak
            output = torch.cat([self._network(image) for image in torch.split(images, 1)]) if self._one_by_one else self._network(images)
            expected = (len(images), self.spec.channels_out, images.shape[2] * scale, images.shape[3] * scale)
            if tuple(output.shape) != expected:
                raise pixlate.PixlateError(f"expected the model to give {expected}, got {tuple(output.shape)}; use another model")
            finite = bool(torch.isfinite(output).all())
            levels = (output.clamp(0, 1) * peak + 0.5).to(torch.int32 if peak > 255 else torch.uint8)
        if not finite:
            raise pixlate.PixlateError("the model gave values that are not numbers; use another model")
        translated = levels.permute(0, 2, 3, 1)[:, : height * scale, : width * scale]
        return np.ascontiguousarray(translated.cpu().numpy().astype(pixels.dtype, copy=False))


def choose(device: str) -> str:
    """Return the device really used, ``cpu`` or ``cuda:N``; refuse one that is misspelled, or asked for and not usable.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """
    if not re.fullmatch("auto|cpu|cuda(:[0-9]{1,4})?", device):
        raise pixlate.PixlateError(f"expected --device auto, cpu, cuda or cuda:N for a file of PyTorch weights, got {device!r}; choose one of these")
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise pixlate.PixlateError(f"expected a GPU for --device {device}, but PyTorch {torch.__version__} finds none; check it with: nvidia-smi")
    index = int(device.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        raise pixlate.PixlateError(f"expected one of the {torch.cuda.device_count()} GPUs, counted from 0, got --device {device}; choose one of these")
    return f"cuda:{index}"
