"""What a step of each method costs at its published sizes: processor time, memory and weights; CUT and FastCUT beside CycleGAN, in turns.

Each method is trained by the engine with its defaults, in 32 bits and with two threads, on drawn pictures, in a process of its own. Time is that of the processor, over all threads, so that
others on the machine change it little; memory is the most that the process ever had. A step is one update of every player; the first one does not count.

Run: ``python benchmarks/bench_methods.py [--turns 3] [--methods cut cyclegan]`` (no data needed)
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import fields, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from common import RESULTS, Figure, Turns, in_turns, save, significant
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.testing import make_photographs
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer

THREADS, SIDE = 2, 286
FASTCUT, BESIDE = "cut --preset fastcut", "cyclegan"
TOGETHER = ("cyclegan", "cut", FASTCUT)
"""What is measured in turns, and so compared."""
CHEAP: Mapping[str, Mapping[str, Any]] = {
    "srgan": {"stages": "pixel"},
    "distill": {"teacher": "upscale-x4", "crops": 1, "crop_side": 64, "cache_folder": "lessons"},
}
"""Options without which a method would download weights, or measure its teacher."""
LAYOUTS: Mapping[str, Sequence[str]] = {
    "paired": ("first", "second"),
    "unpaired": ("first", "second"),
    "degraded": ("first",),
    "taught": ("first",),
    "images": ("first",),
    "masked": ("first",),
    "domains": (".",),
}
"""Data kind -> folders that it takes, of the two that are drawn; "." is the one that both are in."""


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--methods", nargs="+", help="those measured, while the file keeps what it has of others; all by default")
    chosen = parser.parse_args()
    os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that wait spend no processor time
    sides = [side for name in installed().offered(Method) for side in ((name, FASTCUT) if name == "cut" else (name,))]
    wanted = [side for side in sides if not chosen.methods or side.partition(" ")[0] in chosen.methods]
    groups = [[side for side in TOGETHER if side in wanted], *([side] for side in wanted if side not in TOGETHER)]
    path = RESULTS / "methods.json"
    before = json.loads(path.read_text()) if chosen.methods and path.is_file() else {"methods": {}, "figures": []}
    rows: dict[str, dict[str, Any]] = {name: row for name, row in before["methods"].items() if name in sides}
    figures = [Figure(**figure) for figure in before["figures"] if figure["what"].partition(":")[0] not in wanted]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for number, name in enumerate(("first", "second")):
            make_photographs(Path("domains") / name, 4, SIDE, SIDE, number)
        for group in filter(None, groups):
            measured(group, chosen.turns, rows, figures)
    save("methods", {"what": "A step of each method at its published sizes", "threads": THREADS, "methods": rows}, figures)


def measured(group: Sequence[str], turns: int, rows: dict[str, dict[str, Any]], figures: list[Figure]) -> None:
    """Measure sides in turns; add a row for each, and what they are beside CycleGAN."""
    with ExitStack() as stack:
        asked = {side: stack.enter_context(process(side)) for side in group}

        def turn(side: str) -> float:
            rows[side] = asked[side]()
            seconds: float = rows[side]["seconds"]
            return seconds

        seen = in_turns({side: partial(turn, side) for side in group}, turns, warm_up=1)
    for side in group:
        rows[side] |= {"seconds": significant(seen.median(side)), "turns": seen.to_json()[side]}
    figures += [figure for side in group if side != BESIDE and BESIDE in group for figure in beside(side, seen, rows)]


def beside(side: str, seen: Turns, rows: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """Return what a step of a side takes, as shares of one of CycleGAN."""
    shares = [1 / ratio for ratio in seen.ratios(side, BESIDE)]
    time_share = Figure(
        f"{side}: processor time of a step, over CycleGAN", statistics.median(shares), "times", min(shares), max(shares), len(shares), 1.0, better="less"
    )
    return [time_share, Figure(f"{side}: peak memory, over CycleGAN", rows[side]["peak_mb"] / rows[BESIDE]["peak_mb"], "times", required=1.0, better="less")]


@contextmanager
def process(side: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Context with what makes one step in a process of its own, and returns its cost."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve, args=(theirs, side))
    child.start()
    theirs.close()

    def ask() -> dict[str, Any]:
        ours.send(None)
        cost: dict[str, Any] = ours.recv()
        return cost

    yield ask
    ours.close()
    child.join()


def serve(connection: Connection, side: str) -> None:
    """Make a step each time that is asked for, until the connection is closed."""
    torch.set_num_threads(THREADS)
    trainer = Trainer(run_options(side), Fabric(accelerator="cpu", devices=1))
    trained = sum(weight.numel() for turn in trainer.turns.values() for weight in turn.parameters)
    exported = sum(weight.numel() for weight in next(iter(trainer.gan.exports().values())).module.parameters())
    step = 0
    try:
        while True:
            connection.recv()
            trainer.read(step)
            began = time.process_time()
            trainer.step(step)
            seconds, step = time.process_time() - began, step + 1
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
            connection.send({"seconds": seconds, "peak_mb": round(peak_mb), "trained": trained, "exported": exported})
    except EOFError:
        trainer.loader.close()


def run_options(side: str) -> RunOptions:
    """Return the published options of a method, or those of one of its presets."""
    name, _, preset = side.partition(" --preset ")
    method = installed().offered(Method)[name]
    changes = dict(CHEAP.get(name, {})) | {"device": "cpu", "hold_out": 0, "workers": 1}
    if preset:
        changes |= tomllib.loads(method.presets[preset].read_text())["train"][name]
    parts: list[Any] = [
        replace(owner(), **{item.name: changes[item.name] for item in fields(owner) if item.name in changes})
        for owner in (method.options, method.data.options, method.training)
    ]
    folders = tuple(Path("domains") / each for each in LAYOUTS[method.data.name])
    return RunOptions(method, parts[0], folders, parts[1], parts[2])


if __name__ == "__main__":
    main()
