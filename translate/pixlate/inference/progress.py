"""How far a conversion is and how long it will take, counted in pixels of the sources, since images differ by a factor of thousands."""

import time
from collections.abc import Callable
from threading import Lock

from pixlate.inference.speed import Speed

MEASURED_S = 1.0
"""Seconds of work after which the speed is known well enough to say how much time is left."""


class Progress:
    """Pixels done and left; callable from any thread.

    An image whose size is not yet known counts as the average of those that are.

    Args:
        count: Images.
        clock: Returns seconds of a monotonic clock.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.left = count
        """Images without a result."""
        self.work: Callable[[int, int], int] = lambda width, height: width * height
        """Returns what an image of a width and height counts, in pixels."""
        self._clock = clock
        self._lock = Lock()
        self._sizes: dict[str, int] = {}
        """Source -> pixels, of images without a result; 0 once it is translated."""
        self._frames: dict[str, tuple[int, int]] = {}
        """Source -> frames that are done, and all of them, of files of several."""
        self._pending = self._seen = self._seen_pixels = 0
        self._tiles = self._translated = self._settled = 0
        self._speed, self._recorded = Speed(), clock()
        self._measured = 0.0

    def expect(self, count: int) -> None:
        """Take in that further images have come."""
        with self._lock:
            self.left += count

    def begin(self) -> None:
        """Count time from here on: the model is loaded."""
        self._recorded = self._clock()

    def size(self, source: str, pixels: int) -> None:
        """Take in the size of an image, as its header says it: what :attr:`work` returns."""
        with self._lock:
            if source not in self._sizes:
                self._sizes[source] = pixels
                self._pending += pixels
                self._seen += 1
                self._seen_pixels += pixels

    def frame(self, source: str, done: int, count: int) -> None:
        """Take in how many frames of a file are written, of how many, as far as that is known."""
        with self._lock:
            self._frames[source] = done, max(done, count)

    @property
    def frames(self) -> tuple[int, int]:
        """Frames written, and all of them, of the files of several that are being converted."""
        with self._lock:
            return sum(done for done, _ in self._frames.values()), sum(count for _, count in self._frames.values())

    def tile(self, pixels: int) -> None:
        """Count pixels that the model has translated; fewer than 0 where it begins again."""
        with self._lock:
            self._tiles += pixels
            self._work(pixels)

    def translated(self, source: str) -> None:
        """Take in that the model is done with an image."""
        with self._lock:
            self._close(source)

    def finish(self, source: str, size: tuple[int, int] | None) -> None:
        """Take in the result of an image; ``size`` where it was converted."""
        if size is not None:
            self.size(source, self.work(*size))
        with self._lock:
            before = self._translated
            if size is not None and self._close(source) and (unseen := self._translated - max(before, self._tiles)) > 0:
                self._work(unseen)  # of an engine that reports no tiles
            self._frames.pop(source, None)
            pixels = self._sizes.pop(source, 0)
            self._pending -= pixels
            self._settled += pixels
            self.left -= 1

    @property
    def pixels_left(self) -> float:
        """Pixels not yet translated, estimated where sizes are unknown."""
        with self._lock:
            average = self._seen_pixels / self._seen if self._seen else 0.0
            running = max(0, self._tiles - self._translated)
            return max(0.0, self._pending + (self.left - len(self._sizes)) * average - running)

    @property
    def pixels_done(self) -> float:
        """Pixels translated, or of images that needed no work or failed."""
        return max(self._tiles, self._translated) + self._settled

    @property
    def fraction(self) -> float:
        """What part of the pixels is done, 0 to 1."""
        left, done = self.pixels_left, self.pixels_done
        return done / (done + left) if done + left else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time left at the measured speed; None before it is known."""
        if self._measured < MEASURED_S or not self._seen:
            return None
        return max(0.0, self.pixels_left / self._speed.pixels_a_second - (self._clock() - self._recorded))

    def _close(self, source: str) -> bool:
        pixels = self._sizes.get(source, 0)
        self._sizes[source] = 0
        self._pending -= pixels
        self._translated += pixels
        return pixels > 0

    def _work(self, pixels: int) -> None:
        if pixels > 0:
            now = self._clock()
            self._speed.record(pixels, now - self._recorded)
            self._measured += now - self._recorded
            self._recorded = now
