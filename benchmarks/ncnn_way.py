"""A model alone in ncnn, one picture at a time, on the threads named. Prints the seconds of the loop, after one warm-up; needs ``ncnn``, NumPy and Pillow alone.

Run: ``ENVIRONMENT/bin/python benchmarks/ncnn_way.py PARAM SOURCE THREADS``
"""

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def main() -> None:
    """Run the loop and print its seconds."""
    ncnn: Any = import_module("ncnn")
    param, source, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    network = ncnn.Net()
    network.opt.num_threads = threads
    network.load_param(str(param))
    network.load_model(str(param.with_suffix(".bin")))
    first, last = network.input_names()[0], network.output_names()[-1]
    pictures = [np.asarray(Image.open(path).convert("RGB"), np.float32) / 255 for path in sorted(source.iterdir())]
    arrays = [np.ascontiguousarray(pixels.transpose(2, 0, 1)) for pixels in pictures]

    def run(array: Any) -> Any:
        extractor = network.create_extractor()
        extractor.input(first, ncnn.Mat(array).clone())
        failed, output = extractor.extract(last)
        if failed:
            raise SystemExit(f"ncnn could not run {param}")
        return np.array(output)

    run(arrays[0])
    started = time.perf_counter()
    for array in arrays:
        run(array)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
