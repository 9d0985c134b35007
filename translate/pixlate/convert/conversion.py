"""What every engine has of a conversion: its task, what is written while it runs, and one run through it."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import get_args

from pixlate.convert.frames import wants_all
from pixlate.convert.options import Arithmetic, ConvertOptions
from pixlate.convert.plan import Plan, make_plan, refuse_replaced, refuse_unwritable
from pixlate.convert.report import Report, Result, reason_of
from pixlate.convert.sheet import Sheet
from pixlate.convert.survey import sizes_read_ahead
from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.formats import writable
from pixlate.images.write import require_held
from pixlate.inference.conditions import ALPHA, ImageConditions, pinned
from pixlate.inference.files import digest_model, files_of_model
from pixlate.inference.models import arithmetics_of, find, runtimes_of_all
from pixlate.inference.pictures import refuse_opacity_through
from pixlate.inference.ready import identified, identified_if_any, named, other_versions
from pixlate.inference.strength import NOTHING_NOTE, SAME_NOTE, described, system_used, titled
from pixlate.places.changes import Watched
from pixlate.places.journal import Job, Journal, Outputs
from pixlate.places.local import LocalStore, locate
from pixlate.places.paths import require_folder
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import installed
from pixlate.plugin.place import FULL, Place
from pixlate.plugin.spec import ModelSpec
from pixlate.system.signals import StopOnSignal


@dataclass(frozen=True)
class Sinks:
    """What is written while a conversion runs."""

    journal: Outputs
    report: Report
    sheet: Sheet | None


@dataclass(frozen=True)
class Task:
    """What an engine is to convert."""

    plan: Plan
    model: str | Path
    """A ready model's name or a model file, as the user named it."""
    path: Path
    """The model file."""
    options: ConvertOptions
    settings: str
    """Digest of the model and of the options that shape an output."""
    formats: Mapping[str, ImageFormat]
    """Plugins' image formats by suffix."""
    watch: Callable[[Report], None]
    """Called after each result."""
    survey: bool = False
    """Whether sizes are read ahead from headers, so that the time left is known."""
    system: str = ""
    """What pictures say made them."""
    choice: str = ""
    """Why it runs in the runtime and arithmetic of its options, where the user has left that open and there is something to say."""
    watched: Sequence[Watched] = ()
    """The sources, where they are watched for what comes."""

    def fitted(self, spec: ModelSpec) -> "tuple[Task, ImageConditions]":
        """Return the task without the conditions that are given their default, and the conditions of its images, once its plan is known to be possible.

        Raises:
            PixlateError: A condition or ``--alpha model`` is not right, no image has a mask, or no output's format holds the channels that the model makes.
        """
        options, jobs, formats = self.options, self.plan.jobs, self.formats
        if options.alpha == "model":
            refuse_opacity_through(spec)
        conditions = ImageConditions(spec, options.set, options.seed, options.mask, formats)
        conditions.require_some(job.pair for job in jobs)
        written = [writable(name, formats) for name in sorted({job.format for job in jobs})]
        if written and not any(format.holds(spec.channels_out, "uint8", (1, 1)) for format in written):
            require_held(written[0], spec.channels_out, "uint8", (1, 1), formats)
        if conditions.texts == options.set:
            return self, conditions
        options = replace(options, set=conditions.texts)
        return replace(self, options=options, settings=settings_digest(self.path, options)), conditions

    def _others(self) -> dict[str, Callable[[], str]]:
        """Return what says how to go on with what another version of a ready model, or another runtime or arithmetic, has made, by the settings that they would have."""
        runtimes = {runtime.name: runtime for runtime in runtimes_of_all([self.path, *map(find, self.options.then)])}
        ways = [(name, arithmetic) for name in runtimes for arithmetic in get_args(Arithmetic) if arithmetic != "auto"]

        @cache
        def offered(name: str) -> tuple[str, ...]:
            return arithmetics_of(runtimes[name])

        def begun(name: str, arithmetic: str) -> str:
            if arithmetic not in offered(name):
                return f"{name} in {arithmetic}, which is not offered here; go on with it on a machine that has it"
            return f"{name} in {arithmetic}; go on with --runtime {name} --arithmetic {arithmetic}"

        named = {way: replace(self.options, runtime=way[0], arithmetic=way[1]) for way in ways}
        others: dict[str, Callable[[], str]] = {settings_digest(self.path, options): partial(begun, *way) for way, options in named.items()}
        return others | {
            settings_digest(path, options): partial("{0}, which is another version of the model; go on with --model {0}".format, name)
            for name, path in other_versions(self.model).items()
            for options in (self.options, *named.values())
        }

    @property
    def strength(self) -> str:
        """What is added to the name of the model where it is not used as it is, such as `` at strength 0.5``."""
        return described(self.options.strength, identified_if_any(self.options.blend_with))

    @property
    def later(self) -> list[str]:
        """The models that run after the first, as reports name them."""
        return [identified(each) for each in self.options.then]

    @property
    def title(self) -> str:
        """The models as reports name them, such as ``clean@1 then photo-x4@1``."""
        return titled(identified(self.model), then=self.later)

    @property
    def titled(self) -> str:
        """The models, and what is added to their names."""
        return titled(identified(self.model), self.options.strength, identified_if_any(self.options.blend_with), self.later)

    def strength_cautions(self) -> list[str]:
        """Return what the user should know of a strength that leaves nothing of the model, or of two files that are the same."""
        cautions = [NOTHING_NOTE] if self.options.output_strength == 0 else []
        other = self.options.blend_with
        return cautions + ([SAME_NOTE] if other is not None and digest_model(find(other)) == digest_model(self.path) else [])

    @contextmanager
    def open_sinks(self) -> Iterator[Sinks]:
        """Open report, sheet and journal, or refuse them, and close them; what can be refused must be refused before."""
        with ExitStack() as held:
            report = held.enter_context(Report(self.options.report, len(self.plan.jobs) + len(self.plan.failures), self.plan.ignored))
            report.out = str(self.plan.store)
            report.summary.strength = self.strength.strip()
            report.summary.model = self.title
            report.summary.runtime, report.summary.arithmetic, report.summary.choice = self.options.runtime, self.options.arithmetic, self.choice
            report.summary.cautions += self.strength_cautions()
            sheet = Sheet(self.options.sheet, self.titled) if self.options.sheet else None
            if sheet is not None:
                held.callback(sheet.draft.drop)
            yield Sinks(held.enter_context(Journal(self.plan.store, self.settings, self._others(), self.options.preserve_times)), report, sheet)
            if sheet is not None:
                sheet.save(report.summary)


