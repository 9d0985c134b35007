"""Speed and memory of ``pixlate convert``, as whole processes.

- folder: images/s of ``pixlate convert`` on photographs, process start to end, over images/s of a bare ``session.run`` loop on arrays already
  in memory; and, with the model loaded once, of the pipeline over its own model alone in the same process. Sides take turns, so that a machine that slows
  down slows both.
- generators: seconds of ``pixlate convert`` on 40 photographs at 256x256 with ResNet-9 and U-Net-256, process start to end, beside the usual way
  (``usual_way.py``) and a bare ``session.run`` loop, taking turns.
- start: seconds of ``pixlate --help``, and of one small image converted.
- memory: peak of 2,000 images of one size over that of 100.

Run: ``PIXLATE_DATA=... python benchmarks/bench_convert.py``
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common import TURNS, Figure, Turns, data, in_turns, save, timed

WHAT = "`pixlate convert`, process start to end, over a bare `session.run` loop of ONNX Runtime in a process that does nothing else, and over the usual way"
MANY = 2000
OF_BARE: dict[str, dict[str, float]] = {
    **{name: {"required": 0.95, "aim": 0.98} for name in ("upscale-x4", "upscale-x2", "resnet-9")},
    "unet-256": {"required": 0.85, "aim": 0.9},
}
OVER_USUAL = {"resnet-9": {"required": 2.2, "aim": 2.6}, "unet-256": {"required": 2.8, "aim": 3.5}}
PIXLATE = [sys.executable, "-m", "pixlate"]


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="photographs of the folder benchmark")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each side")
    parser.add_argument("--models", nargs="+", default=["upscale-x4", "upscale-x2"], help="shipped models to measure")
    parser.add_argument("--generators", nargs="*", default=["resnet-9", "unet-256"], help="generators to measure beside the usual way")
    parser.add_argument("--generator-images", type=int, default=40, help="photographs of the generator benchmark")
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--within", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within:
        within(options.within[0], Path(options.within[1]), options.turns)
        return
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
        figures = [*start(work), *memory(work)]  # first: a process begun by a large one counts as large
        rows = [folder(source, work, model, options.turns) for model in options.models]
        rows += [generator(name, work, options.generator_images, options.turns) for name in options.generators]
    save("convert", {"what": WHAT, "seconds": [row for row, _ in rows]}, [*figures, *(figure for _, found in rows for figure in found)])


def folder(source: Path, work: Path, model: str, turns: int) -> tuple[dict[str, Any], list[Figure]]:
    """Return the seconds of the command and of the bare loop, turn by turn, and their ratio."""
    images, out = len(list(source.iterdir())), work / "out"

    def convert() -> float:
        shutil.rmtree(out, ignore_errors=True)
        return timed([*PIXLATE, "convert", source, out, "--model", model]).seconds

    seen = in_turns({"convert": convert, "loop": lambda: float(timed([sys.executable, __file__, "--bare", model, source]).output)}, turns)
    pipeline = in_one_process(model, source, turns)
    row = {"model": model, "images": images, **seen.to_json(), "in_one_process": pipeline.to_json()}
    return row, [
        seen.times(f"`{model}`, {images} photographs: `convert` over a bare loop", "convert", "loop"),
        pipeline.times(f"`{model}`, {images} photographs: the pipeline over its model alone in the same process", "convert", "loop", **OF_BARE.get(model, {})),
    ]


def generator(name: str, work: Path, images: int, turns: int) -> tuple[dict[str, Any], list[Figure]]:
    """Return the seconds of the command, of the usual way, and of a bare process and its loop, turn by turn, and the ratios."""
    import torch

    from generators import TITLES, export, make, photographs
    from pixlate_export.options import ExportOptions

    source, weights = photographs(work / "photographs-256", images), work / f"{name}.pt"
    torch.save(make(name)[0].state_dict(), weights)
    model = export(name, work, ExportOptions()).path
    out, usual_out, loops = work / "out", work / "usual", list[float]()

    def convert() -> float:
        shutil.rmtree(out, ignore_errors=True)
        return timed([*PIXLATE, "convert", source, out, "--model", model, "--device", "cpu"]).seconds

    def usual() -> float:
        shutil.rmtree(usual_out, ignore_errors=True)
        return timed([sys.executable, Path(__file__).with_name("usual_way.py"), name, weights, source, usual_out, "cpu"]).seconds

    def process() -> float:
        finished = timed([sys.executable, __file__, "--bare", model, source])
        loops.append(float(finished.output))
        return finished.seconds

    seen = in_turns({"convert": convert, "usual way": usual, "bare process": process}, turns)
    seen = Turns({**seen.seen, "loop": loops})
    with Image.open(out / "00000.png") as ours, Image.open(usual_out / "00000.png") as usual_picture:
        levels = int(np.abs(np.asarray(ours).astype(int) - np.asarray(usual_picture)).max())
    pipeline = in_one_process(str(model), source, turns)
    row = {"model": name, "images": images, "largest_difference_levels": levels, **seen.to_json(), "in_one_process": pipeline.to_json()}
    work_done = f"{TITLES[name]}, {images} photographs of 256x256: `convert` over"
    return row, [
        seen.times(f"{work_done} the usual way in float32", "convert", "usual way", **OVER_USUAL.get(name, {})),
        seen.times(f"{work_done} a bare process", "convert", "bare process"),
        seen.times(f"{work_done} its loop alone", "convert", "loop"),
        pipeline.times(
            f"{TITLES[name]}, {images} photographs of 256x256: the pipeline over its model alone in the same process",
            "convert",
            "loop",
            **OF_BARE.get(name, {}),
        ),
    ]


def in_one_process(model: str, source: Path, turns: int) -> Turns:
    """Return the seconds of the pipeline and of its model alone, which take turns in a process of their own."""
    return Turns(json.loads(timed([sys.executable, __file__, "--within", model, source, "--turns", str(turns)]).output))


def within(model: str, source: Path, turns: int) -> None:
    """Print the seconds of the pipeline, from plan to last file with its model loaded, and of that same model on arrays in memory, as JSON."""
    import pixlate
    from pixlate.inference.models import find, load_executors

    options = pixlate.ConvertOptions(device="cpu")
    translator = load_executors(find(model), options)[0].translator
    arrays = [_pixels(path)[None] for path in sorted(source.iterdir())]

    def convert() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return pixlate.convert(source, Path(folder) / "out", model, options).seconds

    def loop() -> float:
        started = time.perf_counter()
        for array in arrays:
            translator(array)
        return time.perf_counter() - started

    print(json.dumps(in_turns({"convert": convert, "loop": loop}, turns, warm_up=1).seen))


def _pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def bare(model: str, source: Path) -> None:
    """Print the seconds of a plain ONNX Runtime loop over arrays in memory."""
    import onnxruntime

    from pixlate.inference.models import find

    session = onnxruntime.InferenceSession(find(model), providers=["CPUExecutionProvider"])
    name, levels = session.get_inputs()[0].name, session.get_inputs()[0].type == "tensor(uint8)"
    arrays = []
    for path in sorted(source.iterdir()):
        pixels = _pixels(path)
        arrays.append(pixels[None] if levels else np.ascontiguousarray((pixels.astype(np.float32) / 255).transpose(2, 0, 1)[None]))
    session.run(None, {name: arrays[0]})
    started = time.perf_counter()
    for array in arrays:
        session.run(None, {name: array})
    print(time.perf_counter() - started)


def start(work: Path) -> list[Figure]:
    """Return the seconds of ``--help`` and of one small image."""
    image = work / "small.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(image)
    outputs = (work / f"small-{number}" for number in count())
    seen = in_turns(
        {
            "help": lambda: timed([*PIXLATE, "--help"]).seconds,
            "image": lambda: timed([*PIXLATE, "convert", image, next(outputs), "--model", "upscale-x4"]).seconds,
        },
        9,
        warm_up=1,  # fills the disk cache
    )
    return [
        seen.seconds("`pixlate --help`", "help", required=0.2),
        seen.seconds("one image of 64x48, `upscale-x4`, process start to end", "image", required=0.5),
    ]


def memory(work: Path) -> list[Figure]:
    """Return the peak memory of 2,000 images of one size over that of 100."""
    random = np.random.default_rng(0)
    peaks = {}
    for images in (100, MANY):
        source = work / f"{images}"
        source.mkdir()
        for index in range(images):
            Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(source / f"{index:04}.png")
        peaks[images] = timed([*PIXLATE, "convert", source, work / f"out-{images}", "--model", "upscale-x2"]).peak_mb
    return [
        Figure(f"peak memory of {MANY:,} images of one size over 100", peaks[MANY] / peaks[100], required=1.10, better="less"),
        Figure(f"peak memory of {MANY:,} images of one size", peaks[MANY], "MB", better="less"),
    ]


if __name__ == "__main__":
    main()
