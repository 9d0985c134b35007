"""The driver of a conversion on a cluster: finds the pictures to convert, submits them, collects the results, and renames files into place."""

import sys
import tempfile
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from secrets import token_hex

from pixlate.convert.choosing import loaded
from pixlate.convert.conversion import Run, Sinks, Task
from pixlate.convert.plan import settle
from pixlate.convert.report import Result, Summary, reason_of
from pixlate.convert.sizes import Sizes
from pixlate.errors import PixlateError
from pixlate.inference.models import runtimes_for
from pixlate.places.journal import Job, Journal
from pixlate_ray import RayOptions
from pixlate_ray.cluster import Cluster, Lane, connected, refuse_private
from pixlate_ray.worker import Answer, Order

AT_ONCE = 16
"""Most images in one task on cores; what a killed worker had of them is done again."""
AT_ONCE_GPU = 128
"""Most images in one task on a GPU, which does hundreds a second."""
AHEAD = 2
"""Tasks of a worker: the one it does, and the next."""
KILLS = 3
"""Times a worker may be killed by one picture."""
_TICK = 0.2
"""Most seconds until an interruption is seen."""


def run(task: Task, options: RayOptions) -> Summary:
    """Convert a task on a cluster.

    Raises:
        PixlateError: Ray is missing, the address does not answer, or the workers cannot convert.
    """
    refuse_private(task.plan, task.options.device)
    here, executors = loaded(replace(task, options=replace(task.options, device="cpu")), trial=False)  # refuses what is no model; the workers have the device
    task, _ = replace(here, options=replace(here.options, device=device_for(here, task.options.device))).fitted(executors[0].spec)
    with ExitStack() as held:
        scratch = "" if options.address else held.enter_context(tempfile.TemporaryDirectory(prefix="pixlate-", ignore_cleanup_errors=True))
        ray = held.enter_context(connected(options.address))
        held.enter_context(redirect_stdout(sys.stderr))  # where Ray prints that a worker was killed; standard output is the command's
        cluster = Cluster(ray, task, options.concurrency, scratch)
        held.callback(cluster.close)
        cluster.open()
        sinks = held.enter_context(task.open_sinks())
        sinks.report.progress.work = Sizes(task.options, executors[0]).cost
        ClusterRun(task, sinks, cluster).run()
    return sinks.report.summary


def device_for(task: Task, device: str) -> str:
    """Return the device of the workers: the one that was asked for, or for ``auto`` the CPU where the runtime of the task knows no NVIDIA GPU.

    Raises:
        PixlateError: The runtime does not know the device.
    """
    runtime = task.options.runtime
    if runtime == "auto" or runtime in {each.name for each in runtimes_for(task.path, "cuda" if device == "auto" else device)}:
        return device
    if device == "auto":
        return "cpu"
    begun, other = (", with which the output folder was begun", "folder") if task.choice else ("", "--runtime")
    raise PixlateError(f"expected --device auto or cpu for {runtime}{begun}, got {device}; name one of these, or another {other}")


