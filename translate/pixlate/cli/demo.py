"""``pixlate demo``: small pictures that come with Pixlate, enlarged, beside what plain enlarging makes of them."""

import sys
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from pixlate.cli.drawn import PICTURES, drawn
from pixlate.convert import ConvertOptions
from pixlate.convert import convert as convert_images
from pixlate.errors import PixlateError
from pixlate.system.folder import replacing
from pixlate.system.text import printable

MODEL = "upscale-x4"
SHRUNK = 4
"""How many times smaller the photographs are made, before the model enlarges them."""
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
"""Photographs that scikit-image brings, of the extra ``demo``."""
OWN = ("small", "large", "before-after.png")
"""What a demonstration writes."""


def demo(folder: Path = Path("pixlate-demo"), /) -> int:
    """Enlarge small pictures of Pixlate's own, and draw a sheet of before and after.

    Photographs where the extra demo is installed (scikit-image), drawings anywhere.

    Parameters
    ----------
    folder
        Receives the pictures; a new folder, or that of an earlier demonstration.
    """
    if folder.exists() and not folder.is_dir():
        raise PixlateError(f"expected a folder for the demonstration, got the file {folder}; name another: pixlate demo FOLDER")
    others = [path.name for path in folder.iterdir() if path.name not in OWN] if folder.exists() else []
    if others:
        raise PixlateError(f"expected a new folder for the demonstration, but {folder} holds {sorted(others)[0]}; name another: pixlate demo FOLDER")
    small, large, sheet = (folder / name for name in OWN)
    small.mkdir(parents=True, exist_ok=True)
    for name, image in _pictures().items():
        if not (small / name).exists():
            with replacing(small / name) as part:
                image.save(part, Path(name).suffix[1:].replace("jpg", "jpeg"), quality=95)
    summary = convert_images(small, large, MODEL, ConvertOptions(sheet=sheet, on_exists="overwrite"))
    for source, reason in summary.failures:
        print(f"failed: {printable(source)}: {reason}", file=sys.stderr)
    if summary.exit_code == 0:
        print(f"{summary.converted} small pictures in {printable(small)} are 4 times larger in {printable(large)}, by {MODEL} on {summary.device}")
        print(f"before and after, side by side: {printable(sheet.absolute())}")
        print(f"next, with pictures of your own: pixlate convert PICTURES/ out/ --model {MODEL}")
    return summary.exit_code


def _pictures() -> dict[str, Image.Image]:
    """Return small pictures by the names of their files."""
    found = find_spec("skimage")
    data = Path(found.origin).parent / "data" if found is not None and found.origin else Path()
    photographs = [data / name for name in PHOTOGRAPHS]
    if found is None or not all(path.is_file() for path in photographs):
        return {name: drawn(name) for name in PICTURES}
    return {path.name: _shrunk(path) for path in photographs}


def _shrunk(path: Path) -> Image.Image:
    with Image.open(path) as photograph:
        width, height = photograph.size
        return photograph.convert("RGB").resize((width // SHRUNK, height // SHRUNK), Image.Resampling.BICUBIC)
