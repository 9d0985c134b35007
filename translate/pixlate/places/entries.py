"""Finished files as the journal has them, packed: the entries of a million outputs take a quarter of a gigabyte, as objects they would take almost one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from threading import Lock

_PACKED = Struct("<qqqI32s16s")
"""Size, size and time of the source, number of the settings, SHA-256, MD5 or zeros."""
_NO_MD5 = bytes(16)


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished file."""

    name: str
    """Path of the output, relative to the output folder."""
    size: int
    """Bytes of the output."""
    sha256: str
    """Digest of the output."""
    source_size: int
    """Bytes of the source."""
    source_mtime: int
    """When the source was last changed, in nanoseconds."""
    settings: str
    """Digest of the model and of the options that shape the output."""
    md5: str = ""
    """Second digest, which object stores know without sending the file; only of outputs of a store that keeps it."""

    def line(self) -> bytes:
        """Return it as the journal has it."""
        fields = {
            "name": self.name,
            "size": self.size,
            "sha256": self.sha256,
            "source_size": self.source_size,
            "source_mtime": self.source_mtime,
            "settings": self.settings,
        }
        return json.dumps(fields | ({"md5": self.md5} if self.md5 else {})).encode() + b"\n"


class Entries:
    """Entries by the names of their outputs, those of one name in the order in which they came; callable from any thread."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._settings: list[str] = []
        self._lock = Lock()

    def __contains__(self, name: str) -> bool:
        return name in self._packed

    def __iter__(self) -> Iterator[str]:
        """Yield the names, sorted."""
        return iter(sorted(self._packed))

    def of(self, name: str) -> list[Entry]:
        """Return the entries of a name, the newest last."""
        return [
            Entry(name, size, sha256.hex(), source_size, source_mtime, self._settings[number], "" if md5 == _NO_MD5 else md5.hex())
            for size, source_size, source_mtime, number, sha256, md5 in _PACKED.iter_unpack(self._packed.get(name, b""))
        ]

    def add(self, entry: Entry) -> None:
        """Add an entry, if it is not there already.

        Raises:
            ValueError, TypeError, struct.error: It is none that a journal can have, such as one whose size is a text.
        """
        packed = self._pack(entry)
        known = self._packed.get(entry.name, b"")
        if packed not in (known[at : at + _PACKED.size] for at in range(0, len(known), _PACKED.size)):
            self._packed[entry.name] = known + packed

    def keep(self, entry: Entry) -> None:
        """Keep this entry alone of its name."""
        self._packed[entry.name] = self._pack(entry)

    def _pack(self, entry: Entry) -> bytes:
        if not isinstance(entry.name, str) or not isinstance(entry.settings, str):
            raise TypeError(entry)
        sha256, md5 = bytes.fromhex(entry.sha256), bytes.fromhex(entry.md5) or _NO_MD5
        if (len(sha256), len(md5)) != (32, 16):
            raise ValueError(entry)
        with self._lock:
            if entry.settings not in self._settings:
                self._settings.append(entry.settings)
            number = self._settings.index(entry.settings)
        return _PACKED.pack(entry.size, entry.source_size, entry.source_mtime, number, sha256, md5)
