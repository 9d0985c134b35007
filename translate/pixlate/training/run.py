"""A run folder: the options it was started with, its log and its checkpoints."""

import json
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, TextIO

import tomli_w

from pixlate.errors import PixlateError
from pixlate.method import Method
from pixlate.options import DataOptions, TrainingOptions, check_types

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
        table = {"folders": [str(folder) for folder in self.folders], **{name: value for name, value in values.items() if value is not None}}
        (run / OPTIONS).write_text(tomli_w.dumps({"train": {self.method.name: table}}), encoding="utf-8")

    @classmethod
    def load(cls, run: Path, methods: dict[str, Method]) -> "RunOptions":
        """Read ``options.toml`` of a run folder.

        Raises:
            PixlateError: It is missing or damaged, its method is not installed, or an option is unknown or of the wrong type.
        """
        try:
            ((name, table),) = tomllib.loads((run / OPTIONS).read_text(encoding="utf-8"))["train"].items()
            folders = tuple(Path(folder) for folder in table.pop("folders"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PixlateError(
                f"expected a run folder with {OPTIONS}, but {run} has none that can be read ({error}); name the folder given to --out"
            ) from error
        if name not in methods:
            raise PixlateError(f"{run} was trained by the method {name!r}, installed are {sorted(methods)}; install the plugin that offers it")
        method = methods[name]
        options, data, training = (_take(owner, table) for owner in (method.options, method.data, method.training))
        if table:
            raise PixlateError(f"{run / OPTIONS}: {name} has no option {', '.join(sorted(table))}; mend the file, or install the version that wrote it")
        return cls(method, options, folders, data, training)


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


def _take(owner: type[Any], table: dict[str, Any]) -> Any:
    """Make a dataclass from the entries that are its fields, taken out of ``table``; TOML's lists become tuples."""
    values = {item.name: table.pop(item.name) for item in fields(owner) if item.name in table}
    options = owner(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    check_types(options)
    return options
