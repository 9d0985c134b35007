"""Brings up or finds a Ray cluster, sees that its workers can convert, and gives it back. Ray is imported lazily."""

import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from typing import Any, Self

from pixlate.convert.conversion import Task, Work
from pixlate.convert.pipeline import given_for
from pixlate.convert.plan import Plan
from pixlate.convert.report import Summary
from pixlate.errors import PixlateError
from pixlate.inference.loading import load_executors
from pixlate.plugin.place import Place, Store
from pixlate.system.cores import granted_cores
from pixlate.system.extras import install
from pixlate_ray import RayOptions
from pixlate_ray.driver import ClusterRun, Share
from pixlate_ray.worker import Setup, Worker, examine

PATIENCE = 300.0
"""Seconds a busy cluster may take to give the first worker."""
ANSWER = 5.0
"""Seconds an address may take to answer."""
CORES = 4
"""Cores of a worker where the user names no number of workers."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_LOG_LEVEL": "CRITICAL", "RAY_BACKEND_LOG_LEVEL": "fatal"}
_SHORT = 12
"""Longest path of a folder for Ray's: the paths of its sockets, which add 94 bytes, are bound to 107."""


def run(task: Task, options: RayOptions) -> Summary:
    """Convert a task on a cluster."""
    spec = load_executors(task.model, replace(task.options, device="cpu"))[0].spec  # refuses what is no model; the workers have the device
    given_for(task.plan, task.options, spec, task.formats)
    with Cluster(task, options) as cluster, task.begun() as work:
        cluster.run(work)
    return work.report.summary


