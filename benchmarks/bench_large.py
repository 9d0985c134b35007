"""Large pictures: how near the tiles of a CycleGAN come to the whole picture, and how much memory 100 million pixels take.

- tiles: mean and largest difference, in levels, between ``--tile auto`` and ``--tile off`` for nine blocks with instance norm and half the published channels,
  after one step of training, at 1800x1300; target: a mean of at most 3,
- memory: peak of ``pixlate convert`` on 10,000x10,000 pixels, as a TIFF, with ``day-to-night`` (scale 1; target: below 2 GB) and with a model that repeats each
  pixel 4x4 (target: below 3 GB), whose output of 4.8 GB is never whole; and with ``upscale-x4``: on as many where the processor computes in bfloat16, else on
  10,000x1,980, two rows of tiles, since float32 takes a quarter of an hour for the square.

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
from generators import halves
from pixlate.plugin.spec import METADATA_KEY, ModelSpec

WIDTH, HEIGHT = 1800, 1300
DIFFERENCE = 3.0
SIDE, ROWS = 10_000, 1_980
SCALE = 4
MEMORY_MB = {1: 2000, SCALE: 3000}
"""Scale of the model -> most that a picture of SIDE x SIDE pixels may take."""


def main() -> None:
    """Measure, print and write the JSON."""
    with TemporaryDirectory() as folder:
        results = {"tiles": tiles(Path(folder)), "memory": memory(Path(folder))}
    save("large", {"what": "a CycleGAN in tiles, and the memory of a large picture", **results}, figures(results))


def figures(results: dict[str, Any]) -> list[Figure]:
    """Return what is published."""
    tiled, large = results["tiles"], results["memory"]
    peaks = [
        Figure(
            f"peak memory of {row['size'][0]:,}x{row['size'][1]:,} pixels, {row['model']}",
            row["peak_mb"],
            "MB",
            required=MEMORY_MB[row["scale"]],
            better="less",
        )
        for row in large
    ]
    difference = f"CycleGAN of nine blocks in tiles, {WIDTH}x{HEIGHT}: mean difference from the whole"
    return [
        Figure(difference, tiled["mean"], "levels", most=tiled["largest"], required=DIFFERENCE, better="less"),
        *peaks,
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


def memory(folder: Path) -> list[dict[str, Any]]:
    """Return the peaks of conversions whose pictures are large."""
    ramp = (np.add.outer(np.arange(SIDE, dtype=np.int32), np.arange(SIDE, dtype=np.int32)) // 64).astype(np.uint8)
    picture = Image.fromarray(np.dstack([ramp, ramp + 80, ramp + 160]))
    picture.save(folder / "square.png", compress_level=1)
    picture.crop((0, 0, SIDE, ROWS)).save(folder / "strip.png", compress_level=1)
    del ramp, picture
    rows = []
    for model, scale, name, height in (
        ("day-to-night", 1, "square", SIDE),
        (repeating(folder / "repeating-x4.onnx"), SCALE, "square", SIDE),
        ("upscale-x4", SCALE, *(("square", SIDE) if halves() else ("strip", ROWS))),
    ):
        out = folder / "out.tiff"
        done = pixlate("convert", folder / f"{name}.png", out, "--model", model, "--on-exists", "overwrite", "--device", "cpu")
        rows.append(
            {"model": Path(model).stem, "scale": scale, "size": [SIDE, height], "peak_mb": round(done.peak_mb), "output_mb": out.stat().st_size // 10**6}
        )
    return rows


def repeating(path: Path) -> Path:
    """Write a model that repeats each pixel, with the context of ``upscale-x4``."""
    sides: list[str | int | None] = ["batch", 3, "height", "width"]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)
    translated = helper.make_tensor_value_info("translated", TensorProto.FLOAT, ["batch", 3, "rows", "columns"])
    node = helper.make_node("Resize", ["image", "", "scales"], ["translated"], coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, SCALE, SCALE])
    graph = helper.make_graph([node], "repeating", [image], [translated], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: ModelSpec(tiling_exact=True, scale=SCALE, halo=34).to_json()})
    onnx.save(model, path)
    return path


if __name__ == "__main__":
    main()