def planned(
    sources: Sequence[str | Path | Place], out: str | Path | Place, model: str | Path, options: ConvertOptions, watch: Callable[[Report], None] | None = None
) -> Task:
    """Return what is to be converted, or refuse it.

    Raises:
        PixlateError: No such model or source, clashing names, a report or sheet that would take the place of something.
    """
    path = find(model)
    others = [find(each) for each in (*([options.blend_with] if options.blend_with is not None else []), *options.then)]
    if options.mask is not None and options.mask != ALPHA:
        require_folder(options.mask)
        options = replace(options, mask=options.mask.absolute())
    formats = installed().image_formats(films=True)
    if options.format is not None:
        options = replace(options, format=writable(options.format, formats).name)  # jpg is jpeg
    places = [locate(source) for source in sources]
    watched = [Watched(place) for place in places] if options.watch else []
    plan = make_plan(places, locate(out), options, formats, file_name(model, options))
    refuse_replaced(plan, options, [file for each in (path, *others) for file in files_of_model(each)])
    refuse_unwritable(plan, options)
    if options.preserve_times and not (isinstance(plan.store, LocalStore) and all(job.place.local is not None for job in plan.jobs)):
        plan.cautions.append("--preserve-times keeps the times of files on a disk alone: a URL has none that can be read or set")
    system = system_used(identified(model), options.strength, identified_if_any(options.blend_with), [identified(each) for each in options.then])
    return Task(plan, model, path, options, settings_digest(path, options), formats, watch or (lambda report: None), watch is not None, system, watched=watched)


def file_name(model: str | Path, options: ConvertOptions) -> str:
    """Return the models as names of files have them, such as ``clean+photo-x4``."""
    return "+".join(str(each) if named(str(each)) else Path(each).stem for each in (model, *options.then))


