"""What only a GPU can decide, each point a measurement of a few seconds; ``gpu.py`` says what each is for.

A file is named by its network and precision, such as ``("resnet-9", "float16")``.
"""

import math
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

import pixlate
from generators import SIDE, export
from pixlate_export import half
from pixlate_export.options import ExportOptions
from pixlate_onnx import providers

Models = Mapping[tuple[str, str], Path]
VARIANTS: dict[str, dict[str, str]] = {
    "as Pixlate asks": {},
    "exhaustive search": {"cudnn_conv_algo_search": "EXHAUSTIVE"},
    "channels last": {"prefer_nhwc": "1"},
    "bias fused": {"fuse_conv_bias": "1"},
    "channels last, bias fused": {"prefer_nhwc": "1", "fuse_conv_bias": "1"},
    "small workspace": {"cudnn_conv_use_max_workspace": "0"},
    "use_tf32 off": {"use_tf32": "0"},
    "arena in powers of two": {"arena_extend_strategy": "kNextPowerOfTwo"},
}
_CHILD = """
import sys, time, numpy, pixlate
model, device, pixels, turns, result = sys.argv[1:]
pixels, translator = numpy.load(pixels), pixlate.load(model, device)
numpy.save(result, translator(pixels))
seconds = []
for _ in range(int(turns)):
    started = time.perf_counter()
    translator(pixels)
    seconds.append(time.perf_counter() - started)
print(len(pixels) / numpy.median(seconds))
"""
"""A process that translates pixels, writes what came out and prints images/s; the libraries read their environment once."""


def placed(models: Models, device: str, work: Path) -> dict[str, Any]:
    """Return the nodes of each file by provider, and its copies between them: on the CPU there must be none but those of shapes."""
    shipped = {path.stem: path for path in sorted(Path(__file__).parents[1].glob("plugins/*/models/*.onnx"))}
    rows: dict[str, Any] = {}
    for name, path in {**{" ".join(key): path for key, path in models.items()}, **shipped}.items():
        rows[name] = _tried(lambda path=path: _placed(path, device, work / "placed.onnx"))  # type: ignore[misc]
    return rows


