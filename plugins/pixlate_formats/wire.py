"""What passes between this process and one that decodes: fields as JSON, and parts of raw bytes. Nothing in it is ever run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Part = bytes | NDArray[Any]
_LENGTH = 8
_MOST_FIELDS = 64 << 20
"""Most bytes of the JSON of a message."""


@dataclass(frozen=True, eq=False)
class Message:
    """A request or an answer."""

    fields: Mapping[str, Any]
    parts: Mapping[str, Part] = field(default_factory=dict)

    def data(self, name: str) -> bytes:
        """Return a part that is bytes; empty where there is none."""
        part = self.parts.get(name, b"")
        assert isinstance(part, bytes)
        return part

    def array(self, name: str) -> NDArray[Any] | None:
        """Return a part that is an array, None where there is none."""
        part = self.parts.get(name)
        assert not isinstance(part, bytes)
        return part


def send(stream: BinaryIO, message: Message) -> None:
    """Write a message."""
    parts = {name: part if isinstance(part, bytes) else np.ascontiguousarray(part) for name, part in message.parts.items()}
    kinds = {name: [len(part)] if isinstance(part, bytes) else [part.dtype.str, *part.shape] for name, part in parts.items()}
    head = json.dumps({"fields": dict(message.fields), "parts": kinds}).encode()
    stream.write(len(head).to_bytes(_LENGTH, "little") + head)
    for part in parts.values():
        stream.write(part if isinstance(part, bytes) else part.reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: BinaryIO) -> Message:
    """Read a message; raises EOFError where the other side has ended, ValueError where it sends something else."""
    length = int.from_bytes(_exactly(stream, bytearray(_LENGTH)), "little")
    if length > _MOST_FIELDS:
        raise ValueError("a message is longer than can be")
    head = json.loads(_exactly(stream, bytearray(length)))
    parts: dict[str, Part] = {}
    for name, (first, *shape) in head["parts"].items():
        if isinstance(first, int):
            parts[name] = bytes(_exactly(stream, bytearray(first)))
            continue
        array = np.empty(shape, first)
        if array.dtype.hasobject:
            raise ValueError("a message holds objects")
        if array.size:
            _exactly(stream, array.reshape(-1).view(np.uint8).data)
        parts[name] = array
    return Message(head["fields"], parts)


def _exactly(stream: BinaryIO, room: Any) -> Any:
    """Fill a buffer and return it."""
    view = memoryview(room)
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]  # of a buffered stream
        if not count:
            raise EOFError
        view = view[count:]
    return room
