"""A run folder: the options it was started with, its log and its checkpoints."""

import json
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, TextIO

import tomli_w

from pixlate.errors import PixlateError
from pixlate.method import Method
from pixlate.options import DataOptions, TrainingOptions

OPTIONS = "options.toml"
LOG = "log.jsonl"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class RunOptions:
    """Everything a run is made of; ``options.toml`` holds the same, and can be given to ``pixlate train --config``."""

    method: Method
    method_options: Any
    folders: tuple[Path, ...]
    data: DataOptions
    training: TrainingOptions

    def save(self, run: Path) -> None:
        """Write ``options.toml`` into a run folder."""
        values = asdict(self.method_options) | asdict(self.data) | asdict(self.training)
        table = {"folders": [str(folder) for folder in self.folders], **values}
        (run / OPTIONS).write_text(tomli_w.dumps({"train": {self.method.name: table}}))

    @classmethod
    def load(cls, run: Path, methods: dict[str, Method]) -> "RunOptions":
        """Read ``options.toml`` of a run folder.

        Raises:
            PixlateError: It is missing or damaged, or its method is not installed.
        """
        try:
            ((name, table),) = tomllib.loads((run / OPTIONS).read_text())["train"].items()
        except (OSError, ValueError, KeyError) as error:
            raise PixlateError(
                f"expected a run folder with {OPTIONS}, but {run} has none that can be read ({error}); name the folder given to --out"
            ) from error
        if name not in methods:
            raise PixlateError(f"{run} was trained by the method {name!r}, installed are {sorted(methods)}; install the plugin that offers it")
        method = methods[name]
        return cls(
            method,
            _build(method.options, table),
            tuple(Path(folder) for folder in table["folders"]),
            _build(method.data, table),
            _build(method.training, table),
        )


class Log:
    """A JSON-lines log in a run folder: one object a line, flushed at once."""

    def __init__(self, run: Path) -> None:
        self._file: TextIO = (run / LOG).open("a")

    def write(self, **values: object) -> None:
        """Append one line."""
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _build(owner: type[Any], table: dict[str, Any]) -> Any:
    """Make a dataclass from the entries of ``table`` that are its fields; TOML's lists become tuples."""
    names = {item.name for item in fields(owner)}
    return owner(**{name: tuple(value) if isinstance(value, list) else value for name, value in table.items() if name in names})
