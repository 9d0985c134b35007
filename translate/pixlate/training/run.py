"""A run folder: the options it was started with, its log and its checkpoints."""

import json
import os
import warnings
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, fields, replace
from io import FileIO
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Self, TextIO, get_args

import tomli_w

from pixlate.data.folders import Listing, listed_as
from pixlate.errors import PixlateError
from pixlate.options import DataOptions, TrainingOptions, check_types
from pixlate.options.checks import before, continued, gone
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.single_file import SingleFile, load
from pixlate.plugin.spec import Padding
from pixlate.runs.folder import CHECKPOINTS, LOCK, LOG, OPTIONS, SAMPLES, STATUS, stored_options
from pixlate.system.folder import refuse_link, replacing
from pixlate.system.locking import UNSUPPORTED, lock_within

if TYPE_CHECKING:
    from pixlate.plugin.gan import GAN

CHANGEABLE = frozenset({"folders", "plugin", "padding", "device", "workers", "cache", "damaged", "keep", "log_every", "checkpoint_every"})
"""Options that a resumed run may change, since they change no weight; that the folders hold the same files is checked against the checkpoint's list."""

LOOKING = 0.2
"""Seconds within which a process that only looks whether a run folder is locked has let go of it."""

LENGTH = frozenset({"steps", "epochs"})
"""Options that make a run longer."""


@dataclass(frozen=True)
class RunOptions:
    """Everything a run is made of; ``options.toml`` holds the same, and can be given to ``pixlate train --config``."""

    method: Method
    method_options: Any
    folders: tuple[Path, ...]
    data: DataOptions
    training: TrainingOptions
    facts: Mapping[str, Any] | None = None
    """What the networks must know of the folders, by the method's data kind; None where the folders were not asked yet."""
    padding: Padding = "reflect"
    """How what is exported pads images to sizes the generator takes. Checkpoints hold it; those of 0.1 do not, and keep ``edge``."""
    plugin: SingleFile | None = None
    """The single file that the method comes from; it must be named again to resume or export the run."""
    preset: str = ""
    """Name of the recipe that the options were started from, for the record: all their values are kept."""
    listing: Listing = "conversion"
    """Which files of the folders are images; runs of 0.1, whose ``options.toml`` does not say it, keep that of 0.1."""

    def with_facts(self) -> Self:
        """Return the same options with the facts of the folders, which are listed where that was not done before."""
        if self.facts is not None:
            return self
        with listed_as(self.listing):
            return replace(self, facts=json.loads(json.dumps(dict(self.method.data.facts(self.folders, self.data)))))

    def of_length(self, steps: int, epochs: int) -> Self:
        """Return the same options for so many steps, or epochs where the steps are 0."""
        with continued():
            return replace(self, training=replace(self.training, steps=steps, epochs=epochs))

    def build(self) -> "GAN":
        """Return the method's untrained networks; where resolution grows, ``grow_from`` is among the facts, for those that grow with it."""
        from pixlate.plugin.gan import GAN
        from pixlate.training.devices import out_of_memory

        growing = {"grow_from": self.training.grow_from} if self.training.grow_from else {}
        try:
            gan = self.method.gan(self.method_options, {**(self.with_facts().facts or {}), **growing})
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = " ".join(str(error).split())[:160]
            raise PixlateError(
                f"there is too little memory for the networks of these options ({reason}); choose smaller ones, such as lower --channels"
            ) from error
        if not isinstance(gan, GAN):
            raise PixlateError(f"method {self.method.name!r}: expected build to return a pixlate.GAN, got {type(gan).__name__}; change it in the plugin")
        return gan

    def table(self) -> dict[str, Any]:
        """Return all options by name, as TOML and JSON hold them."""
        values = asdict(self.method_options) | asdict(self.data) | asdict(self.training)
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None}
        return {"folders": [str(folder) for folder in self.folders], **values}

    def save(self, run: Path) -> None:
        """Write ``options.toml`` into a run folder."""
        named = {"preset": self.preset} if self.preset else {}
        content = {"listing": self.listing, **named, "train": {self.method.name: self.table()}, **self._facts_and_plugin()}
        with replacing(run / OPTIONS) as part:
            part.write_text(tomli_w.dumps(content), encoding="utf-8")

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores of the options, to be compared with those of a later resume."""
        return {"method": self.method.name, **self.table(), "padding": self.padding, **self._facts_and_plugin()}

    def _facts_and_plugin(self) -> dict[str, Any]:
        return {**({"facts": dict(self.facts)} if self.facts else {}), **({"plugin": self.plugin.table()} if self.plugin else {})}

    def require_same(self, then: dict[str, Any], run: Path, changed: AbstractSet[str] = frozenset()) -> None:
        """Refuse to resume with other options than those of the checkpoint, except options that change no weight and those ``changed`` on purpose.

        ``then`` is the :meth:`state` in the checkpoint; options it does not know have the earlier behaviour, and those that are gone are ignored.

        Raises:
            PixlateError: Lists the differences.
        """
        now = self.state()
        if then.get("plugin", {}).get("sha256") != now.get("plugin", {}).get("sha256"):
            raise PixlateError(f"expected the plugin that {run} was trained with, but its SHA-256 is another; restore it, or start a new run")
        owners = (self.method.options, self.method.data.options, self.method.training)
        known = {name: list(value) if isinstance(value, tuple) else value for owner in owners for name, value in (asdict(owner()) | before(owner)).items()}
        then = known | {name: value for name, value in then.items() if not any(name in gone(owner) for owner in owners)}
        names = [name for name in {**then, **now} if name not in CHANGEABLE | changed and then.get(name) != now.get(name)]
        if names:
            listed = "; ".join(f"{name} was {then.get(name)!r} and is {now.get(name)!r}" for name in names)
            if LENGTH.issuperset(names):
                raise PixlateError(
                    f"expected the length that {run} was trained with, but {listed}; undo this in {run / OPTIONS}, or give the new one on the command line: "
                    f"pixlate train --resume {quote(str(run))} --steps N"
                )
            raise PixlateError(
                f"expected the options that {run} was trained with, but {listed}; undo this in {run / OPTIONS}, or start a new run with --start-from {run}"
            )

    @classmethod
    def load(cls, run: Path, methods: Mapping[str, Method], plugin: Path | None = None) -> "RunOptions":
        """Read ``options.toml`` of a run folder.

        An option that it does not name, since the run is older, has the earlier behaviour; one that is gone is dropped with a note.

        ``plugin`` is the single file that the user names; what the run says of it is compared, and never executed.

        Raises:
            PixlateError: It is missing or damaged, its method is not installed, or an option is unknown or of the wrong type.
        """
        with stored_options(run) as (name, table, content):
            facts = dict(content["facts"]) if "facts" in content else None
            stored = {key: str(content["plugin"][key]) for key in ("path", "sha256")} if "plugin" in content else None
            folders = tuple(Path(folder) for folder in table.pop("folders"))
            listing, preset = content.get("listing", "0.1"), str(content.get("preset", ""))
            if listing not in get_args(Listing):
                raise ValueError(f"listing is {listing!r}")
        if plugin is None and stored:
            path = quote(stored["path"])
            raise PixlateError(f"{run} was trained by the single file {path}, which is executed only where it is named; add: --plugin {path}")
        if plugin is not None and not stored:
            raise PixlateError(f"expected a run of a single file for --plugin, but {run} was trained by the installed method {name}; leave out --plugin")
        file = load(plugin, stored) if plugin else None
        methods = file.methods if file else methods
        if name not in methods:
            reason = installed().why("method", name) or "install the plugin that offers it"
            raise PixlateError(f"{run} was trained by the method {name!r}, installed are {sorted(methods)}; {reason}")
        method = methods[name]
        options, data, training = (_take(owner, table) for owner in (method.options, method.data.options, method.training))
        if table:
            raise PixlateError(f"{run / OPTIONS}: {name} has no option {', '.join(sorted(table))}; fix the file, or install the version that wrote it")
        return cls(method, options, folders, data, training, facts, plugin=file, preset=preset, listing=listing)


def is_main_process() -> bool:
    """Return whether this process is the one that writes and prints, which holds before the processes are connected, too."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def hold(run: Path) -> FileIO:
    """Lock a run folder for this process until the file returned is closed.

    Raises:
        PixlateError: Another process trains into it, or one of its names is a link, through which files elsewhere would be written or removed.
    """
    refuse_link(*(run / name for name in (LOCK, LOG, OPTIONS, CHECKPOINTS, SAMPLES, STATUS)))
    file = FileIO(run / LOCK, "a+")
    try:
        lock_within(file, LOOKING)
    except BlockingIOError as error:
        file.close()
        raise PixlateError(f"another process is training into {run}; wait for it, or stop it first") from error
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            file.close()
            raise
        warnings.warn(f"the file system of {run} has no locks (a network drive, perhaps): see that no other process trains into it", stacklevel=2)
    return file


