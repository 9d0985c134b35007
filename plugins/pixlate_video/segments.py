"""The encoded frames of a film in pieces that each begin with a key frame and stand alone, in a folder that outlives a crash.

A piece gets its name when it is whole and on the disk, by renaming, which follows no link. It begins with a line of JSON, of what it holds and of how it was encoded.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

import av

from pixlate.system.locking import sync

_PACKET = struct.Struct("<qIB")
"""Time stamp in ticks, bytes, and whether it is a key frame."""
_MAGIC = b"pixlate segment 1 "


@dataclass(frozen=True)
class Facts:
    """What a piece holds."""

    key: str
    """How it was encoded; see :attr:`pixlate_video.encoder.Encoding.key`."""
    header: str
    """Digest of the encoder's header, which all pieces of a film share."""
    frames: int
    size: tuple[int, int]
    """Width and height of the frames that came in."""
    bits: int
    last: str
    """Milliseconds that the last frame is shown."""
    xmp: str = ""
    """What the film says of how it was made, as an XMP packet."""
    sha256: str = ""
    """Of the packets."""


class Segment:
    """A piece that is being written."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / token_hex(8)
        self._file: BinaryIO = self._path.open("xb")
        self._digest = hashlib.sha256()

    def add(self, packet: "av.Packet[Any]") -> None:
        """Write a packet."""
        data = bytes(packet)
        assert packet.pts is not None
        head = _PACKET.pack(packet.pts, len(data), packet.is_keyframe)
        self._digest.update(head)
        self._digest.update(data)
        self._file.write(head + data)

    def finish(self, number: int, facts: Facts) -> Path:
        """Give the piece its name."""
        line = _MAGIC + json.dumps(asdict(facts) | {"sha256": self._digest.hexdigest()}).encode()
        self._file.write(line + struct.pack("<I", len(line)))
        self._file.flush()
        sync(self._file.fileno())
        self._file.close()
        return self._path.replace(self._folder / f"{number:06}.segment")

    def drop(self) -> None:
        """Remove what has been written."""
        with suppress(OSError):
            self._file.close()
            self._path.unlink()


def found(folder: Path) -> list[tuple[Path, Facts]]:
    """Return the pieces of an earlier run that are whole and follow each other, the first first; whatever else the folder holds is removed."""
    pieces: list[tuple[Path, Facts]] = []
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        path = folder / name
        facts = _facts(path) if name == f"{len(pieces):06}.segment" else None
        if facts is None or (pieces and (facts.key, facts.header) != (pieces[0][1].key, pieces[0][1].header)):
            with suppress(OSError):
                path.unlink()
        else:
            pieces.append((path, facts))
    return pieces


def packets(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the packets of a piece in the order of decoding: time stamp in ticks, data, and whether it is a key frame."""
    with path.open("rb") as file:
        end = _end(file)
        while file.tell() < end:
            stamp, size, key = _PACKET.unpack(file.read(_PACKET.size))
            yield stamp, file.read(size), bool(key)


def stamps(path: Path) -> Iterator[int]:
    """Yield the time stamps of a piece in the order of decoding."""
    with path.open("rb") as file:
        end = _end(file)
        while file.tell() < end:
            stamp, size, _ = _PACKET.unpack(file.read(_PACKET.size))
            yield stamp
            file.seek(size, os.SEEK_CUR)


def _end(file: BinaryIO) -> int:
    """Return where the packets end, and go to the beginning."""
    file.seek(-4, os.SEEK_END)
    end = file.tell() - struct.unpack("<I", file.read(4))[0]
    file.seek(0)
    return int(end)


def _facts(path: Path) -> Facts | None:
    """Return what a piece holds, or None where it is not whole."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            end, digest = _end(file), hashlib.sha256()
            left = end
            while left and (block := file.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
            line = file.read()[:-4]
        if not line.startswith(_MAGIC):
            return None
        values = json.loads(line[len(_MAGIC) :])
        facts = Facts(**values | {"size": tuple(values["size"])})
    except (OSError, ValueError, TypeError, KeyError, struct.error):
        return None
    return facts if facts.sha256 == digest.hexdigest() else None


def milliseconds(facts: Facts) -> Fraction:
    """Return how long the last frame of a piece is shown."""
    return Fraction(facts.last)
