"""Where files are: a place that a user names, and a store that outputs are written into. Local folders are the built-in ones."""

import errno
from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal, Protocol

Failures = list[tuple[str, str]]
"""Names of files and folders with the reason why they cannot be listed."""
Reach = Literal["process", "machine", "anywhere"]
"""Who can open a file by the same name: this process alone, any process of this machine, or any machine."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Numbers of the OSError by which a store says that it takes no more, which stops a conversion; any other error fails one file."""


class GivenUp(Exception):  # noqa: N818 - not an error: the caller asked for it
    """Raised where a file is being downloaded and ``give_up`` ends the attempts."""


@dataclass(frozen=True, slots=True)
class Version:
    """Identifies the content of a file."""

    size: int
    """Bytes."""
    mtime: int
    """When it was changed, in nanoseconds, or a number drawn from the store's checksum; 0 where neither is known."""
    accessed: int = field(default=0, compare=False)
    """When it was last read, in nanoseconds, of a file on a disk, whose ``mtime`` is a time; 0 of any other."""


@dataclass(frozen=True, slots=True)
class Existing:
    """What exists under a name of a store."""

    size: int
    """Bytes; -1 where it is no file."""
    md5: str = ""
    """MD5 in hexadecimal, where the store knows it without reading the file."""


class Place(Protocol):
    """A file, folder or glob that a user names; its text is what is printed.

    All methods but :meth:`version` and :meth:`fetched` raise a :class:`pixlate.PixlateError` that names the place where it cannot be used;
    it is picklable, so that other processes can read the file.
    """

    @property
    def reach(self) -> Reach:
        """Who can open it."""

    @property
    def local(self) -> Path | None:
        """Its path, where it is a local file that is read without a download."""

    @property
    def pure(self) -> PurePath:
        """Its path, for its name and its suffix."""

    @property
    def parent(self) -> "Place":
        """The folder that holds it."""

    def identity(self) -> Hashable | None:
        """Return what distinguishes it from every other file, whatever name leads to it; None where there is none."""

    def kind(self) -> Literal["folder", "file", "nothing"]:
        """Return what exists here; anything with a name that is no folder is a ``file``."""

    def files(self, out: "Store", failures: Failures) -> "Iterator[Found]":
        """Yield the files it names in the order of their names: itself, those below a folder but not below ``out``, or those a glob matches.

        What cannot be listed is added to ``failures``.
        """

    def version(self) -> Version:
        """Return what identifies this content of the file; one that cannot be read raises a PixlateError without its name."""

    def fetched(self, give_up: Callable[[], bool] = lambda: False) -> AbstractContextManager[Path]:
        """Yield a local path to read the file from; ``give_up`` ends attempts to download it early.

        Raises:
            PixlateError: It cannot be downloaded. One sentence without its name.
            GivenUp: It cannot be downloaded, and the attempts were given up.
        """

    def store(self) -> "Store":
        """Return the folder as an output folder, which need not exist."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a place names."""

    file: Place
    relative: PurePath
    """Path below the folder that was named, or below the fixed part of a glob."""
    named: bool = False
    """Whether this very file was named."""
    output_of: str = ""
    """The output folder of an earlier conversion whose journal records it, below the folder that was named; it is no source then."""
    run: str = ""
    """The folder of a run of training that it is in, below the folder that was named; it is no source then."""


class Store(Protocol):
    """An output folder; its text is what is printed. Names in it are relative.

    :meth:`hold` locks it for one conversion; :meth:`record` and :meth:`put` then write outputs. A store that is ``shared`` can be pickled, and
    workers in other processes call these two, while the process that holds it keeps the journal. Where files and journal cannot be read or written,
    :meth:`digest`, :meth:`record` and :meth:`put` raise an OSError or a :class:`pixlate.PixlateError`, the other methods a PixlateError.
    """

    parts: Path
    """Local folder for files being written; exists while the store is locked."""
    notes: list[str]
    """Sentences on what it cannot promise, such as a file system without locks; they reach the summary."""

    @property
    def reach(self) -> Reach:
        """Who can write into it."""

    @property
    def shared(self) -> bool:
        """Whether several processes can write outputs at the same time; their MD5 is then recorded, too, for :meth:`existing`."""

    def name_of(self, relative: PurePath) -> str:
        """Return the name of an output; where no file here can be named so, a PixlateError says why, without the name."""

    def folds_case(self) -> bool:
        """Return whether ``A.png`` and ``a.png`` are one file here."""

    def identity(self, name: str) -> Hashable | None:
        """Return what distinguishes the file of that name from every other; see :meth:`Place.identity`."""

    def relative(self, path: Path) -> str | None:
        """Return the name of a local path in this store, which may lead out of it; None where the store is not on a local disk."""

    def existing(self, name: str) -> Existing | None:
        """Return what exists under a name, a broken link included."""

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file, in hexadecimal."""

    def lines(self) -> bytes:
        """Return the lines of the journal, the newest of a name last."""

    def late_lines(self, known: Collection[str]) -> bytes:
        """Return the lines that other processes have recorded while this one had the lock, except those of known names."""

    def hold(self) -> None:
        """Lock the store for this conversion, and clear away the parts that a killed one left; refuse one that another conversion is writing into."""

    def check(self) -> None:
        """Raise a PixlateError where another conversion has taken over the store that this process had locked."""

    def release(self, lines: bytes | None) -> None:
        """Unlock the store, and replace the journal by ``lines`` where they are given; where it cannot be written, the journal as it is serves as well."""

    def record(self, name: str, line: bytes) -> None:
        """Add a line to the journal, so that it outlasts a crash."""

    def put(self, part: Path, name: str, fresh: bool) -> None:
        """Give a written local file, which is gone afterwards, its name, atomically.

        Raises:
            FileExistsError: ``fresh``, and something exists there, as far as the store can check.
        """