class Cluster:
    """A connection to Ray, from ``with`` to its end.

    Args:
        task: What is to be converted.
        options: Which cluster.

    Raises:
        PixlateError: Ray is missing, the address does not answer, or the workers cannot convert.
    """

    def __init__(self, task: Task, options: RayOptions) -> None:
        self.task, self.options = task, options
        self.device = ""
        refuse_private(task.plan, task.options.device)

    def __enter__(self) -> Self:
        with ExitStack() as held:
            held.callback(_take_sigterm())
            scratch = "" if self.options.address else held.enter_context(tempfile.TemporaryDirectory(prefix="pixlate-", ignore_cleanup_errors=True))
            self._ray = held.enter_context(connected(self.options.address))
            held.enter_context(quiet_data())
            plan, device = self.task.plan, self.task.options.device
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            if len(nodes) > 1:
                _refuse_disks(plan)
            self.share = divide([int(node.get("CPU", 0)) for node in nodes], int(sum(node.get("GPU", 0) for node in nodes)), device, self.options.concurrency)
            self._setup = Setup(
                self.task.path.name,
                replace(self.task.options, device=device if self.share.gpus else "cpu"),
                self.task.settings,
                plan.store if plan.store.shared else None,
                self.share.cores,
                scratch,
                self._ray.get_runtime_context().get_node_id(),
                f"pixlate-stop-{secrets.token_hex(8)}",
            )
            self._bytes = self._ray.put(self.task.path.read_bytes())
            self.device = f"{self._examined()}, {self.share.workers} worker{'s' if self.share.workers > 1 else ''}"
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def run(self, work: Work) -> None:
        """Convert the plan; see :class:`pixlate_ray.driver.ClusterRun`."""
        work.report.summary.device = self.device
        ClusterRun(self.task, self, work).run()

    def answers(self, orders: Sequence[bytes], at_once: int) -> Generator[Any, None, None]:
        """Yield tables of the workers' rows, as they come.

        Args:
            orders: Pickled orders.
            at_once: Orders in one task.
        """
        data = import_module("ray.data")
        dataset = data.from_items([{"order": order} for order in orders], override_num_blocks=-(-len(orders) // at_once))
        workers = min(self.share.workers, -(-len(orders) // at_once))
        mapped = dataset.map_batches(
            Worker,
            batch_size=None,
            batch_format="pyarrow",
            fn_constructor_args=(self._setup, [self._bytes]),
            compute=data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            num_cpus=self.share.cores,
            num_gpus=self.share.gpus or None,
        )
        yield from mapped.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)

    def stop(self) -> None:
        """Have the workers drain: end what they have begun, and begin nothing."""
        self._flag = self._ray.remote(_Flag).options(name=self._setup.flag, num_cpus=0).remote()

    def _examined(self) -> str:
        """Return the device that a worker has, after it has loaded the model once."""
        remote = self._ray.remote(examine).options(num_cpus=self.share.cores, num_gpus=self.share.gpus, max_retries=0)
        answer, until = remote.remote(self._setup, self._bytes), time.monotonic() + PATIENCE
        while not self._ray.wait([answer], timeout=0.2)[0]:
            if time.monotonic() > until:
                raise PixlateError(f"the cluster had no {self.share.cores} free cores for a worker within {PATIENCE:.0f} s; wait until it is less busy")
        try:
            told: dict[str, str] = self._ray.get(answer)
        except Exception as error:
            words = " ".join(str(error).split())[-200:]
            missing = "No module named 'pixlate" in str(error)
            todo = f"install Pixlate there too: {install('cluster')}" if missing else "see that Pixlate runs there"
            raise PixlateError(f"a worker of the cluster could not be started ({words}); {todo}") from error
        if "refused" in told:
            raise PixlateError(told["refused"])
        return told["device"]


class _Flag:
    """An actor that does nothing: its name is the message."""


def refuse_private(plan: Plan, device: str) -> None:
    """Refuse what workers in other processes can never have.

    Raises:
        PixlateError: Files in this process's memory, or one GPU by its number.
    """
    if ":" in device:
        raise PixlateError(f"expected --device auto, cpu, cuda or tensorrt with --engine ray, got {device}; Ray gives each worker its own GPU")
    places: list[Place | Store] = [plan.store, *(job.place for job in plan.jobs)]
    for place in places:
        if place.reach == "process":
            raise PixlateError(f"{place} lies in the memory of this process, where no worker of a cluster gets at it; use --engine threads")


def _refuse_disks(plan: Plan) -> None:
    """Refuse an output that each machine would write to a disk of its own.

    Raises:
        PixlateError: It is one.
    """
    if plan.store.shared and plan.store.reach == "machine":
        raise PixlateError(f"{plan.store} names a disk of each machine; give the path without the protocol, and this machine writes it")


def divide(cores: Sequence[int], gpus: int, device: str, concurrency: int = 0) -> Share:
    """Return how many workers a cluster gets, and what each of them.

    Args:
        cores: Of each machine.
        gpus: Of all of them.
        device: As in ``--device``.
        concurrency: As in ``--concurrency``.

    Raises:
        PixlateError: There is no GPU where one was asked for, or less than one core, or GPU, for each worker.
    """
    wants_gpu = device in ("cuda", "tensorrt") or (device == "auto" and gpus > 0)
    if wants_gpu and not gpus:
        raise PixlateError(f"expected GPUs in the cluster for --device {device}, found none; add a machine that has one, or use --device cpu")
    most = min(gpus, sum(cores)) if wants_gpu else sum(cores)
    workers = concurrency or (most if wants_gpu else sum(max(1, count // CORES) for count in cores if count))
    if not 1 <= workers <= most:
        raise PixlateError(f"expected --concurrency of at most {most}, one {'GPU' if wants_gpu else 'core'} for each worker, got {workers}; choose fewer")
    share = max(1, sum(cores) // workers)
    while sum(count // share for count in cores) < workers:
        share -= 1
    return Share(workers, share, int(wants_gpu))


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield Ray, connected to an address or to a cluster of this machine that ends with the command; one that the caller has made is used as it is.

    Raises:
        PixlateError: Ray is missing, or nothing, or something else, answers at the address.
    """
    quiet = not logging.getLogger().isEnabledFor(logging.DEBUG)
    before = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update(_QUIET if quiet else {"RAY_USAGE_STATS_ENABLED": "0"})
    try:
        if address and "ray" not in sys.modules:
            _refuse_unreachable(address)  # before the seconds that Ray's import takes
        try:
            ray = import_module("ray")
            import_module("ray.data")
        except ImportError as error:
            raise PixlateError(f"--engine ray needs Ray, and {error.name} is missing; run: {install('cluster')}") from error
        with ExitStack() as held:
            if quiet:
                held.enter_context(_silent_listener())
            if ray.is_initialized():
                _refuse_other(ray, address)
            else:
                if address:
                    _refuse_unreachable(address)
                held.callback(ray.shutdown)
                with _muted_stderr() if quiet else nullcontext():
                    _initialise(ray, address, held, quiet)
                _take_sigterm()
            yield ray
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _refuse_other(ray: Any, address: str) -> None:
    """Refuse another address than that of the cluster this process is connected to already."""
    present = ray.get_runtime_context().gcs_address
    if address not in ("", "auto", present):
        raise PixlateError(f"expected the address {present}, to which this process is connected already, got {address}; leave it out or call ray.shutdown()")


def _initialise(ray: Any, address: str, held: ExitStack, quiet: bool) -> None:
    chatter = {"log_to_driver": not quiet, "logging_level": logging.CRITICAL if quiet else logging.INFO}
    try:
        if address:
            ray.init(address=address, **chatter)
        else:
            short = tempfile.gettempdir() if len(tempfile.gettempdir()) <= _SHORT else "/tmp"  # noqa: S108 - the folder in it is private
            folder = tempfile.TemporaryDirectory(prefix=f"pixlate-ray-{os.getpid()}-", dir=short, ignore_cleanup_errors=True)
            _first(held, folder.cleanup)
            ray.init(address="local", num_cpus=granted_cores(), include_dashboard=False, _temp_dir=folder.name, **chatter)
    except SystemExit as error:  # of Ray's handler of SIGTERM
        raise KeyboardInterrupt from error
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        where = f"the cluster at {address}" if address else "a cluster on this machine"
        todo = "check --address, and that it runs the same versions of Ray and Python" if address else "see that this machine has memory and disk left"
        raise PixlateError(f"{where} cannot be used ({words}); {todo}") from error


def _take_sigterm() -> Callable[[], object]:
    """Have SIGTERM end the command as Ctrl-C does, in place of Ray's handler; return what brings back the handler of before."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    return lambda: signal.signal(signal.SIGTERM, before)


def _first(held: ExitStack, callback: Callable[[], None]) -> None:
    """Have something done after all that is held already."""
    later = held.pop_all()
    held.callback(callback)
    held.push(later)


def _refuse_unreachable(address: str) -> None:
    """See that something answers at ``HOST:PORT``; ``auto`` names the cluster that runs on this machine.

    Raises:
        PixlateError: Nothing does, or the address is none.
    """
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise PixlateError(f"expected --address as HOST:PORT of a cluster's head, or auto, got {address}; run the command on a machine of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PixlateError(f"no cluster answers at {address} ({reason}); check --address, and that the cluster runs") from error


@contextmanager
def quiet_data() -> Iterator[Any]:
    """Set up Ray Data: no bars of its own, and a task whose worker is killed every time does not end the others."""
    context = import_module("ray.data").DataContext.get_current()
    wanted = {"enable_progress_bars": False, "print_on_execution_start": False, "max_errored_blocks": -1}
    before = {name: getattr(context, name) for name in wanted if hasattr(context, name)}
    for name in before:
        setattr(context, name, wanted[name])
    try:
        yield context
    finally:
        for name, value in before.items():
            setattr(context, name, value)


@contextmanager
def _muted_stderr() -> Iterator[None]:
    """Drop what Ray's native code prints while it starts; what goes wrong it raises as well."""
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


@contextmanager
def _silent_listener() -> Iterator[None]:
    """Keep Ray from printing to standard output what its machines complain of: a killed worker is no news, and ``--json`` is for programs."""
    worker = sys.modules.get("ray._private.worker") or import_module("ray._private.worker")
    printing = getattr(worker, "print_to_stdstream", None)
    if printing is None:
        yield
        return
    worker.print_to_stdstream = lambda *arguments, **named: None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        worker.print_to_stdstream = printing  # type: ignore[attr-defined]
