"""Standard input as a file to convert, and standard output as a folder of one output: both through a temporary folder, so that all limits hold."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO, ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.formats import SNIFFED, recognised
from pixlate.images.unsupported import LONGEST
from pixlate.places.local import LocalPlace, LocalStore
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.place import Failures, Found, Reach, Store, Version

STEM = "image"
"""What a picture from standard input is called: its mask is that of this name, and its noise too."""
BYTES_A_PIXEL = 16
"""Most bytes of a pixel in a file: four channels of floating point."""
BESIDE = 64 * 1024 * 1024
"""Bytes that a file may have besides its pixels."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class StandardInput:
    """A picture that was read from standard input; see :class:`pixlate.plugin.place.Place`."""

    path: Path
    """The temporary file that has its bytes."""
    content: Version
    """Its size, and a number drawn from its bytes."""
    reach: ClassVar[Reach] = "process"

    def __str__(self) -> str:
        return "standard input"

    @property
    def local(self) -> None:
        """Nothing: it has no path that a user knows."""

    @property
    def pure(self) -> PurePath:
        """Its name, with the suffix of its format."""
        return PurePath(self.path.name)

    @property
    def parent(self) -> LocalPlace:
        """The temporary folder."""
        return LocalPlace(str(self.path.parent))

    def identity(self) -> None:
        """Return nothing: it is like no other file."""

    def kind(self) -> Literal["file"]:
        """Return that it is a file."""
        return "file"

    def files(self, out: Store, failures: Failures) -> Iterator[Found]:
        """Yield itself."""
        yield Found(self, self.pure, named=True)

    def version(self) -> Version:
        """Return what identifies its content."""
        return self.content

    def fetched(self, give_up: Callable[[], bool] = lambda: False) -> AbstractContextManager[Path]:
        """Yield the temporary file."""
        return nullcontext(self.path)

    def store(self) -> LocalStore:
        """Refuse: it is read."""
        raise PixlateError("expected an output folder, got standard input")


class StandardOutput(LocalPlace):
    """A temporary folder for the one output that is then written to standard output."""

    def __str__(self) -> str:
        return "standard output"

    def kind(self) -> Literal["folder"]:
        """Return that it is a folder."""
        return "folder"

    def store(self) -> LocalStore:
        """Return the folder as an output folder."""
        return _Scratch(self.local)


class _Scratch(LocalStore):
    def __str__(self) -> str:
        return "standard output"


def read_input(stream: BinaryIO, folder: Path, formats: Mapping[str, ImageFormat], max_pixels: int) -> StandardInput:
    """Read a picture into a temporary folder.

    Args:
        stream: Standard input.
        folder: Receives the file.
        formats: Formats by suffix.
        max_pixels: Most pixels of an image, which bound its bytes.

    Raises:
        PixlateError: It has no bytes, more than an image of so many pixels can have, or is no image, which its first bytes show.
    """
    most = max_pixels * BYTES_A_PIXEL + BESIDE
    head = stream.read(LONGEST)
    if not head:
        raise PixlateError("expected a picture on standard input, got no bytes; check the command before the pipe")
    format = recognised(head[:SNIFFED], formats)
    if format is None:
        try:
            ImageFile(head, max_pixels=max_pixels, formats=formats).close()
        except PixlateError as error:
            raise PixlateError(f"standard input: {error}") from error
    assert format is not None
    path = folder / f"{STEM}{format.suffixes[0]}"
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        piece = head
        while piece:
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            if size > most:
                raise PixlateError(
                    f"expected at most {most} bytes on standard input, as an image of --max-pixels {max_pixels} has, got more; name the file itself"
                )
            piece = stream.read(_PIECE)
    return StandardInput(path, Version(size, int.from_bytes(digest.digest()[:7])))
