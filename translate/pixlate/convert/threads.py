"""The built-in engine: the threads of this process, once through a plan or, where folders are watched, until a signal ends it."""

from dataclasses import dataclass

from pixlate.convert.choosing import loaded
from pixlate.convert.conversion import Task
from pixlate.convert.pipeline import Conversion, device_of
from pixlate.convert.report import Summary
from pixlate.plugin.engine import Engine


@dataclass(frozen=True)
class ThreadsOptions:
    """The threads of this process have no options beyond those of the conversion."""


def run_threads(task: Task, _: ThreadsOptions) -> Summary:
    """Convert in this process."""
    if task.watched:
        from pixlate.convert.watching import watch

        return watch(task)
    task, executors = loaded(task)
    task, conditions = task.fitted(executors[0].spec)
    with task.open_sinks() as sinks:
        sinks.report.summary.device = device_of(task, executors)
        Conversion(task, sinks, executors, conditions).run()
    return sinks.report.summary


THREADS = Engine("threads", "threads of this process", ThreadsOptions, run_threads)
"""The built-in engine."""
