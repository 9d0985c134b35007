"""Files, or their bytes, to pictures: by content, upright, at full depth, within a limit, never in part."""

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Self, overload

from PIL import Image

from pixlate.errors import Damaged, OverLimit, PixlateError, Unsupported
from pixlate.images import unsupported
from pixlate.images.formats import BUILT_IN, SNIFFED, named, recognised
from pixlate.images.picture import Picture, check_size
from pixlate.plugin.image_format import DamagedFrames, Frame, Header, ImageFormat, Opened


@contextmanager
def explained(kind: str = "image") -> Iterator[None]:
    """Turn everything that goes wrong while a file is read into PixlateError.

    Decoders raise OSError, SyntaxError, struct.error, zlib.error, EOFError and more for bytes they cannot make sense of, and a new version
    may raise another, so the list is not kept here: whatever is not about the file system or the memory is about the bytes.
    """
    try:
        yield
    except PixlateError:
        raise
    except FileNotFoundError as error:
        raise PixlateError("there is no such file; it may have been moved or renamed since the folder was listed") from error
    except PermissionError as error:
        raise PixlateError("permission denied; make the file readable for this user") from error
    except IsADirectoryError as error:
        raise PixlateError("expected a file, got a folder; name the images inside it") from error
    except MemoryError as error:
        raise PixlateError("the picture does not fit in memory; close other programs or make it smaller first") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # some readers look at Pillow's limit by themselves
        raise OverLimit("expected at most 178 million pixels, which is what Pillow decodes in this format, got more; convert the file to PNG") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise PixlateError(f"the file could not be read ({error.strerror}); check the disk or the network") from error
        reason = " ".join(str(error).split()).rstrip(".")[:120] or type(error).__name__
        raise Damaged(f"the {kind} is truncated or damaged ({reason}); copy it again from its source") from error


