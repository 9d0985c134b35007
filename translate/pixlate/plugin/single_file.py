"""A method in a single file: a plugin that is loaded because the user named it on the command line, and for no other reason."""

import hashlib
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from pixlate.errors import PixlateError
from pixlate.plugin.entries import Plugin
from pixlate.plugin.manager import fault, installed
from pixlate.plugin.method import Method
from pixlate.plugin.offer import asking

_NAMED = re.compile(r"(?P<path>.*\.py)(:(?P<method>[\w-]+))?")


@dataclass(frozen=True)
class SingleFile:
    """A file that was loaded as a plugin."""

    path: Path
    """Absolute."""
    sha256: str
    """Digest of the bytes that were executed, in hexadecimal."""
    methods: Mapping[str, Method]
    """What it offers, by name."""

    def table(self) -> dict[str, str]:
        """Return what a run keeps of it: path and digest."""
        return {"path": str(self.path), "sha256": self.sha256}


def named(word: str) -> tuple[SingleFile, Method] | None:
    """Load the file that a word of the command line names, ``PATH.py`` or ``PATH.py:METHOD``; return None where it names none."""
    found = _NAMED.fullmatch(word)
    if found is None:
        return None
    file = load(Path(found["path"]))
    offered = ", ".join(file.methods)
    if found["method"] is None and len(file.methods) > 1:
        raise PixlateError(f"expected one of the methods {offered}, but {found['path']} offers them all; write: {found['path']}:{next(iter(file.methods))}")
    name = found["method"] or next(iter(file.methods))
    if name not in file.methods:
        raise PixlateError(f"expected a method of {found['path']} ({offered}), got {name!r}; choose one of them")
    return file, file.methods[name]


def load(path: Path, stored: Mapping[str, str] | None = None) -> SingleFile:
    """Execute a file and take it in as a plugin, once a process; one that offers no method is refused.

    Where a run has ``stored`` a :meth:`SingleFile.table`, a file of another digest is refused before anything is executed.
    """
    try:
        code = path.read_bytes()
    except OSError as error:
        raise PixlateError(f"expected a method in {path}, but it cannot be read ({error.strerror}); check its path") from error
    digest = hashlib.sha256(code).hexdigest()
    if stored and stored.get("sha256") != digest:
        raise PixlateError(f"expected {path} as it was when the run began, but its SHA-256 is another; restore it, or start a new run")
    return _loaded(path.resolve(), digest, code)


@cache
def _loaded(path: Path, digest: str, code: bytes) -> SingleFile:
    module = _executed(path, digest, code)
    plugin = installed().add(module, Plugin(path.stem, str(path), digest[:8]))
    methods = installed().offered(Method, of=plugin)
    if not methods:
        reason = plugin.error or installed().why("method", "") or "mark a function pixlate_methods with @pixlate.hookimpl"
        raise PixlateError(f"expected a method in {path}, but it offers none; {reason}")
    return SingleFile(path, digest, methods)


def _executed(path: Path, digest: str, code: bytes) -> ModuleType:
    """Return the module of the bytes whose digest is known; dataclasses and the help of options look for it among those imported."""
    name = f"pixlate_file_{digest}"  # hides no module that can be imported
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        with asking():
            exec(compile(code, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - importing the file would read it again, or a cache of it
    except BaseException as error:
        del sys.modules[name]
        reason = fault(error)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        raise PixlateError(f"expected a plugin in {path}, but it fails to import{f' at line {line}' if line else ''} ({reason}); fix it") from error
    return module
