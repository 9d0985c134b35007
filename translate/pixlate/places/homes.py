"""The journal of an output folder, on this machine or at a URL; what URLs need comes in only where there is one."""

from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.places.journal import Journal, Records
from pixlate.places.url import Url

if TYPE_CHECKING:
    from pixlate.places.remote_journal import RemoteJournal, RemoteRecords


def open_records(root: Path | Url, settings: str) -> "Records | RemoteRecords":
    """Read a journal; see :class:`pixlate.places.journal.Records`."""
    if isinstance(root, Path):
        return Records(root, settings)
    from pixlate.places.remote_journal import RemoteRecords

    return RemoteRecords(root, settings)


def open_journal(root: Path | Url, settings: str) -> "Journal | RemoteJournal":
    """Hold a journal; see :class:`pixlate.places.journal.Journal`."""
    if isinstance(root, Path):
        return Journal(root, settings)
    from pixlate.places.remote_journal import RemoteJournal

    return RemoteJournal(root, settings)
