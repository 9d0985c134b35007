"""``pixlate sample``: pictures from a sampler, a model that takes no image, as numbered files that are never overwritten."""

import hashlib
import json as json_format
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Annotated

from cyclopts import Parameter
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pixlate.cli.completion import models
from pixlate.cli.periodic import Periodic
from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images import Picture, Pixels, write_picture
from pixlate.images.contact_sheet import contact_sheet
from pixlate.images.formats import PNG, writable
from pixlate.images.write import require_held
from pixlate.inference.conditions import SEED, Conditions, parse
from pixlate.inference.files import digest_model
from pixlate.inference.models import find
from pixlate.inference.pictures import with_origin
from pixlate.inference.ready import identified
from pixlate.inference.sampling import Sampler, load_sampler
from pixlate.inference.strength import system_used
from pixlate.places.journal import Job, Journal
from pixlate.places.local import locate
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.manager import installed
from pixlate.plugin.place import FULL, Place, Version
from pixlate.system.signals import StopOnSignal
from pixlate.system.text import printable, shown

MOST_SHOWN = 400
"""Pictures on the sheet of ``--grid``."""
MOST = 999_999
"""Pictures of a folder: their numbers have six digits."""
AT_ONCE = 64
"""Pictures after which a signal is heeded."""
FAILURES = 10
"""Failures that are printed."""
_NO_SOURCE = Version(0, 0)
"""What the journal records in place of a source."""


@dataclass
class Sampled:
    """What came of a run of the command."""

    model: str
    device: str
    drawn: int = 0
    finished_before: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Names of files, and why each was not written."""
    seconds: float = 0.0
    grid: str = ""
    """Name of the sheet."""
    stopped: str = ""
    """Why it stopped early."""
    exit_code: int = 0


def sample(
    model: Annotated[str, Parameter(completer=models)] = "",
    out: str = "",
    /,
    *,
    count: int = 64,
    seed: int = 0,
    set: Annotated[tuple[str, ...], Parameter(negative_iterable=())] = (),
    grid: Annotated[bool, Parameter(negative="")] = False,
    format: str = "png",
    quality: int = 95,
    batch: int = 0,
    device: str = "auto",
    runtime: str = "auto",
    json: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Draw pictures from noise with a model that takes no image.

    Exit codes: 0 all drawn, 1 some failed, 2 refused before starting, 130 interrupted. The same command again continues where it stopped.

    Parameters
    ----------
    model
        A ready model's name (see pixlate models) or a model file.
    out
        Folder for the pictures, 000001.png and so on; a path, or a URL such as s3://bucket/samples.
    count
        Pictures to draw. More of them later add to those that are there.
    seed
        Seed of the noise; with its number it decides each picture.
    set
        Value of a condition (another input of the model), as NAME=VALUE (digit=3, style=0.5,-1); once for each condition.
    grid
        Write a sheet of the pictures, too: grid-64.png of 64; of more than 400 it shows the first.
    format
        Format of the files: png, jpeg (or jpg), webp, tiff, bmp, avif, npy, or one that a plugin writes.
    quality
        Quality of JPEG, WebP and AVIF, 1 to 100.
    batch
        Pictures that are drawn together; 0 fits the device.
    device
        Where the model runs: auto, cpu, cuda, cuda:N or another of `pixlate convert`.
    runtime
        What runs the model: auto, onnxruntime, openvino, or another that a plugin offers.
    json
        Print the summary as one JSON document on standard output, for programs.
    quiet
        Print nothing but failures.
    """
    if not model or not out:
        raise PixlateError(f"expected a model and a folder, got {model or 'neither'}; write: pixlate sample {model or 'model.onnx'} out/ --count 64 --seed 1")
    for name, value, least, most in (("count", count, 1, MOST), ("seed", seed, 0, 2**63), ("quality", quality, 1, 100), ("batch", batch, 0, MOST)):
        if not least <= value <= most:
            raise PixlateError(f"expected --{name} from {least} to {most}, got {value}; choose one in between")
    place = locate(out)
    if place.kind() == "file" or place.reach == "process":
        raise PixlateError(f"expected a folder for the pictures, got {out}; name another")
    formats = installed().image_formats()
    chosen = writable(format, formats)
    sampler = Sampler(load_sampler(model, device, runtime), batch)
    spec, path = sampler.spec, find(model)
    require_held(chosen, spec.channels_out, "uint8", (spec.output_size[1], spec.output_size[0]) if spec.output_size else (1, 1), formats)
    given = parse(set)
    if SEED in given:
        raise PixlateError(
            f"expected --seed for what is drawn from noise, got --set {SEED}={given[SEED]}, which would draw one picture again and again; write --seed"
        )
    conditions = Conditions.of(spec, given, seed)
    shaping = json_format.dumps([digest_model(path), sorted(set), seed, chosen.name, quality])
    found = Sampled(identified(model), sampler.translator.device)
    drawing = _Drawing(sampler, conditions, chosen, quality, locate(path), found, grid)
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started, lines = time.monotonic(), Periodic()
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar, StopOnSignal() as signals:
        task = bar.add_task("pictures", total=count)

        def watch(done: int) -> bool:
            bar.update(task, completed=done)
            if not console.is_terminal and not quiet and lines.due():
                print(f"{done} of {count} pictures", file=sys.stderr, flush=True)
            return signals.asked

        with Journal(place.store(), hashlib.sha256(shaping.encode()).hexdigest()[:16]) as journal:
            drawing.run(journal, count, watch)
    found.seconds = round(time.monotonic() - started, 3)
    found.exit_code = 130 if signals.asked else 1 if found.failures or found.stopped else 0
    _say(found, out, json, quiet)
    return found.exit_code


