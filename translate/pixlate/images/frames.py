"""Several pictures to one file: each as the format can hold it, with notes on what it cannot."""

from collections.abc import Mapping
from dataclasses import replace

from pixlate.errors import Unsupported
from pixlate.images.formats import BUILT_IN, named
from pixlate.images.write import explained, fitting, require_held
from pixlate.plugin.image_format import Frame, FrameTarget, ImageFormat


def require_frames(format: ImageFormat, of: str, formats: Mapping[str, ImageFormat] = BUILT_IN) -> None:
    """Refuse a format that holds one picture, for what has several, and name formats that hold more."""
    if format.open_frames is None:
        others = ", ".join(name for name, other in named(formats).items() if other.open_frames is not None)
        raise Unsupported(f"expected a format that holds several pictures ({others}) for {of}, got {format.title}; use --format {_like(of)} or --frames first")


def require_still(format: ImageFormat) -> None:
    """Refuse a format of films for a single picture."""
    if format.write is None:
        raise Unsupported(f"expected a film or an animation for {format.title}, got a single picture; leave out --format, or use --format png")


def _like(of: str) -> str:
    return "tiff" if "page" in of else "webp"


class FramesFile:
    """A file of several pictures being written; methods raise PixlateError, or OSError where the disk is full.

    Args:
        format: Its format, which holds several.
        target: What is written.
        formats: Suffix -> format.
    """

    def __init__(self, format: ImageFormat, target: FrameTarget, formats: Mapping[str, ImageFormat] = BUILT_IN) -> None:
        assert format.open_frames is not None
        self._format, self._formats, self._lossless = format, formats, target.lossless
        self._size = (0, 0)
        with explained(format, self._size):
            self._writer = format.open_frames(target)
        self._notes: dict[str, None] = {}

    @property
    def done(self) -> int:
        """How many frames an earlier run has written."""
        return self._writer.done

    def add(self, frame: Frame) -> None:
        """Write the next frame."""
        picture = frame.picture
        height, width, channels = picture.pixels.shape
        self._size = width, height
        require_held(self._format, channels, picture.pixels.dtype, self._size, self._formats)
        held, notes = fitting(replace(picture, lossless=self._lossless or picture.lossless), self._format)
        self._notes |= dict.fromkeys(notes)
        with explained(self._format, self._size):
            self._writer.add(replace(frame, picture=held))

    def finish(self) -> tuple[str, ...]:
        """Complete the file; return notes on all of the frames, each once."""
        with explained(self._format, self._size):
            return tuple(self._notes | dict.fromkeys(self._writer.finish()))

    def abandon(self) -> None:
        """Stop writing."""
        self._writer.abandon()
