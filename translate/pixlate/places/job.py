"""One image to convert, and what its path says before it is opened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pixlate.places.local import status_of

if TYPE_CHECKING:
    from pixlate.places.url import Url, Version

HOME = ".pixlate"
"""Folder inside the output folder that holds the journal and files being written."""


class Status(Protocol):
    """What tells one content of a source from another, of a file or of an object in a store."""

    @property
    def st_size(self) -> int:
        """Bytes."""
        ...

    @property
    def st_mtime_ns(self) -> int:
        """When it was changed, or a number drawn from a checksum."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One image to convert."""

    source: str
    """Path or URL of the image, as it is printed."""
    name: str
    """Path of the output, relative to the output folder."""
    format: str
    """Format of the output."""
    notes: tuple[str, ...] = ()
    """What the user should know of the choice of name or format."""
    url: "Url | None" = None
    """Where the image lies, if not on this machine."""
    version: "Version | None" = None
    """What its listing told, if it does not lie on this machine."""

    def status(self) -> Status:
        """Return what tells the source's content from another.

        Raises:
            PixlateError: See :func:`status_of`.
        """
        return self.version or status_of(self.source)

    @contextmanager
    def at_hand(self, give_up: Callable[[], bool] = lambda: False) -> Iterator[Path]:
        """Yield a path of this machine to read the image from.

        Args:
            give_up: Ends attempts to fetch it early.

        Raises:
            PixlateError: It cannot be fetched. One sentence without the path.
        """
        if self.url is None:
            yield Path(self.source)
            return
        with self.url.at_hand(give_up) as path:
            yield path
