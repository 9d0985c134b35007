"""``pixlate models``, ``pixlate plugins`` and ``pixlate doctor``: what is installed, what is missing, and the command that fixes it."""

import json as json_format
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.inference.models import cards, load
from pixlate.plugin.check import Check
from pixlate.plugin.entries import API
from pixlate.plugin.manager import installed
from pixlate.system.extras import install
from pixlate.system.process import granted_cores

_RUN = ("pixlate", "numpy", "pillow", "imagecodecs", "tifffile", "pluggy", "cyclopts", "rich")
_EXTRAS = {
    "URLs": ("remote", ("fsspec",)),
    "clusters": ("cluster", ("ray",)),
    "serving": ("serve", ("fastapi", "uvicorn", "prometheus-client")),
    "community upscalers": ("spandrel", ("spandrel",)),
}
_TRAIN = ("torch", "torchvision", "kornia", "albumentations", "lightning-fabric", "safetensors", "tomli-w", "onnx", "onnxscript")


def models(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the ready models; exit code 1 where one cannot be opened or used.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    rows = []
    problems = list(dict.fromkeys(part.sentence for part in installed().left_out() if part.kind == "model"))
    for name, card in sorted(cards().items()):
        try:
            spec = load(name, "cpu").spec
        except PixlateError as error:
            problems.append(f"{name}: {error}")
            continue
        size = card.path.stat().st_size
        rows.append(asdict(card) | {"path": str(card.path), "card": str(card.card or ""), "bytes": size, "spec": asdict(spec)})
        if not json:
            print(f"{name}: {card.summary}")
            print(f"    scale {spec.scale}, {spec.method}, {spec.precision}, {size / 1e6:.1f} MB, {spec.provenance.licence or 'no licence stated'}")
            print(f"    card: {card.card or 'none'}")
    for problem in problems:
        print(problem, file=sys.stderr)
    if json:
        print(json_format.dumps(rows))
    elif not rows and not problems:
        print("no plugin offers a ready model; convert takes any ONNX file with --model FILE.onnx")
    return 1 if problems else 0


def plugins(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List the installed plugins with distribution, version, plugin API and hooks, and what is left out of them; exit code 1 where anything is.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    found, left_out = installed().plugins, installed().left_out()
    if json:
        print(json_format.dumps([asdict(plugin) | {"left_out": [asdict(part) for part in left_out if part.plugin == plugin]} for plugin in found]))
    else:
        for plugin in found:
            offers = ", ".join(hook.removeprefix("pixlate_") for hook in plugin.hooks)
            print(f"{plugin.name}  {plugin.distribution} {plugin.version}  {f'left out: {plugin.error}' if plugin.error else f'API {plugin.api}: {offers}'}")
        for sentence in dict.fromkeys(part.sentence for part in left_out):
            print(sentence)
    return 1 if left_out or any(plugin.error for plugin in found) else 0


def doctor(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Report what this machine has, what is missing and how to fix it; exit code 1 where something installed does not work.

    Parameters
    ----------
    json
        Print one JSON list, for programs.
    """
    found = [*_machine(), *_plugins(), *installed().checks()]
    if json:
        print(json_format.dumps([asdict(check) for check in found]))
    else:
        for check in found:
            print(f"{check.status:8} {check.name}: {check.found}")
            if check.remedy:
                print(f"         fix with: {check.remedy}")
    return 1 if any(check.status == "problem" for check in found) else 0


def _machine() -> Iterator[Check]:
    yield Check("system", "ok", f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {granted_cores()} cores granted")
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


def _torchvision() -> Check:
    """Return whether PyTorch and torchvision fit each other; a CPU build beside a CUDA build fails at import."""
    try:
        import torch
        import torchvision
    except Exception as error:  # noqa: BLE001 - a broken pair raises RuntimeError, OSError or ImportError
        return Check("torchvision", "problem", f"torch and torchvision do not fit each other ({error})", "pip install --force-reinstall torch torchvision")
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return Check("torch", "ok", f"torch {torch.__version__} and torchvision {torchvision.__version__} load; GPUs: {', '.join(devices) or 'none'}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