class ImageFile:
    """An image file, or its bytes, opened once: the header is parsed at once, the pixels are decoded when they are asked for.

    Args:
        source: The content decides the format, the suffix only where a plugin's format has nothing else.
        max_pixels: Most pixels the header may claim, and four times as many samples; more is refused before decoding.
        formats: Suffix -> format.

    Raises:
        PixlateError: The file cannot be opened, is no image, is truncated or damaged, as far as the header shows, or is too large.
            One sentence without the path, as from all methods.
    """

    def __init__(self, source: Path | bytes, *, max_pixels: int, formats: Mapping[str, ImageFormat] = BUILT_IN) -> None:
        self._source, self.max_pixels, self._formats = source, max_pixels, formats
        self._suffix = source.suffix.lower() if isinstance(source, Path) else ""
        self.format: ImageFormat
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a picture that was read stays."""
        self._stream.close()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture, in pixels; a format without ``probe`` is decoded for it."""
        header = self._measured()
        return header.width, header.height

    @property
    def header(self) -> Header:
        """Size, channels and depth of the upright picture; a format without ``probe`` is decoded for it."""
        return self._measured()

    @property
    def nbytes(self) -> int:
        """Bytes that the decoded picture will take, or a little more."""
        header = self._measured()
        return header.width * header.height * max(4, header.channels * header.itemsize)

    def read(self, channels: int = 0) -> Picture:
        """Return the first picture, upright, at full depth, with alpha and metadata, and a note where there are more.

        Args:
            channels: How many are wanted. For 1 or 3 a TIFF is read as grey or RGB, its further channels left out with a note; for any other
                number as a stack of channels, opacity, planes and pages among them; 0 takes it for what its tags say.
        """
        frame = self.first(channels)
        assert isinstance(frame, Frame)
        return self.only(frame)

    def first(self, channels: int = 0, *, whole: bool = False) -> Frame | DamagedFrames:
        """Return the first of :meth:`frames`."""
        with closing(self.frames(channels, whole=whole)) as frames:
            if (frame := next(frames, None)) is not None:
                return frame
        raise PixlateError(f"the {self.format.title} file holds no picture; copy it again from its source")

    def only(self, frame: Frame, advice: str = "") -> Picture:
        """Return the picture of the first frame where that is all that is wanted, with a note, and ``advice`` at its end, where there are more."""
        notes = () if frame.count == 1 else (f"first of {frame.count} {self.format.frames or 'frames'}{advice}",)
        expected = self._formats.get(self._suffix, self.format)
        if expected is not self.format:
            notes = (f"the file is {self.format.title} inside, whatever its name says", *notes)
        return replace(frame.picture, notes=(*notes, *frame.picture.notes)) if notes else frame.picture

    @overload
    def frames(self, channels: int = 0) -> Generator[Frame, None, None]: ...

    @overload
    def frames(self, channels: int = 0, *, whole: bool, skip: int = 0) -> Generator[Frame | DamagedFrames, None, None]: ...

    def frames(self, channels: int = 0, *, whole: bool = False, skip: int = 0) -> Generator[Frame | DamagedFrames, None, None]:
        """Yield the pictures of the file in their order, each decoded when it is asked for; see :meth:`read`.

        Args:
            channels: How many are wanted.
            whole: Whether all are taken: what is damaged behind the first is then yielded in its place, and not raised.
            skip: How many at the beginning are not wanted.
        """
        if self._status() != self._state:  # written to since
            self.close()
            self._open()
        if self._header is None:
            yield Frame(self._decoded())
            return
        index = 0
        try:
            with explained(self._kind):
                found = self.format.read(Opened(self._stream, self._header, self.max_pixels, channels, skip, whole))
                for frame in [Frame(found)] if isinstance(found, Picture) else found:
                    if isinstance(frame, DamagedFrames):
                        if not whole:
                            continue
                    else:
                        self._checked(frame.picture if isinstance(frame, Frame) else frame)
                        index += 1
                        if index <= skip and not self.format.film:
                            continue
                    yield frame
        except Damaged as error:
            if not whole or not index:
                raise
            yield DamagedFrames(f"{(self.format.frames or 'frames').removesuffix('s')} {index + 1}", str(error), count=0)

    def _open(self) -> None:
        self._picture: Picture | None = None
        expected = self._formats.get(self._suffix)
        self._kind = "film" if expected is not None and expected.film else "image"
        with explained(self._kind), ExitStack() as undo:
            self._stream: BinaryIO = self._source.open("rb") if isinstance(self._source, Path) else BytesIO(self._source)
            undo.callback(self.close)
            self._state = self._status()
            self._header = self._parsed()
            undo.pop_all()

    def _parsed(self) -> Header | None:
        """Find the format and parse the header; None where the format has none to parse."""
        head = self._stream.read(unsupported.LONGEST)
        expected = self._formats.get(self._suffix)
        if not head and (expected is None or expected.sniff is not None):
            raise PixlateError("the file is empty; copy it again from its source")
        found = recognised(head[:SNIFFED], self._formats, self._suffix)
        if found is None:
            raise self._unsupported(head, expected.title if expected else "an image")
        self.format = found
        if found.probe is None:
            return None
        self._stream.seek(0)
        header = found.probe(self._stream)
        check_size(header.width, header.height, self.max_pixels, header.channels)
        return header

    def _unsupported(self, head: bytes, expected: str) -> PixlateError:
        """Return the refusal of a file that no format takes, by name where its kind is known."""
        kind, advice = unsupported.named(head)
        if kind.endswith("no image"):
            return PixlateError(f"expected {expected}, got {kind}; {advice}")
        if kind:
            return Unsupported(f"expected {expected}, got {kind}, which is unsupported; {advice}")
        titles = ", ".join(format.title for format in named(self._formats).values() if format.sniff is not None)
        return PixlateError(f"expected {expected}, got a file that is none of {titles}; leave it out or convert it first")

    def _decoded(self) -> Picture:
        """Return the picture of a file whose format has no header to parse, decoded once."""
        if self._picture is None:
            with explained(f"{self.format.name} file"):
                self._picture = self._checked(self.format.read(self._source))
        return self._picture

    def _measured(self) -> Header:
        """Return the header, or what the decoded picture says in its place."""
        if self._header is not None:
            return self._header
        height, width, channels = (pixels := self._decoded().pixels).shape
        return Header(width, height, channels, pixels.itemsize)

    def _checked(self, picture: object) -> Picture:
        if not isinstance(picture, Picture):
            raise PixlateError(
                f"expected a Picture from the plugin that reads {self.format.name}, got {type(picture).__name__}; report it to the plugin's author"
            )
        height, width, channels = picture.pixels.shape
        check_size(width, height, self.max_pixels, channels)
        return picture

    def _status(self) -> tuple[int, int] | None:
        """Return what changes when the open file is written to; None for bytes."""
        if not isinstance(self._source, Path):
            return None
        status = os.fstat(self._stream.fileno())
        return status.st_size, status.st_mtime_ns


def read_picture(source: Path | bytes, *, max_pixels: int, formats: Mapping[str, ImageFormat] = BUILT_IN, channels: int = 0) -> Picture:
    """Return the first picture of a file; see :class:`ImageFile`."""
    with ImageFile(source, max_pixels=max_pixels, formats=formats) as file:
        return file.read(channels)
