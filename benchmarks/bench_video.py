"""Films: how fast one of 300 frames is beside the same frames as PNG and as JPEG files, and that its memory does not grow with its length.

- rate: frames a second of ``pixlate.convert`` on the film (H.264 in MP4), over that on its frames as files in a folder; target: at least 0.9,
- memory: peak of ``pixlate convert`` on four times as long a film, over that on 300 frames; target: at most 1.1.

Run: ``python benchmarks/bench_video.py``
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from PIL import Image

import pixlate
from common import TURNS, Figure, Turns, in_turns, save, timed

FRAMES, WIDTH, HEIGHT = 300, 320, 240
LONGER = 4
RATE, GROWTH = 0.9, 1.1
MODEL = "day-to-night"
"""A fast model, so that reading and writing show."""


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    turns = parser.parse_args().turns
    with TemporaryDirectory() as folder:
        make(Path(folder))
        rates = rate(Path(folder), turns)
        peaks = [peak(Path(folder), name) for name in ("film", "longer")]
    figures = [
        rates.times(f"film of {FRAMES} frames of {WIDTH}x{HEIGHT} over the same as {kind.upper()} files, {MODEL}", "film", kind, required=RATE)
        for kind in ("png", "jpg")
    ]
    figures.append(Figure(f"peak memory of a film {LONGER} times as long, over that of {FRAMES} frames", peaks[1] / peaks[0], required=GROWTH, better="less"))
    save("video", {"what": "films beside their frames as files", "seconds": rates.to_json(), "peak_mb": [round(each) for each in peaks]}, figures)


def make(folder: Path) -> None:
    """Write a film of a picture that moves, one that is longer, and the frames of the first as files."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (HEIGHT // 8, WIDTH // 4, 3), np.uint8))
    ground = np.asarray(small.resize((2 * WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    frames = [np.ascontiguousarray(ground[:, shift : shift + WIDTH]) for shift in range(FRAMES)]
    for name, times in (("film", 1), ("longer", LONGER)):
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream: Any = container.add_stream("libx264", rate=30, options={"crf": "12"})
            stream.width, stream.height = WIDTH, HEIGHT
            for frame in times * frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
    for kind in ("png", "jpg"):
        (folder / kind).mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / kind / f"{number:04}.{kind}", quality=95)


def rate(folder: Path, turns: int) -> Turns:
    """Return the seconds of the film and of its frames as files."""

    def converting(source: Path) -> Callable[[], float]:
        def once() -> float:
            summary = pixlate.convert(source, folder / "out" / source.name, MODEL, on_exists="overwrite", device="cpu", runtime="onnxruntime")
            assert summary.failed == 0, summary.failures
            return summary.seconds

        return once

    return in_turns({"film": converting(folder / "film.mp4"), "png": converting(folder / "png"), "jpg": converting(folder / "jpg")}, turns, warm_up=1)


def peak(folder: Path, name: str) -> float:
    """Return the most memory, in MB, that the command takes for a film."""
    words = (folder / f"{name}.mp4", folder / f"peak-{name}.mp4", "--model", MODEL, "--device", "cpu", "--runtime", "onnxruntime")
    return timed([sys.executable, "-m", "pixlate", "convert", *map(str, words)]).peak_mb


if __name__ == "__main__":
    main()
