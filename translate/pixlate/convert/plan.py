"""Walks the source once and settles every output's name, or refuses before anything is written."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pixlate.convert.options import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.images import SUFFIXES, suffix_of

HOME = ".pixlate"
"""Folder inside the output folder that holds the journal and files being written."""


@dataclass(frozen=True, slots=True)
class Job:
    """One image to convert."""

    source: str
    """Path of the image."""
    name: str
    """Path of the output, relative to the output folder."""
    format: str
    """Format of the output."""
    notes: tuple[str, ...] = ()
    """What the user should know of the choice of name or format."""


@dataclass
class Plan:
    """What a conversion will do."""

    root: Path
    """The output folder."""
    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Paths that cannot even be planned, with the reason."""
    ignored: int = 0
    """Files in the source folder that are no images by name, or hidden."""


def make_plan(sources: Sequence[Path], out: Path, options: ConvertOptions, plugin_suffixes: Mapping[str, object]) -> Plan:
    """Plan the conversion of files, folders or globs into a folder (or of one file into one file).

    Raises:
        PixlateError: Nothing to convert, a source that is the output, or two images that would give one output.
    """
    single = len(sources) == 1 and sources[0].is_file() and out.suffix.lower() in SUFFIXES and not out.is_dir()
    plan = Plan(out.parent if single else out)
    known = {*SUFFIXES, *plugin_suffixes}
    if out.exists() and not out.is_dir() and not single:
        raise PixlateError(f"expected a folder for the output, got the file {out}; name another folder")
    for source in sources:
        _add(plan, source, out, options, known)
    if single:
        plan.jobs = [Job(job.source, out.name, SUFFIXES[out.suffix.lower()] if options.format is None else options.format, job.notes) for job in plan.jobs]
    _refuse_clashes(plan)
    if not plan.jobs and not plan.failures:
        raise PixlateError(
            f"expected images ({' '.join(sorted(known))}) in {', '.join(map(str, sources))}, found none among {plan.ignored} files; check the path"
        )
    return plan


def _add(plan: Plan, source: Path, out: Path, options: ConvertOptions, known: set[str]) -> None:
    if source.is_dir():
        if out.exists() and source.samefile(out):
            raise PixlateError(f"expected an output folder other than the source {source}; name another one")
        for path in _walk(source, out, plan, ()):
            _add_file(plan, path, Path(path).relative_to(source), options, known)
    elif os.path.lexists(source):
        _add_file(plan, str(source), Path(source.name), options, known, named=True)
    elif glob.has_magic(str(source)):
        parts = source.parts
        base = Path(*parts[: next(index for index, part in enumerate(parts) if glob.has_magic(part))])
        for match in sorted(glob.glob(str(source), recursive=True)):  # noqa: PTH207 - pathlib takes no absolute pattern
            if not Path(match).is_dir():
                _add_file(plan, match, Path(match).relative_to(base), options, known)
    else:
        raise PixlateError(f"expected a file, a folder or a glob, but {source} does not exist; check the path")


def _add_file(plan: Plan, path: str, relative: Path, options: ConvertOptions, known: set[str], named: bool = False) -> None:
    ending = relative.suffix.lower()
    if not named and (ending not in known or relative.name.startswith(".")):
        plan.ignored += 1
        return
    notes: tuple[str, ...] = ()
    kind: str
    if options.format is not None:
        kind, suffix = options.format, relative.suffix if SUFFIXES.get(ending) == options.format else suffix_of(options.format)
    elif ending in SUFFIXES:
        kind, suffix = SUFFIXES[ending], relative.suffix
    elif ending in known:
        kind, suffix, notes = "png", ".png", (f"written as PNG, since {ending} can only be read",)
    else:
        raise PixlateError(f"the name of {path} does not tell its format; say how to write it with --format")
    plan.jobs.append(Job(path, str(relative.with_name(relative.stem + options.suffix + suffix)), kind, notes))


def _walk(folder: Path, out: Path, plan: Plan, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Yield the files below a folder in the order of their names, through links too; the output and hidden folders are left out."""
    try:
        status = folder.stat()
        own = (status.st_dev, status.st_ino)
        if own in above:
            plan.failures.append((str(folder), "is a link back to a folder that holds it; its images are converted once, remove the link"))
            return
        if above and out.exists() and folder.samefile(out):
            return
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        plan.failures.append((str(folder), f"the folder cannot be read ({error.strerror}); check its permissions"))
        return
    for entry in listed:
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link to itself; reading it will say so
            is_folder = False
        if not is_folder:
            yield entry.path
        elif not entry.name.startswith("."):
            yield from _walk(Path(entry.path), out, plan, (*above, own))


def _refuse_clashes(plan: Plan) -> None:
    outputs: dict[str, str] = {}
    for job in plan.jobs:
        key = os.path.normcase(job.name)
        if key in outputs:
            raise PixlateError(f"{outputs[key]} and {job.source} would both give {job.name}; rename one, or convert them into two folders")
        outputs[key] = job.source
    for job in plan.jobs:
        target = plan.root / job.name
        if target.exists() and Path(job.source).exists() and target.samefile(job.source):
            raise PixlateError(f"{job.source} would be replaced by its own conversion; give --suffix, such as --suffix _out, or another folder")
