"""``pixlate doctor``: what is installed, what is missing, and the command that fixes it."""

import json as json_format
import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from pixlate.plugin.check import Check
from pixlate.plugin.entries import API
from pixlate.plugin.manager import installed
from pixlate.system.cores import granted_cores
from pixlate.system.extras import install

_RUN = ("pixlate", "numpy", "pillow", "imagecodecs", "pluggy", "cyclopts", "rich")
_EXTRAS = {
    "URLs": ("remote", ("fsspec",)),
    "clusters": ("cluster", ("ray",)),
    "serving": ("serve", ("fastapi", "uvicorn", "prometheus-client")),
    "HEIC, camera raw, OpenEXR": ("formats", ("pillow-heif", "rawpy", "OpenEXR", "pillow-jxl-plugin")),
    "community upscalers": ("spandrel", ("spandrel",)),
}
_TRAIN = ("torch", "torchvision", "kornia", "albumentations", "lightning-fabric", "safetensors", "tomli-w", "onnx", "onnxscript")


def doctor(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Report what this machine has, what is missing and how to fix it; exit code 1 where something installed does not work.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    found = [*_machine(), *_plugins(), *installed().checks(), *_ways()]
    if json:
        print(json_format.dumps([asdict(check) for check in found]))
    else:
        for check in found:
            print(f"{check.status:8} {check.name}: {check.found}")
            if check.remedy:
                print(f"         fix with: {check.remedy}")
    return 1 if any(check.status == "problem" for check in found) else 0


def _machine() -> Iterator[Check]:
    yield Check(
        "system",
        "ok",
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {granted_cores()} core{'' if granted_cores() == 1 else 's'} granted",
    )
    yield Check("run time", "ok", ", ".join(f"{name} {version(name)}" for name in _RUN))
    for title, (extra, names) in {"training": ("train", _TRAIN), **_EXTRAS}.items():
        versions = {name: _version(name) for name in names}
        if missing := [name for name in names if versions[name] is None]:
            yield Check(title, "note", f"not installed: {', '.join(missing)}", install(extra))
        else:
            yield Check(title, "ok", ", ".join(f"{name} {versions[name]}" for name in names))
    if find_spec("torch") and find_spec("torchvision"):
        yield _torchvision()


def _plugins() -> Iterator[Check]:
    """Report which plugins work, with the API each was written for, and what is left out of the others."""
    apis = ", ".join(f"{plugin.name} (API {plugin.api})" for plugin in installed().plugins if not plugin.error)
    yield Check("plugins", "ok", apis or "none")
    for plugin in installed().plugins:
        if plugin.error:
            found = f"{plugin.distribution} {plugin.version} is left out: {plugin.error}"
            yield Check(f"plugin {plugin.name}", "problem", found, f"pip install --upgrade {'pixlate' if plugin.api > API else plugin.distribution}")
    for sentence, plugin in {part.sentence: part.plugin for part in installed().left_out()}.items():
        yield Check(f"plugin {plugin.name}", "problem", sentence)


def _ways() -> Iterator[Check]:
    """Report what `pixlate convert` would choose on this CPU for the smallest ready model, tried on a drawn sample, where there is a choice."""
    import numpy as np

    from pixlate.inference.executor import Executor
    from pixlate.inference.models import arithmetics_of, load, runtimes_for
    from pixlate.inference.ready import cards
    from pixlate.inference.trial import FAILURES, SIDE, referenced, tried

    there = [card for card in cards().values() if card.path.is_file() and len(runtimes_for(card.path, "cpu")) > 1]
    if not there:
        return
    card = min(there, key=lambda card: card.path.stat().st_size)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    grain = np.random.default_rng(0).normal(0, 8, (SIDE, SIDE, 3))
    sample = np.clip(128 + 100 * np.sin(rows / 17 + columns / 29)[:, :, None] + grain, 0, 255).astype(np.uint8)
    first, *others = runtimes_for(card.path, "cpu")
    try:
        reference = referenced(Executor(load(card.path, "cpu", runtime=first.name), "off", 1), [sample])
        for runtime in others:
            fastest, said = first.name, list[str]()
            for arithmetic in reversed(arithmetics_of(runtime)):
                trial = tried(Executor(load(card.path, "cpu", arithmetic, runtime=runtime.name), "off", 1), reference)
                said.append(f"{runtime.name} in {arithmetic} {trial.refusal or f'is {trial.measured}'}")
                fastest = first.name if trial.refusal else runtime.name
                if trial.near:
                    break
            if said:
                yield Check(f"fastest for {card.name}", "ok", f"{fastest}: {'; '.join(said)}, beside {first.name}")
    except FAILURES as error:
        yield Check(f"fastest for {card.name}", "problem", str(error))


def _torchvision() -> Check:
    """Return whether PyTorch and torchvision fit each other; a CPU build beside a CUDA build fails at import."""
    try:
        import torch
        import torchvision
    except Exception as error:  # noqa: BLE001 - a broken pair raises RuntimeError, OSError or ImportError
        return Check("torchvision", "problem", f"torch and torchvision do not fit each other ({error})", "pip install --force-reinstall torch torchvision")
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    devices += ["that of this Apple computer (mps)"] if torch.backends.mps.is_available() else []
    return Check("torch", "ok", f"torch {torch.__version__} and torchvision {torchvision.__version__} load; GPUs: {', '.join(devices) or 'none'}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
