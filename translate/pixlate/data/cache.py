"""Decoded images kept in memory, up to a limit."""

from collections.abc import Callable, Hashable
from threading import Lock

from pixlate.images import Pixels

Decoded = tuple[Pixels, ...]
"""The images of one sample."""


class PixelCache:
    """Keeps what was read first until it is full, and reads the rest again each time.

    Training goes through all images in random order, so each is equally likely to be needed next: evicting one for another gains nothing.
    """

    def __init__(self, mebibytes: int) -> None:
        self.free = mebibytes * 2**20
        self._kept: dict[Hashable, Decoded] = {}
        self._lock = Lock()

    def get(self, key: Hashable, read: Callable[[], Decoded]) -> Decoded:
        """Return the images of a key, which are not to be written to; thread-safe."""
        if key in self._kept:
            return self._kept[key]
        images = read()
        size = sum(image.nbytes for image in images)
        for image in images:
            image.flags.writeable = False
        with self._lock:
            if key not in self._kept and size <= self.free:
                self.free -= size
                self._kept[key] = images
        return images
