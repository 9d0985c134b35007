"""Reads samples on threads, ahead of training."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import cv2

from pixlate.data.pixels import UnreadableImage, advised
from pixlate.errors import PixlateError
from pixlate.options import DataOptions
from pixlate.plugin.data import Batch, Draw, TrainingData, stack
from pixlate.system.cores import granted_cores

MOST_SKIPPED = 100
"""Consecutive unreadable files after which an error is raised."""


class Loader:
    """Batches of prefetched samples.

    Threads share the decoded images, which processes would each hold a copy of; decoding and resizing let other threads run. ``warn`` is called once for each
    file that is skipped; ``pin`` puts batches in page-locked memory, from which CUDA copies while it computes.
    """

    def __init__(self, data: TrainingData, options: DataOptions, warn: Callable[[str], None], pin: bool = False) -> None:
        cv2.setNumThreads(1)  # one thread per sample; OpenCV would start more
        self._data, self._skip, self._warn, self._pin = data, options.damaged == "skip", warn, pin
        self._pool = ThreadPoolExecutor(options.workers or max(1, granted_cores() - 1), thread_name_prefix="pixlate-load")
        self._ahead: dict[tuple[tuple[Draw, ...], int], list[Future[tuple[Batch, list[str]]]]] = {}
        self._warned: set[str] = set()

    def prefetch(self, draws: Sequence[Draw], side: int) -> None:
        """Start to prefetch samples for :meth:`batch`."""
        key = tuple(draws), side
        if key not in self._ahead:
            self._ahead[key] = [self._pool.submit(self._load, draw, side) for draw in draws]

    def batch(self, draws: Sequence[Draw], side: int) -> Batch:
        """Return samples as one batch, (batch, channels, height, width) in [0, 1].

        Raises:
            PixlateError: A file cannot be read and is not to be skipped; names it.
        """
        self.prefetch(draws, side)
        waiting = self._ahead.pop((tuple(draws), side))
        try:
            loaded = [future.result() for future in waiting]
        finally:
            for future in waiting:
                future.cancel()
        for message in dict.fromkeys(message for _, messages in loaded for message in messages):
            if message not in self._warned:
                self._warned.add(message)
                self._warn(message)
        batch = stack([sample for sample, _ in loaded])
        return {name: images.pin_memory() for name, images in batch.items()} if self._pin else batch

    def close(self) -> None:
        """End the threads; prefetched samples are discarded."""
        self._ahead.clear()
        self._pool.shutdown(cancel_futures=True)

    def _load(self, draw: Draw, side: int) -> tuple[Batch, list[str]]:
        """Return a sample and what was skipped for it.

        The sample drawn in place of a skipped one depends on its draw alone, so that every thread, process and resumed run takes the same.
        """
        skipped: list[str] = []
        while True:
            try:
                return self._data.load(draw, side), skipped
            except UnreadableImage as error:
                if not self._skip:
                    raise advised(error) from error
                skipped.append(f"left out: {error}")
                if len(skipped) == MOST_SKIPPED:
                    raise PixlateError(f"expected images that can be read, got {MOST_SKIPPED} in a row that cannot, such as {error}") from error
                (draw,) = self._data.draw(0, 1, draw.seed)
