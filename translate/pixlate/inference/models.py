"""From a model's name or path to a translator."""

import warnings
from pathlib import Path

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator


def find(model: str | Path) -> Path:
    """Return the file of a ready model's name, or the path itself where it is a file.

    Raises:
        PixlateError: Neither a name nor a file.
    """
    cards = installed().models()
    if str(model) in cards:
        card = cards[str(model)]
        if not card.path.is_file():
            raise PixlateError(f"expected the file of the model {card.name} at {card.path}, but it is missing; install the package that ships it again")
        return card.path
    path = Path(model).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise PixlateError(f"expected a model file for --model, but {model} is a folder; export a run with `pixlate export {model} model.onnx`")
    reason = installed().why("model", str(model)) or "see `pixlate models`"
    raise PixlateError(f"expected a model's name ({', '.join(sorted(cards)) or 'none is installed'}) or a file, got {str(model)!r}; {reason}")


def load(model: str | Path, device: str = "auto", arithmetic: str = "auto") -> Translator:
    """Return a translator for a ready model's name or a model file; warn of each plugin that failed on it before another opened it.

    Args:
        model: A name that ``pixlate models`` lists, or a path.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; one named explicitly is used or refused.
        arithmetic: ``auto`` for that of the file, or one that the runtime knows; one named explicitly is used or refused.

    Raises:
        PixlateError: No such model, no plugin opens the file, or the device or arithmetic cannot be used.
    """
    path = find(model)
    failures: list[str] = []
    lacking = []
    for runtime in installed().runtimes().values():
        if path.suffix.lower() not in runtime.suffixes:
            continue
        try:
            if runtime.available():
                if is_translator(found := runtime.open(path, device, arithmetic)):
                    return _opened(found, path, failures)
                failures.append(f"the runtime {runtime.name} returned {type(found).__name__} instead of a translator")
            else:
                lacking.append(runtime.name)
        except (PixlateError, OutOfDeviceMemory):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a foreign runtime raises, the others must still be asked
            failures.append(f"the runtime {runtime.name} failed on it ({type(error).__name__}: {' '.join(str(error).split())[:160]})")
    if arithmetic != "auto":
        reasons = [*failures, *(f"the runtime {name} lacks a library; run `pixlate doctor`" for name in lacking)]
        raise PixlateError(f"expected the arithmetic auto for {path}, got {arithmetic}, which only a runtime accepts: {'; '.join(reasons) or 'none opens it'}")
    translator, more = installed().first("pixlate_open_model", lambda: {"path": path, "device": device}, "a translator", is_translator)
    if translator is None and (failures := [*failures, *more]):
        raise PixlateError(f"no installed plugin opens {path}: {'; '.join(failures)}; check that the file is whole, or update the plugin")
    if translator is None and lacking:
        raise PixlateError(
            f"expected a runtime for {path.suffix} files that is installed whole, got {', '.join(lacking)}, which lacks a library; run `pixlate doctor`"
        )
    if translator is None:
        raise PixlateError(f"no installed plugin opens {path}; expected a file such as model.onnx: install the plugin that made it")
    return _opened(translator, path, [*failures, *more])


def _opened(translator: Translator, path: Path, failures: list[str]) -> Translator:
    """Return a translator, with a warning of what failed to open its file before it."""
    if failures:
        warnings.warn(f"{path} is opened by another plugin than the first: {'; '.join(failures)}; update the plugin", stacklevel=3)
    return translator


def is_translator(value: object) -> bool:
    """Return whether a plugin's answer can be run."""
    return callable(value) and isinstance(getattr(value, "spec", None), ModelSpec)


def cards() -> dict[str, ModelCard]:
    """Return the ready models of all plugins by name."""
    return installed().models()
