"""Walks the source once and settles every output's name, or refuses before anything is written."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from pixlate.convert.options import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.images.formats import writable
from pixlate.places.homes import open_records
from pixlate.places.job import HOME, Job
from pixlate.places.journal import Records
from pixlate.places.local import identity
from pixlate.places.remote import refusal
from pixlate.places.remote_walk import find_remote
from pixlate.places.url import Url, Version
from pixlate.places.walk import find, has_magic, walk
from pixlate.plugin.image_format import ImageFormat

if TYPE_CHECKING:
    from pixlate.places.remote_journal import RemoteRecords


@dataclass
class Plan:
    """What a conversion will do."""

    root: Path | Url
    """The output folder."""
    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Paths that cannot even be planned, with the reason."""
    ignored: Counter[str] = field(default_factory=Counter)
    """How many files in the source folder were left out, by the ending that names no image, ``hidden`` or ``outputs of an earlier run``."""


def make_plan(sources: Sequence[Path | Url], out: Path | Url, options: ConvertOptions, known: Mapping[str, ImageFormat]) -> Plan:
    """Plan the conversion of files, folders or globs into a folder (or of one file into one file).

    Raises:
        PixlateError: Nothing to convert, a source that is the output, two images that would give one output, or a format that is not there.
    """
    if options.format is not None:
        writable(options.format, known)
    if isinstance(out, Url) and "::" in out.name:
        raise PixlateError(f"expected the output at a URL without ::, got {out}; write into a folder and pack it afterwards")
    if _is_single(sources, out, known):
        plan = _plan_single(sources[0], out, options, known)
    elif _is_misspelled(sources, out):
        raise PixlateError(
            f"the name {out} does not end as an image's ({' '.join(sorted(suffix for suffix in known if known[suffix].write))}); fix it, or make a folder of that name first"
        )
    elif _kind(out) == "file":
        raise PixlateError(f"expected a folder for the output, got the file {out}; name another folder")
    else:
        plan = Plan(out)
        for source in sources:
            if isinstance(source, Url):
                for found in find_remote(source, out, plan.failures):
                    _add_file(plan, str(found.url), found.relative, options, known, found.named, found.url, found.version)
            else:
                _add(plan, source, out, options, known)
    _refuse_clashes(plan)
    _refuse_own_images(plan)
    _refuse_replaced(plan, options)
    if not plan.jobs and not plan.failures:
        raise PixlateError(
            f"expected images ({' '.join(sorted(known))}) in {', '.join(map(str, sources))}, found none among {plan.ignored.total()} files; check the path"
        )
    return plan


def _kind(place: Path | Url) -> str:
    """Tell whether a place is a ``folder``, a ``file`` (or anything else that has a name) or ``nothing``."""
    if isinstance(place, Path):
        return "folder" if os.path.isdir(place) else "file" if os.path.lexists(place) else "nothing"  # noqa: PTH112 - pathlib raises for a name that is too long
    try:
        return place.kind()
    except Exception as error:
        raise refusal(error, str(place)) from error


def _ending(place: Path | Url) -> str:
    return place.pure.suffix if isinstance(place, Url) else place.suffix


def _is_single(sources: Sequence[Path | Url], out: Path | Url, known: Mapping[str, ImageFormat]) -> bool:
    """Tell whether one file is to become one file."""
    format = known.get(_ending(out).lower())
    return len(sources) == 1 and format is not None and format.write is not None and _kind(out) != "folder" and _kind(sources[0]) == "file"


def _is_misspelled(sources: Sequence[Path | Url], out: Path | Url) -> bool:
    """Tell whether one file is to become what looks like a file, such as ``big.jpgg``."""
    ending = _ending(out)
    if len(sources) != 1 or not (ending.isascii() and ending[1:].isalpha()) or _kind(out) != "nothing":
        return False
    return _kind(sources[0]) == "file" if isinstance(sources[0], Url) else os.path.isfile(sources[0])  # noqa: PTH113


def _plan_single(source: Path | Url, out: Path | Url, options: ConvertOptions, known: Mapping[str, ImageFormat]) -> Plan:
    kind = known[_ending(out).lower()].name
    if options.format not in (None, kind):
        raise PixlateError(f"the name {out} says {kind}, but --format says {options.format}; leave out --format or change the name")
    if options.suffix:
        raise PixlateError(f"--suffix is added to the names in an output folder, but {out} is named in full; leave it out")
    plan = Plan(out.parent)
    name = out.pure.name if isinstance(out, Url) else out.name
    if isinstance(source, Url):
        plan.jobs = [Job(str(found.url), name, kind, (), found.url, found.version) for found in find_remote(source, out, plan.failures)]
    else:
        plan.jobs = [Job(str(source), name, kind)]
    return plan


def _add(plan: Plan, source: Path, out: Path | Url, options: ConvertOptions, known: Mapping[str, ImageFormat]) -> None:
    output = None if isinstance(out, Url) else out
    if os.path.isdir(source):  # noqa: PTH112 - pathlib raises where a folder above may not be read
        if output is not None and identity(source) == identity(output):
            raise PixlateError(f"expected an output folder other than the source {source}; name another one")
        for path in walk(source, output, plan.failures):
            _add_file(plan, path, Path(path).relative_to(source), options, known)
    elif os.path.lexists(source):
        _add_file(plan, str(source), Path(source.name), options, known, named=True)
    elif has_magic(source):
        base, files = find(source, output, plan.failures)
        for path in files:
            _add_file(plan, path, Path(path).relative_to(base), options, known)
    else:
        raise PixlateError(f"expected a file, a folder or a glob, but {source} does not exist; check the path")


