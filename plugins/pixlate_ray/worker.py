"""What a worker of a Ray cluster does: the pipeline of one machine on a few images at a time.

It gives no output of a disk its name and writes no journal of one; that is the driver's. Outputs go to the driver as bytes, in pieces, or
into a shared store, each with its entry.
"""

import os
import pickle
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pixlate
from pixlate.convert.options import ConvertOptions
from pixlate.convert.pipeline import Conversion
from pixlate.convert.plan import Plan
from pixlate.convert.report import Report, Result, reason_of
from pixlate.errors import PixlateError
from pixlate.inference.executor import Executor
from pixlate.inference.loading import load_executors
from pixlate.places.job import Job
from pixlate.places.journal import Entry, State, entry_of, give_name
from pixlate.places.local import LocalStore
from pixlate.plugin.manager import installed
from pixlate.plugin.place import FileStatus, Store, Version

KILLS = 3
"""Times a worker may be killed over one picture."""
LOOK = 1.0
"""Seconds between two looks whether the conversion is to stop."""
PIECE = 32 * 1024 * 1024
"""Most bytes of an output in one row."""


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
    flag: str
    """Name of an actor that comes to exist when the conversion is to stop."""
    version: str = pixlate.__version__


@dataclass(frozen=True)
class Order:
    """One image to convert."""

    index: int
    job: Job
    source: Version
    """What its source was when the driver looked."""
    fresh: bool
    """Whether nothing stood under the output's name."""


@dataclass(frozen=True)
class Answer:
    """What became of it."""

    result: Result
    entry: Entry | None = None
    """Of the output, where there is one."""


class Parts:
    """A worker's outputs (see :class:`pixlate.places.journal.Outputs`): they stay where they were written, or go into a shared store."""

    def __init__(self, folder: Path, setup: Setup, orders: Sequence[Order]) -> None:
        self.parts = folder
        self.entries: dict[str, Entry] = {}
        self.written: dict[str, Path] = {}
        self._setup = setup
        self._fresh = {order.job.name for order in orders if order.fresh}

    def exists(self, name: str) -> bool:
        """Return what is as good as unknown: the driver has looked."""
        return False

    def state(self, job: Job, source: FileStatus) -> State:
        """Return what is as good as unknown: the driver has looked."""
        return "new"

    def finish(self, job: Job, part: Path, source: FileStatus) -> None:
        """Keep the part, or give it its name in the store."""
        store = self._setup.store
        entry = entry_of(job, part, source, self._setup.settings, store is not None and store.keeps_md5)
        if store is None:
            self.written[job.name] = part.rename(part.with_name(f"{len(self.written)}.{os.urandom(4).hex()}"))
        else:
            store.record(entry.name, entry.line())
            give_name(store, entry, part, job.name in self._fresh)
        self.entries[job.name] = entry


class Results(Report):
    """A report that keeps each result for the driver."""

    def __init__(self, planned: int) -> None:
        super().__init__(None, planned, {})
        self.results: dict[str, Result] = {}

    def add(self, result: Result) -> None:
        """Take in one result."""
        super().add(result)
        self.results[result.output] = result


