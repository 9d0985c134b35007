"""Converts what comes into folders as soon as it is whole, with one model that stays loaded and one journal, until a signal ends it."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePath
from threading import Event

from pixlate.convert.choosing import loaded
from pixlate.convert.conversion import Sinks, Task, file_name
from pixlate.convert.pipeline import Conversion, device_of
from pixlate.convert.plan import Plan, added, name_key, settle
from pixlate.convert.report import Result, Summary
from pixlate.errors import PixlateError
from pixlate.inference.conditions import ImageConditions
from pixlate.inference.executor import Executor
from pixlate.places.changes import BURST, Changes, is_temporary
from pixlate.places.journal import Job
from pixlate.plugin.place import Failures, Found, Version
from pixlate.system.signals import StopOnSignal

SETTLED_S = 1.0
"""Seconds for which size and time of a file stay the same until it counts as whole."""
REMOVED = "it was removed before it was read"


@dataclass(frozen=True)
class _Look:
    """What was seen of a file that may still be written."""

    job: Job
    version: Version | None = None
    """None where it has not been looked at."""
    since: float = 0.0
    """When it was first seen so, in seconds of the monotonic clock."""


class _Wave(Conversion):
    """One run through the images that are whole; those that are removed meanwhile are no failures."""

    def __init__(self, task: Task, sinks: Sinks, executors: Sequence[Executor], conditions: ImageConditions, failed: set[str]) -> None:
        super().__init__(task, sinks, executors, conditions)
        self._failed_sources = failed

    def _finish(self, result: Result) -> None:
        if result.status == "failed" and not os.path.lexists(result.source):
            result = replace(result, status="skipped", reason=REMOVED)
        if result.status == "failed":
            self._failed_sources.add(result.source)
        super()._finish(result)


class Watch:
    """A conversion that goes on: what is there first, then what comes, one wave after the other.

    Args:
        task: Its plan names what is there already and whole.
        unfinished: What is there already and may still be written.
        sinks: Journal, report and sheet, which stay open.
        executors: The model on each device, which stays loaded.
        conditions: The conditions of each image.
        changes: What changes in the folders.
        stop: Ends it, once it is set.
    """

    def __init__(
        self, task: Task, unfinished: Sequence[Job], sinks: Sinks, executors: Sequence[Executor], conditions: ImageConditions, changes: Changes, stop: Event
    ) -> None:
        self._task, self._sinks, self._executors, self._conditions, self._changes, self._stop = task, sinks, executors, conditions, changes, stop
        self._report, folds = sinks.report, task.plan.store.folds_case()
        self._jobs = {job.source: job for job in (*task.plan.jobs, *unfinished)}
        self._names = {name_key(job.name, folds): job.source for job in self._jobs.values()}
        self._model = file_name(task.model, task.options)
        self._looks = {job.source: _Look(job) for job in unfinished}
        self._begun: dict[str, Version] = {}
        """What was last converted of those that have come since the start."""
        self._failed: set[str] = set()

    def run(self) -> None:
        """Convert until it is stopped; return when nothing is in flight."""
        with StopOnSignal(self._stop.set):
            self._convert(self._task.plan)
            missed = Plan(self._task.plan.store)
            self._find_further(missed)  # what has come while the model was loaded
            while not self._over():
                self._report.watching = ", ".join(str(watched.top) for watched in self._task.watched)
                self._report.last = None
                self._task.watch(self._report)
                plan, missed = self._next(missed), Plan(missed.store)
                self._report.watching = ""
                if plan.jobs or plan.failures:
                    self._forget(*(job.source for job in plan.jobs), *(source for source, _ in plan.failures))
                    self._report.expect(len(plan.jobs) + len(plan.failures))
                    self._convert(plan)
        self._report.summary.interrupted = False

    def _over(self) -> bool:
        """Return whether it ends, and record why, where nobody has asked for it."""
        summary = self._report.summary
        gone = [str(watched.top) for watched in self._task.watched if watched.gone]
        if gone and not summary.stopped:
            summary.stopped = f"the watched folder {' and '.join(gone)} has been removed, moved or replaced; give the same command again once it is there"
        return self._stop.is_set() or summary.interrupted or bool(summary.stopped)

    def _convert(self, plan: Plan) -> None:
        _Wave(replace(self._task, plan=plan), self._sinks, self._executors, self._conditions, self._failed).run()
        self._report.interrupt = self._stop.set

    def _next(self, plan: Plan) -> Plan:
        """Wait for images that are whole, or files that cannot be converted, and add them to a plan; to none, where it ends."""
        while not self._over():
            changed = self._changes.next()
            for watched in self._task.watched:
                below = {path for each in changed if (path := watched.relative(each)) is not None and path.parts}
                for found in watched.files(sorted(below), plan.store, plan.failures):
                    self._look_at(found, plan)
            if len(changed) >= BURST:
                self._find_further(plan)
            plan.jobs = self._whole()
            if plan.jobs or plan.failures:
                break
        return plan

    def _find_further(self, plan: Plan) -> None:
        """Walk the folders, for images of which no change was reported."""
        unread: Failures = []  # is reported already
        for watched in self._task.watched:
            for found in watched.place.files(plan.store, unread):
                if str(found.file) not in self._jobs and not is_temporary(found.relative.name):
                    self._look_at(found, plan)

    def _look_at(self, found: Found, plan: Plan) -> None:
        """Wait for a file that has come or changed to be whole, if it is an image to convert."""
        job = self._jobs.get(str(found.file)) or added(plan, found, self._task.options, self._task.formats, self._names, self._model)
        if job is not None:
            self._jobs[job.source] = job
            self._looks.setdefault(job.source, _Look(job))

    def _whole(self) -> list[Job]:
        """Return the images that are whole, and look at the others again."""
        whole = []
        for source, look in list(self._looks.items()):
            try:
                version = look.job.place.version()
            except PixlateError:  # it is reported where it is converted, if it is there
                version = None
            if version is None:
                ended, work = True, os.path.lexists(source)
            else:
                same = version == look.version and time.monotonic() - look.since >= SETTLED_S
                ended = same or not (self._changes.polled or is_recent(version))  # the clock of a network drive may be another one
                work = ended and self._is_work(look.job, version)
                if version != look.version:
                    self._looks[source] = _Look(look.job, version, time.monotonic())
            if ended:
                del self._looks[source]
            if work:
                whole.append(look.job)
        return whole

    def _is_work(self, job: Job, version: Version) -> bool:
        """Return whether an image differs from what was last converted of it."""
        if version == self._begun.get(job.source):
            return False
        self._begun[job.source] = version
        try:
            settled = settle(job, version, self._sinks.journal, self._task.options.on_exists)
        except PixlateError:  # it is reported where it is converted
            return True
        return settled is None or settled.status != "finished before"

    def _forget(self, *sources: str) -> None:
        """Let what is tried again count once."""
        for source in self._failed.intersection(sources):
            self._failed.discard(source)
            self._report.forget(source)


def is_recent(version: Version) -> bool:
    """Return whether a file has changed so recently that it may still be written."""
    return time.time() - version.mtime / 1e9 < SETTLED_S


def watch(task: Task) -> Summary:
    """Convert in this process until a signal ends it."""
    stop = Event()
    with Changes(task.watched, stop) as changes:
        task, executors = loaded(task)
        task, conditions = task.fitted(executors[0].spec)
        jobs = [job for job in task.plan.jobs if not is_temporary(PurePath(job.source).name)]
        recent = {job.source for job in jobs if _is_unfinished(job)}
        unfinished = [job for job in jobs if job.source in recent]
        task = replace(task, plan=replace(task.plan, jobs=[job for job in jobs if job.source not in recent]))
        with task.open_sinks() as sinks:
            sinks.report.summary.device = device_of(task, executors)
            Watch(task, unfinished, sinks, executors, conditions, changes, stop).run()
    return sinks.report.summary


def _is_unfinished(job: Job) -> bool:
    with suppress(PixlateError):  # it is reported where it is converted
        return is_recent(job.place.version())
    return False
