"""Every check and timing that needs a GPU, in one call of under eight minutes on a bare machine; writes ``results/gpu.json`` after each section.

Goals:

- rate: the machine's matrix rate, 16-bit products of 8192 x 8192 in PyTorch: what "share" below is a share of.
- exact: pictures of each precision on the GPU, and of float16 with TensorRT, which may compute norms in 16 bits too, against float32 on the CPU.
- alone: images/s and share of the matrix rate of the model alone, batches in device memory; with TensorRT where it is installed.
- folder: images/s from JPEG files to JPEG files, over the model alone and over the usual way on the same GPU.
- mixed: 200 images of 200 sizes over 200 images of one size.
- memory: an image whose features do not fit is cut into tiles that do.

What reading the documentation left open, each in ``gpu_points.py``:

- doctor: what ``pixlate doctor`` says, and the options that the CUDA provider ends with.
- placed: nodes by provider. Without a GPU, ONNX Runtime 1.31.1 puts all but nodes of shapes on CUDA for every file here; a version may differ.
- options: the search for convolutions (from 1.20 on EXHAUSTIVE is a heuristic too), channels last, the fused bias, the workspace, and whether ``use_tf32`` off takes
  the matrix units from float16 as well, which is why Pixlate sets ``NVIDIA_TF32_OVERRIDE`` instead.
- tf32: what float32 without TF32 costs, and what TF32 changes.
- norms: what norms in 16 bits would give.
- shapes: a convolution keeps the plan of its last shape alone (microsoft/onnxruntime issue 23006): what two shapes in turns cost, and a session each.
- lanes: whether two threads on one session overlap copies with work, and whether two sessions do better: a convolution holds a lock while it is launched.
- copies: GB/s of pageable and of page-locked memory.
- arena: whether shrinking gives memory back, what is raised when memory runs out, and whether the next batch runs.

A section that fails is recorded with its error, and the others still run. Run: ``PIXLATE_DATA=... python benchmarks/gpu.py``; ``--device cpu --quick``
goes through the same code without a GPU.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # as Pixlate sets it; PyTorch, imported first, loads the libraries that read it

import numpy as np
import onnxruntime
import torch
from PIL import Image

import gpu_points
import pixlate
from bench_runner import mixed
from common import save, timed
from generators import GFLOP, NAMES, SIDE, export, make, photographs
from pixlate_export.options import ExportOptions
from pixlate_onnx import providers
from pixlate_onnx.session import Running

PIXLATE = [sys.executable, "-m", "pixlate"]
REQUIRED = {"resnet-9 share of the matrix rate": 0.20, "unet-256 images/s": 5000, "folder over alone": 0.8, "folder over the usual way": 40, "mixed": 0.7}


def main() -> int:
    """Run every section; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--quick", action="store_true", help="few and small, to go through the code")
    options = parser.parse_args()
    results: dict[str, Any] = {"device": options.device, "quick": options.quick, "required": REQUIRED, "providers": onnxruntime.get_available_providers()}
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.device, options.quick)
        sections: list[Callable[[], Any]] = [bench.doctor, bench.rate, bench.export, bench.exact, bench.alone]
        sections += [bench.placed, bench.options, bench.tf32, bench.norms, bench.shapes, bench.lanes, bench.copies, bench.arena]
        sections += [bench.folder, bench.mixed, bench.memory]  # last, since they take longest
        for section in sections:
            started = time.perf_counter()
            try:
                results[section.__name__] = section()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the other sections are worth having; a command that fails is a SystemExit
                traceback.print_exc()
                results[section.__name__] = {"error": f"{type(error).__name__}: {error}"[:500]}
                failed = 1
            print(f"{section.__name__}: {results[section.__name__]} in {time.perf_counter() - started:.0f} s", flush=True)
            if not options.quick:
                save("gpu", results)
    return failed