def settings_digest(model: Path, options: ConvertOptions) -> str:
    """Return a digest of the model file and of the options that shape an output; those that 0.1 did not record only where they are given."""
    shaping: dict[str, object] = {"format": options.format, "quality": options.quality, "strip_metadata": options.strip_metadata, "model": digest_model(model)}
    given: dict[str, object] = {"bucket": options.bucket if options.bucket != "auto" else None, "alpha": options.alpha if options.alpha != "bicubic" else None}
    given |= {
        "set": sorted(map(pinned, options.set)),
        "mask": None if options.mask is None else str(options.mask if options.mask == ALPHA else options.mask.absolute()),
        "seed": options.seed,
        "lossless": options.lossless,
        "frames": options.frames if options.frames != "auto" else None,
        "way": _way(model, options),
        "strength": None if options.strength in (None, 1) and options.blend_with is None else repr(float(options.strength or 0)),
        "blend_with": None if options.blend_with is None else digest_model(find(options.blend_with)),
        "size": options.output_size.given,
        "then": [digest_model(find(each)) for each in options.then],
    }
    shaping |= {name: value for name, value in given.items() if value}
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]


def _way(model: Path, options: ConvertOptions) -> str:
    """Return runtime and arithmetic, as far as an output is not what the first runtime makes of the file as it is; ``auto`` of another is its float32."""
    runtimes = runtimes_of_all([model, *map(find, options.then)])
    first = options.runtime == "auto" or (bool(runtimes) and options.runtime == runtimes[0].name)
    arithmetic = "float32" if options.arithmetic == "auto" else options.arithmetic
    return "" if first and arithmetic == "float32" else f"{options.runtime} {arithmetic}"


class Run:
    """One run through a task, by any engine: it reports results, and shuts down cleanly."""

    def __init__(self, task: Task, sinks: Sinks) -> None:
        self.plan, self.options, self.formats, self.watch, self.system = task.plan, task.options, task.formats, task.watch, task.system
        self.journal, self.report, self.sheet = sinks.journal, sinks.report, sinks.sheet
        self._stopping = self._full = False
        self._survey = task.survey
        self.report.interrupt = self._interrupt
        self._begun = 0
        """How many images have been begun, in the order of the plan."""

    def run(self) -> None:
        """Convert everything; return when nothing is in flight."""
        started = time.monotonic()
        self.watch(self.report)
        for path, reason in self.plan.failures:
            self._finish(Result(path, "", "failed", reason))
        self.report.progress.begin()
        with StopOnSignal(self._interrupt), self._surveyed():
            self._convert()
        summary = self.report.summary
        summary.seconds += time.monotonic() - started
        notes = getattr(self.plan.store, "notes", [])  # which stores of older plugins lack
        summary.cautions += [caution for caution in (*self.plan.cautions, *notes) if caution not in summary.cautions]

    def stop(self) -> None:
        """Drain, from any thread: finish what has started, and start nothing new."""
        self._stopping = True

    def _surveyed(self) -> AbstractContextManager[None]:
        if not self._survey:
            return nullcontext()
        read = partial(ImageFile, max_pixels=self.options.max_pixels, formats=self.formats)
        return sizes_read_ahead(self.report.progress, self.plan.jobs, lambda: self._begun, read, self._whole)

    def _whole(self, source: ImageFormat, job: Job) -> bool:
        """Return whether all pictures of a file of a format are converted."""
        return wants_all(source, writable(job.format, self.formats), self.options)

    def end(self) -> None:
        """End what runs, from any thread; what is lost is done again by the same command."""

    def _convert(self) -> None:
        """Convert what can be converted."""
        raise NotImplementedError

    def _failed(self, job: Job, error: BaseException) -> Result:
        """Return the result of an image whose output cannot be written; a full disk stops the others."""
        cause = error.__cause__ if isinstance(error, PixlateError) else error
        if isinstance(cause, OSError) and cause.errno in FULL:
            self.report.summary.stopped = f"the output folder takes no more ({cause.strerror}); free some space and run the same command again"
            self._full = self._stopping = True
        return Result(job.source, job.name, "failed", reason_of(error))

    def _finish(self, result: Result) -> None:
        self.report.add(result)
        if result.status == "failed" and self.options.fail_fast and not self._stopping:
            self.report.summary.stopped = "stopped at the first failure, as --fail-fast asks"
            self._stopping = True
        self.watch(self.report)

    def _interrupt(self) -> None:
        """Drain, on Ctrl-C and SIGTERM; at the second one at once."""
        if self.report.summary.interrupted:
            self.end()
        self.report.summary.interrupted = True
        self.stop()
