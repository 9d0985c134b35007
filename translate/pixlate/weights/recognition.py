"""Finds the plugin that recognises foreign weights."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.errors import PixlateError
from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
from pixlate.plugin.manager import installed
from pixlate.system.extras import install
from pixlate.weights.reading import shown

if TYPE_CHECKING:
    from torch import Tensor


def recognise(state: "Mapping[str, Tensor]", options: ImportOptions, path: Path) -> ForeignGenerator:
    """Return the generator that a plugin recognises in weights.

    Raises:
        PixlateError: No plugin knows them, one refuses them, or one fails on them.
    """
    foreign, failures = installed().first(
        "pixlate_import_checkpoint",
        lambda: {"state": dict(state), "options": options},
        "a ForeignGenerator",
        lambda answer: isinstance(answer, ForeignGenerator),
        "them",
    )
    if foreign is not None:
        found: ForeignGenerator = foreign
        return found
    keys = f"{', '.join(map(shown, sorted(state)[:3]))}{', ...' if len(state) > 3 else ''}"
    if any(key.startswith("generators.") for key in state):
        raise PixlateError(f"expected weights of another code base, but {path} ({keys}) is of a run of Pixlate's own; write `pixlate export RUN MODEL.onnx`")
    if failures:
        raise PixlateError(f"no installed plugin recognises the weights of {path} ({keys}): {'; '.join(failures)}; check that the file is whole")
    hint = "" if find_spec("spandrel") else f"; many community upscalers need: {install('spandrel')}"
    raise PixlateError(f"no installed plugin recognises the weights of {path} ({keys}); install the plugin that knows them{hint}")
