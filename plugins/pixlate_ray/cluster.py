"""Finds or starts a Ray cluster, sees that its workers can convert, and shuts it down. Ray is imported lazily."""

import logging
import os
import signal
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from pixlate.convert.conversion import Task
from pixlate.convert.plan import Plan
from pixlate.errors import PixlateError
from pixlate.inference.files import files_of_model
from pixlate.inference.models import find
from pixlate.plugin.place import Place, Store
from pixlate.system.cores import granted_cores
from pixlate.system.extras import install
from pixlate_ray.worker import Order, Setup, Worker

START_SECONDS = 300.0
"""Seconds a busy cluster may take to give the first worker."""
ANSWER = 5.0
"""Seconds an address may take to answer."""
CORES = 4
"""Cores of a worker where the user names no number of workers."""


@dataclass(frozen=True)
class Share:
    """How a cluster is divided."""

    workers: int
    cores: int
    """Of each worker."""
    gpus: int
    """Of each worker, 0 or 1."""


@dataclass(eq=False)
class Lane:
    """A worker and what it was given."""

    worker: Any
    """Ray's handle of it."""
    tasks: deque[tuple[Any, dict[int, Order]]]
    """Streams of answers, the oldest first, each with the orders without an answer yet; until it is ready, its device alone."""
    ready: bool = False

    def give(self, orders: Sequence[Order]) -> None:
        """Submit orders."""
        self.tasks.append((self.worker.convert.options(concurrency_group="convert").remote(orders), {order.index: order for order in orders}))

    def stop(self) -> None:
        """Have the worker drain: finish what it has started, and start nothing new."""
        self.worker.stop.options(concurrency_group="stop").remote()


class Cluster:
    """Workers on a cluster, each one an actor of Ray.

    Raises:
        PixlateError: The cluster has too little, or its machines could not share the output.
    """

    def __init__(self, ray: Any, task: Task, concurrency: int, scratch: str) -> None:
        self.ray = ray
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        store, device = task.plan.store, task.options.device
        refuse_private(task.plan, device, len(nodes))
        self.share = divide([int(node.get("CPU", 0)) for node in nodes], int(sum(node.get("GPU", 0) for node in nodes)), device, concurrency)
        options = replace(task.options, device=device if self.share.gpus else "cpu")
        node = ray.get_runtime_context().get_node_id()
        self._arguments = (
            Setup(task.path.name, options, task.settings, store if store.shared else None, self.share.cores, scratch, node, system=task.system),
            ray.put(contents(task.path)),
            ray.put({} if task.options.blend_with is None else contents(find(task.options.blend_with))),
            ray.put([(find(each).name, contents(find(each))) for each in task.options.then]),
        )
        self.lanes: list[Lane] = []
        self.device = self.refused = ""

    def open(self) -> None:
        """Start the workers and wait for the first; none, or one that cannot convert, is refused before anything is written."""
        for _ in range(self.share.workers):
            self.start()
        first, _ = self.ray.wait([lane.tasks[0][0] for lane in self.lanes], timeout=START_SECONDS)
        if not first:
            raise PixlateError(f"the cluster had no {self.share.cores} free cores for a worker within {START_SECONDS:.0f} s; wait until it is less busy")
        self.device = self.device_of(first[0])

    def start(self) -> None:
        """Start one worker; it is ready when its device is known."""
        options = {"num_cpus": self.share.cores, "num_gpus": self.share.gpus, "concurrency_groups": {"convert": 1, "stop": 1}}
        worker = self.ray.remote(**options)(Worker).remote(*self._arguments)
        self.lanes.append(Lane(worker, deque([(worker.device.options(concurrency_group="convert").remote(), {})])))

    def device_of(self, answer: Any) -> str:
        """Return the device of a worker that has loaded the model, or refuse one that cannot convert."""
        try:
            found: dict[str, str] = self.ray.get(answer)
        except self.ray.exceptions.RayError as error:
            words = " ".join(str(error).split())[-200:]
            missing = "No module named 'pixlate" in str(error)
            todo = f"install Pixlate there too: {install('cluster')}" if missing else "see that Pixlate runs there"
            raise PixlateError(f"a worker of the cluster could not be started ({words}); {todo}") from error
        if "refused" in found:
            raise PixlateError(found["refused"])
        return found["device"]

    def close(self) -> None:
        """End the workers."""
        for lane in self.lanes:
            self.ray.kill(lane.worker)


def contents(model: Path) -> dict[str, bytes]:
    """Return the files of a model by the suffixes of their names."""
    return {path.suffix: path.read_bytes() for path in files_of_model(model)}


def refuse_private(plan: Plan, device: str, machines: int = 1) -> None:
    """Refuse what workers in other processes, or on several machines, can never have.

    That is files in this process's memory, an output on a disk of each machine, one GPU by its number, and GPUs that Ray does not give.
    """
    if device not in ("auto", "cpu", "cuda", "tensorrt"):
        raise PixlateError(f"expected --device auto, cpu, cuda or tensorrt with --engine ray, got {device}; Ray gives each worker an NVIDIA GPU of its own")
    places: Iterator[Place | Store] = chain([plan.store], (job.place for job in plan.jobs))
    for place in places:
        if place.reach == "process":
            raise PixlateError(f"{place} is in the memory of this process, which no worker of a cluster can read; use --engine threads")
    if machines > 1 and plan.store.shared and plan.store.reach == "machine":
        raise PixlateError(f"{plan.store} names a disk of each machine; give the path without the protocol, and this machine writes it")


def divide(cores: Sequence[int], gpus: int, device: str, concurrency: int = 0) -> Share:
    """Return how many workers a cluster of so many cores on each machine, and GPUs on all of them, gets, and what each of them.

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
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise PixlateError(f"--engine ray needs Ray, and {error.name} is missing; run: {install('cluster')}") from error
    if ray.is_initialized():
        present = ray.get_runtime_context().gcs_address
        if address not in ("", "auto", present):
            raise PixlateError(
                f"expected the address {present}, to which this process is connected already, got {address}; leave it out or call ray.shutdown()"
            )
        yield ray
        return
    refuse_unreachable(address)
    with ExitStack() as held:
        where: dict[str, Any] = {"address": address}
        if not address:
            prefix = f"pixlate-ray-{os.getpid()}-"  # in /tmp, since paths of sockets, which add 94 bytes, may have 107
            folder = held.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir="/tmp", ignore_cleanup_errors=True))
            where = {"address": "local", "num_cpus": granted_cores(), "include_dashboard": False, "_temp_dir": folder}
        main = threading.current_thread() is threading.main_thread()
        if main:
            held.callback(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # Ray sets a handler of its own
        held.callback(ray.shutdown)
        try:
            ray.init(**where, log_to_driver=False, logging_level=logging.CRITICAL)
        except Exception as error:
            words = " ".join(str(error).split())[:200]
            what = f"the cluster at {address}" if address else "a cluster on this machine"
            todo = "check --address, and that it runs the same versions of Ray and Python" if address else "see that this machine has memory and disk left"
            raise PixlateError(f"{what} cannot be used ({words}); {todo}") from error
        if main:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield ray


def refuse_unreachable(address: str) -> None:
    """Refuse an address, ``HOST:PORT``, at which nothing answers; ``auto`` names the cluster that runs on this machine."""
    if address in ("", "auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise PixlateError(f"expected --address as HOST:PORT of a cluster's head, or auto, got {address}; run the command on a machine of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PixlateError(f"no cluster answers at {address} ({reason}); check --address, and that the cluster runs") from error
