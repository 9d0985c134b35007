"""Training speed: steps a second of the engine over the plain eager loop of the literature, on the same networks, images, batch and machine.

Every method is trained at its published sizes, by the plain loop in 32 bits (``plain_loops.py``) and by the engine: in 32 bits, and as ``--precision auto``
chooses. Each side is a process that lives through all turns and sleeps while another is measured; reading images is part of a step.

Run: ``PIXLATE_DATA=... python benchmarks/bench_train.py [--device cuda] [--turns 5] [--methods pix2pix distill] [--compile]``
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.models import vgg19

import pixlate.training.engine
import plain_loops
from common import TURNS, Figure, data, in_turns, save
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.engine import Progress
from pixlate.training.run import RunOptions

SIDES: dict[str, dict[str, Any]] = {"engine, 32 bits": {}, "engine, auto": {"precision": "auto"}}
COMPILED: dict[str, dict[str, Any]] = {"engine, auto, compiled": {"precision": "auto", "compile": True}}
REQUIRED = {"cpu": 1.5, "cuda": 3.0}
"""Of the engine under auto; with the plain loop's own arithmetic it must not be slower than that."""
FASTER = {"cpu": 1, "cuda": 50}
"""Steps of a turn over those on a CPU."""
NEVER = 10**9
PAIRED, UNPAIRED, PHOTOGRAPHS = ("sketches/train", "photos/train"), ("photos/train", "night"), ("photos/train",)
VGG19, LESSONS = "vgg19.pth", "lessons"
"""What is made before: a file of random weights, which cost what those of ImageNet do, and the teacher's pictures."""


@dataclass(frozen=True)
class Work:
    """What is trained, with the options that are not the method's defaults."""

    method: str
    folders: tuple[str, ...]
    steps: int
    """Of a turn on a CPU."""
    options: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


WORKS = {
    "pix2pix": Work("pix2pix", PAIRED, 4),
    "cyclegan": Work("cyclegan", UNPAIRED, 1),
    "srgan, first stage": Work("srgan", PHOTOGRAPHS, 2, {"stages": "pixel"}),
    "srgan, second stage": Work("srgan", PHOTOGRAPHS, 1, {"pixel_share": 1e-9, "perceptual_weights": VGG19}),
    "distill": Work("distill", PHOTOGRAPHS, 4, data={"teacher": "upscale-x4", "crops": 1, "crop_side": 64, "cache_folder": LESSONS}),
}


def main() -> None:
    """Measure all sides in turns and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--methods", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--compile", action="store_true", help="measure torch.compile, too, which takes minutes to begin on a CPU")
    chosen = parser.parse_args()
    engines = SIDES | (COMPILED if chosen.compile else {})
    rows, figures = [], list[Figure]()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PIXLATE_DATA"] = str(data().resolve())
        os.chdir(folder)
        for name in chosen.methods:
            prepare(WORKS[name])
            with ExitStack() as stack:
                sides = {side: stack.enter_context(process(side, name, chosen.device)) for side in ("plain", *engines)}
                seen = in_turns(sides, chosen.turns, warm_up=1)
            rows.append({"method": name, **seen.to_json()})
            for side, options in engines.items():
                required = REQUIRED[chosen.device] if options else 1.0
                figures.append(seen.times(f"{name}: {side}, over the plain loop in 32 bits", side, "plain", required=required))
    what = "Training at the published sizes, images read from files: steps a second over the plain eager loop of the literature"
    save(f"train-{chosen.device}", {"what": what, "device": chosen.device, "seconds_a_step": rows}, figures)


def prepare(work: Work) -> None:
    """Make what both sides read."""
    if work.options.get("perceptual_weights"):
        torch.save(vgg19().features.state_dict(), VGG19)
    if work.method == "distill":
        options = run_options(work, "cpu", {})
        images = options.method.data.open(options.folders, options.data, next(iter(options.build().exports().values())).spec)
        for draw in images.draw(0, images.images, 0):
            images.load(draw, options.data.patch)


@contextmanager
def process(side: str, name: str, device: str) -> Iterator[Callable[[], float]]:
    """Context with what makes one turn of a side, in a process of its own, and returns the seconds of a step."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve, args=(theirs, side, name, device))
    child.start()
    theirs.close()

    def turn() -> float:
        ours.send(WORKS[name].steps * FASTER[device])
        seconds: float = ours.recv()
        return seconds

    yield turn
    ours.close()
    child.join()


def serve(connection: Connection, side: str, name: str, device: str) -> None:
    """Train until the connection is closed."""
    pace = Pace(connection, device)
    with suppress(EOFError):
        (plain if side == "plain" else engine)(side, WORKS[name], device, pace)


class Pace:
    """Called after each step; after those of a turn it sends the seconds of one, and waits for the next turn. The first step of a turn does not count."""

    def __init__(self, connection: Connection, device: str) -> None:
        self.connection, self.device = connection, device
        self.ends: list[float] = []
        self.steps: int = connection.recv()

    def __call__(self, progress: Progress | None = None) -> None:
        """Count a step.

        Raises:
            EOFError: There is no further turn.
        """
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        if len(self.ends) > self.steps:
            self.connection.send((self.ends[-1] - self.ends[0]) / self.steps)
            self.steps, self.ends = self.connection.recv(), []


def engine(side: str, work: Work, device: str, pace: Pace) -> None:
    """Train with Pixlate."""
    pixlate.training.engine.FIRST_CHECKPOINT = math.inf
    options = run_options(work, device, (SIDES | COMPILED)[side])
    with tempfile.TemporaryDirectory() as run:
        pixlate.training.engine.train(options, Path(run), pace, print, tell=print)


def run_options(work: Work, device: str, changes: dict[str, Any]) -> RunOptions:
    """Return the method's published options, without validation, checkpoints and log."""
    method = installed().offered(Method)[work.method]
    training = replace(method.training(), device=device, validate_every=NEVER, checkpoint_every=NEVER, log_every=NEVER, **changes)
    folders = tuple(data() / folder for folder in work.folders)
    return RunOptions(method, replace(method.options(), **work.options), folders, replace(method.data.options(), hold_out=0, **work.data), training)


def plain(side: str, work: Work, device: str, pace: Pace) -> None:
    """Train with the plain loop of a method."""
    torch.manual_seed(0)
    options = run_options(work, device, {})
    patch, batch = options.data.patch, options.training.batch
    images: Dataset[tuple[Tensor, Tensor]]
    if work.method == "pix2pix":
        step, images = plain_loops.pix2pix(device), plain_loops.Folders(options.folders, patch, paired=True)
    elif work.method == "cyclegan":
        step, images = plain_loops.cyclegan(device), plain_loops.Folders(options.folders, patch, paired=False)
    elif work.method == "distill":
        step, images = plain_loops.distill(device), plain_loops.Taught(Path(LESSONS), patch, 4)
    else:
        step = plain_loops.srresnet(device) if work.options.get("stages") == "pixel" else plain_loops.srgan(device, Path(VGG19))
        images = plain_loops.Reduced(options.folders[0], patch, 4)
    for source, target in plain_loops.batches(images, batch):
        step(source.to(device), target.to(device))
        pace()


if __name__ == "__main__":
    main()
