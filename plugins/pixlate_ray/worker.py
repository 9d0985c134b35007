"""A worker of a Ray cluster: the pipeline of one machine on a few images at a time.

It gives no output of a disk its name and writes no journal of one; that is the driver's. Outputs go to the driver as bytes, or into a shared
store, each with its entry.
"""

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pixlate
from pixlate.convert.conversion import Sinks, Task
from pixlate.convert.options import ConvertOptions
from pixlate.convert.pipeline import Conversion
from pixlate.convert.plan import Plan
from pixlate.convert.report import Report, Result
from pixlate.convert.sheet import Row, Sheet
from pixlate.errors import PixlateError
from pixlate.inference.models import load_executors
from pixlate.places.entries import Entry
from pixlate.places.journal import Job, State, entry_of, give_name
from pixlate.places.local import LocalStore
from pixlate.plugin.manager import installed
from pixlate.plugin.place import Store, Version


@dataclass(frozen=True)
class Setup:
    """What every worker receives once."""

    model: str
    """Name of the model's file."""
    options: ConvertOptions
    settings: str
    """Digest of the model and of the options that shape an output."""
    store: Store | None
    """Output folder into which the workers write, or None where the driver writes the outputs."""
    cores: int
    """Cores of one worker."""
    scratch: str
    """Folder for temporary files; empty for the machine's own."""
    node: str
    """Ray's name of the machine the driver runs on."""
    version: str = pixlate.__version__
    system: str = ""
    """What pictures say made them."""


@dataclass(frozen=True)
class Order:
    """One image to convert."""

    index: int
    job: Job
    source: Version
    """What its source was when the driver looked."""
    fresh: bool
    """Whether nothing existed under the output's name."""


@dataclass(frozen=True)
class Answer:
    """The result."""

    index: int
    result: Result
    entry: Entry | None = None
    """Of an output in a shared store."""
    data: bytes = b""
    """The output, where the driver writes it."""
    row: Row | None = None
    """For the sheet."""


class Parts:
    """A worker's outputs (see :class:`pixlate.places.journal.Outputs`): they are kept as they were written, or put into a shared store."""

    def __init__(self, folder: str, setup: Setup, orders: Sequence[Order]) -> None:
        self.parts = Path(folder)
        self.entries: dict[str, Entry] = {}
        self.written: dict[str, Path] = {}
        self._setup = setup
        self._fresh = {order.job.name for order in orders if order.fresh}

    def exists(self, name: str) -> bool:
        """Return False: the driver has looked."""
        return False

    def state(self, job: Job, source: Version) -> State:
        """Return ``new``: the driver has looked."""
        return "new"

    def made_by(self, name: str) -> str:
        """Return nothing: the driver has looked."""
        return ""

    def kept(self, job: Job, source: Version) -> Path | None:
        """Return nothing: the next run may be on another machine."""
        return None

    def finish(self, job: Job, part: Path, source: Version) -> None:
        """Keep the part, or give it its name in the store."""
        store = self._setup.store
        if store is None:
            self.written[job.name] = part.rename(part.with_name(f"{len(self.written)}.{os.urandom(4).hex()}"))
            return
        entry = entry_of(job, part, source, self._setup.settings, store.shared)
        store.record(entry.name, entry.line())
        give_name(store, entry, part, job.name in self._fresh)
        self.entries[job.name] = entry


class Results(Report):
    """A report that keeps each result for the driver."""

    def __init__(self, planned: int) -> None:
        super().__init__(None, planned, {})
        self.results: dict[str, Result] = {}

    def add(self, result: Result) -> None:
        """Record one result."""
        super().add(result)
        self.results[result.output] = result


