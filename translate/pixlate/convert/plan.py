"""Walks the source once and decides every output's name and what is done where it exists, or refuses before anything is written."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePath

from pixlate.convert.options import ConvertOptions, OnExists
from pixlate.convert.report import Result
from pixlate.errors import PixlateError, Unsupported
from pixlate.images.formats import writable
from pixlate.images.frames import require_frames, require_still
from pixlate.images.unsupported import FILMS
from pixlate.images.write import require_lossless
from pixlate.options.name_template import formatted
from pixlate.places.journal import Job, Outputs, ReadOnlyJournal
from pixlate.places.local import HOME, LocalStore
from pixlate.places.paths import identity, is_excluded, unwritable
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.place import Found, Place, Store, Version
from pixlate.system.extras import install
from pixlate.system.folder import refuse_link

LONGEST_NAME = 255
"""Bytes of a name that file systems hold."""
EXCLUDED = "by --exclude"
LIMITED = "by --limit"
_NO_FILMS = f"films were left out, since the package that reads and writes them is missing; run: {install('video')}"


@dataclass
class Plan:
    """What a conversion will do."""

    store: Store
    """The output folder."""
    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Paths that cannot even be planned, with the reason."""
    ignored: Counter[str] = field(default_factory=Counter)
    """How many files in the source folder were left out: by suffix, ``hidden``, or why."""
    cautions: list[str] = field(default_factory=list)
    """What the user should know of the whole conversion."""


def make_plan(sources: Sequence[Place], out: Place, options: ConvertOptions, known: Mapping[str, ImageFormat], model: str = "") -> Plan:
    """Plan the conversion of files, folders or globs into a folder (or of one file into one file); ``model`` is what names of outputs call it.

    Raises:
        PixlateError: Nothing to convert, a source that is the output, two images that would give one output, or a format that is not there.
    """
    plan = Plan(out.store())
    one = len(sources) == 1 and sources[0].kind() == "file"
    ending, kind = out.pure.suffix, out.kind()
    named = known.get(ending.lower())
    if options.frames == "all" and options.format is not None:
        require_frames(writable(options.format, known), "--frames all", known)
    if one and {sources[0].pure.suffix.lower(), ending.lower()} & FILMS - known.keys():
        raise missing_film(sources[0])
    if one and named is not None and named.writable and kind != "folder":
        plan = _plan_single(sources[0], out, options, named, known)
    elif one and kind == "nothing" and ending.isascii() and ending[1:].isalpha():  # such as big.jpgg
        endings = " ".join(sorted(suffix for suffix in known if known[suffix].writable))
        raise PixlateError(f"the name {out} does not end as an image's ({endings}); fix it, or make a folder of that name first")
    elif kind == "nothing" and named is not None:
        raise PixlateError(f"expected a folder for the output, got {out}, which is named as one image; name a folder, or make one of that name first")
    elif kind == "file":
        raise PixlateError(f"expected a folder for the output, got the file {out}; name another folder")
    else:
        for source in sources:
            for found in source.files(plan.store, plan.failures):
                _add(plan, found, options, known, model)
    _leave_out(plan, options, sources)
    _refuse_clashes(plan, options.name is not None)
    _refuse_own_images(plan)
    if options.lossless:
        for name in sorted({job.format for job in plan.jobs}):
            require_lossless(writable(name, known), known)
    if not plan.jobs and not plan.failures and not options.watch:
        left_out = ", ".join(f"{count} {kind}" for kind, count in sorted(plan.ignored.items()) if count)
        raise PixlateError(
            f"expected images ({' '.join(sorted(known))}) in {', '.join(map(str, sources))}, found none among {plan.ignored.total()} files"
            f"{left_out and f' (left out: {left_out})'}; check {'--exclude' if plan.ignored[EXCLUDED] else 'the path'}"
        )
    return plan


