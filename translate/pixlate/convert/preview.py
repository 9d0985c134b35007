"""Reports what a conversion would do and how long it may take, and writes nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixlate.convert.choosing import loaded
from pixlate.convert.conversion import planned
from pixlate.convert.frames import wants_all
from pixlate.convert.options import ConvertOptions
from pixlate.convert.room import require_room
from pixlate.convert.sizes import Sizes
from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.formats import writable
from pixlate.images.frames import require_frames
from pixlate.images.write import require_held
from pixlate.inference.speed import measured_speed
from pixlate.places.journal import Job, ReadOnlyJournal
from pixlate.plugin.place import Place

_ACTIONS = {
    "resume": {"new": "convert", "stale": "convert again", "finished": "finished before", "foreign": "fail: exists", "other settings": "fail: other settings"},
    "skip": {"new": "convert", "stale": "skip", "finished": "skip", "foreign": "skip", "other settings": "skip"},
    "overwrite": {"new": "convert", "stale": "overwrite", "finished": "overwrite", "foreign": "overwrite", "other settings": "overwrite"},
}
"""What is done with an output, by ``--on-exists`` and the state that the journal knows it in."""


@dataclass(frozen=True)
class Preview:
    """What would become of one file."""

    source: str
    output: str
    action: str
    """Such as ``convert``, ``skip``, ``finished before`` or ``fail: reason``."""
    source_size: tuple[int, int] | None = None
    """Width and height, in pixels; None if they are unknown without decoding or downloading."""
    output_size: tuple[int, int] | None = None
    frames: int = 1
    """Pictures of it that would be converted; of a film, about how many."""
    notes: tuple[str, ...] = ()
    """What the user should know of its size."""

    @property
    def fails(self) -> bool:
        """Whether the file would be counted as a failure."""
        return self.action.startswith("fail")

    @property
    def is_work(self) -> bool:
        """Whether the model would run on it."""
        return self.action.startswith(("convert", "overwrite"))


class DryRun:
    """What a conversion would do; what the conversion would refuse is refused when it is made.

    Raises:
        PixlateError: As from :func:`pixlate.convert`.
    """

    def __init__(self, sources: Sequence[str | Path | Place], out: str | Path | Place, model: str | Path, options: ConvertOptions) -> None:
        task, self.executors = loaded(planned(sources, out, model, options))
        self.task, _ = task.fitted(self.executors[0].spec)
        self._records = ReadOnlyJournal(self.task.plan.store, self.task.settings)
        self._sizes = Sizes(self.task.options, self.executors[0])
        self._work = Counter[str]()
        """Pixels that go through the model, by how often it runs."""
        self.unknown = 0
        """How many images to convert have a size that is not known without decoding or downloading them."""

    def files(self) -> Iterator[Preview]:
        """Yield what would become of each file, from its header."""
        for source, reason in self.task.plan.failures:
            yield Preview(source, "", f"fail: {reason}")
        for job in self.task.plan.jobs:
            try:
                found = self._previewed(job)
            except PixlateError as error:
                found = Preview(job.source, job.name, f"fail: {error}")
            if found.is_work and found.source_size:
                sized = self._sizes.of(*found.source_size)
                self._work[sized.lane] += found.frames * sized.executor.work(*reversed(found.source_size))
            self.unknown += found.is_work and not found.source_size
            yield found

    def seconds(self) -> float | None:
        """Return about how long the model takes for the images that :meth:`files` has yielded, by running a sample; None where no sample runs."""
        seconds = 0.0
        for name, work in self._work.items():
            speed = measured_speed(self._sizes.lane[name])
            if speed is None:
                return None
            seconds += work / speed
        return seconds / len(set(map(id, self.executors)))

    def _previewed(self, job: Job) -> Preview:
        task, spec = self.task, self.executors[0].spec
        version, path, sized, frames = job.place.version(), job.place.local, None, 1
        format = writable(job.format, task.formats)
        if path is not None:
            with ImageFile(path, max_pixels=task.options.max_pixels, formats=task.formats) as file:
                if file.format.probe is not None:
                    size, sized, whole = file.size, self._sizes.of(*file.size), wants_all(file.format, format, task.options)
                    require_room(format, sized, task.options, file.header, whole=whole)
                    frames = _frames(file) if whole else 1
                    if frames > 1:
                        require_frames(format, "all of its pictures", task.formats)
        action = _ACTIONS[task.options.on_exists][self._records.state(job, version)]
        if sized is None:
            return Preview(job.source, job.name, action)
        require_held(format, spec.channels_out, "uint8", sized.size, task.formats)
        return Preview(job.source, job.name, action, size, sized.size, frames, sized.notes)


def _frames(file: ImageFile) -> int:
    """Return how many pictures a file holds; one is decoded where its header does not say."""
    found = file.header.frames or file.first(whole=True)
    return found if isinstance(found, int) else found.count


def preview(sources: Sequence[str | Path | Place], out: str | Path | Place, model: str | Path, options: ConvertOptions) -> Iterator[Preview]:
    """Yield what would become of each file, from its header; refuse at once what the conversion would refuse."""
    return DryRun(sources, out, model, options).files()