class Worker:
    """Loads a model from its files by their suffixes, those of the one it is blended with, and, with the names of their files, of those that run after it, once and converts what it is given; each is an actor of Ray, in a process of its own."""

    def __init__(self, setup: Setup, model: Mapping[str, bytes], other: Mapping[str, bytes], later: Sequence[tuple[str, Mapping[str, bytes]]] = ()) -> None:
        self._setup, self._refused, self._stopping = setup, "", False
        self._conversion: Conversion | None = None
        self._host = f"the worker on {socket.gethostname()}"
        try:
            if pixlate.__version__ != setup.version:
                raise PixlateError(f"it has Pixlate {pixlate.__version__}, and the command has {setup.version}; install the same version there")
            os.environ["PIXLATE_CORES"] = str(setup.cores)
            with tempfile.TemporaryDirectory(prefix="pixlate-", dir=setup.scratch or None) as folder:
                path = _placed(Path(folder), setup.model, model)
                options = replace(setup.options, then=tuple(_placed(Path(folder) / f"{index}", *each) for index, each in enumerate(later)))
                if options.blend_with is not None:
                    options = replace(options, blend_with=_placed(Path(folder) / "other", setup.model, other))
                self._executors = load_executors(path, options)
        except PixlateError as error:
            self._refused = f"{self._host} cannot convert: {error}"

    def device(self) -> dict[str, str]:
        """Return the ``device`` that it uses, or why it was ``refused``: errors of Ray contain their tracebacks."""
        return {"refused": self._refused} if self._refused else {"device": self._executors[0].translator.device}

    def stop(self) -> None:
        """Drain: finish what has started, and start nothing new."""
        self._stopping = True
        if self._conversion is not None:
            self._conversion.stop()

    def convert(self, orders: Sequence[Order]) -> Iterator[Answer]:
        """Convert images and yield their answers; those that :meth:`stop` kept it from get none."""
        with tempfile.TemporaryDirectory(prefix="pixlate-", dir=self._setup.scratch or None, ignore_cleanup_errors=True) as folder:
            outputs, results = Parts(folder, self._setup, orders), Results(len(orders))
            sheet = Sheet(Path(folder) / "sheet.png", "") if self._setup.options.sheet else None  # its rows are what is wanted
            for order in orders:
                if reason := self._unreadable(order):
                    results.add(Result(order.job.source, order.job.name, "failed", reason))
            plan = Plan(self._setup.store or LocalStore(outputs.parts), [order.job for order in orders if order.job.name not in results.results])
            options = replace(self._setup.options, on_exists="overwrite", report=None, sheet=None, fail_fast=False)
            task = Task(plan, "", Path(), options, self._setup.settings, installed().image_formats(films=True), lambda report: None, system=self._setup.system)
            self._conversion = Conversion(task, Sinks(outputs, results, sheet), self._executors)
            if not self._stopping:
                self._conversion.run()
            for order in orders:
                name = order.job.name
                result = results.results.get(name)
                if result is None and results.summary.stopped:  # its GPU is lost, or its disk is full
                    result = Result(order.job.source, name, "failed", f"{self._host} stopped: {results.summary.stopped}")
                if result is not None:
                    data = outputs.written[name].read_bytes() if name in outputs.written else b""
                    yield Answer(order.index, result, outputs.entries.get(name), data, sheet.rows.get(name) if sheet else None)

    def _unreadable(self, order: Order) -> str:
        """Return why a source on a disk cannot be read from this machine, if so."""
        if order.job.place.local is None or import_module("ray").get_runtime_context().get_node_id() == self._setup.node:
            return ""
        todo = "give workers on other machines a URL or a shared folder"
        try:
            same = order.job.place.version() == order.source
        except PixlateError as error:
            return f"{self._host} cannot read it ({error}); {todo}"
        return "" if same else f"{self._host} has another file under this path; {todo}"


def _placed(folder: Path, name: str, contents: Mapping[str, bytes]) -> Path:
    """Write the files of a model, by their suffixes, into a folder; return the one of that name."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    for suffix, content in contents.items():
        path.with_suffix(suffix).write_bytes(content)
    return path