def added(plan: Plan, found: Found, options: ConvertOptions, known: Mapping[str, ImageFormat], names: dict[str, str], model: str) -> Job | None:
    """Add a file that has come since a plan was made; return its job, or None where it is left out or is one of the plan's failures.

    Args:
        plan: The plan.
        found: The file.
        options: How it is converted.
        known: Formats by suffix.
        names: The sources of the outputs by their :func:`name_key`; that of the file is added.
        model: What names of outputs call the model.
    """
    one = Plan(plan.store)
    try:
        _add(one, found, options, known, model)
        for job in one.jobs:
            folds, parts = plan.store.folds_case(), PurePath(job.name).parts
            for depth in range(1, len(parts) + 1):
                other = names.get(name_key(str(PurePath(*parts[:depth])), folds))
                if other not in (None, job.source) and os.path.lexists(str(other)):
                    raise PixlateError(f"{job.name} is already what {other} gives; rename one of the two")
            _refuse_own_images(one)
            names[name_key(job.name, folds)] = job.source
    except PixlateError as error:
        one.failures.append((str(found.file), str(error)))
        one.jobs.clear()
    plan.failures += one.failures
    return next(iter(one.jobs), None)


def settle(job: Job, source: Version, outputs: Outputs, on_exists: OnExists) -> Result | None:
    """Return the result of a job whose output exists already, or None where there is work to do."""
    if on_exists != "resume":
        exists = outputs.exists(job.name)  # which refuses a link in the way
        return Result(job.source, job.name, "skipped", "the output exists") if exists and on_exists == "skip" else None
    state = outputs.state(job, source)
    if state in ("new", "stale"):
        return None
    if state == "finished":
        return Result(job.source, job.name, "finished before")
    if state == "other settings" and (made_by := outputs.made_by(job.name)):
        reason = f"the output exists, made with {made_by}, choose another folder, or --on-exists overwrite to replace it"
    elif state == "other settings":
        reason = "the output exists, made with another model or other options; choose another folder, or --on-exists overwrite to replace it"
    else:
        reason = "the output exists and is not one of this conversion; it was kept: choose another folder, or --on-exists skip or overwrite"
    return Result(job.source, job.name, "failed", reason)


def missing_film(film: object) -> PixlateError:
    """Return the sentence for a film where the extra that reads films is missing."""
    return PixlateError(f"{film} is a film, and the package that reads and writes films is missing; run: {install('video')}")


def _plan_single(source: Place, out: Place, options: ConvertOptions, format: ImageFormat, known: Mapping[str, ImageFormat]) -> Plan:
    kind, given = format.name, known.get(source.pure.suffix.lower())
    if given is not None:
        _require_fitting(source, given, format, options, known)
    if options.format not in (None, kind):
        raise PixlateError(f"the name {out} says {kind}, but --format says {options.format}; leave out --format or change the name")
    if option := "--suffix" if options.suffix else "--name" if options.name is not None else "":
        raise PixlateError(f"{option} {'is added to' if options.suffix else 'makes'} the names in an output folder, but {out} is named in full; leave it out")
    plan = Plan(out.parent.store())
    plan.jobs = [Job(found.file, out.pure.name, kind, (), found.relative.as_posix()) for found in source.files(plan.store, plan.failures)]
    return plan


def _require_fitting(source: object, given: ImageFormat, wanted: ImageFormat, options: ConvertOptions, known: Mapping[str, ImageFormat]) -> None:
    """Refuse a film as a single picture, and a single picture as a film, as far as the formats show it."""
    if given.film and options.frames != "first":
        require_frames(wanted, f"the film {source}", known)
    if wanted.film and (options.frames == "first" or not given.frames):
        require_still(wanted)