@dataclass
class _Drawing:
    """What is drawn, and how it is written."""

    sampler: Sampler
    conditions: Conditions
    format: ImageFormat
    quality: int
    place: Place
    """The model file."""
    found: Sampled
    grid: bool
    shown: dict[int, Pixels] = field(default_factory=dict)
    """Pictures for the sheet, by number."""

    def run(self, journal: Journal, count: int, stops: Callable[[int], bool]) -> None:
        """Draw what is not there yet; ``stops`` is called with how many are there, and says whether to end early."""
        found = self.found
        wanted = [number for number in range(1, count + 1) if self._is_new(journal, self._job(number))]
        found.finished_before = count - len(wanted) - len(found.failures)
        for first in range(0, len(wanted), AT_ONCE):
            if stops(found.finished_before + found.drawn) or found.stopped:
                return
            for number, pixels in self._pixels(wanted[first : first + AT_ONCE]).items():
                if not found.stopped:
                    self._draw(journal, number, pixels)
        if self.grid and not (found.failures or found.stopped or stops(count)):
            self._draw_grid(journal, count)

    def _job(self, number: int) -> Job:
        return Job(self.place, f"{number:06}{self.format.suffixes[0]}", self.format.name)

    def _is_new(self, journal: Journal, job: Job) -> bool:
        """Return whether a file is to be written; one that is there and is another is a failure."""
        state = journal.state(job, _NO_SOURCE)
        if state not in ("new", "finished"):
            other = "was made with another model or other options" if state == "other settings" else "is none of these pictures"
            self.found.failures.append((job.name, f"the file exists and {other}; it was kept: choose another folder"))
        return state == "new"

    def _pixels(self, numbers: Sequence[int]) -> dict[int, Pixels]:
        """Return pictures by number; where the model fails, none, and why is noted."""
        try:
            return dict(zip(numbers, self.sampler([self.conditions.arrays(str(number)) for number in numbers]), strict=True))
        except (PixlateError, OutOfDeviceMemory) as error:
            self.found.stopped = str(error)
            return {}

    def _draw(self, journal: Journal, number: int, pixels: Pixels) -> None:
        picture = with_origin(Picture(pixels), self.sampler.spec, system=system_used(self.found.model))
        if self.grid and number <= MOST_SHOWN:
            self.shown[number] = pixels

        def write(part: Path) -> None:
            write_picture(picture, part, self.format.name, quality=self.quality, formats=dict.fromkeys(self.format.suffixes, self.format))

        self.found.drawn += self._write(journal, self._job(number), write)

    def _draw_grid(self, journal: Journal, count: int) -> None:
        """Write the sheet; pictures of an earlier run are drawn again for it."""
        job = Job(self.place, f"grid-{count}.png", PNG.name)
        if not self._is_new(journal, job):
            self.found.grid = "" if self.found.failures else job.name
            return
        numbers = range(1, min(count, MOST_SHOWN) + 1)
        self.shown |= self._pixels([number for number in numbers if number not in self.shown])
        if not self.found.stopped:
            sheet = contact_sheet({"": [_image(self.shown[number]) for number in numbers]}, {})
            self.found.grid = job.name if self._write(journal, job, lambda part: sheet.save(part, "PNG")) else ""

    def _write(self, journal: Journal, job: Job, write: Callable[[Path], None]) -> bool:
        """Write one file under its name and return whether that was possible; a full disk stops the others."""
        part = journal.parts / token_hex(8)
        try:
            write(part)
            journal.finish(job, part, _NO_SOURCE)
        except (PixlateError, OSError) as error:
            part.unlink(missing_ok=True)
            cause = error.__cause__ if isinstance(error, PixlateError) else error
            if isinstance(cause, OSError) and cause.errno in FULL:
                self.found.stopped = f"the folder takes no more ({cause.strerror}); free some space and run the same command again"
            self.found.failures.append((job.name, str(error)))
            return False
        return True


def _image(pixels: Pixels) -> Image.Image:
    """Return a picture in RGB; of two channels the first is shown, of more than three the first three."""
    return Image.fromarray(pixels[:, :, :3].copy() if pixels.shape[2] > 2 else pixels[:, :, 0]).convert("RGB")


def _say(found: Sampled, out: str, json: bool, quiet: bool) -> None:
    if json:
        print(json_format.dumps(asdict(found)))
        return
    if not quiet:
        speed = f" at {found.drawn / max(found.seconds, 1e-9):.2f} images/s on {found.device}" if found.drawn else ""
        before = f", {found.finished_before} finished before" if found.finished_before else ""
        failed = f", {len(found.failures)} failed" if found.failures else ""
        print(f"{found.drawn} drawn by {printable(found.model)}{speed}{before}{failed}, into {printable(shown(out))}")
        if found.grid:
            print(f"sheet: {printable(found.grid)}")
    for name, reason in found.failures[:FAILURES]:
        print(f"failed: {printable(name)}: {reason}", file=sys.stderr)
    if len(found.failures) > FAILURES:
        print(f"... and {len(found.failures) - FAILURES} more; --json lists all", file=sys.stderr)
    if found.stopped or found.exit_code == 130:
        print(f"stopped: {found.stopped or 'interrupted; the same command continues'}", file=sys.stderr)
