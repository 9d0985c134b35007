"""Reads the sizes of images ahead, so that the time left is known before they are converted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.inference.progress import Progress
from pixlate.places.journal import Job
from pixlate.plugin.image_format import ImageFormat


@contextmanager
def sizes_read_ahead(
    progress: Progress, jobs: Sequence[Job], begun: Callable[[], int], read: Callable[[Path], ImageFile], whole: Callable[[ImageFormat, Job], bool]
) -> Iterator[None]:
    """Context in which a thread reads the headers of the images that are still to be read.

    Args:
        progress: Receives their sizes.
        jobs: The images.
        begun: Returns how many of them are being read already, and tell their size themselves.
        read: Opens an image file.
        whole: Returns whether all pictures of a file of a format are converted.
    """
    ended = Event()

    def survey() -> None:
        index = 0
        while not ended.is_set() and (index := max(index, begun())) < len(jobs):
            job = jobs[index]
            index += 1
            with suppress(PixlateError, OSError, MemoryError):
                if job.place.local is not None:
                    job.place.version()  # refuses a pipe, which opening would wait for
                    with read(job.place.local) as file:
                        header = file.header if file.format.probe is not None else None
                        count = header.frames if header is not None and whole(file.format, job) else 1
                    if header is not None and count:
                        progress.size(job.source, progress.work(header.width, header.height) * count)

    thread = Thread(target=survey, name="sizes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
