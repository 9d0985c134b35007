"""From a model's name or path to a translator."""

from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard
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
    raise PixlateError(f"expected a model's name ({', '.join(sorted(cards)) or 'none is installed'}) or a file, got {str(model)!r}; see `pixlate models`")


def load(model: str | Path, device: str = "auto") -> Translator:
    """Return a translator for a ready model's name or a model file.

    Args:
        model: A name that ``pixlate models`` lists, or a path.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; one asked for by name is used or refused.

    Raises:
        PixlateError: No such model, no plugin opens the file, or the device cannot be used.
    """
    path = find(model)
    taking = [runtime for runtime in installed().runtimes().values() if path.suffix.lower() in runtime.suffixes]
    for runtime in taking:
        if runtime.available():
            return runtime.open(path, device, "auto")
    translator: Translator | None = installed().manager.hook.pixlate_open_model(path=path, device=device)
    if translator is None and taking:
        names = ", ".join(runtime.name for runtime in taking)
        raise PixlateError(f"expected a runtime for {path.suffix} files that is installed whole, got {names}, which lacks a library; run `pixlate doctor`")
    if translator is None:
        raise PixlateError(f"no installed plugin opens {path}; expected a file such as model.onnx: install the plugin that made it")
    return translator


def cards() -> dict[str, ModelCard]:
    """Return the ready models of all plugins by name."""
    return installed().models()