def _add(plan: Plan, found: Found, options: ConvertOptions, known: Mapping[str, ImageFormat], model: str) -> None:
    relative = found.relative
    ending = relative.suffix.lower()
    if is_excluded(relative.parts, options.exclude):
        plan.ignored[EXCLUDED] += 1
        return
    if not found.named and (ending not in known or relative.name.startswith(".")):
        plan.ignored["hidden" if relative.name.startswith(".") else ending or "without an ending"] += 1
        if ending in FILMS and _NO_FILMS not in plan.cautions:
            plan.cautions.append(_NO_FILMS)
        return
    if found.output_of:
        plan.ignored[f"outputs of an earlier conversion in {found.output_of}"] += 1
        return
    if found.run:
        plan.ignored[f"of the run of training in {found.run}"] += 1
        return
    try:
        kind, suffix, notes = _form(found, options, known)
    except Unsupported as error:
        plan.failures.append((str(found.file), str(error)))
        return
    if options.name is not None:
        named = relative.with_name(_by_template(options.name, relative, suffix, model, len(plan.jobs) + 1))
        if known.get(named.suffix.lower()) != writable(kind, known):
            raise PixlateError(f"expected --name to end as the format of the output of {found.file} ({suffix}), got {named.name}; end it with {{suffix}}")
    else:
        named = relative if suffix == relative.suffix and not options.suffix else relative.with_name(relative.stem + options.suffix + suffix)
    try:
        name = plan.store.name_of(named)
    except PixlateError as error:
        plan.failures.append((str(found.file), str(error)))
        return
    below = relative.as_posix()
    plan.jobs.append(Job(found.file, name, kind, notes, name if name == below else below))


def _form(found: Found, options: ConvertOptions, known: Mapping[str, ImageFormat]) -> tuple[str, str, tuple[str, ...]]:
    """Return format and suffix of an output, with notes on their choice.

    Raises:
        Unsupported: This file cannot become one of the format that is asked for.
        PixlateError: Its name does not say what it is.
    """
    ending = found.relative.suffix.lower()
    source = known.get(ending)
    if options.format is not None:
        wanted = writable(options.format, known)
        if source is not None:
            _require_fitting(found.file, source, wanted, options, known)
        return wanted.name, found.relative.suffix if source == wanted else wanted.suffixes[0], ()
    if source is None:
        if ending in FILMS:
            raise missing_film(found.file)
        raise PixlateError(f"the name of {found.file} does not determine its format; name one with --format")
    if source.film and options.frames == "first":
        return "png", ".png", ()
    if source.writable:
        return source.name, found.relative.suffix, ()
    other = writable(source.instead, known)
    return other.name, other.suffixes[0], _only_read(ending, other.title)


def _by_template(template: str, relative: PurePath, suffix: str, model: str, number: int) -> str:
    """Return the name of an output; refuse one that is too long to be written."""
    name = formatted(template, relative.stem, suffix, model, number)
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise PixlateError(f"expected names of at most {LONGEST_NAME} bytes of --name, got {name!r}; shorten the template")
    return name


@cache
def _only_read(ending: str, title: str) -> tuple[str, ...]:
    """Return the notes on images that cannot be written as they are, once for all of them."""
    return (f"written as {title}, since {ending} can only be read",)


def _leave_out(plan: Plan, options: ConvertOptions, sources: Sequence[Place]) -> None:
    """Take out what cannot be listed in excluded folders, and images after the limit."""
    tops = [Path(str(source)) for source in sources]
    below = {name: next((Path(name).relative_to(top) for top in tops if Path(name).is_relative_to(top)), Path(name)) for name, _ in plan.failures}
    kept = [failure for failure in plan.failures if not is_excluded(below[failure[0]].parts, options.exclude)]
    if len(kept) < len(plan.failures):
        plan.ignored[EXCLUDED] += len(plan.failures) - len(kept)
    plan.failures = kept
    if options.exclude and not plan.ignored[EXCLUDED]:
        plan.cautions.append(f"--exclude {' '.join(options.exclude)} has left nothing out; a glob with a slash is a path below the source folder")
    if options.limit and len(plan.jobs) > options.limit:
        plan.ignored[LIMITED] += len(plan.jobs) - options.limit
        del plan.jobs[options.limit :]


