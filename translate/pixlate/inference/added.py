"""The models in the user's own folder: each is a file, or two of ncnn, with a record of where it came from beside it."""

import json
import re
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.spec import ModelSpec
from pixlate.system.user import models_folder

SUFFIXES = (".onnx", ".safetensors", ".pth", ".pt", ".ckpt", ".param")
"""Suffixes of the files that are opened; the weights of a ``.param`` are in a ``.bin`` beside it."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
"""What a file system and a URL take without escapes, and no ``@``, which begins a version."""


@dataclass(frozen=True)
class Added:
    """The record of an added model, a JSON file."""

    name: str
    suffix: str
    """Of the file that is opened."""
    sha256: str
    """Digest of the file, of ncnn's that of the weights."""
    source: str
    """Where it came from: an address, or a path."""
    licence: str
    """Terms of use of the weights, as far as they are known."""
    spec: str
    """The :class:`ModelSpec` that it had when it was added, as JSON."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, the one that is opened first."""
        return tuple(models_folder() / f"{self.name}{suffix}" for suffix in (self.suffix, ".bin") if suffix != ".bin" or self.suffix == ".param")

    @property
    def card(self) -> ModelCard:
        """The card, as plugins offer them."""
        return ModelCard(self.name, "a model that you have added", self.files[0], licence=self.licence, source=self.source)

    def text(self) -> str:
        """Return it as its file holds it."""
        return json.dumps(asdict(self), indent=1) + "\n"


def record_of(name: str) -> Path:
    """Return where the record of a model is."""
    return models_folder() / f"{name}.json"


def added() -> dict[str, Added]:
    """Return the added models by name; a record that cannot be read is warned of and left out."""
    found = {}
    try:
        records = sorted(models_folder().glob("*.json"))
    except (PermissionError, PixlateError):  # a user without a home, or who may not enter the folder, has added none there
        records = []
    for path in records:
        try:
            record = Added(**json.loads(path.read_text(encoding="utf-8")))
            if record.name != path.stem or not NAME.fullmatch(record.name) or record.suffix not in SUFFIXES:
                raise ValueError("it names other files")
            ModelSpec.from_json(record.spec)
        except (OSError, ValueError, TypeError, RecursionError, PixlateError) as error:
            warnings.warn(f"the record {path} of an added model is left out ({' '.join(str(error).split())[:160]}); remove it", stacklevel=2)
        else:
            found[record.name] = record
    return found


def remove(name: str) -> int:
    """Remove an added model; return how many bytes that freed.

    Raises:
        PixlateError: No model of that name was added.
    """
    models = added()
    if name not in models:
        raise PixlateError(f"expected a model that you have added ({', '.join(models) or 'there is none'}), got {name!r}; see `pixlate models`")
    freed = 0
    for path in (record_of(name), *models[name].files):  # the record first: a model without files would be listed
        freed += path.stat().st_size if path.is_file() else 0
        path.unlink(missing_ok=True)
    return freed
