"""A number of bytes that threads share, so that what is in memory at once is bounded."""

from threading import Condition

WAKE = 0.2
"""Most seconds until a thread that waits sees that the conversion stops."""


class Closed(Exception):  # noqa: N818 - not an error: it ends a thread that waits
    """Raised in a thread that waits for bytes when the conversion stops."""


class ByteBudget:
    """A number of bytes that threads acquire and release.

    A request larger than the whole budget is granted when nothing else is granted, so that one huge image still goes through, alone.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._taken = 0
        self._open = True
        self._changed = Condition()

    def take(self, count: int) -> int:
        """Wait until ``count`` bytes are free and take them; return the number taken, to be released.

        Raises:
            Closed: The conversion stops.
        """
        count = min(count, self._capacity)
        with self._changed:
            self._changed.wait_for(lambda: not self._open or self._taken + count <= self._capacity)
            if not self._open:
                raise Closed
            self._taken += count
        return count

    def give_back(self, count: int) -> None:
        """Release what :meth:`take` granted."""
        with self._changed:
            self._taken -= count
            self._changed.notify_all()

    def close(self) -> None:
        """Wake every waiting thread with :class:`Closed`."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
