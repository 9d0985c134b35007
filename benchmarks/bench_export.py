"""What an exported file costs and keeps: seconds of export, size, agreement with PyTorch, and 8 bits beside 32.

- export: ResNet-9 and U-Net-256 in float32, float16 and bfloat16: seconds, megabytes, and the parity report.
- int8: a ResNet-9 that has learnt a translation (see ``generators.py``) in 8 bits, calibrated as ``pixlate export`` does by default: images/s over
  float32, the two taking turns image by image, and PSNR against float32 on photographs that calibrated nothing.

Run: ``PIXLATE_DATA=... python benchmarks/bench_export.py``
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import pixlate
from common import data, save
from generators import NAMES, export, photographs, taught
from pixlate_export.exporter import export_network
from pixlate_export.file import Exported
from pixlate_export.options import ExportOptions


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12, help="photographs of the int8 benchmark")
    parser.add_argument("--steps", type=int, default=300, help="steps in which ResNet-9 learns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        results: dict[str, Any] = {"int8": int8(work, options.images, options.steps)}
        results["export"] = [exported(network, precision, work) for network in NAMES for precision in ("float32", "float16", "bfloat16")]
    save("export", results)


def exported(name: str, precision: Any, work: Path) -> dict[str, Any]:
    """Return seconds, size and agreement of one file."""
    seconds, file = _timed(lambda: export(name, work, ExportOptions(precision=precision)))
    row = {
        "generator": name,
        "precision": precision,
        "seconds": round(seconds, 1),
        "megabytes": round(file.path.stat().st_size / 1e6, 1),
        "largest_error": round(file.parity.largest, 5),
        "psnr_db": round(min(file.parity.psnr, 999), 1),
    }
    print(row)
    return row


def int8(work: Path, count: int, steps: int) -> dict[str, Any]:
    """Return speed and PSNR of 8 bits beside 32."""
    network, spec = taught(steps)
    full = export_network(network, spec, work / "full.onnx").path
    seconds, file = _timed(lambda: export_network(network, spec, work / "int8.onnx", ExportOptions(precision="int8", calibration=data() / "photos/train")))
    translators = [pixlate.load(path, "cpu") for path in (full, file.path)]
    ratios, errors = [], []
    for path in sorted(photographs(work / "photographs", count).iterdir()):
        pixels = np.asarray(Image.open(path))[None]
        taken, pictures = [], []
        for translator in translators:
            started = time.perf_counter()
            pictures.append(translator(pixels)[0].astype(np.float64))
            taken.append(time.perf_counter() - started)
        ratios.append(taken[0] / taken[1])
        errors.append(-10 * np.log10(max(np.mean(((pictures[0] - pictures[1]) / 255) ** 2), 1e-12)))
    row = {
        "generator": f"resnet-9, taught {steps} steps",
        "calibrate_and_export_s": round(seconds, 1),
        "times_float32": round(statistics.median(ratios[1:]), 3),
        "least": round(min(ratios[1:]), 3),
        "most": round(max(ratios[1:]), 3),
        "required_times": 1.4,
        "psnr_db": round(statistics.median(errors), 2),
        "least_psnr_db": round(min(errors), 2),
        "required_db": 30,
    }
    print(f"int8: {row['times_float32']} times float32 (required 1.4), PSNR {row['psnr_db']} dB, least {row['least_psnr_db']} (required 30)")
    return row


def _timed(work: Callable[[], Exported]) -> tuple[float, Exported]:
    started = time.perf_counter()
    file = work()
    return time.perf_counter() - started, file


if __name__ == "__main__":
    main()
