"""Pixlate beside what people use instead, all on the same pictures, cores and threads, taking turns.

- ``pixlate convert`` with its defaults, and the usual way in eager float32 (``usual_way.py``; for ``real-esrgan-x4`` spandrel), on 40 photographs: whole processes, start to end,
  files to files. Of the upscalers fewer and, for ``real-esrgan-x4``, smaller ones.
- the network alone, without start, files and pictures, in a process of its own, on fewer photographs after one warm-up: the usual way under bfloat16 autocast with channels
  last, loops of bare ONNX Runtime and OpenVINO in float32 and bfloat16 (``bare.py``), and ncnn on one thread, where it is fastest (``ncnn_way.py``).

``--ncnn`` names the Python of an environment with ncnn and pnnx, which converts the networks:
``python -m venv ENVIRONMENT && ENVIRONMENT/bin/pip install --no-deps ncnn pnnx numpy pillow``.

Run: ``PIXLATE_DATA=... python benchmarks/bench_peers.py [--ncnn ENVIRONMENT/bin/python]``
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from common import TURNS, Figure, decibels, in_turns, machine, save, significant, timed
from generators import NAMES, RUNTIMES, SIZES, TITLES, export, halves, kinds, make, network_of, pictures, ready_weights
from pixlate.inference.models import find
from pixlate_export.options import ExportOptions

HERE = Path(__file__).parent
CONVERT, USUAL = "pixlate convert, start to end", "usual way, start to end"
SHARE = {"upscale-x4": 0.2, "real-esrgan-x4": 0.1}
"""Of the photographs of a generator, how many the larger networks see."""
BARS = {
    "resnet-9": {"required": 2.2, "aim": 2.6},
    "unet-256": {"required": 2.8, "aim": 3.5},
    "real-esrgan-x4": {"required": 2.0, "aim": 2.5},
}


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", choices=list(SIZES), default=list(SIZES), help="networks to measure")
    parser.add_argument("--images", type=int, default=40, help="photographs of the whole processes")
    parser.add_argument("--few", type=int, default=8, help="photographs of the networks alone")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each side")
    parser.add_argument("--ncnn", type=Path, help="Python of an environment with ncnn and pnnx")
    options = parser.parse_args()
    figures: list[Figure] = []
    charts: dict[str, Any] = {}
    tables: list[dict[str, Any]] = []
    notes = [] if options.ncnn else ["ncnn is left out, for `--ncnn` named no environment that has it"]
    if not halves():
        notes.append("bfloat16 is left out, for this processor has no units for it")
    with tempfile.TemporaryDirectory() as name:
        for work in options.works:
            found, chart, table = measure(work, Path(name), options)
            figures += found
            charts[work] = chart
            tables.append(table)
    what = f"`pixlate convert` beside what people use instead, on {machine()['cores']} cores: images a second"
    notes.append(
        "Start to end is a whole process, from files to files; the others are the network alone, without start, files and pictures, which favours them"
    )
    save("peers", {"what": what, "charts": charts, "tables": tables, "notes": notes}, figures)


def measure(name: str, work: Path, options: argparse.Namespace) -> tuple[list[Figure], dict[str, Any], dict[str, Any]]:
    """Return the figures of one network, its bars and its table."""
    share = SHARE.get(name, 1.0)
    source = pictures(name, work / f"{name}-many", max(2, round(options.images * share)))
    few = pictures(name, work / f"{name}-few", max(2, round(options.few * share)))
    weights = work / f"{name}.pt"
    torch.save(make(name)[0].state_dict() if name in NAMES else ready_weights(name), weights)
    model = export(name, work, ExportOptions()).path if name in NAMES else find(name)
    out, usual_out = work / "out", work / "usual"
    usual: list[str | Path] = [sys.executable, HERE / "usual_way.py", name, weights]
    count, few_count = (len(list(folder.iterdir())) for folder in (source, few))

    def convert(folder: Path) -> float:
        shutil.rmtree(out, ignore_errors=True)
        return timed([sys.executable, "-m", "pixlate", "convert", folder, out, "--model", model, "--device", "cpu"]).seconds / count

    def usual_way() -> float:
        shutil.rmtree(usual_out, ignore_errors=True)
        return timed([*usual, source, usual_out, "cpu"]).seconds / count

    def alone(command: list[str | Path]) -> float:
        return float(timed(command).output) / few_count

    sides: dict[str, Callable[[], float]] = {CONVERT: partial(convert, source), USUAL: usual_way}
    if halves():
        sides["usual way, bfloat16, alone"] = partial(alone, [*usual, few, work / "half", "cpu", "--arithmetic", "bfloat16"])
    for runtime, arithmetic in kinds():
        command: list[str | Path] = [sys.executable, HERE / "bare.py", model, few, "--runtime", runtime, "--arithmetic", arithmetic]
        sides[f"{RUNTIMES[runtime]}, {arithmetic}, alone"] = partial(alone, command)
    if options.ncnn and name != "real-esrgan-x4":
        sides["ncnn, one thread, alone"] = partial(alone, [options.ncnn, HERE / "ncnn_way.py", to_ncnn(name, weights, work, options.ncnn), few, "1"])
    convert(few)  # fills what is cached once
    seen = in_turns(sides, options.turns)
    width, height = SIZES[name]
    of = f"{TITLES[name]}, {count} photographs of {width}x{height}"
    figures = [
        seen.times(f"{of}: `convert` over the usual way in float32", CONVERT, USUAL, **BARS.get(name, {})),
        *(seen.times(f"{of}: `convert` over {side}", CONVERT, side) for side in sides if side not in (CONVERT, USUAL)),
        Figure(f"{of}: `convert` against the usual way in float32, least PSNR", agreement(out, usual_out), "dB", required=45.0, aim=50.0),
    ]
    rates = {side: [significant(1 / each) for each in (seen.median(side), max(taken), min(taken))] for side, taken in seen.seen.items()}
    rows = [{"name": side, "value": rate, "least": least, "most": most, "ours": side == CONVERT} for side, (rate, least, most) in rates.items()]
    table = [[side, f"{rate:.3g} ({least:.3g} to {most:.3g})", significant(rate / rates[USUAL][0])] for side, (rate, least, most) in rates.items()]
    head = [of, "images a second", "times the usual way"]
    return figures, {"title": of.replace("`", ""), "unit": "images a second; longer is faster", "rows": rows}, {"head": head, "rows": table}


def agreement(first: Path, second: Path) -> float:
    """Return the least PSNR, in dB, of pictures of one name."""
    return min(decibels(*(np.asarray(Image.open(folder / path.name)) for folder in (first, second))) for path in sorted(second.iterdir()))


def to_ncnn(name: str, weights: Path, work: Path, python: Path) -> Path:
    """Return the ``.param`` of a network that pnnx has converted."""
    network, (width, height) = network_of(name, torch.load(weights, weights_only=True)), SIZES[name]
    traced = work / f"{name.replace('-', '_')}.pt1"
    torch.jit.trace(network, torch.rand(1, 3, height, width)).save(str(traced))  # type: ignore[no-untyped-call]
    folder = timed([python, "-c", "import importlib.util as u; print(u.find_spec('pnnx').submodule_search_locations[0])"]).output.strip()
    timed([Path(folder) / "pnnx", traced, f"inputshape=[1,3,{height},{width}]", "fp16=0"])
    return traced.with_suffix(".ncnn.param")


if __name__ == "__main__":
    main()
