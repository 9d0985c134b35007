"""Reports what a conversion would do, and writes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixlate.convert.conversion import Task, planned
from pixlate.convert.options import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.formats import writable
from pixlate.images.write import require_held
from pixlate.inference.models import load_executors
from pixlate.places.journal import ReadOnlyJournal
from pixlate.plugin.spec import ModelSpec

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

    @property
    def fails(self) -> bool:
        """Whether the file would be counted as a failure."""
        return self.action.startswith("fail")


def preview(sources: Sequence[str | Path], out: str | Path, model: str | Path, options: ConvertOptions) -> Iterator[Preview]:
    """Yield what would become of each file, from its header; refuse at once what the conversion would refuse."""
    task = planned(sources, out, model, options, lambda report: None)
    spec = load_executors(model, options)[0].spec
    task, _ = task.fitted(spec)
    return _previews(task, ReadOnlyJournal(task.plan.store, task.settings), spec)


def _previews(task: Task, records: ReadOnlyJournal, spec: ModelSpec) -> Iterator[Preview]:
    for source, reason in task.plan.failures:
        yield Preview(source, "", f"fail: {reason}")
    for job in task.plan.jobs:
        try:
            version, path, size = job.place.version(), job.place.local, None
            if path is not None:
                with ImageFile(path, max_pixels=task.options.max_pixels, formats=task.formats) as file:
                    size = None if file.format.probe is None else file.size
            output = (size[0] * spec.scale, size[1] * spec.scale) if size else None
            if output is not None:
                require_held(writable(job.format, task.formats), spec.channels_out, "uint8", output, task.formats)
            yield Preview(job.source, job.name, _ACTIONS[task.options.on_exists][records.state(job, version)], size, output)
        except PixlateError as error:
            yield Preview(job.source, job.name, f"fail: {error}")
