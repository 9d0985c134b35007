"""Sets up a conversion: plan, settings and engine; then journal, report and sheet."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pixlate.convert.engines import choose_engine
from pixlate.convert.options import ConvertOptions
from pixlate.convert.plan import Plan, make_plan
from pixlate.convert.report import Report, Summary
from pixlate.convert.sheet import Sheet
from pixlate.errors import PixlateError
from pixlate.inference.models import find
from pixlate.places.journal import Journal, Outputs
from pixlate.places.local import locate
from pixlate.places.paths import digest_file, identity
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import installed


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

    @contextmanager
    def open_sinks(self) -> Iterator[Sinks]:
        """Open report, sheet and journal, and close them; what can be refused must be refused before.

        Raises:
            PixlateError: One of them cannot be written.
        """
        with ExitStack() as held:
            report = held.enter_context(Report(self.options.report, len(self.plan.jobs) + len(self.plan.failures), self.plan.ignored))
            sheet = Sheet(self.options.sheet, str(self.model)) if self.options.sheet else None
            if sheet is not None:
                held.callback(sheet.discard)
            yield Sinks(held.enter_context(Journal(self.plan.store, self.settings)), report, sheet)
            if sheet is not None:
                sheet.save(report.summary)


def run(sources: Sequence[str | Path], out: str | Path, model: str | Path, options: ConvertOptions, watch: Callable[[Report], None], engine: object) -> Summary:
    """Convert the sources into ``out``; see :func:`pixlate.convert`."""
    if options.dry_run:
        raise PixlateError("expected a conversion, got dry_run; call pixlate.convert.preview.preview for what would be done")
    chosen, engine_options = choose_engine(engine)
    return chosen.run(planned(sources, out, model, options, watch), engine_options)


def planned(sources: Sequence[str | Path], out: str | Path, model: str | Path, options: ConvertOptions, watch: Callable[[Report], None]) -> Task:
    """Return what is to be converted, or refuse it.

    Raises:
        PixlateError: No such model or source, clashing names, a report or sheet that would take the place of something.
    """
    path = find(model)
    for option, file in (("report", options.report), ("sheet", options.sheet)):
        if file is not None and identity(file) == identity(path):
            raise PixlateError(f"--{option} {file} would take the place of the model; name another file")
    if options.mask is not None:
        options = replace(options, mask=options.mask.absolute())
    formats = installed().image_formats()
    plan = make_plan([locate(source) for source in sources], locate(out), options, formats)
    return Task(plan, model, path, options, settings_digest(path, options), formats, watch)


def settings_digest(model: Path, options: ConvertOptions) -> str:
    """Return a digest of the model file and of the options that shape an output; those for conditions only where they are given, as in journals of 0.1."""
    shaping: dict[str, object] = {"format": options.format, "quality": options.quality, "strip_metadata": options.strip_metadata, "model": digest_file(model)}
    given = {"set": sorted(options.set), "mask": None if options.mask is None else str(options.mask.absolute()), "seed": options.seed}
    shaping |= {name: value for name, value in given.items() if value}
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]
