"""From a model's name or path to a translator, and to one that runs on each device."""

import re
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.inference.chaining import chained
from pixlate.inference.executor import Executor
from pixlate.inference.ready import file_of, named, unknown
from pixlate.inference.strength import blended, require_blendable
from pixlate.options import check_strength, output_strength
from pixlate.plugin.manager import installed
from pixlate.plugin.runtime import Runtime
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate.system.signals import interruptible
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
    model: str | Path,
    device: str = "auto",
    arithmetic: str = "auto",
    *,
    runtime: str = "auto",
    blend_with: str | Path | None = None,
    strength: float | None = None,
) -> Translator:
    """Return a translator for a ready model's name or a model file; warn of each plugin that failed on it before another opened it.

    Args:
        model: A name that ``pixlate models`` lists, or a path.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; one named explicitly is used or refused.
        arithmetic: ``auto`` for that of the file, or one that a runtime offers, such as ``bfloat16``; one named explicitly is used or refused.
        runtime: ``auto`` for the first that takes the file and has the arithmetic, or the name of one, such as ``openvino``.
        blend_with: A name or path of another file of the same network and spec, both of float32: each weight is interpolated between the two.
        strength: With ``blend_with``, how much of ``model`` is in the weights, from 0 to 1; without it, of its output in the result: see
            :func:`pixlate.blended`.

    Raises:
        PixlateError: No such model, no plugin opens the file, the device, arithmetic or runtime cannot be used, or the two files are not of one network.
    """
    check_strength(strength, blend_with, name="strength")
    path = find(model)
    if strength is None or blend_with is None:
        translator = _loaded(path, device, arithmetic, runtime)
        return translator if strength is None else blended(translator, strength)
    if arithmetic != "auto":
        raise PixlateError(f"expected the arithmetic auto for two files that are blended, got {arithmetic}; leave it out")
    return _interpolated(path, find(blend_with), strength, device, runtime)


def runtimes_for(path: Path, device: str = "auto") -> list[Runtime]:
    """Return the runtimes that take a file, and know a device of that kind, in the order in which they are asked."""
    kind = re.split("[:.]", device)[0]
    return [
        runtime
        for runtime in installed().offered(Runtime).values()
        if path.suffix.lower() in runtime.suffixes and (kind == "auto" or not runtime.devices or kind in runtime.devices)
    ]


def runtimes_of_all(paths: Sequence[Path], device: str = "auto") -> list[Runtime]:
    """Return the runtimes that take all files, and know a device of that kind."""
    first, *others = (runtimes_for(path, device) for path in paths)
    return [runtime for runtime in first if all(runtime in other for other in others)]


def arithmetics_of(runtime: Runtime) -> tuple[str, ...]:
    """Return what a runtime offers on this machine beside ``auto``; nothing where its library is missing or does not load."""
    try:
        return interruptible(runtime.arithmetics) if runtime.available() else ()
    except Exception as error:  # noqa: BLE001 - whatever a library raises, the others can still be used
        warnings.warn(
            f"the runtime {runtime.name} is left out ({' '.join(str(error).split())[: None if isinstance(error, PixlateError) else 200]})", stacklevel=1
        )
        return ()


def _asked(path: Path, device: str, arithmetic: str, runtime: str) -> list[Runtime]:
    """Return the runtimes that may open a file, refuse a name that none has."""
    taking = runtimes_for(path)
    if runtime != "auto":
        chosen = [each for each in taking if each.name == runtime]
        if not chosen:
            names = ", ".join(each.name for each in taking)
            raise PixlateError(
                f"expected --runtime auto{names and ', '}{names} for {path.name}, got {runtime!r}; "
                f"{installed().why('runtime', runtime) or ('choose one of these' if names else 'leave it out')}"
            )
        return chosen
    if arithmetic != "auto" and any(each.arithmetics is not tuple for each in taking):
        offered = {each.name: arithmetics_of(each) for each in taking}
        if not any(arithmetic in each for each in offered.values()):
            here = "; ".join(f"{name}: {', '.join(each) or 'none'}" for name, each in offered.items())
            raise PixlateError(f"expected --arithmetic that a runtime offers on this machine ({here}), got {arithmetic}; leave it out, or run `pixlate doctor`")
        taking = [each for each in taking if arithmetic in offered[each.name]]
    if not (knowing := {each.name for each in runtimes_for(path, device)}) and taking:
        there = "; ".join(f"{each.name}: {', '.join(each.devices)}" for each in taking)
        raise PixlateError(f"expected --device auto or one that a runtime knows ({there}), got {device!r}; choose one of these")
    return [each for each in taking if each.name in knowing] or taking


def _loaded(path: Path, device: str, arithmetic: str, named: str) -> Translator:
    """Return a translator of a file."""
    failures: list[str] = []
    lacking = []
    for runtime in _asked(path, device, arithmetic, named):
        try:
            if named == "auto" and not runtime.available():
                lacking.append(runtime.name)
            elif _is_translator(found := interruptible(partial(runtime.open, path, device, arithmetic))):
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


def _interpolated(path: Path, other: Path, strength: float, device: str, named: str) -> Translator:
    """Return a translator of weights between those of two files."""
    for runtime in _asked(path, device, "auto", named):
        if {path.suffix.lower(), other.suffix.lower()} <= {*runtime.suffixes} and runtime.blend is not None and runtime.available():
            return interruptible(partial(runtime.blend, path, other, strength, device))
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
        executor = _load_executor(model, device, options)
        executors += [executor] * (1 if executor.translator.device == "cpu" else 2)
    return executors


def _load_executor(model: str | Path, device: str, options: "ConvertOptions") -> Executor:
    """Load a model, and those that run after it, on one device."""
    way = options.runtime, options.arithmetic
    if not options.then:
        return Executor(load_for_pictures(model, device, options.blend_with, options.strength, *way), options.tile, options.batch, options.bucket)
    weights = None if options.blend_with is None else options.strength
    first = load_for_pictures(model, device, options.blend_with, weights, *way)
    later = [load_for_pictures(each, device, None, None, *way) for each in options.then]
    executor = chained([first, *later], [str(model), *map(str, options.then)], options.tile, options.batch, options.bucket)
    if options.output_strength < 1:
        require_blendable(executor.spec)
    return executor


def split_devices(device: str) -> list[str]:
    """Return the devices that a text such as ``cuda:0,1`` names, one by one; refuse one that is named twice."""
    kind, colon, numbers = device.partition(":")
    devices = [f"{kind}:{number}" for number in numbers.split(",")] if colon else [device]
    if len(set(devices)) < len(devices):
        raise PixlateError(f"expected each GPU once for --device, got {device}; leave out the second")
    return devices


def load_for_pictures(
    model: str | Path,
    device: str,
    blend_with: str | Path | None = None,
    strength: float | None = None,
    runtime: str = "auto",
    arithmetic: str = "auto",
    samplers: bool = False,
) -> Translator:
    """Load a model, or one between two; refuse one that cannot have the strength, or that takes no image, but where ``samplers`` are taken, too.

    The caller blends outputs with whole pictures.
    """
    check_strength(strength, blend_with)
    weights = None if blend_with is None else strength
    translator = load(model, device, arithmetic, runtime=runtime, blend_with=blend_with, strength=weights)
    if not translator.spec.takes_image and not samplers:
        raise PixlateError(f"expected a model that takes an image, got {model}, which draws its own; write: pixlate sample {model} out/ --count 64")
    if output_strength(strength, blend_with) < 1:
        require_blendable(translator.spec)
    return translator