def name_key(name: str, folds: bool) -> str:
    """Return what is alike of two names that are those of one file, where the disk ``folds`` case; its parts are separated by NUL."""
    name = unicodedata.normalize("NFC", name).casefold() if folds else name
    return name.replace(os.sep, "\0").replace("/", "\0")


def _refuse_clashes(plan: Plan, template: bool) -> None:
    """Refuse two images with one output, and an output whose name is that of a folder of outputs.

    Both are neighbours where the names are sorted by their parts: a folder comes right after a file of its name.
    """
    folds = plan.store.folds_case()

    def key(job: Job) -> str:
        return name_key(job.name, folds)

    for first, second in pairwise(sorted(plan.jobs, key=key)):
        if key(first) == key(second):
            alike = ", which is case-insensitive there" if folds else ""
            todo = "use {stem} or {number} in --name" if template else "rename one, or convert them into two folders"
            raise PixlateError(f"{first.source} and {second.source} would both give {second.name}{alike}; {todo}")
        if key(second).startswith(f"{key(first)}\0"):
            raise PixlateError(f"{first.source} would give a file, and {second.source} a folder of the same name {first.name}; rename one, or use --suffix")


def _refuse_own_images(plan: Plan) -> None:
    """Refuse outputs that would replace images to convert, except those that an earlier run of the same command wrote."""
    outputs = {hash(own) for job in plan.jobs if (own := plan.store.identity(job.name)) is not None}  # of a million, the identities would take much more memory
    sources = {own: job for job in plan.jobs if outputs and (own := job.place.identity()) is not None and hash(own) in outputs}
    written: set[Job] = set()
    recorded: ReadOnlyJournal | None = None
    for job in plan.jobs if sources else ():
        own = plan.store.identity(job.name)
        replaced = sources.get(own) if own is not None else None
        if replaced is None:
            continue
        if own == job.place.identity():
            raise PixlateError(f"{job.source} would be replaced by its own conversion; give --suffix, such as --suffix _out, or another folder")
        recorded = recorded or ReadOnlyJournal(plan.store, "")
        if not recorded.knows(job.name):
            raise PixlateError(f"{replaced.source} is to be converted, but the conversion of {job.source} would take its name; use another folder or --suffix")
        written.add(replaced)
    if written:
        plan.ignored["outputs of an earlier run of this command"] += len(written)
        plan.jobs = [job for job in plan.jobs if job not in written]


def refuse_replaced(plan: Plan, options: ConvertOptions, models: Sequence[Path]) -> None:
    """Refuse a report or sheet that would take the place of a model, an image, an output or the journal."""
    for option, path in (("report", options.report), ("sheet", options.sheet)):
        if path is None:
            continue
        own, name = identity(path), plan.store.relative(path)
        if own is not None and own in map(identity, models):
            what = "the model"
        elif name is not None and (name == os.curdir or Path(name).parts[0] == HOME):
            what = "the output folder or of its journal"
        elif any(job.name == name for job in plan.jobs):
            what = "an output"
        elif own is not None and any(own == job.place.identity() for job in plan.jobs):
            what = "an image"
        else:
            continue
        raise PixlateError(f"--{option} {path} would take the place of {what}; name another file")


def refuse_unwritable(plan: Plan, options: ConvertOptions) -> None:
    """Refuse an output folder, report or sheet that cannot be written, as far as that is known before the model is loaded, which may take long."""
    if isinstance(plan.store, LocalStore):
        if reason := unwritable(plan.store.root):
            raise PixlateError(f"the output folder {plan.store} cannot be written ({reason}); choose another or change its permissions")
        refuse_link(plan.store.path.parent, plan.store.path, plan.store.parts)
    for option, path in (("report", options.report), ("sheet", options.sheet)):
        if path is not None and (reason := unwritable(path.parent)):
            raise PixlateError(f"the {option} {path} cannot be written ({reason}); choose another path for --{option}")
