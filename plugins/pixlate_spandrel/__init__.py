"""Opens the many community upscalers that spandrel knows (extra ``[spandrel]``), and runs any recognised weights with PyTorch as they are."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from torch import Tensor

PIXLATE_API = 2


@pixlate.hookimpl(trylast=True)
def pixlate_import_checkpoint(state: "Mapping[str, Tensor]") -> "pixlate.ForeignGenerator | None":
    """Recognise what spandrel does, where it is installed."""
    if find_spec("spandrel") is None:
        return None
    from pixlate_spandrel.upscalers import import_upscaler

    return import_upscaler(state)


@pixlate.hookimpl(trylast=True)
def pixlate_open_model(path: Path, device: str) -> "pixlate.Translator | None":
    """Open files of weights that any plugin recognises, to run them with PyTorch."""
    from pixlate.weights.reading import SUFFIXES, read_weights, recognise

    if path.suffix.lower() not in SUFFIXES:
        return None
    from pixlate.system.extras import import_for

    translation = import_for("opening a file of PyTorch weights", "pixlate_spandrel.translator")
    foreign = recognise(read_weights(path).tensors, pixlate.ImportOptions(), path)
    translator: pixlate.Translator = translation.TorchTranslator(foreign, device)
    return translator
