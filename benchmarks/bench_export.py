"""What an exported file costs and keeps: seconds of export, size, agreement with PyTorch, and 8 bits and bfloat16 beside float32.

- export: ResNet-9 and U-Net-256 in float32, float16 and bfloat16: seconds, megabytes, and the parity report.
- int8, written to ``export-without-bfloat16.json`` where the processor has no units for bfloat16: a ResNet-9 that has learnt a translation (see ``generators.py``) in 8 bits, calibrated as ``pixlate export`` does by default, in each runtime that is here, and the
  float32 file with bfloat16 arithmetic: images/s over float32 in ONNX Runtime, loops of ``bare.py`` that take turns, and PSNR against it on photographs that calibrated nothing.

Run: ``PIXLATE_DATA=... python benchmarks/bench_export.py``
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bare import opened
from common import TURNS, Figure, data, decibels, in_turns, save, timed
from generators import NAMES, RUNTIMES, TITLES, export, halves, kinds, photographs, taught
from pixlate.system.cores import granted_cores
from pixlate_export.exporter import export_network
from pixlate_export.file import Exported
from pixlate_export.options import ExportOptions

PLAIN = "float32, ONNX Runtime"


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12, help="photographs of the benchmark of 8 bits")
    parser.add_argument("--steps", type=int, default=300, help="steps in which ResNet-9 learns")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each side")
    parser.add_argument("--networks", nargs="*", default=list(NAMES), help="generators to export in each precision")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        figures = int8(work, options.images, options.steps, options.turns)
        rows = [exported(network, precision, work) for network in options.networks for precision in ("float32", "float16", "bfloat16")]
    for row in rows:
        words = f"{TITLES[row['generator']]} as {row['precision']} file"
        figures.append(Figure(f"{words}: PSNR against PyTorch", row["psnr_db"], "dB"))
        figures.append(Figure(f"{words}: size", row["megabytes"], "MB", better="less"))
        figures.append(Figure(f"{words}: export", row["seconds"], "s", better="less"))
    what = f"what an exported file costs and keeps; ResNet-9 taught {options.steps} steps, in 8 bits and in bfloat16, beside float32"
    save("export" if halves() else "export-without-bfloat16", {"what": what, "export": rows}, figures)


def exported(name: str, precision: Any, work: Path) -> dict[str, Any]:
    """Return seconds, size and agreement of one file."""
    seconds, file = _timed(lambda: export(name, work, ExportOptions(precision=precision)))
    return {
        "generator": name,
        "precision": precision,
        "seconds": round(seconds, 1),
        "megabytes": round(file.path.stat().st_size / 1e6, 1),
        "largest_error": round(file.parity.largest, 5),
        "psnr_db": round(min(file.parity.psnr, 99), 1),
    }


def int8(work: Path, count: int, steps: int, turns: int) -> list[Figure]:
    """Return speed and PSNR of 8 bits and of bfloat16 beside float32."""
    network, spec = taught(steps)
    full = export_network(network, spec, work / "full.onnx").path
    options = ExportOptions(precision="int8", calibration=data() / "photos/train")
    seconds, file = _timed(lambda: export_network(network, spec, work / "int8.onnx", options))
    sides = {PLAIN: (full, "onnxruntime", "float32")}
    sides |= {
        f"8 bits, {RUNTIMES[runtime]} in {arithmetic}": (file.path, runtime, arithmetic)
        for runtime, arithmetic in kinds()
        if takes(file.path, runtime, arithmetic)
    }
    sides |= {f"{arithmetic}, {RUNTIMES[runtime]}": (full, runtime, arithmetic) for runtime, arithmetic in kinds() if arithmetic == "bfloat16"}
    source = photographs(work / "photographs", count)

    def alone(path: Path, runtime: str, arithmetic: str) -> float:
        command: list[str | Path] = [sys.executable, Path(__file__).with_name("bare.py"), path, source, "--runtime", runtime, "--arithmetic", arithmetic]
        return float(timed(command).output)

    seen = in_turns({side: partial(alone, *chosen) for side, chosen in sides.items()}, turns)
    pixels = [np.asarray(Image.open(path))[None] for path in sorted(source.iterdir())]
    outputs: dict[str, list[NDArray[Any]]] = {}
    for side, (path, runtime, arithmetic) in sides.items():
        run, _ = opened(str(path), granted_cores(), runtime, arithmetic)
        outputs[side] = [run(picture) for picture in pixels]
    figures = [Figure("ResNet-9: calibration and export in 8 bits", seconds, "s", better="less")]
    others = [side for side in sides if side != PLAIN]
    best = max((side for side in others if side.startswith("8 bits")), key=lambda side: statistics.median(seen.ratios(side, PLAIN)))
    for side in others:
        bars = {"required": 2.2, "aim": 3.0} if side == best and halves() else {}  # what the best runtime must reach beside units for bfloat16
        figures.append(seen.times(f"ResNet-9, {side}, over {PLAIN}", side, PLAIN, **bars))
        found = [decibels(one, other) for one, other in zip(outputs[side], outputs[PLAIN], strict=True)]
        figures.append(Figure(f"ResNet-9, {side}: PSNR against {PLAIN}", statistics.median(found), "dB", min(found), required=45.0, aim=50.0))
    return figures


def takes(path: Path, runtime: str, arithmetic: str) -> bool:
    """Return whether a runtime opens a file in an arithmetic; says so where it does not, as OpenVINO 2026.4 with a file of 8 bits in bfloat16."""
    try:
        opened(str(path), granted_cores(), runtime, arithmetic)
    except RuntimeError as error:
        print(f"{RUNTIMES[runtime]} does not open {path.name} in {arithmetic}: {str(error).strip().splitlines()[-1]}")
        return False
    return True


def _timed(work: Callable[[], Exported]) -> tuple[float, Exported]:
    started = time.perf_counter()
    file = work()
    return time.perf_counter() - started, file


if __name__ == "__main__":
    main()
