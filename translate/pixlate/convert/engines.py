"""Finds the engine that runs a conversion; the threads of this process are the built-in one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pixlate.errors import PixlateError
from pixlate.plugin.engine import Engine
from pixlate.plugin.manager import installed

if TYPE_CHECKING:
    from pixlate.convert.conversion import Task
    from pixlate.convert.report import Summary


@dataclass(frozen=True)
class ThreadsOptions:
    """The threads of this process have no options beyond those of the conversion."""


def run_threads(task: "Task", _: ThreadsOptions) -> "Summary":
    """Convert in this process."""
    from pixlate.convert.pipeline import Conversion, conditions_for
    from pixlate.inference.models import load_executors, split_devices

    executors = load_executors(task.model, task.options)
    conditions = conditions_for(task, executors[0].spec)
    with task.open_sinks() as sinks:
        device = task.options.device
        sinks.report.summary.device = device if len(split_devices(device)) > 1 else executors[0].translator.device
        Conversion(task, sinks, executors, conditions).run()
    return sinks.report.summary


THREADS = Engine("threads", "threads of this process", ThreadsOptions, run_threads)
"""The built-in engine."""


def choose_engine(engine: object) -> tuple[Engine, Any]:
    """Return an engine and its options, for its name or an instance of its options.

    Raises:
        PixlateError: No installed plugin offers it.
    """
    engines = installed().engines()
    if isinstance(engine, str) and engine in engines:
        return engines[engine], engines[engine].options()
    for offered in engines.values():
        if type(engine) is offered.options:
            return offered, engine
    reason = isinstance(engine, str) and installed().why("engine", engine)
    raise PixlateError(f"expected an engine ({', '.join(sorted(engines))}), got {engine!r}; {reason or 'install the plugin that offers it, or name another'}")
