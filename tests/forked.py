"""What a process of ``tests/commands.py`` does once it is forked. It is run as a script: not everywhere can ``tests`` be imported."""

import contextlib
import functools
import importlib
import io
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def begin(streams: Sequence[Path], environment: Mapping[str, str]) -> None:
    """Make this process, which has just been forked, one like any other."""
    import torch

    if hasattr(os, "setsid"):
        os.setsid()
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    torch.set_num_threads(1)  # it read the variable when it was imported


def run_module(module: str, *words: str) -> None:
    """Do what ``python -m MODULE WORDS`` does."""
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def read_operators_once(replace: Callable[[Any, str, Any], None] = setattr) -> None:
    """Speed up exports: PyTorch goes through all operators again for each file, a third of the time of a small one, and each has a process that imports PyTorch."""
    replace(importlib.import_module("pixlate_export.command"), "apart", lambda remedy, work, *given: work(print, *given))
    registration, decomposition, utils = (
        importlib.import_module(f"torch.{name}") for name in ("onnx._internal.exporter._registration", "onnx._internal.exporter._decomp", "_export.utils")
    )
    if registry := getattr(registration, "ONNXRegistry", None):  # all of it internal: what is no longer there takes longer again
        replace(registry, "from_torchlib", staticmethod(functools.cache(registry.from_torchlib)))
    if materialize := getattr(utils, "_materialize_cpp_cia_ops", None):
        replace(utils, "_materialize_cpp_cia_ops", functools.cache(materialize))
    if tabulate := getattr(decomposition, "create_onnx_friendly_decomposition_table", None):
        table = functools.cache(tabulate)
        replace(decomposition, "create_onnx_friendly_decomposition_table", lambda operators: dict(table(frozenset(operators))))


def run_in_turn(results: Path, *commands: Sequence[str]) -> None:
    """Run commands one after the other; write what each returned and printed."""
    if any("export" in command for command in commands):
        read_operators_once()
    with results.open("w") as file:
        for command in commands:
            code: object = 0
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    run_module(*command)
                except SystemExit as left:
                    code = left.code or 0
                except Exception:  # noqa: BLE001 - the test reports it
                    code = traceback.format_exc()
            print(json.dumps([code, out.getvalue(), err.getvalue()]), file=file)


def train_killed_after(last: int, *words: str) -> None:
    """Do what ``pixlate WORDS`` does, which is to train, and be killed after a step."""
    from pixlate.training import engine

    train = engine.train

    def killed(options: Any, run: Path, watch: Any, *rest: Any, **more: Any) -> bool:
        def watching(progress: engine.Progress) -> None:
            watch(progress)
            if progress.step == last:
                signal.raise_signal(signal.SIGKILL)

        return train(options, run, watching, *rest, **more)

    engine.train = killed
    run_module("pixlate", *words)


if __name__ == "__main__":
    given: dict[str, Any] = globals()["given"]
    begin(given["streams"], given["environment"])
    globals()[given["work"]](*given["arguments"])
