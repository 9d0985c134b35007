"""Loads the model of a conversion in the runtime and arithmetic that its options name, that its output folder has recorded, or that a trial finds."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pixlate.convert.conversion import Task, settings_digest
from pixlate.convert.options import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.picture import Pixels
from pixlate.inference.executor import Executor
from pixlate.inference.models import arithmetics_of, find, load_executors, runtimes_of_all
from pixlate.inference.pictures import refuse_colour, to_model
from pixlate.inference.trial import FAILURES, SIDE, part_of, referenced, tried
from pixlate.plugin.place import GivenUp

PICTURES = 3
"""Most pictures on which a trial is made."""
LOOKED_AT = 12
"""Most pictures that are opened to find them: some may be damaged, or of 16 bits, which are computed in float32 whatever is chosen."""
WORTH_S = 4.0
"""Seconds of work from which on a trial, which takes one or two, is repaid."""
WORTH_PARTS = 10
"""Parts that the pictures must hold before one of them is run to know how many seconds they take."""


@dataclass(frozen=True)
class Way:
    """A runtime and an arithmetic by their names."""

    runtime: str
    arithmetic: str

    def __str__(self) -> str:
        return self.runtime if self.arithmetic == "auto" else f"{self.runtime} in {self.arithmetic}"

    def of(self, options: ConvertOptions) -> ConvertOptions:
        """Return options that name it."""
        return options.replaced({"runtime": self.runtime, "arithmetic": self.arithmetic})


def loaded(task: Task, trial: bool = True) -> tuple[Task, list[Executor]]:
    """Return the task with its choice made, and the model on each device.

    What the user leaves open is as the output folder was begun. A new folder gets the fastest way that stays near float32 on a few of its pictures, where the
    work is worth a ``trial``; the first runtime that takes the file, as the file says, is what the others are compared with.

    Raises:
        PixlateError: As from :func:`pixlate.inference.models.load`.
    """
    options = task.options
    ways = _ways(task)
    if not ways or (options.runtime != "auto" and options.arithmetic != "auto"):
        return task, load_executors(task.model, options)
    if options.set:  # those that are given their default are not among the settings
        task, _ = task.fitted(load_executors(task.model, ways[0].of(options))[0].spec)
    if (begun := _begun(task, ways)) is not None:
        why = f"{begun}, as the output folder was begun" if begun != ways[0] else ""
        return _with(task, begun, why), load_executors(task.model, begun.of(options))
    executors = load_executors(task.model, ways[0].of(options))
    others = [[*group][::-1] for _, group in groupby(ways[1:], lambda way: way.runtime)]
    if not (trial and others and len(executors) == 1 and executors[0].translator.device == "cpu"):
        return _with(task, ways[0]), executors
    return _fastest(task, executors, ways[0], others)


def _ways(task: Task) -> list[Way]:
    """Return what the options leave open, the reference first and the faster arithmetic of each runtime last; nothing where no runtime takes the file."""
    options, found = task.options, list[Way]()
    for runtime in runtimes_of_all([task.path, *map(find, options.then)], options.device):
        if options.runtime not in ("auto", runtime.name) or (options.blend_with is not None and runtime.blend is None):
            continue
        with warnings.catch_warnings():
            if options.runtime == runtime.name or options.arithmetic != "auto":  # what it lacks is the error of loading it
                warnings.simplefilter("ignore")
            offered = arithmetics_of(runtime)
        if options.arithmetic != "auto":
            offered = tuple(name for name in offered if name == options.arithmetic)
        elif options.device not in ("auto", "cpu"):  # what is offered is of the CPU
            offered = ("auto",)
        elif not found:
            offered = ("auto", *(name for name in offered if name != "float32"))
        found += [Way(runtime.name, name) for name in offered]
    return found


def _begun(task: Task, ways: Sequence[Way]) -> Way | None:
    """Return the way by which files of the output folder were made with the same options otherwise, the newest of several."""
    lines = task.plan.store.lines()
    places = {way: lines.rfind(settings_digest(task.path, way.of(task.options)).encode()) for way in ways}
    newest = max(ways, key=lambda way: places[way])
    return newest if places[newest] >= 0 else None


def _with(task: Task, way: Way, why: str = "") -> Task:
    options = way.of(task.options)
    return replace(task, options=options, settings=settings_digest(task.path, options), choice=why)


def _fastest(task: Task, executors: list[Executor], first: Way, others: Sequence[Sequence[Way]]) -> tuple[Task, list[Executor]]:
    """Try the others on a few pictures beside the first, which is loaded: of each runtime the fastest, and the next one where it is too far from the first."""
    sizes: list[int] = []

    def worth(speed: float) -> bool:
        return sum(sizes) / len(sizes) * len(task.plan.jobs) / speed >= WORTH_S

    reference = referenced(executors[0], _parts(task, executors[0], sizes), worth)
    if not reference.parts or not worth(reference.speed):
        return _with(task, first), executors
    best, taken, refused, gain = first, str(first), list[str](), 1.0
    for group in others:
        for way in group:
            try:
                candidate = load_executors(task.model, way.of(task.options))
                found = tried(candidate[0], reference)
            except FAILURES as error:
                refused.append(f"{way} is not used: {error}")
                break
            if found.refusal:
                refused.append(f"{way} is not used, since it {found.refusal}")
            elif found.gain > gain:
                best, taken, gain, executors = way, f"{way}: {found.measured}", found.gain, candidate
            if found.near:
                break
    return _with(task, best, "; ".join([taken, *refused])), executors


def _parts(task: Task, executor: Executor, sizes: list[int]) -> Iterator[Pixels]:
    """Yield parts of pictures of 8 bits, from all over the plan, and add how many pixels each of the pictures has."""
    jobs = task.plan.jobs
    if not jobs:  # of a folder that is watched
        return
    count = min(LOOKED_AT, len(jobs))
    for index in dict.fromkeys(place * (len(jobs) - 1) // max(count - 1, 1) for place in _spread(count)):
        if len(sizes) == PICTURES:
            return
        try:
            with jobs[index].place.fetched() as path, ImageFile(path, max_pixels=task.options.max_pixels, formats=task.formats) as file:
                picture = file.read(executor.spec.channels_in)
            refuse_colour(picture, executor.spec)
            pixels = to_model(picture, executor.spec)
        except (PixlateError, OSError, MemoryError, GivenUp):  # it fails again where it is converted, and is reported there
            continue
        if pixels.dtype == "uint8":
            sizes.append(pixels.shape[0] * pixels.shape[1])
            if sizes[0] * len(jobs) < WORTH_PARTS * SIDE**2:
                return
            yield part_of(pixels, executor)


def _spread(count: int) -> list[int]:
    """Return 0 to ``count`` - 1, the first, the last and the middle before the others."""
    return list(dict.fromkeys([0, count - 1, count // 2, *range(count)]))
