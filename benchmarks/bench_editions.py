"""This checkout beside an earlier one, both as whole processes taking turns, so that a machine that slows down slows both.

- start: seconds of ``pixlate --help`` and of one small image converted, medians of nine.
- convert: images/s of ``pixlate convert`` on photographs with shipped models.
- train: steps/s of the engine, by ``bench_train.py`` of each checkout.

Run: ``PIXLATE_DATA=... python benchmarks/bench_editions.py --before EARLIER/.venv/bin/python --checkout EARLIER``
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common import data, save, timed

SIDES = ("before", "now")


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="Python of the earlier checkout's environment")
    parser.add_argument("--checkout", type=Path, required=True, help="the earlier checkout")
    parser.add_argument("--images", type=int, default=16, help="photographs converted at a time")
    parser.add_argument("--turns", type=int, default=3, help="turns of each side")
    parser.add_argument("--models", nargs="*", default=["upscale-x2", "day-to-night"], help="shipped models to measure")
    parser.add_argument("--methods", nargs="*", default=["pix2pix", "cyclegan"], help="methods to measure")
    options = parser.parse_args()
    pythons = dict(zip(SIDES, (options.before, Path(sys.executable)), strict=True))
    scripts = dict(zip(SIDES, (options.checkout / "benchmarks/bench_train.py", Path(__file__).parent / "bench_train.py"), strict=True))
    rows: list[dict[str, Any]] = []
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

        rows.append(compared("pixlate --help, s", lambda side: timed([pythons[side], "-m", "pixlate", "--help"]).seconds, 9))
        rows.append(compared("one small image, s", lambda side: converting(side, work / "small.png", "upscale-x2"), 9))
        for model in options.models:
            rows.append(compared(f"{model}, {options.images} photographs, s", lambda side, model=model: converting(side, source, model), options.turns))  # type: ignore[misc]

        def step(side: str, method: str) -> float:
            command = [pythons[side], scripts[side], "--side", "engine, bfloat16", "--method", method, "--device", "cpu"]
            times: list[float] = json.loads(timed(command).output.splitlines()[-1])
            return statistics.median(times)

        for method in options.methods:
            rows.append(compared(f"a step of {method} at 256x256, bfloat16, s", lambda side, method=method: step(side, method), 2))  # type: ignore[misc]
    save("editions", {"what": "seconds of this checkout beside an earlier one, in turns; ratio of medians, below 1 is faster", "rows": rows})


def compared(what: str, measure: Callable[[str], float], turns: int) -> dict[str, Any]:
    """Return the seconds of both sides, their medians and the ratio."""
    for side in SIDES:
        measure(side)  # warms caches of files
    seen: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(turns):
        for side in SIDES:
            seen[side].append(round(measure(side), 3))
    medians = {side: statistics.median(seen[side]) for side in SIDES}
    ratio = round(medians["now"] / medians["before"], 3)
    print(f"{what:46} before {medians['before']:7.3f}  now {medians['now']:7.3f}  ratio {ratio:.3f}")
    return {"what": what, **seen, "medians": medians, "ratio": ratio}


if __name__ == "__main__":
    main()
