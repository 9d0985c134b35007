"""Large pictures: how near the tiles of a CycleGAN come to the whole picture, and how much memory 400 million pixels take.

- tiles: mean and largest difference, in levels, between ``--tile auto`` and ``--tile off`` for nine blocks with instance norm and half the published channels,
  after one step of training, at 1800x1300; target: a mean of at most 3,
- memory: peak of ``pixlate convert`` on 20,000x20,000 pixels with a model of scale 1 that changes nothing; target: below 4 GB.

Run: ``PIXLATE_DATA=... python benchmarks/bench_large.py``
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from common import Figure, Finished, data, save, timed
from pixlate.plugin.spec import METADATA_KEY, ModelSpec

WIDTH, HEIGHT = 1800, 1300
DIFFERENCE = 3.0
SIDE = 20_000
MEMORY_MB = 4000


def main() -> None:
    """Measure, print and write the JSON."""
    with TemporaryDirectory() as folder:
        results = {"tiles": tiles(Path(folder)), "memory": memory(Path(folder))}
    save("large", {"what": "a CycleGAN in tiles, and the memory of a large picture", **results}, figures(results))


def figures(results: dict[str, Any]) -> list[Figure]:
    """Return what is published."""
    tiled, large = results["tiles"], results["memory"]
    difference = f"CycleGAN of nine blocks in tiles, {WIDTH}x{HEIGHT}: mean difference from the whole"
    return [
        Figure(difference, tiled["mean"], "levels", most=tiled["largest"], required=DIFFERENCE, better="less"),
        Figure(f"peak memory of {SIDE:,}x{SIDE:,} pixels, {large['pixels_mb']:,} MB, scale 1", large["peak_mb"], "MB", required=MEMORY_MB, better="less"),
    ]


def pixlate(*words: object) -> Finished:
    """Run a command of Pixlate to its end."""
    return timed([sys.executable, "-m", "pixlate", *map(str, words)])


def tiles(folder: Path) -> dict[str, Any]:
    """Return how far a photograph in tiles is from the same without."""
    source, target = data() / "photos/test", data() / "night"
    sizes = ("--channels", 32, "--patch", 64, "--resize", 64, "--hold-out", 0, "--steps", 1, "--device", "cpu")
    pixlate("train", "cyclegan", source, target, "--out", folder / "run", *sizes)
    pixlate("export", folder / "run", folder / "cyclegan.onnx")
    with Image.open(sorted(source.glob("*.jpg"))[0]) as image:
        image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(folder / "photograph.png")
    outputs = []
    for tile in ("auto", "off"):
        pixlate("convert", folder / "photograph.png", folder / tile, "--model", folder / "cyclegan.onnx", "--tile", tile, "--device", "cpu")
        with Image.open(folder / tile / "photograph.png") as image:
            outputs.append(np.asarray(image).astype(int))
    difference = np.abs(outputs[0] - outputs[1])
    return {"size": [WIDTH, HEIGHT], "mean": round(float(difference.mean()), 3), "largest": int(difference.max())}


def memory(folder: Path) -> dict[str, Any]:
    """Return the peak of a conversion whose picture is large."""
    sides: list[str | int | None] = ["batch", 3, "height", "width"]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("image", "translated")]
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["translated"])], "identity", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: ModelSpec(tiling_exact=True).to_json()})
    onnx.save(model, folder / "same.onnx")
    ramp = (np.add.outer(np.arange(SIDE, dtype=np.int32), np.arange(SIDE, dtype=np.int32)) // 64).astype(np.uint8)
    Image.fromarray(np.dstack([ramp, ramp + 80, ramp + 160])).save(folder / "large.png", compress_level=1)
    done = pixlate("convert", folder / "large.png", folder / "out", "--model", folder / "same.onnx", "--max-pixels", SIDE * SIDE, "--device", "cpu")
    return {"size": [SIDE, SIDE], "pixels_mb": round(3 * SIDE * SIDE / 1e6), "peak_mb": round(done.peak_mb), "asked_mb": MEMORY_MB}


if __name__ == "__main__":
    main()
