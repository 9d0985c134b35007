"""A model alone: one picture at a time through ONNX Runtime or OpenVINO, from arrays in memory to arrays in memory. Prints the seconds of the loop, after one warm-up.

Needs no Pixlate where the model is a file, so that other builds of ONNX Runtime can run it in an environment of their own.

Run: ``python benchmarks/bare.py MODEL SOURCE [--runtime openvino] [--arithmetic bfloat16]``
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Run = Callable[[NDArray[Any]], NDArray[Any]]


def main() -> None:
    """Run the loop and print its seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a file, or the name of a ready model")
    parser.add_argument("source", type=Path, help="folder of pictures")
    parser.add_argument("--runtime", choices=["onnxruntime", "openvino"], default="onnxruntime")
    parser.add_argument("--arithmetic", choices=["float32", "bfloat16"], default="float32", help="bfloat16: of OpenVINO alone")
    parser.add_argument("--provider", default="CPUExecutionProvider", help="of ONNX Runtime")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    path = options.model
    if not Path(path).is_file():
        from pixlate.inference.models import find

        path = str(find(path))
    run, levels = opened(path, options.threads, options.runtime, options.arithmetic, options.provider)
    arrays = []
    for picture in sorted(options.source.iterdir()):
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("RGB"))
        arrays.append(pixels[None] if levels else np.ascontiguousarray((pixels.astype(np.float32) / 255).transpose(2, 0, 1)[None]))
    run(arrays[0])
    started = time.perf_counter()
    for array in arrays:
        run(array)
    print(time.perf_counter() - started)


def opened(path: str, threads: int, runtime: str, arithmetic: str, provider: str = "CPUExecutionProvider") -> tuple[Run, bool]:
    """Return what runs a file, and whether it takes uint8 levels (1, height, width, 3), else (1, 3, height, width) in [0, 1]."""
    return openvino(path, threads, arithmetic) if runtime == "openvino" else onnxruntime(path, threads, provider, arithmetic)


def onnxruntime(path: str, threads: int, provider: str, arithmetic: str) -> tuple[Run, bool]:
    """Return what runs a file with ONNX Runtime, and whether it takes uint8 levels."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    choices: dict[str, str] = {}
    if provider == "OpenVINOExecutionProvider":
        precision = {"float32": "f32", "bfloat16": "bf16"}[arithmetic]
        loaded = {"CPU": {"INFERENCE_NUM_THREADS": str(threads), "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}}
        choices = {"device_type": "CPU", "load_config": json.dumps(loaded)}
    elif arithmetic != "float32":
        raise SystemExit(f"expected --arithmetic float32 with {provider}, got {arithmetic}; name --runtime openvino")
    session = onnxruntime.InferenceSession(path, settings, providers=[(provider, choices)])
    if session.get_providers()[0] != provider:
        raise SystemExit(f"expected ONNX Runtime to use {provider}, got {session.get_providers()}")
    given = session.get_inputs()[0]
    return lambda array: session.run(None, {given.name: array})[0], given.type == "tensor(uint8)"


def openvino(path: str, threads: int, arithmetic: str) -> tuple[Run, bool]:
    """Return what runs a file with OpenVINO, and whether it takes uint8 levels."""
    openvino: Any = import_module("openvino")
    precision = {"float32": "f32", "bfloat16": "bf16"}[arithmetic]
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()
    return lambda array: request.infer([array], share_inputs=True)[0], compiled.input(0).get_element_type() == openvino.Type.u8


if __name__ == "__main__":
    main()
