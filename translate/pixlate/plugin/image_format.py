"""Kinds of image files: how each is recognised, read and written. The built-in formats are values of the same class."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

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
    frames: int = 1
    """How many pictures the file holds, or about how many; 0 where the header does not say."""


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
    skip: int = 0
    """Frames at the beginning that the caller has already. The reader of a film leaves them out; of other formats they are dropped when they are decoded."""
    whole: bool = False
    """Whether the caller takes every frame, in their order."""

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
    """How many the file holds; of a film, about how many."""
    time: Fraction | None = None
    """When a film shows it, in seconds, exactly; without it each is shown when the one before it has been."""
    plays: int = 0
    """How often the animation plays; 0 for ever."""


@dataclass(frozen=True)
class DamagedFrames:
    """Yielded by a reader in the place of frames that cannot be read, where it goes on behind them or those before are worth keeping."""

    first: str
    """Which is the first of them: ``page 3`` or ``0:01:07.2``."""
    reason: str
    """What is wrong with it, as the end of a sentence."""
    count: int = 1
    """How many; 0 where that is not known, since nothing behind the first can be read."""
    kept: bool = False
    """Whether they are among the frames, as far as they could be decoded."""


@dataclass(frozen=True, eq=False)
class FrameTarget:
    """What the frames of one file are written into."""

    path: Path
    """The file to write, under a name that is nobody's; a writer that is abandoned may leave it."""
    quality: int = 95
    """1 to 100."""
    lossless: bool = False
    """Whether every pixel is to be kept, whatever the quality."""
    alpha: bool = True
    """Whether any frame may have an opacity."""
    source: Path | None = None
    """The file that the frames are from, for what else it holds, such as sound."""
    kept: Callable[[], Path | None] = lambda: None
    """Return a folder that outlives this process, of this very output, source and settings; None where there is none."""


class FrameWriter(Protocol):
    """Writes the frames of one file. All methods raise OSError or ValueError with the reason where that is not possible."""

    done: int
    """How many frames an earlier run has written whole; :meth:`add` begins with the one behind them."""

    def add(self, frame: Frame) -> None:
        """Write the next frame, whose picture the format holds; in any thread, one at a time."""

    def finish(self) -> tuple[str, ...]:
        """Complete the file and return notes on what it could not keep. At least one frame has been written."""

    def abandon(self) -> None:
        """Stop writing and release everything; what an earlier run can go on with stays."""


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
    read: "Callable[[Any], Picture | Iterable[Frame | DamagedFrames]]"
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
    open_frames: Callable[[FrameTarget], FrameWriter] | None = None
    """Begin a file of several pictures; None for a format that holds one. Frames may differ in size, and in whether they have colours and an opacity."""
    film: bool = False
    """Whether its files are films, of which every frame is wanted where nothing else is asked; it has no ``write``."""
    instead: str = "png"
    """Name of the format in which outputs are written whose source is of a format that is only read."""
    lossless: Literal["never", "asked", "always"] = "never"
    """Whether files keep every pixel: only of pictures whose ``lossless`` is set (``asked``), or of all."""
    longest_side: int = 0
    """Most pixels on a side that can be written; 0 for any."""
    channels: tuple[int, ...] = (1, 3)
    """Numbers of channels that can be written, an opacity not counted; empty for any."""
    dtypes: tuple[str, ...] = ("uint8",)
    """Types of samples that can be written; uint16 is rounded, with a note, where only uint8 can, uint8 spread where only uint16 can,
    and both become scene-linear light where only float32 can."""
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

    @property
    def writable(self) -> bool:
        """Whether files of this format can be written, of one picture or of several."""
        return self.write is not None or self.open_frames is not None

    def holds(self, channels: int, dtype: object, size: tuple[int, int]) -> bool:
        """Return whether a picture can be written: channels, type of samples, and (width, height)."""
        fits = not self.channels or channels in self.channels
        whole = {"uint8", "uint16"}
        kept = str(dtype) in self.dtypes or (str(dtype) in whole and bool(self.dtypes))
        return self.writable and fits and kept and (not self.longest_side or max(size) <= self.longest_side)
