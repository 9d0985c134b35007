"""Values that check themselves, so that a wrong one costs itself alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ClassVar

_asking: ContextVar[bool] = ContextVar("asking", default=False)


class Offer:
    """Base of the dataclasses that plugins offer.

    A value that :meth:`check` refuses raises where it is made. While plugins are loaded and asked it carries the refusal instead, so that a
    plugin's other values are still made, and the manager leaves out this one.
    """

    refusal: ClassVar[str] = ""
    """Why the value cannot be used; set on the value itself."""

    def check(self) -> None:
        """Refuse a value that cannot be used.

        Raises:
            PixlateError: Says what is wrong, and what to change in the plugin.
        """

    def __post_init__(self) -> None:
        try:
            self.check()
        except Exception as error:
            if not _asking.get():
                raise
            object.__setattr__(self, "refusal", str(error))


@contextmanager
def asking() -> Iterator[None]:
    """Let values that are wrong carry their refusal instead of raising it."""
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)
