"""Headings of the help: the class attribute ``GROUPS`` of an options class, which has the names of fields by heading."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

Groups = Mapping[str, tuple[str, ...]]
"""Heading -> names of the fields below it. A class names its own fields alone; those it inherits have the headings that the class they come from gives."""


def headings(owner: type[Any], otherwise: str) -> dict[str, str]:
    """Return the heading of each field of an options class; ``otherwise`` where ``GROUPS`` does not name it."""
    found: dict[str, str] = {}
    for each in reversed(owner.__mro__):
        groups: Groups = vars(each).get("GROUPS", {})
        found |= {name: heading for heading, names in groups.items() for name in names}
    return {item.name: found.get(item.name, otherwise) for item in fields(owner)}