class Worker:
    """Loads the model once and converts what it is given; Ray Data makes one in each process.

    Args:
        setup: What to do.
        model: A list of the reference to the bytes of the model file.
    """

    def __init__(self, setup: Setup, model: Sequence[Any]) -> None:
        ray = import_module("ray")
        context = ray.get_runtime_context()
        self._setup = setup
        self._near = context.get_node_id() == setup.node
        self._folder = Path(setup.scratch or tempfile.gettempdir()) / f"pixlate-{context.get_actor_id()}"
        self._parts = self._folder / "parts"
        shutil.rmtree(self._parts, ignore_errors=True)  # of this worker before it was killed and started again
        self._refused = ""
        try:
            with self._begun("model") as before:
                if before >= KILLS:
                    raise PixlateError(f"it was killed {before} times while it loaded the model; see what memory it has")
                self._executors = load(setup, ray.get(model[0]))
        except PixlateError as error:
            self._refused = f"the worker on {socket.gethostname()} cannot convert: {error}"

    def __call__(self, batch: Any) -> Iterator[Any]:
        """Convert the images of a batch (column ``order``); yield tables of ``index``, ``last`` and ``data``: pieces of outputs, then the answer."""
        pyarrow = import_module("pyarrow")
        if self._is_to_stop():
            yield pyarrow.table({"index": [-1], "last": [True], "data": pyarrow.array([b""], pyarrow.large_binary())})  # wakes who waits
            return
        orders: list[Order] = [pickle.loads(text) for text in batch["order"].to_pylist()]  # noqa: S301 - of the driver's making
        with self._begun(f"{orders[0].index} {len(orders)}") as before:
            if len(orders) > 1 and before:
                return  # one of them may kill it again; the driver gives them out again, each by itself
            self._parts.mkdir(parents=True, exist_ok=True)
            for index, last, data in self._converted(orders, before):
                columns = {"index": [index], "last": [last], "data": pyarrow.array([data], pyarrow.large_binary())}
                yield pyarrow.table(columns)

    @contextmanager
    def _begun(self, what: str) -> Iterator[int]:
        """Note that something is begun, and in the end that it was no kill; tell how often it was begun before and ended by a kill."""
        note = self._folder / what
        before = note.stat().st_size if note.exists() else 0
        self._folder.mkdir(parents=True, exist_ok=True)
        note.write_bytes(b"." * (before + 1))
        try:
            yield before
        finally:
            note.unlink(missing_ok=True)
            shutil.rmtree(self._parts, ignore_errors=True)
            with suppress(OSError):  # of another that was begun
                self._folder.rmdir()

    def _converted(self, orders: Sequence[Order], killed: int) -> Iterator[tuple[int, bool, bytes]]:
        """Yield the rows, in the order of the orders: a task that Ray runs again must say the same again."""
        home, results = Parts(self._parts, self._setup, orders), Results(len(orders))
        for order in orders:
            reason = self._refused or self._unreadable(order)
            if killed >= KILLS:
                reason = f"a worker was killed {killed} times while it had this picture, for want of memory perhaps; make it smaller or use --tile"
            if reason:
                results.add(Result(order.job.source, order.job.name, "failed", reason))
        left = [order.job for order in orders if order.job.name not in results.results]
        if left:
            plan = Plan(self._setup.store or LocalStore(self._parts), left)
            options = replace(self._setup.options, on_exists="overwrite", report=None, sheet=None, fail_fast=False)
            conversion = Conversion(plan, self._executors, home, results, options, installed().image_formats(), None, lambda report: None)
            with ThreadPoolExecutor(1) as pool:  # signals are Ray's here, and the pipeline takes them in the main thread only
                running = pool.submit(conversion.run)
                while not wait([running], timeout=LOOK).done:
                    if self._is_to_stop():
                        conversion.stop()
                running.result()
        for order in orders:
            result = results.results.get(order.job.name)
            if result is None and results.summary.stopped:  # its GPU is lost, or its disk is full
                result = Result(order.job.source, order.job.name, "failed", f"the worker on {socket.gethostname()} stopped: {results.summary.stopped}")
            if result is None:
                continue  # the driver has stopped it
            if result.status == "converted" and order.job.name in home.written:
                with home.written[order.job.name].open("rb") as file:
                    while piece := file.read(PIECE):
                        yield order.index, False, piece
            yield order.index, True, pickle.dumps(Answer(result, home.entries.get(order.job.name)))

    def _is_to_stop(self) -> bool:
        """Tell whether the driver has been interrupted, or has had enough."""
        try:
            import_module("ray").get_actor(self._setup.flag)
        except ValueError:
            return False
        return True

    def _unreadable(self, order: Order) -> str:
        """Return why a source on a disk cannot be read from this machine, if so."""
        if self._near or order.job.place.local is None:
            return ""
        try:
            status = order.job.status()
        except PixlateError as error:
            return f"the worker on {socket.gethostname()} cannot read it ({error}); give workers on other machines a URL or a shared folder"
        if (status.st_size, status.st_mtime_ns) == (order.source.st_size, order.source.st_mtime_ns):
            return ""
        return f"the worker on {socket.gethostname()} has another file under this path; give workers on other machines a URL or a shared folder"


def load(setup: Setup, model: bytes) -> list[Executor]:
    """Load the model in a worker, which takes its share of the cores.

    Raises:
        PixlateError: Another version of Pixlate, or the model or the device cannot be used here.
    """
    if pixlate.__version__ != setup.version:
        raise PixlateError(f"it has Pixlate {pixlate.__version__}, and the command has {setup.version}; install the same version there")
    os.environ["PIXLATE_CORES"] = str(setup.cores)
    with tempfile.TemporaryDirectory(prefix="pixlate-", dir=setup.scratch or None) as folder:
        path = Path(folder) / setup.model
        path.write_bytes(model)
        return load_executors(path, setup.options)


def examine(setup: Setup, model: bytes) -> Mapping[str, str]:
    """Do once, in a process of the cluster, what all workers will do, so that what is wrong is known before anything is written."""
    try:
        return {"device": load(setup, model)[0].translator.device}
    except PixlateError as error:
        return {"refused": f"the workers cannot convert: {error}"}
    except Exception as error:  # noqa: BLE001 - a class that the driver may lack must not travel
        return {"refused": f"the workers cannot convert: {reason_of(error)}"}