def _placed(path: Path, device: str, written: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in _session(path, device, written=written).get_provider_graph_assignment_info():
        found.setdefault(part.ep_name, Counter()).update(node.op_type for node in part.get_nodes())
    copies = sum(node.op_type.startswith("Memcpy") for node in onnx.load(written, load_external_data=False).graph.node)
    return {**found, "copies": copies}


def options(models: Models, device: str, quick: bool) -> dict[str, Any]:
    """Return images/s of float16 alone with the CUDA provider's options changed, one at a time."""
    rows: dict[str, Any] = {}
    batch, turns = (1, 1) if quick else (16, 15)
    for (network, precision), path in models.items():
        if precision != "float16":
            continue
        for variant, changed in VARIANTS.items():
            rows[f"{network} {precision}: {variant}"] = _tried(lambda path=path, changed=changed: _alone(_session(path, device, changed), device, batch, turns))  # type: ignore[misc]
    return rows


def shapes(models: Models, device: str, quick: bool) -> dict[str, Any]:
    """Return seconds of a batch of one shape, of two shapes in turns in one session and in one session each, and of a shape's first run."""
    rows: dict[str, Any] = {}
    for network in dict.fromkeys(network for network, _ in models):
        path = models[network, "float16"]
        sides = (SIDE, SIDE + 64)
        one, other = (np.zeros((4, side, SIDE, 3), np.uint8) for side in sides)
        translator, second = pixlate.load(path, device), pixlate.load(path, device)
        turns = 2 if quick else 15
        first = _seconds(lambda translator=translator, one=one: translator(one), 1, warm_up=0)  # type: ignore[misc]
        alone = [_seconds(lambda run=run, pixels=pixels: run(pixels), turns) for run, pixels in ((translator, one), (second, other))]  # type: ignore[misc]
        in_turns = _seconds(lambda: (translator(one), translator(other)), turns)  # noqa: B023
        apart = _seconds(lambda: (translator(one), second(other)), turns)  # noqa: B023
        rows[network] = {
            "first_run_s": round(first, 4),
            "alone_s": [round(seconds, 5) for seconds in alone],
            "in_turns_over_alone": round(in_turns / sum(alone), 2),
            "in_turns_in_two_sessions_over_alone": round(apart / sum(alone), 2),
        }
    return rows


def lanes(models: Models, device: str, quick: bool) -> dict[str, Any]:
    """Return images/s of one thread, of two that share a session, as ``convert`` runs them, and of two with a session each."""
    rows: dict[str, Any] = {}
    pixels = np.zeros((2 if quick else 64, SIDE, SIDE, 3), np.uint8)
    for network in dict.fromkeys(network for network, _ in models):
        path, turns = models[network, "float16"], 2 if quick else 8
        first, second = pixlate.load(path, device), pixlate.load(path, device)
        for name, runs in {"one": [first], "two share a session": [first, first], "two sessions": [first, second]}.items():
            _together([lambda run=run: run(pixels) for run in runs], 1)  # type: ignore[misc]
            seconds = _together([lambda run=run: run(pixels) for run in runs], turns)  # type: ignore[misc]
            rows[f"{network}: {name}"] = round(len(pixels) * turns * len(runs) / seconds, 1)
    return rows


def tf32(models: Models, device: str, work: Path, quick: bool) -> dict[str, Any]:
    """Return images/s and the largest error, in levels, of float32 with and without TF32, each in a process of its own."""
    rows: dict[str, Any] = {}
    pixels, found = work / "pixels.npy", work / "found.npy"
    np.save(pixels, np.random.default_rng(0).integers(0, 256, (1 if quick else 8, SIDE, SIDE, 3), np.uint8))
    for network in dict.fromkeys(network for network, _ in models):
        path = models[network, "float32"]
        expected = pixlate.load(path, "cpu")(np.load(pixels)).astype(np.float64)
        for name, value in (("float32", "0"), ("TF32", "1")):
            command = [sys.executable, "-c", _CHILD, path, device, pixels, "2" if quick else "10", found]
            output = subprocess.run(list(map(str, command)), env={**os.environ, "NVIDIA_TF32_OVERRIDE": value}, capture_output=True, text=True, check=True)
            error = np.abs(np.load(found) - expected)
            rows[f"{network}: {name}"] = {"images_per_second": round(float(output.stdout), 1), "largest_levels": int(error.max()), "psnr_db": _psnr(error)}
    return rows


def norms(models: Models, device: str, work: Path, quick: bool) -> dict[str, Any]:
    """Return images/s and error of ResNet-9 in float16 with its norms in 32 bits, as exported, and in 16."""
    changed = {**half._OPS, "float16": half._OPS["float16"] | {"InstanceNormalization"}}
    with patch.object(half, "_OPS", changed):
        in_half = export("resnet-9", work / "norms", ExportOptions(precision="float16")).path
    batch, turns = (1, 1) if quick else (16, 15)
    pixels = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    expected = pixlate.load(models["resnet-9", "float32"], "cpu")(pixels).astype(np.float64)
    rows = {}
    for name, path in (("norms in 32 bits", models["resnet-9", "float16"]), ("norms in 16 bits", in_half)):
        error = np.abs(pixlate.load(path, device)(pixels) - expected)
        rows[name] = {"images_per_second": _alone(_session(path, device), device, batch, turns), "psnr_db": _psnr(error)}
    return rows


def arena(models: Models, device: str, quick: bool) -> dict[str, Any]:
    """Return device memory after 12 shapes that shrink, and what is raised where a batch is too large, and whether the next one runs."""
    translator = pixlate.load(models["resnet-9", "float16"], device)
    used = []
    for side in (96, 64) if quick else range(1536, 0, -128):
        translator(np.zeros((1, side, side, 3), np.uint8))
        used.append(_used_mb(device))
    too_large = (1, 64, 64, 3) if quick else (64, 3072, 3072, 3)
    raised = "nothing"
    try:
        translator(np.zeros(too_large, np.uint8))
    except (pixlate.PixlateError, pixlate.OutOfDeviceMemory) as error:
        raised = f"{type(error).__name__}: {error}"[:300]
    translator(np.zeros((1, 64, 64, 3), np.uint8))
    return {"used_mb": used, "too_large": raised, "after_it_mb": _used_mb(device)}


def copies(device: str, quick: bool) -> dict[str, Any]:
    """Return GB/s of copies to and from the device: of NumPy arrays, as ONNX Runtime is given them, and from page-locked memory."""
    count = 1_000_000 if quick else 100_000_000
    array, pinned = np.ones(count, np.uint8), torch.ones(count, dtype=torch.uint8)
    kind, number = _place(device)
    value = onnxruntime.OrtValue.ortvalue_from_numpy(array, kind, number)
    rows = {"to": _seconds(lambda: value.update_inplace(array), 5), "from": _seconds(value.numpy, 5)}
    if kind == "cuda":
        pinned, there = pinned.pin_memory(), torch.empty(count, dtype=torch.uint8, device=device)
        rows["to, page-locked"] = _seconds(lambda: _copied(there, pinned), 5)
        rows["from, page-locked"] = _seconds(lambda: _copied(pinned, there), 5)
    return {name: round(count / seconds / 1e9, 2) for name, seconds in rows.items()}


def _session(path: Path, device: str, changed: Mapping[str, str] | None = None, written: Path | None = None) -> onnxruntime.InferenceSession:
    """Return a session on the device, with some options of the CUDA provider changed; the graph as it runs is ``written``."""
    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if written is not None:
        options.optimized_model_filepath = str(written)
    wanted = [(name, own | dict(changed or {}) if name == providers.CUDA else own) for name, own in providers.choose(device).providers]
    return onnxruntime.InferenceSession(path, options, providers=wanted, enable_fallback=0)


def _alone(session: onnxruntime.InferenceSession, device: str, batch: int, turns: int) -> float:
    """Return images/s of batches that stay in device memory; a run waits for the device."""
    binding, (kind, number) = session.io_binding(), _place(device)
    value = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((batch, SIDE, SIDE, 3), np.uint8), kind, number)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    binding.bind_output(session.get_outputs()[0].name, kind, number)
    return round(batch / _seconds(lambda: session.run_with_iobinding(binding), turns), 1)


