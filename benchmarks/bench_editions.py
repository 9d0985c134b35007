"""This checkout beside an earlier one, both as whole processes taking turns, so that a machine that slows down slows both.

- start: seconds of ``pixlate --help`` and of one small image converted, medians of nine.
- convert: images/s of ``pixlate convert`` on photographs with shipped models.

Run: ``PIXLATE_DATA=... python benchmarks/bench_editions.py --before EARLIER/.venv/bin/python``
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from common import TURNS, Figure, Turns, data, in_turns, save, timed

SIDES = ("before", "now")


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="Python of the earlier checkout's environment")
    parser.add_argument("--images", type=int, default=40, help="photographs converted at a time")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each side")
    parser.add_argument("--models", nargs="*", default=["upscale-x4", "day-to-night"], help="shipped models to measure")
    options = parser.parse_args()
    pythons = dict(zip(SIDES, (options.before, Path(sys.executable)), strict=True))
    rows: list[tuple[str, Turns]] = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(work / "small.png")
        source = work / "photos"
        source.mkdir()
        for path in sorted((data() / "photos/test").glob("*.jpg"))[: options.images]:
            shutil.copy(path, source)

        def converting(side: str, images: Path, model: str) -> float:
            out = work / "out"
            shutil.rmtree(out, ignore_errors=True)
            return timed([pythons[side], "-m", "pixlate", "convert", images, out, "--model", model]).seconds

        rows.append(compared("`pixlate --help`", lambda side: timed([pythons[side], "-m", "pixlate", "--help"]).seconds, 9))
        rows.append(compared("one small image", lambda side: converting(side, work / "small.png", "upscale-x2"), 9))
        for model in options.models:
            rows.append(compared(f"`{model}`, {options.images} photographs", lambda side, model=model: converting(side, source, model), options.turns))  # type: ignore[misc]
    figures: list[Figure] = [
        seen.times(f"{what}: now over before", "now", "before", **({"required": 1.7, "aim": 2.0} if "`upscale-x4`" in what else {})) for what, seen in rows
    ]
    save(
        "editions",
        {"what": "this checkout beside an earlier one, as whole processes", "seconds": [{"of": what, **seen.to_json()} for what, seen in rows]},
        figures,
    )


def compared(what: str, measure: Callable[[str], float], turns: int) -> tuple[str, Turns]:
    """Return what was measured, and the seconds of both sides."""
    return what, in_turns({side: partial(measure, side) for side in SIDES}, turns, warm_up=1)  # warms caches of files


if __name__ == "__main__":
    main()
