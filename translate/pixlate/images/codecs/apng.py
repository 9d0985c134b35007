"""The frames of animated PNG files (PNG 3, 4.9 and 11.3.2): which chunks each has, and how those of 16 bits, which Pillow does not lay together, are."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from pixlate.images.picture import Pixels

Part = bytes | memoryview
_NONE, _BACKGROUND, _PREVIOUS = range(3)
"""What happens to a frame when the next one comes."""


@dataclass(frozen=True)
class Control:
    """What a file says of a frame."""

    width: int
    height: int
    left: int
    top: int
    milliseconds: float
    disposal: int
    over: bool
    """Whether it is laid over what is on the canvas, and does not replace it."""

    @classmethod
    def parsed(cls, body: bytes) -> "Control":
        """Return what the content of a chunk ``fcTL`` says."""
        _, width, height, left, top, numerator, denominator, disposal, blend = struct.unpack(">5I2H2B", body)
        return cls(width, height, left, top, 1000 * numerator / (denominator or 100), disposal, bool(blend))


def parts_of(parts: list[Part]) -> list[tuple[Control, list[Part]]]:
    """Return of each frame of a file what it says of it, and the packed pixels."""
    frames: list[tuple[Control, list[Part]]] = []
    for part in parts:
        name = bytes(part[4:8])
        if name == b"fcTL" and len(part) == 38:
            frames.append((Control.parsed(bytes(part[8:-4])), []))
        elif name == b"IDAT" and frames:
            frames[-1][1].append(part[8:-4])
        elif name == b"fdAT" and frames:
            frames[-1][1].append(part[12:-4])
    return frames


def still(parts: list[Part], control: Control, bodies: list[Part]) -> list[Part]:
    """Return the parts of a file that holds one frame as its picture."""
    header = b"IHDR" + struct.pack(">II", control.width, control.height) + bytes(parts[1][16:21])
    data = [b"IDAT" + bytes(body) for body in bodies]
    chunks = [struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) for body in (header, *data, b"IEND")]
    return [parts[0], *chunks]


class Canvas:
    """What an animation of 16 bits shows, of (width, height)."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._shown: Pixels | None = None

    def with_frame(self, control: Control, pixels: Pixels, alpha: Pixels | None) -> tuple[Pixels, Pixels | None]:
        """Lay the next frame onto the canvas, and return what is then shown: pixels and opacity."""
        samples = pixels if alpha is None else np.dstack([pixels, alpha])
        width, height = self._size
        shown = np.zeros((height, width, samples.shape[2]), np.uint16) if self._shown is None else self._shown.copy()
        rows, columns = slice(control.top, control.top + control.height), slice(control.left, control.left + control.width)
        before = shown[rows, columns].copy()
        shown[rows, columns] = _over(samples, before) if control.over and alpha is not None else samples
        after = shown.copy()
        if control.disposal == _BACKGROUND or (control.disposal == _PREVIOUS and self._shown is None):
            after[rows, columns] = 0
        elif control.disposal == _PREVIOUS:
            after[rows, columns] = before
        self._shown = after
        channels = pixels.shape[2]
        return np.ascontiguousarray(shown[:, :, :channels]), None if alpha is None else np.ascontiguousarray(shown[:, :, channels])


def _over(front: Pixels, back: Pixels) -> Pixels:
    """Return samples of 16 bits, the opacity last, laid over others (PNG 3, 13.16), not premultiplied."""
    opacity, below = front[:, :, -1:] / 65535, back[:, :, -1:] / 65535
    total = opacity + below * (1 - opacity)
    mixed = (front[:, :, :-1] * opacity + back[:, :, :-1] * below * (1 - opacity)) / np.maximum(total, 1e-9)
    laid: Pixels = np.rint(np.concatenate([mixed, 65535 * total], axis=2)).astype(np.uint16)
    return laid
