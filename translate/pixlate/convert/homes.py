"""The journal of an output folder, on this machine or at a URL; what URLs need comes in only where there is one."""

from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.convert.journal import Journal, Records
from pixlate.convert.url import Url

if TYPE_CHECKING:
    from pixlate.convert.remote_journal import RemoteJournal, RemoteRecords


def open_records(root: Path | Url, settings: str) -> "Records | RemoteRecords":
    """Read a journal; see :class:`pixlate.convert.journal.Records`."""
    if isinstance(root, Path):
        return Records(root, settings)
    from pixlate.convert.remote_journal import RemoteRecords

    return RemoteRecords(root, settings)


def open_journal(root: Path | Url, settings: str) -> "Journal | RemoteJournal":
    """Hold a journal; see :class:`pixlate.convert.journal.Journal`."""
    if isinstance(root, Path):
        return Journal(root, settings)
    from pixlate.convert.remote_journal import RemoteJournal

    return RemoteJournal(root, settings)
