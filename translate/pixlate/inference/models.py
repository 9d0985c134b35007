"""From a model's name or path to a translator, and to one that runs on each device."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.inference.executor import Executor
from pixlate.inference.ready import file_of, named, unknown
from pixlate.inference.strength import blended, require_blendable
from pixlate.options import check_strength, output_strength
from pixlate.plugin.manager import installed
from pixlate.plugin.runtime import Runtime
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate.system.text import printable, shown

if TYPE_CHECKING:
    from pixlate.convert.options import ConvertOptions


def find(model: str | Path) -> Path:
    """Return the file of a ready model's name, with ``@`` and a version where an earlier one is meant, or the path itself where it is a file; refuse what is neither."""
    if not isinstance(model, str | Path):
        raise PixlateError(f"expected a model's name or the path of a file, got {model!r}; give a text such as 'upscale-x4' or a pathlib.Path")
    if (ready := named(str(model))) is not None:
        return file_of(*ready)
    path = Path(model).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise PixlateError(f"expected a model file, but {model} is a folder; export a run with `pixlate export {model} model.onnx`")
    if path.suffix or path.parent.name:
        raise PixlateError(f"there is no such file: {printable(shown(model))}, given as the model; check its path, or name a ready model of `pixlate models`")
    raise PixlateError(unknown(str(model)))


def load(
    model: str | Path, device: str = "auto", arithmetic: str = "auto", *, blend_with: str | Path | None = None, strength: float | None = None
) -> Translator:
    """Return a translator for a ready model's name or a model file; warn of each plugin that failed on it before another opened it.

    Args:
        model: A name that ``pixlate models`` lists, or a path.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; one named explicitly is used or refused.
        arithmetic: ``auto`` for that of the file, or one that the runtime knows; one named explicitly is used or refused.
        blend_with: A name or path of another file of the same network and spec, both of float32: each weight is interpolated between the two.
        strength: With ``blend_with``, how much of ``model`` is in the weights, from 0 to 1; without it, of its output in the result: see
            :func:`pixlate.blended`.

    Raises:
        PixlateError: No such model, no plugin opens the file, the device or arithmetic cannot be used, or the two files are not of one network.
    """
    check_strength(strength, blend_with, name="strength")
    path = find(model)
    if strength is None or blend_with is None:
        translator = _loaded(path, device, arithmetic)
        return translator if strength is None else blended(translator, strength)
    if arithmetic != "auto":
        raise PixlateError(f"expected the arithmetic auto for two files that are blended, got {arithmetic}; leave it out")
    return _interpolated(path, find(blend_with), strength, device)


def _loaded(path: Path, device: str, arithmetic: str) -> Translator:
    """Return a translator of a file."""
    failures: list[str] = []
    lacking = []
    for runtime in installed().offered(Runtime).values():
        if path.suffix.lower() not in runtime.suffixes:
            continue
        try:
            if not runtime.available():
                lacking.append(runtime.name)
            elif _is_translator(found := runtime.open(path, device, arithmetic)):
                return _opened(found, path, failures)
            else:
                failures.append(f"the runtime {runtime.name} returned {type(found).__name__} instead of a translator")
        except (PixlateError, OutOfDeviceMemory):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a foreign runtime raises, the others must still be asked
            failures.append(f"the runtime {runtime.name} failed on it ({type(error).__name__}: {' '.join(str(error).split())[:160]})")
    if arithmetic != "auto":
        reasons = [*failures, *(f"the runtime {name} lacks a library; run `pixlate doctor`" for name in lacking)]
        raise PixlateError(f"expected the arithmetic auto for {path}, got {arithmetic}, which only a runtime accepts: {'; '.join(reasons) or 'none opens it'}")
    translator, more = installed().first("pixlate_open_model", lambda: {"path": path, "device": device}, "a translator", _is_translator)
    failures += more
    if translator is not None:
        return _opened(translator, path, failures)
    if failures:
        raise PixlateError(f"no installed plugin opens {path}: {'; '.join(failures)}; check that the file is whole, or update the plugin")
    if lacking:
        raise PixlateError(
            f"expected a runtime for {path.suffix} files that is installed whole, got {', '.join(lacking)}, which lacks a library; run `pixlate doctor`"
        )
    raise PixlateError(f"no installed plugin opens {path}; expected a file such as model.onnx: install the plugin that made it")


def _interpolated(path: Path, other: Path, strength: float, device: str) -> Translator:
    """Return a translator of weights between those of two files."""
    for runtime in installed().offered(Runtime).values():
        if {path.suffix.lower(), other.suffix.lower()} <= {*runtime.suffixes} and runtime.blend is not None and runtime.available():
            return runtime.blend(path, other, strength, device)
    raise PixlateError(f"expected two ONNX files of one network to blend, got {path} and {other}; write other weights as ONNX with `pixlate import`")


def _opened(translator: Translator, path: Path, failures: list[str]) -> Translator:
    """Return a translator, with a warning of what failed to open its file before it."""
    if failures:
        warnings.warn(f"{path} is opened by another plugin than the first: {'; '.join(failures)}; update the plugin", stacklevel=4)
    return translator


def _is_translator(value: object) -> bool:
    """Return whether a plugin's answer can be run."""
    return callable(value) and isinstance(getattr(value, "spec", None), ModelSpec)


def load_executors(model: str | Path, options: "ConvertOptions") -> list[Executor]:
    """Load a model once for each device; a GPU is listed twice, so that a batch is copied while the one before it is computed."""
    executors = []
    for device in split_devices(options.device):
        executor = Executor(load_for_pictures(model, device, options.blend_with, options.strength), options.tile, options.batch, options.bucket)
        executors += [executor] * (1 if executor.translator.device == "cpu" else 2)
    return executors


def split_devices(device: str) -> list[str]:
    """Return the devices that a text such as ``cuda:0,1`` names, one by one; refuse one that is named twice."""
    kind, colon, numbers = device.partition(":")
    devices = [f"{kind}:{number}" for number in numbers.split(",")] if colon else [device]
    if len(set(devices)) < len(devices):
        raise PixlateError(f"expected each GPU once for --device, got {device}; leave out the second")
    return devices


def load_for_pictures(model: str | Path, device: str, blend_with: str | Path | None = None, strength: float | None = None) -> Translator:
    """Load a model, or one between two; refuse one that takes no image, or cannot have the strength. The caller blends outputs with whole pictures."""
    check_strength(strength, blend_with)
    translator = load(model, device) if blend_with is None else load(model, device, blend_with=blend_with, strength=strength)
    if not translator.spec.takes_image:
        names = ", ".join(f"{each.name}=..." for each in translator.spec.conditions)
        raise PixlateError(f"expected a model that takes an image, got {model}, which draws its own; call it from Python: pixlate.load(model)(None, {names})")
    if output_strength(strength, blend_with) < 1:
        require_blendable(translator.spec)
    return translator
