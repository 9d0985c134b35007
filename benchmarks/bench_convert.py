"""Speed and memory of ``pixlate convert``, as whole processes.

- folder: images/s of ``pixlate convert`` on photographs, process start to end, over images/s of a bare ``session.run`` loop on arrays already
  in memory; the two take turns, so that a machine that slows down slows both.
- generators: seconds of ``pixlate convert`` on 40 photographs at 256x256 with ResNet-9 and U-Net-256, process start to end, beside the usual way
  (``usual_way.py``) and a bare ``session.run`` loop, taking turns.
- start: seconds of ``pixlate --help``, and of one small image converted.
- memory: peak of 2,000 images of one size over that of 100.

Run: ``PIXLATE_DATA=... python benchmarks/bench_convert.py``
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common import data, save, timed

MANY = 2000
PIXLATE = [sys.executable, "-m", "pixlate"]


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="photographs of the folder benchmark")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    parser.add_argument("--models", nargs="+", default=["upscale-x4", "upscale-x2"], help="shipped models to measure")
    parser.add_argument("--generators", nargs="*", default=["resnet-9", "unet-256"], help="generators to measure beside the usual way")
    parser.add_argument("--generator-images", type=int, default=40, help="photographs of the generator benchmark")
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare(options.bare[0], Path(options.bare[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photographs = sorted((data() / "photos/test").glob("*.jpg"))[: options.images]
        source = work / "photos"
        source.mkdir()
        for path in photographs:
            shutil.copy(path, source)
        results: dict[str, Any] = {"start": start(work), "memory": memory(work)}  # first: a process begun by a large one counts as large
        results["folder"] = [folder(source, work, model, options.rounds) for model in options.models]
        results["generators"] = [generator(name, work, options.generator_images, options.rounds) for name in options.generators]
    save("convert", results)


def folder(source: Path, work: Path, model: str, rounds: int) -> dict[str, Any]:
    """Return images/s of the command and of the bare loop, and their ratio, turn by turn."""
    count = len(list(source.iterdir()))
    pairs = []
    for _ in range(rounds):
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)
        command = timed([*PIXLATE, "convert", source, out, "--model", model]).seconds
        loop = float(timed([sys.executable, __file__, "--bare", model, source]).output)
        pairs.append((count / command, count / loop))
    ratios = [convert / loop for convert, loop in pairs]
    row = {
        "model": model,
        "images": count,
        "convert_images_per_second": [round(convert, 3) for convert, _ in pairs],
        "bare_images_per_second": [round(loop, 3) for _, loop in pairs],
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(statistics.median(ratios), 3),
        "required": 0.90,
    }
    print(f"{model}: {row['convert_images_per_second']} images/s of convert, {row['bare_images_per_second']} bare, ratio {row['ratio']} (required 0.90)")
    return row


def generator(name: str, work: Path, count: int, rounds: int) -> dict[str, Any]:
    """Return seconds of the command, of the usual way and of the bare loop, and the ratios, turn by turn."""
    import torch

    from generators import export, make, photographs
    from pixlate_export.options import ExportOptions

    source, weights = photographs(work / "photographs-256", count), work / f"{name}.pt"
    torch.save(make(name)[0].state_dict(), weights)
    model = export(name, work, ExportOptions()).path
    turns = []
    for _ in range(rounds):
        out, usual_out = work / "out", work / "usual"
        for path in (out, usual_out):
            shutil.rmtree(path, ignore_errors=True)
        command = timed([*PIXLATE, "convert", source, out, "--model", model, "--device", "cpu"]).seconds
        usual = timed([sys.executable, Path(__file__).with_name("usual_way.py"), name, weights, source, usual_out, "cpu"]).seconds
        loop = timed([sys.executable, __file__, "--bare", model, source])
        turns.append((command, usual, loop.seconds, float(loop.output)))
    names = ("convert_s", "usual_way_s", "bare_process_s", "bare_loop_s")
    row: dict[str, Any] = {"generator": name, "images": count} | {key: [round(turn[index], 2) for turn in turns] for index, key in enumerate(names)}
    row["times_the_usual_way"] = round(statistics.median(turn[1] / turn[0] for turn in turns), 3)
    row["of_bare_process"] = round(statistics.median(turn[2] / turn[0] for turn in turns), 3)
    row["of_bare_loop"] = round(statistics.median(turn[3] / turn[0] for turn in turns), 3)
    row["required"] = {"times_the_usual_way": {"resnet-9": 1.4, "unet-256": 2.5}[name], "of_bare": 0.93}
    with Image.open(out / "00000.png") as ours, Image.open(usual_out / "00000.png") as usual_picture:
        row["largest_difference_levels"] = int(np.abs(np.asarray(ours).astype(int) - np.asarray(usual_picture)).max())
    print(f"{name}: {row['times_the_usual_way']} times the usual way, {row['of_bare_process']} of a bare process, {row['of_bare_loop']} of its loop")
    return row


def bare(model: str, source: Path) -> None:
    """Print the seconds of a plain ONNX Runtime loop over arrays in memory."""
    import onnxruntime

    from pixlate.inference.models import find

    session = onnxruntime.InferenceSession(find(model), providers=["CPUExecutionProvider"])
    name, levels = session.get_inputs()[0].name, session.get_inputs()[0].type == "tensor(uint8)"
    arrays = []
    for path in sorted(source.iterdir()):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        arrays.append(pixels[None] if levels else np.ascontiguousarray((pixels.astype(np.float32) / 255).transpose(2, 0, 1)[None]))
    session.run(None, {name: arrays[0]})
    started = time.perf_counter()
    for array in arrays:
        session.run(None, {name: array})
    print(time.perf_counter() - started)


def start(work: Path) -> dict[str, Any]:
    """Return seconds of ``--help`` and of one small image, median and spread of ten."""
    image = work / "small.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(image)
    rows: dict[str, Any] = {}
    for name, limit in (("help", 0.35), ("one small image", 1.5)):
        seconds = []
        for turn in range(11):
            arguments: list[str | Path] = ["--help"] if name == "help" else ["convert", image, work / f"small-{turn}", "--model", "upscale-x4"]
            seconds.append(timed([*PIXLATE, *arguments]).seconds)
        seconds = sorted(seconds[1:])  # the first fills the disk cache
        rows[name] = {"median_s": round(statistics.median(seconds), 3), "least_s": round(seconds[0], 3), "most_s": round(seconds[-1], 3), "required_s": limit}
        print(f"{name}: {rows[name]['median_s']} s (required under {limit})")
    return rows


def memory(work: Path) -> dict[str, Any]:
    """Return the peak memory of 100 and of 2,000 images of one size."""
    random = np.random.default_rng(0)
    peaks = {}
    for count in (100, MANY):
        source = work / f"{count}"
        source.mkdir()
        for index in range(count):
            Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(source / f"{index:04}.png")
        peaks[count] = timed([*PIXLATE, "convert", source, work / f"out-{count}", "--model", "upscale-x2"]).peak_mb
    ratio = peaks[MANY] / peaks[100]
    print(f"peak memory: {peaks[100]:.0f} MB for 100 images, {peaks[MANY]:.0f} MB for {MANY:,}, ratio {ratio:.3f} (required at most 1.10)")
    return {"peak_mb": {str(count): round(peak, 1) for count, peak in peaks.items()}, "ratio": round(ratio, 3), "required": 1.10}


if __name__ == "__main__":
    main()
