"""Sheets of held-out images by view and step: how they are named, found, thinned and made light."""

import re
from base64 import b64encode
from functools import lru_cache
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path

from PIL import Image

from pixlate.runs.folder import SAMPLES

MAIN = "translation"
"""The view that every run has: source, output and target."""
KEPT = 40
"""Steps of each further view that are kept."""
_NAME = re.compile(r"step-(\d+)(?:\.([a-z][a-z0-9-]*)\.jpg|\.png)")


def sheet_path(run: Path, step: int, view: str = MAIN) -> Path:
    """Return where the sheet of a step is: of the main view a PNG file, of the others, which a method adds, JPEG."""
    return run / SAMPLES / f"step-{step:08d}{'.png' if view == MAIN else f'.{view}.jpg'}"


def is_view(name: str) -> bool:
    """Return whether a further view can have a name: small letters, digits and hyphens."""
    return re.fullmatch(r"[a-z][a-z0-9-]*", name) is not None and name != MAIN


def find_sheets(run: Path) -> dict[str, dict[int, Path]]:
    """Return the sheets of a run by view, the main one first, and by step, in order."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted((run / SAMPLES).glob("step-*")):
        if (match := _NAME.fullmatch(path.name)) and path.is_file() and not path.is_symlink():
            found.setdefault(match[2] or MAIN, {})[int(match[1])] = path
    return {view: dict(sorted(found[view].items())) for view in sorted(found, key=lambda view: (view != MAIN, view))}


def thin_out(run: Path, view: str, most: int = KEPT) -> None:
    """Remove sheets of a further view until there are at most so many steps, spread over the run; the first and the newest stay."""
    sheets = find_sheets(run).get(view, {})
    while len(sheets) > most:
        steps = list(sheets)
        gap = {step: after - before for before, step, after in zip(steps, steps[1:], steps[2:], strict=False)}
        sheets.pop(min(gap, key=gap.__getitem__)).unlink(missing_ok=True)


def spread(steps: list[int], most: int) -> list[int]:
    """Return at most so many of the steps, evenly spread, newest first; the first and the newest are among them."""
    newest_first = sorted(steps, reverse=True)
    if len(newest_first) <= most:
        return newest_first
    return [newest_first[round(index * (len(newest_first) - 1) / (most - 1))] for index in range(most)]


def data_url(path: Path, most: int) -> str:
    """Return a sheet for a page that holds everything: as it is, or where it has more bytes than ``most`` as JPEG, and then smaller.

    Raises:
        OSError: It cannot be read.
    """
    status = path.stat()
    return _data_url(path, most, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _data_url(path: Path, most: int, changed_ns: int, size: int) -> str:
    """Return the same for a file that was changed at a time and has a size, by which it is known again."""
    kind, data = "jpeg" if path.suffix == ".jpg" else "png", path.read_bytes()
    if len(data) > most:
        kind = "jpeg"
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        data, factor = _jpeg(image, 90), 1
        while len(data) > most:
            factor = max(factor + 1, ceil(factor * sqrt(len(data) / most) * 0.9))
            data = _jpeg(image.reduce(factor), 90)
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
