"""Hands the rows of a large picture from the thread that runs the model to the one that writes them, one strip at a time."""

from collections.abc import Iterator
from threading import Condition

from pixlate.images.picture import Pixels


class Strips:
    """The rows of one picture, from the top, while they are translated and written at the same time.

    The model's thread waits until the strip before the newest is written, so that at most one is in memory besides the one that is being made.
    """

    def __init__(self) -> None:
        self.begun = False
        """Whether a strip was put in; of the model's thread."""
        self._strip: Pixels | None = None
        self._ended = self._closed = False
        self._error: Exception | None = None
        self._changed = Condition()

    def put(self, strip: Pixels) -> bool:
        """Let the next rows be written, once those before are; return False where nobody writes them any more."""
        self.begun = True
        with self._changed:
            self._changed.wait_for(lambda: self._strip is None or self._closed)
            self._strip = None if self._closed else strip
            self._changed.notify_all()
            return not self._closed

    def end(self, error: Exception | None = None) -> None:
        """Let the last rows have been put in; with an error, have it raised where they are written."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Write no more; what is put in is dropped."""
        with self._changed:
            self._closed, self._strip = True, None
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Pixels]:
        """Yield the strips in their order, in the thread that writes; raises the error with which they have ended."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._strip is not None or self._ended)
                if self._error is not None:
                    raise self._error
                strip = self._strip
            if strip is None:
                return
            yield strip
            del strip
            with self._changed:
                self._strip = None
                self._changed.notify_all()
