"""Kinds of image files: how each is recognised, read and written. The built-in formats are values of the same class."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from pixlate.errors import PixlateError
from pixlate.plugin.offer import Offer

if TYPE_CHECKING:
    from pixlate.images.picture import Picture, Pixels


@dataclass(frozen=True)
class Header:
    """What the first bytes of a file say of its picture."""

    width: int
    """Of the upright picture, in pixels."""
    height: int
    channels: int = 4
    """Samples of a pixel, an opacity among them."""
    itemsize: int = 1
    """Bytes of a sample."""
    parsed: Any = None
    """Whatever ``read`` can use again, such as a decoder that has read the header."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A file that is to be decoded."""

    stream: BinaryIO
    """The file, at any position."""
    header: Header
    """What ``probe`` returned for it."""
    max_pixels: int
    """Most pixels that the caller takes; the header has been checked, what is found later is the reader's to check."""
    channels: int = 0
    """Channels that the caller takes, for files that can be read in more than one way; 0 for all there are."""

    def data(self) -> bytes:
        """Return the whole file; the position of the stream stays."""
        position = self.stream.tell()
        self.stream.seek(0)
        data = self.stream.read()
        self.stream.seek(position)
        return data


@dataclass(frozen=True, eq=False)
class Frame:
    """One of the pictures of a file."""

    picture: "Picture"
    duration: float = 0
    """How long an animation shows it, in milliseconds; 0 for what does not move."""
    count: int = 1
    """How many the file holds."""


@dataclass(frozen=True)
class ImageFormat(Offer, kind="image format"):
    """A kind of image file.

    Without ``probe``, ``read`` is called with the path of the file and returns its Picture; the size is then known only after decoding, and
    the suffix alone decides the format. With ``probe``, which reads no more than the header, ``read`` is called with an :class:`Opened`.
    Both raise OSError or ValueError with the reason where a file is damaged.
    """

    name: str
    """Name on the command line and in reports, such as ``exr``."""
    suffixes: tuple[str, ...]
    """Lower-case suffixes of its files, with the dot, the usual one first."""
    read: "Callable[[Any], Picture | Iterable[Frame]]"
    """Return the upright picture, or yield a file's frames, each decoded when it is asked for."""
    title: str = ""
    """How a sentence spells the name; upper case without it."""
    sniff: Callable[[bytes], bool] | None = None
    """Return from its first 16 bytes whether a file is of this format; without it the suffix decides."""
    probe: Callable[[BinaryIO], Header] | None = None
    """Return what the header says; the stream is at the file's beginning."""
    write: "Callable[[Picture, int], tuple[bytes, tuple[str, ...]]] | None" = None
    """Return the file of a picture at a quality of 1 to 100, and notes on what could not be kept; None for a format that is only read."""
    write_rows: "Callable[[Picture, int, Iterable[Pixels], BinaryIO], tuple[str, ...]] | None" = None
    """Write the file of a picture at a quality to a stream, of which parts can be written again, and return notes as ``write`` does. The rows come from the
    top, as samples (rows, width, channels) with the opacity last; the picture's own arrays say only shape and type. Optional beside ``write``: without it an
    output must fit into memory whole."""
    lossless: Literal["never", "asked", "always"] = "never"
    """Whether files keep every pixel: only of pictures whose ``lossless`` is set (``asked``), or of all."""
    longest_side: int = 0
    """Most pixels on a side that can be written; 0 for any."""
    channels: tuple[int, ...] = (1, 3)
    """Numbers of channels that can be written, an opacity not counted; empty for any."""
    dtypes: tuple[str, ...] = ("uint8",)
    """Types of samples that can be written; uint16 is rounded, with a note, where only uint8 can, uint8 spread where only uint16 can."""
    alpha: bool = False
    """Whether an opacity can be written; without it a picture is composited over white, with a note."""
    metadata: tuple[str, ...] = ()
    """What can be written of ``exif``, ``icc``, ``xmp``, ``dpi``, ``iptc``, ``comments`` and ``text``; a note names what a picture loses."""
    frames: str = ""
    """What several pictures in one file are called, ``frames`` or ``pages``; empty where there is only one."""
    media_type: str = ""
    """Name on the web, such as ``image/png``, for formats that a server takes and gives."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.title:
            object.__setattr__(self, "title", str(self.name).upper())
        if not all(suffix.startswith(".") and suffix == suffix.lower() for suffix in self.suffixes):
            raise PixlateError(
                f"expected suffixes such as ('.exr',) of the image format {self.name!r}, got {self.suffixes!r}; write each in lower case with its dot"
            )

    def holds(self, channels: int, dtype: object, size: tuple[int, int]) -> bool:
        """Return whether a picture can be written: channels, type of samples, and (width, height)."""
        fits = not self.channels or channels in self.channels
        whole = {"uint8", "uint16"}
        kept = str(dtype) in self.dtypes or (str(dtype) in whole and not whole.isdisjoint(self.dtypes))
        return self.write is not None and fits and kept and (not self.longest_side or max(size) <= self.longest_side)