def _add_file(
    plan: Plan,
    path: str,
    relative: PurePath,
    options: ConvertOptions,
    known: Mapping[str, ImageFormat],
    named: bool = False,
    url: Url | None = None,
    version: Version | None = None,
) -> None:
    ending = relative.suffix.lower()
    if not named and (ending not in known or relative.name.startswith(".")):
        plan.ignored["hidden" if relative.name.startswith(".") else ending or "without an ending"] += 1
        return
    notes: tuple[str, ...] = ()
    kind: str
    if options.format is not None:
        wanted = writable(options.format, known)
        kind, suffix = wanted.name, relative.suffix if known.get(ending) == wanted else wanted.suffixes[0]
    elif ending in known and known[ending].write is not None:
        kind, suffix = known[ending].name, relative.suffix
    elif ending in known:
        kind, suffix, notes = "png", ".png", (f"written as PNG, since {ending} can only be read",)
    else:
        raise PixlateError(f"the name of {path} does not tell its format; say how to write it with --format")
    target = relative.with_name(relative.stem + options.suffix + suffix)
    name = target.as_posix() if isinstance(plan.root, Url) else str(target)
    if isinstance(plan.root, Url) and not name.isascii() and not _is_text(name):
        plan.failures.append((path, "its name is not text, and a name at a URL must be; rename it"))
        return
    plan.jobs.append(Job(path, name, kind, notes, url, version))


def _is_text(name: str) -> bool:
    """Tell whether a name can be written as UTF-8, which those of undecodable bytes cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_clashes(plan: Plan) -> None:
    """Refuse two images that would give one output, and an output that would stand where a folder of outputs must."""
    folds = not isinstance(plan.root, Url) and _folds_case(plan.root)
    outputs: dict[str, str] = {}
    for job in plan.jobs:
        key = unicodedata.normalize("NFC", job.name).casefold() if folds else os.path.normcase(job.name)
        if key in outputs:
            alike = ", which does not tell upper from lower case there" if folds else ""
            raise PixlateError(f"{outputs[key]} and {job.source} would both give {job.name}{alike}; rename one, or convert them into two folders")
        outputs[key] = job.source
    folders: dict[str, str] = {}
    for key, source in outputs.items():
        folder = os.path.dirname(key)  # noqa: PTH120 - strings, for trees of many thousand files
        while folder and folder not in folders:
            folders[folder] = source
            folder = os.path.dirname(folder)  # noqa: PTH120
    for name in outputs.keys() & folders.keys():
        raise PixlateError(f"{outputs[name]} would give a file, and {folders[name]} a folder of the same name {name}; rename one, or use --suffix")


def _refuse_own_images(plan: Plan) -> None:
    """Refuse outputs that would replace images to convert; those that an earlier run of the same command made are left out."""
    sources = {own: job for job in plan.jobs if (own := _identity(job)) is not None}
    written: set[Job] = set()
    recorded: Records | RemoteRecords | None = None
    for job in plan.jobs if sources else ():
        own = plan.root.child(job.name).identity if isinstance(plan.root, Url) else identity(plan.root / job.name)
        replaced = sources.get(own) if own is not None else None
        if replaced is None:
            continue
        if own == _identity(job):
            raise PixlateError(f"{job.source} would be replaced by its own conversion; give --suffix, such as --suffix _out, or another folder")
        recorded = recorded or open_records(plan.root, "")
        if not recorded.knows(job.name):
            raise PixlateError(f"{replaced.source} is to be converted, but the conversion of {job.source} would take its name; use another folder or --suffix")
        written.add(replaced)
    if written:
        plan.ignored["outputs of an earlier run"] += len(written)
    plan.jobs = [job for job in plan.jobs if job not in written]


def _identity(job: Job) -> tuple[object, ...] | None:
    """Return what tells a source from every other file; None where there is none."""
    return identity(job.source) if job.url is None else job.url.identity


def _refuse_replaced(plan: Plan, options: ConvertOptions) -> None:
    """Refuse a report or sheet that would take the place of an image, of an output or of the journal."""
    for option, path in (("report", options.report), ("sheet", options.sheet)):
        if path is None:
            continue
        own = identity(path)
        name = None if isinstance(plan.root, Url) else os.path.relpath(os.path.realpath(path), os.path.realpath(plan.root))
        if name is not None and (name == os.curdir or Path(name).parts[0] == HOME):
            raise PixlateError(f"--{option} {path} would take the place of the output folder or of its journal; name another file")
        for job in plan.jobs:
            if job.name == name or (own is not None and own == _identity(job)):
                raise PixlateError(f"--{option} {path} would take the place of {'an output' if job.name == name else 'an image'}; name another file")


def _folds_case(root: Path) -> bool:
    """Tell whether the disk of the output folder takes ``A.png`` and ``a.png`` for one file, as those of macOS and Windows do."""
    folder = Path(os.path.realpath(root))
    while not os.path.isdir(folder) and folder != folder.parent:  # noqa: PTH112
        folder = folder.parent
    try:
        with os.scandir(folder) as entries:
            inside = next((Path(entry.path) for entry in entries if entry.name.swapcase() != entry.name), None)
    except OSError:
        inside = None
    if inside is None and not folder.is_mount():
        inside = folder
    if inside is None or identity(inside) is None:
        return False
    return identity(inside) == identity(inside.with_name(inside.name.swapcase()))
