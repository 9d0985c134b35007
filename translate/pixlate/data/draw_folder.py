"""A folder of photographs as line drawings, named so that paired training finds each drawing's photograph."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pixlate.data.drawing import draw_lines
from pixlate.data.edges import draw_edges, find_edges, require_hed
from pixlate.data.folders import list_images
from pixlate.data.pixels import UnreadableImage, read_pixels
from pixlate.errors import PixlateError
from pixlate.images.picture import to_8_bits
from pixlate.places.paths import pair_name, unwritable
from pixlate.system.folder import replacing

Drawer = Literal["hed", "contours"]
CONTOUR_LEVELS = 10.0
"""Levels of 255 by which a contour of strength 1 is darker than what is around it."""
_KEY = "Pixlate drawing"
"""Of the PNG text that says how a drawing was made."""


@dataclass
class Drawn:
    """What was done."""

    written: int = 0
    """Drawings."""
    blank: int = 0
    """Drawings among them without any line."""
    kept: int = 0
    """Drawings that were there already."""
    failed: list[str] = field(default_factory=list)
    """Photographs that could not be read, each with the reason."""


def draw_folder(
    photographs: Path, out: Path, drawer: Drawer, strengths: Sequence[float], thickness: float, track: Callable[[Iterator[None], int], Iterator[None]]
) -> Drawn:
    """Write a drawing, a PNG file, of each photograph in and below a folder at each strength; those that exist are kept.

    With one strength the drawings are in ``out``, with more in a folder each, such as ``out/0.25``: each is a folder of sources for paired training beside
    the photographs.

    Raises:
        PixlateError: The folder is missing, nothing can be written into ``out``, two photographs have one name, a drawing was made in another way, or HED's
            weights are missing.
    """
    paths = list_images([photographs])
    names = [pair_name(path.relative_to(photographs)) for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1})[:3]:
        raise PixlateError(f"expected photographs that differ in more than their suffix, got two or more of {', '.join(twice)}; rename or remove one of each")
    if out.resolve().is_relative_to(photographs.resolve()):
        raise PixlateError(f"expected OUT outside of {photographs}, got {out}: drawings would be taken for photographs; name another folder")
    if reason := unwritable(out):
        raise PixlateError(f"drawings cannot be written into {out} ({reason}); name another folder")
    targets = [{strength: (out / f"{strength:g}" if len(strengths) > 1 else out) / f"{name}.png" for strength in strengths} for name in names]
    for strength, target in (item for each in targets for item in each.items() if item[1].is_file()):
        made, wanted = _made(target), _way(drawer, strength, thickness)
        if made not in ("", wanted):
            raise PixlateError(f"expected drawings made with {wanted} in {out}, got {target} made with {made}; name another folder, or remove the old drawings")
    if drawer == "hed":
        require_hed()
    drawn = Drawn()

    def draw_all() -> Iterator[None]:
        for path, own in zip(paths, targets, strict=True):
            missing = {strength: target for strength, target in own.items() if not target.is_file()}
            drawn.kept += len(own) - len(missing)
            if missing:
                _draw(path, missing, drawer, thickness, drawn)
            yield

    for _ in track(draw_all(), len(paths)):
        pass
    return drawn


def _draw(path: Path, targets: dict[float, Path], drawer: Drawer, thickness: float, drawn: Drawn) -> None:
    try:
        pixels: NDArray[np.uint8] = to_8_bits(read_pixels(path, 3))
    except UnreadableImage as error:
        drawn.failed.append(str(error))
        return
    edges = find_edges(pixels) if drawer == "hed" else pixels
    for strength, target in targets.items():
        lines = draw_edges(edges, strength, thickness) if drawer == "hed" else draw_lines(pixels, thickness, threshold=CONTOUR_LEVELS * strength)
        target.parent.mkdir(parents=True, exist_ok=True)
        words = PngInfo()
        words.add_text(_KEY, _way(drawer, strength, thickness))
        with replacing(target) as part:
            Image.fromarray(lines).save(part, "PNG", pnginfo=words)
        drawn.written += 1
        drawn.blank += int(lines.min() == 255)


def _way(drawer: Drawer, strength: float, thickness: float) -> str:
    return f"--drawer {drawer} --strengths {strength:g} --thickness {thickness:g}"


def _made(target: Path) -> str:
    """Return how a drawing was made; nothing where it does not say so, as when it has been edited."""
    try:
        with Image.open(target) as image:
            return str(image.info.get(_KEY, ""))
    except (OSError, ValueError, SyntaxError):
        return ""