def _copied(to: torch.Tensor, source: torch.Tensor) -> None:
    to.copy_(source, non_blocking=True)
    torch.cuda.synchronize()


def _place(device: str) -> tuple[str, int]:
    return ("cpu", 0) if device == "cpu" else ("cuda", int(device.partition(":")[2] or 0))


def _used_mb(device: str) -> int:
    if device == "cpu":
        return 0
    free, total = torch.cuda.mem_get_info(torch.device(*_place(device)))
    return round((total - free) / 1e6)


def _seconds(work: Callable[[], object], turns: int, warm_up: int = 2) -> float:
    """Return the median seconds of a call."""
    seconds = []
    for turn in range(turns + warm_up):
        started = time.perf_counter()
        work()
        if turn >= warm_up:
            seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def _together(works: Iterable[Callable[[], object]], turns: int) -> float:
    """Return the seconds in which threads make so many turns each."""
    threads = [threading.Thread(target=lambda work=work: [work() for _ in range(turns)]) for work in works]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _psnr(error: NDArray[np.float64]) -> float:
    return round(-10 * math.log10(max(float(np.mean((error / 255) ** 2)), 1e-12)), 1)


def _tried(work: Callable[[], Any]) -> Any:
    """Return a result, or what was raised: the other rows are worth having."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - as above
        return {"error": f"{type(error).__name__}: {error}"[:300]}