class Log:
    """A JSON-lines log in a run folder: one object a line, flushed at once; lines after step ``done``, which a killed process left, are taken out.

    Each line has a ``kind``: losses, validation, costs or warning.
    """

    def __init__(self, run: Path, done: int = 0) -> None:
        path = run / LOG
        refuse_link(path)
        if path.exists():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            with replacing(path) as part:
                part.write_text("".join(line for line in lines if _before(line, done)), encoding="utf-8")
        self._file: TextIO = path.open("a", encoding="utf-8")

    def write(self, kind: str, step: int, **values: object) -> None:
        """Append one line."""
        self._file.write(json.dumps({"kind": kind, "step": step} | values) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _before(line: str, done: int) -> bool:
    """Return whether a line is whole and of the first ``done`` steps."""
    try:
        return int(json.loads(line)["step"]) <= done
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return False


def _take(owner: type[Any], table: dict[str, Any]) -> Any:
    """Make a dataclass from the entries that are its fields, taken out of ``table``; TOML's lists become tuples."""
    for name in gone(owner).keys() & table.keys():
        warnings.warn(f"the option {name} = {table.pop(name)!r} of this run is gone: {gone(owner)[name]}", stacklevel=3)
    values = before(owner) | {item.name: table.pop(item.name) for item in fields(owner) if item.name in table}
    with continued():
        options = owner(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    check_types(options)
    return options