class Bench:
    """The sections; each returns what goes into the file."""

    def __init__(self, work: Path, device: str, quick: bool) -> None:
        self.work, self.device, self.quick = work, device, quick
        self.torch_device = torch.device("cpu" if device == "cpu" else device)
        self.models: dict[tuple[str, str], Path] = {}
        self.tera = 0.0
        self.alone_rates: dict[str, float] = {}

    def doctor(self) -> dict[str, Any]:
        """Record what the doctor finds, and the provider's options as they end up."""
        checks = json.loads(subprocess.run([*PIXLATE, "doctor", "--json"], capture_output=True, text=True, check=False).stdout)
        chosen = providers.choose(self.device)
        session = onnxruntime.InferenceSession(providers.TINY_MODEL, providers=list(chosen.providers), enable_fallback=0)
        return {"checks": [check for check in checks if "Provider" in check["name"] or check["name"] == "runtime"], "options": session.get_provider_options()}

    def rate(self) -> dict[str, Any]:
        """Measure the matrix rate."""
        side = 256 if self.quick else 8192
        kind = torch.float32 if self.device == "cpu" else torch.float16
        first, second = (torch.randn(side, side, device=self.torch_device, dtype=kind) for _ in range(2))
        seconds = self._best(lambda: first @ second, 20)
        self.tera = 2 * side**3 / seconds / 1e12
        name = torch.cuda.get_device_name(self.torch_device) if self.torch_device.type == "cuda" else "cpu"
        return {"gpu": name, "tflops": round(self.tera, 1), "torch": torch.__version__}

    def export(self) -> dict[str, Any]:
        """Write the files."""
        for name in NAMES[:1] if self.quick else NAMES:
            for precision in ("float32", "float16") if self.quick else ("float32", "float16", "bfloat16"):
                self.models[name, precision] = export(name, self.work, ExportOptions(precision=precision)).path
        return {f"{name} {precision}": round(path.stat().st_size / 1e6, 1) for (name, precision), path in self.models.items()}

    def exact(self) -> dict[str, Any]:
        """Compare with float32 on the CPU, on photographs."""
        folder = photographs(self.work / "exact", 2)
        pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])
        rows: dict[str, Any] = {}
        judged = [(name, precision, device) for name, precision in self.models for device in self._devices() if device == self.device or precision == "float16"]
        for name, precision, device in judged:
            expected = pixlate.load(self.models[name, "float32"], "cpu")(pixels).astype(np.float64)
            try:
                found = pixlate.load(self.models[name, precision], device)(pixels)
            except pixlate.PixlateError as failed:
                rows[f"{device} {name} {precision}"] = {"error": str(failed)}
                continue
            error = np.abs(found.astype(np.float64) - expected)
            rows[f"{device} {name} {precision}"] = {
                "largest_levels": int(error.max()),
                "psnr_db": round(float(-10 * np.log10(max(float(np.mean((error / 255) ** 2)), 1e-12))), 1),
            }
        return rows

    def alone(self) -> dict[str, Any]:
        """Time the model alone, on CUDA and, where it is installed, on TensorRT, which takes minutes for an engine: float16 in one batch."""
        devices = self._devices()
        rows: dict[str, Any] = {} if len(devices) > 1 or self.device == "cpu" else {"tensorrt": providers.tensorrt_problem()}
        for device in devices:
            for name, precision in self.models:
                if device.startswith("tensorrt") and precision != "float16":
                    continue
                for batch in (1, 2) if self.quick else (16,) if device.startswith("tensorrt") else (1, 16, 64):
                    try:
                        row = self._alone(self.models[name, precision], name, device, batch)
                    except (pixlate.PixlateError, pixlate.OutOfDeviceMemory) as failed:
                        row = {"error": str(failed), "images_per_second": 0.0}
                    rows[f"{device} {name} {precision} batch {batch}"] = row
                    if precision == "float16":
                        self.alone_rates[name] = max(self.alone_rates.get(name, 0.0), row["images_per_second"])
        return rows

    def _alone(self, path: Path, name: str, device: str, batch: int) -> dict[str, Any]:
        translator: Any = pixlate.load(path, device)
        running: Running = translator._run
        pixels = np.random.default_rng(0).integers(0, 256, (batch, SIDE, SIDE, 3), np.uint8)
        kind, number = ("cpu", 0) if device == "cpu" else ("cuda", int(device.partition(":")[2] or 0))
        session = running.session
        binding = session.io_binding()
        binding.bind_ortvalue_input(session.get_inputs()[0].name, onnxruntime.OrtValue.ortvalue_from_numpy(pixels, kind, number))
        binding.bind_output(session.get_outputs()[0].name, kind, number)
        resident = self._best(lambda: session.run_with_iobinding(binding), 2 if self.quick else 20)
        copied = self._best(lambda: running(pixels), 2 if self.quick else 20)
        return {
            "images_per_second": round(batch / resident, 1),
            "with_copies": round(batch / copied, 1),
            "share": round(batch / resident * GFLOP[name] / 1e3 / self.tera, 4),
        }

    def folder(self) -> dict[str, Any]:
        """Time a folder of JPEG files, and the usual way."""
        many, few = (4, 2) if self.quick else (4000, 100)
        source, short = photographs(self.work / "many", many, ".jpg"), photographs(self.work / "few", few, ".jpg")
        rows: dict[str, Any] = {}
        for name, precision in self.models:
            if precision != "float16":
                continue
            shutil.rmtree(self.work / "out", ignore_errors=True)
            seconds = timed([*PIXLATE, "convert", source, self.work / "out", "--model", self.models[name, precision], "--device", self.device]).seconds
            weights = self.work / f"{name}.pt"
            torch.save(make(name)[0].state_dict(), weights)
            usual_script = Path(__file__).with_name("usual_way.py")
            usual = timed([sys.executable, usual_script, name, weights, short, self.work / "usual", str(self.torch_device)]).seconds
            rows[name] = {
                "images_per_second": round(many / seconds, 1),
                "over_alone": round(many / seconds / self.alone_rates[name], 3),
                "usual_way_images_per_second": round(few / usual, 2),
                "times_the_usual_way": round(many / seconds / (few / usual), 1),
            }
        return rows

    def mixed(self) -> dict[str, Any]:
        """Time many sizes beside one."""
        return mixed(self.work / "mixed", "day-to-night", self.device, 1 if self.quick else 3).to_json()

    def memory(self) -> dict[str, Any]:
        """Translate an image of 64 million pixels, first whole and then as memory allows."""
        side = 300 if self.quick else 8000
        picture = self.work / "large" / "large.png"
        picture.parent.mkdir()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)).save(picture, compress_level=1)
        model = self.models["resnet-9", "float16"]
        rows: dict[str, Any] = {}
        for tile in ("4096", "auto"):
            finished = timed([*PIXLATE, "convert", picture.parent, self.work / f"large-{tile}", "--model", model, "--device", self.device, "--tile", tile])
            rows[f"tile {tile}"] = {"seconds": round(finished.seconds, 1), "peak_mb": round(finished.peak_mb)}
        return rows

    def placed(self) -> dict[str, Any]:
        """See the module."""
        return gpu_points.placed(self.models, self.device, self.work)

    def options(self) -> dict[str, Any]:
        """See the module."""
        return gpu_points.options(self.models, self.device, self.quick)

    def tf32(self) -> dict[str, Any]:
        """See the module."""
        return gpu_points.tf32(self.models, self.device, self.work, self.quick)

    def norms(self) -> dict[str, Any]:
        """See the module."""
        return gpu_points.norms(self.models, self.device, self.work, self.quick)

    def shapes(self) -> dict[str, Any]:
        """See the module."""
        return gpu_points.shapes(self.models, self.device, self.quick)

    def lanes(self) -> dict[str, Any]:
        """See the module."""
        return gpu_points.lanes(self.models, self.device, self.quick)

    def copies(self) -> dict[str, Any]:
        """See the module."""
        return gpu_points.copies(self.device, self.quick)

    def arena(self) -> dict[str, Any]:
        """See the module."""
        return gpu_points.arena(self.models, self.device, self.quick)

    def _devices(self) -> list[str]:
        """Return the device, and TensorRT on it where that is installed."""
        there = self.device != "cpu" and providers.tensorrt_problem() is None
        return [self.device, *([self.device.replace("cuda", "tensorrt")] if there else [])]

    def _best(self, work: Callable[[], object], turns: int) -> float:
        """Return the median seconds of a call, after three to warm up."""
        seconds = []
        for turn in range(turns + 3):
            self._wait()
            started = time.perf_counter()
            work()
            self._wait()
            if turn >= 3:
                seconds.append(time.perf_counter() - started)
        return float(np.median(seconds))

    def _wait(self) -> None:
        if self.torch_device.type == "cuda":
            torch.cuda.synchronize(self.torch_device)


if __name__ == "__main__":
    sys.exit(main())