class ClusterRun(Run):
    """A run on a cluster, whose workers translate."""

    def __init__(self, task: Task, sinks: Sinks, cluster: Cluster) -> None:
        super().__init__(task, sinks)
        assert isinstance(sinks.journal, Journal)
        self.journal: Journal = sinks.journal
        self.cluster = cluster
        self._waiting: deque[Sequence[Order]] = deque()
        """Orders that are submitted again."""
        self._looking: deque[Future[Result | Order | None]] = deque()
        self._ready: deque[Order] = deque()
        """Orders that no worker has received."""
        self._kills: Counter[int] = Counter()
        self._count_workers()

    def _convert(self) -> None:
        with ThreadPoolExecutor(self.options.workers, "look") as pool:
            try:
                self._hand_out(pool)
            except Exception as error:  # noqa: BLE001 - whatever Ray raises when it loses its cluster
                if not self._stopping:
                    self.report.summary.stopped = f"the cluster was lost ({' '.join(str(error).split())[:200]}); the same command continues"
                    self._stopping = True

    def _look_ahead(self, pool: ThreadPoolExecutor, most: int) -> None:
        """Check sources and outputs of the next images, so many that at most ``most`` are ready or being looked at, however long the plan is."""
        while self._looking and self._looking[0].done():
            found = self._looking.popleft().result()
            if isinstance(found, Order):
                self._ready.append(found)
            elif found is not None and not self._stopping:
                self._finish(found)
        while not self._stopping and len(self._looking) + len(self._ready) < most and self._begun < len(self.plan.jobs):
            self._looking.append(pool.submit(self._look, self._begun, self.plan.jobs[self._begun]))
            self._begun += 1

    def _look(self, index: int, job: Job) -> Result | Order | None:
        if self._stopping:
            return None
        try:
            version = job.place.version()
            return settle(job, version, self.journal, self.options.on_exists) or Order(index, job, version, not self.journal.exists(job.name))
        except Exception as error:  # noqa: BLE001 - one bad file must not stop the others
            return Result(job.source, job.name, "failed", reason_of(error))

    def _next(self) -> Sequence[Order]:
        """Return the orders of one task, fewer towards the end so that all workers end together; none where more images must be looked at first."""
        if self._waiting:
            return self._waiting.popleft()
        share = self.cluster.share
        unlooked = len(self.plan.jobs) - self._begun + len(self._looking)
        at_once = max(1, min(AT_ONCE_GPU if share.gpus else AT_ONCE, (unlooked + len(self._ready)) // (share.workers * 4)))
        if unlooked and len(self._ready) < at_once:
            return []
        return [self._ready.popleft() for _ in range(min(at_once, len(self._ready)))]

    def _hand_out(self, pool: ThreadPoolExecutor) -> None:
        """Look at the images, submit orders and collect the answers until nothing is left, or the workers have drained."""
        share, lanes, ray = self.cluster.share, self.cluster.lanes, self.cluster.ray
        most = 2 * AHEAD * (AT_ONCE_GPU if share.gpus else AT_ONCE) * share.workers
        draining = False
        while True:
            self._look_ahead(pool, most)
            if self._stopping:
                self._waiting.clear()
                self._ready.clear()
                for lane in () if draining else lanes:
                    lane.stop()
                draining = True
            pending = bool(self._waiting or self._ready or self._looking)
            if not pending and not any(lane.ready and lane.tasks for lane in lanes):
                return
            if not lanes and not self._stopping:
                raise PixlateError(self.cluster.refused)
            hungry = False
            for lane in lanes:
                while lane.ready and not self._stopping and len(lane.tasks) < AHEAD and (orders := self._next()):
                    lane.give(orders)
                hungry = hungry or (lane.ready and not lane.tasks)
            busy = {lane.tasks[0][0]: lane for lane in lanes if lane.tasks}
            if self._looking and (hungry or not busy):
                wait([self._looking[0]], timeout=_TICK)
            if busy and ray.wait(list(busy), timeout=0 if hungry else _TICK)[0]:
                for answers in ray.wait(list(busy), num_returns=len(busy), timeout=0)[0]:  # all that are ready: of a thousand workers, one at a time is slow
                    self._step(busy[answers])

    def _step(self, lane: Lane) -> None:
        """Take what a worker has ready: its device, an answer, the end of a task, or the news that it was killed."""
        ray, (answers, orders) = self.cluster.ray, lane.tasks[0]
        try:
            if not lane.ready:
                self.cluster.device_of(lane.tasks.popleft()[0])
                lane.ready = True
                return
            answer: Answer = ray.get(next(answers))
        except StopIteration:
            lane.tasks.popleft()
            self._again(orders)
        except PixlateError as error:
            self.cluster.lanes.remove(lane)
            self.cluster.refused = str(error)
            self._count_workers()
        except ray.exceptions.RayError as error:
            lane.tasks.popleft()
            self._again(orders)
            if isinstance(error, ray.exceptions.RayActorError):
                self._waiting.extend(list(later.values()) for _, later in lane.tasks)
                self.cluster.lanes.remove(lane)
                self.cluster.start()
        else:
            order = orders.pop(answer.index, None)
            if order is not None and not self._full:
                self._take(order, answer)

    def _again(self, orders: dict[int, Order]) -> None:
        """Resubmit orders without an answer, each separately, since one of them may be the cause; a limited number of times."""
        for index, order in orders.items():
            self._kills[index] += 1
            if self._kills[index] < KILLS:
                self._waiting.append([order])
            elif not self._stopping:
                reason = f"no worker answered for it: a worker was killed {KILLS} times while it had this picture, for want of memory perhaps"
                self._finish(Result(order.job.source, order.job.name, "failed", f"{reason}; make it smaller or use --tile"))

    def _take(self, order: Order, answer: Answer) -> None:
        """Give an output its name, record it and report the result."""
        job, result, part = order.job, answer.result, self.journal.parts / token_hex(8)
        try:
            self.journal.store.check()
        except PixlateError as error:  # another conversion has taken over
            self.report.summary.stopped = str(error)
            self._full = self._stopping = True
            return
        try:
            if answer.entry is not None:
                self.journal.adopt(answer.entry)
            elif result.status == "converted":
                part.write_bytes(answer.data)
                self.journal.finish(job, part, order.source)
            if self.sheet is not None and answer.row is not None:
                self.sheet.keep(job.name, answer.row)
        except (OSError, PixlateError) as error:
            part.unlink(missing_ok=True)
            result = self._failed(job, error)
        self._finish(result)

    def _count_workers(self) -> None:
        count, refused = len(self.cluster.lanes), self.cluster.refused
        self.report.summary.device = f"{self.cluster.device}, {count} worker{'' if count == 1 else 's'}{f' ({refused})' if refused else ''}"
