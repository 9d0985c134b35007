"""Text that a terminal can show."""

from pathlib import Path


def printable(path: str | Path) -> str:
    """Return a path on one line, with control characters and undecodable bytes escaped."""
    return "".join(character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode() for character in str(path))
