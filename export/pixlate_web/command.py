"""``pixlate web``: a page in the browser."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.inference.models import find
from pixlate.places.paths import require_folder
from pixlate.system.access import required_token
from pixlate.system.extras import import_for
from pixlate.system.memory import return_freed_memory
from pixlate.system.text import printable
from pixlate_web.options import WebOptions


def web(*folders: Annotated[Path, Parameter(name="FOLDER...")], options: Annotated[WebOptions | None, Parameter(name="*")] = None) -> int:
    """Open a page to translate pictures and folders, to draw, and to follow training, in the browser.

    The page is for this machine alone, unless --host says otherwise. It reads and writes no folder but those named here, and keeps nothing of what is dropped on
    it once it is closed. Ctrl-C ends it when what it has begun to write is written, a second one at once. Exit codes: 0 ended, 2 refused before starting, 130
    ended at once.

    Parameters
    ----------
    folders
        Folders that the page may convert, and look for runs of training in; none by default.
    """
    chosen = options or WebOptions()
    for folder in folders:
        require_folder(folder)
    for file in chosen.model:
        find(file)
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise PixlateError("expected each folder once, got one of them twice; leave out the second")
    token = required_token(chosen.host, chosen.token, chosen.token_file, chosen.without_token, os.environ.get("PIXLATE_TOKEN", ""))
    return_freed_memory()
    print("loading the page, which takes some seconds …", file=sys.stderr, flush=True)
    code: int = import_for("the page in the browser", "pixlate_web.server", "web").run(named(folders), chosen, token)
    return code


def named(folders: Sequence[Path]) -> dict[str, Path]:
    """Return folders by the names that the page shows: as they were given, or a folder's own name for ``.``; that of another of the same name gets a number."""
    found: dict[str, Path] = {}
    for folder in folders:
        path = folder.resolve()
        name = label = printable(path.name or path if folder.name in ("", "..") else folder)
        count = 1
        while label in found:
            count += 1
            label = f"{name} ({count})"
        found[label] = path
    return found
