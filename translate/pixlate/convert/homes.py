"""The journal of an output folder, on this machine or at a URL."""

from pathlib import Path

from pixlate.convert.journal import Journal, Records
from pixlate.convert.remote_journal import RemoteJournal, RemoteRecords
from pixlate.convert.url import Url


def open_records(root: Path | Url, settings: str) -> Records | RemoteRecords:
    """Read a journal; see :class:`pixlate.convert.journal.Records`."""
    return RemoteRecords(root, settings) if isinstance(root, Url) else Records(root, settings)


def open_journal(root: Path | Url, settings: str) -> Journal | RemoteJournal:
    """Hold a journal; see :class:`pixlate.convert.journal.Journal`."""
    return RemoteJournal(root, settings) if isinstance(root, Url) else Journal(root, settings)
