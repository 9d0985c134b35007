"""``pixlate compare A B``: a page on which people choose between two translations of the same pictures without knowing which is whose."""

import base64
import io
import json
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from PIL import Image

from pixlate.errors import PixlateError
from pixlate.evaluation.folders import read
from pixlate.evaluation.preference import count
from pixlate.images import Pixels
from pixlate.places.paths import images_by_name, unwritable
from pixlate.plugin.manager import installed
from pixlate.system.folder import replacing
from pixlate.system.text import file_size, printable

MOST_PAIRS = 500
MOST_SIDE = 16383
"""Longest side that WebP holds."""
PLACEHOLDER = "/* comparison */"
"""Where the template takes what is compared."""


def compare(
    first: Path | None = None,
    second: Path | None = None,
    /,
    *,
    source: Path | None = None,
    pairs: int = 20,
    side: int = 768,
    seed: int = 0,
    out: Path = Path("compare.html"),
    votes: Annotated[tuple[Path, ...], Parameter(negative_iterable=(), consume_multiple=True)] = (),
) -> int:
    """Make a page on which people choose between two folders of outputs, side by side and blind, and count their votes.

    Parameters
    ----------
    first
        Folder of outputs, such as those of one model.
    second
        Folder of other outputs of the same pictures, with the same names and sizes.
    source
        Folder of the pictures they were made from, to be shown between them.
    pairs
        How many of the pictures are shown, chosen at random.
    side
        Longest side that is shown, in pixels; of larger pictures the middle is cut out, pixel for pixel.
    seed
        Seed of the choice, of the order, and of which picture is on which side.
    out
        The page to write; it holds all it shows, and can be sent.
    votes
        Count what the page saved, of one person or of several, in place of making a page.
    """
    if votes:
        if first is not None:
            raise PixlateError(f"expected folders or --votes, got both ({first} and {len(votes)} files); leave one of them out")
        name, other, preference = count(votes)
        print(printable(preference.sentence(name, other)))
        return 0
    if first is None or second is None:
        raise PixlateError("expected two folders of outputs of the same pictures; write: pixlate compare a/ b/, and later pixlate compare --votes votes.json")
    if not 1 <= pairs <= MOST_PAIRS:
        raise PixlateError(f"expected --pairs from 1 to {MOST_PAIRS}, got {pairs}; 20 is usual")
    if not 1 <= side <= MOST_SIDE:
        raise PixlateError(f"expected --side from 1 to {MOST_SIDE}, got {side}; 768 is usual")
    if out.suffix.lower() not in (".html", ".htm"):
        raise PixlateError(f"expected an HTML file for --out, got {out}; end its name in .html")
    if out.exists() or out.is_symlink():
        raise PixlateError(f"expected a new file for --out, but {out} exists; name another")
    if reason := unwritable(out.parent):
        raise PixlateError(f"the page {out} cannot be written ({reason}); name another with --out")
    names = _names(first, second)
    chosen = _chosen(names, first, second, source, Random(seed), pairs, side)  # noqa: S311 - an order to be repeated, no secret
    content = {"first": names[0], "second": names[1], "seed": seed, "pairs": chosen}
    page = files("pixlate.cli").joinpath("compare.html").read_text(encoding="utf-8")
    with replacing(out) as part:
        part.write_text(page.replace(PLACEHOLDER, json.dumps(content).replace("<", "\\u003c")), encoding="utf-8")
    print(
        f"{out}: {len(chosen)} pair{'s' if len(chosen) > 1 else ''}, {file_size(out.stat().st_size)}; open it in a browser, vote, save the votes, and count them:"
    )
    print("pixlate compare --votes votes.json")
    return 0


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Return what the folders are called when the votes are counted: their own names where these differ."""
    names = (first.resolve().name, second.resolve().name)
    return names if names[0] != names[1] else (str(first), str(second))


def _chosen(names: tuple[str, str], first: Path, second: Path, source: Path | None, random: Random, pairs: int, side: int) -> list[dict[str, Any]]:
    """Return the pairs as the page shows them: pictures as data URLs, and whether the first folder's is on the left."""
    if first.resolve() == second.resolve():
        raise PixlateError(f"expected two folders, got {first} twice; name another one")
    formats = installed().image_formats()
    folders = [images_by_name(folder, formats) for folder in (first, second, *([source] if source else []))]
    shared = sorted(set.intersection(*map(set, folders)))
    if not shared:
        raise PixlateError(
            f"expected outputs of the same names in {first} and {second}{f' and sources of them in {source}' if source else ''}, found none; name others"
        )
    found: list[dict[str, Any]] = []
    for name in random.sample(shared, min(pairs, len(shared))):
        pictures = [read(folder[name]) for folder in folders]
        sizes = [f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in pictures]
        if sizes[0] != sizes[1]:
            raise PixlateError(
                f"expected outputs of one size, got {name} of {sizes[0]} in {names[0]} and {sizes[1]} in {names[1]}; convert them with the same --width, --height or --scale"
            )
        shown = [
            _url(pixels, side if index < 2 else min(MOST_SIDE, max(1, round(side * max(pixels.shape[:2]) / max(pictures[0].shape[:2])))))
            for index, pixels in enumerate(pictures)
        ]
        found.append({"name": name, "first": shown[0], "second": shown[1], "source": shown[2] if source else "", "left": random.random() < 0.5})
    return found


def _url(pixels: Pixels, side: int) -> str:
    """Return the middle of a picture as a data URL, losslessly; of channels that are no colours the first is shown."""
    top, left = (max(0, length - side) // 2 for length in pixels.shape[:2])
    shown = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    buffer = io.BytesIO()
    Image.fromarray(shown if shown.shape[2] == 3 else shown[:, :, 0]).save(buffer, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
