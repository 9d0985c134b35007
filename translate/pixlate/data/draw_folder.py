"""A folder of photographs as line drawings, named so that paired training finds each drawing's photograph."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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


@dataclass
class Drawn:
    """What was done."""

    written: int = 0
    """Drawings."""
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
        PixlateError: The folder is missing, nothing can be written into ``out``, two photographs have one name, or HED's weights are missing.
    """
    paths = list_images([photographs])
    names = [pair_name(path.relative_to(photographs)) for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1})[:3]:
        raise PixlateError(f"expected photographs that differ in more than their suffix, got two or more of {', '.join(twice)}; rename or remove one of each")
    if out.resolve().is_relative_to(photographs.resolve()):
        raise PixlateError(f"expected OUT outside of {photographs}, got {out}: drawings would be taken for photographs; name another folder")
    if reason := unwritable(out):
        raise PixlateError(f"drawings cannot be written into {out} ({reason}); name another folder")
    if drawer == "hed":
        require_hed()
    drawn = Drawn()

    def draw_all() -> Iterator[None]:
        for path, name in zip(paths, names, strict=True):
            targets = {strength: (out / f"{strength:g}" if len(strengths) > 1 else out) / f"{name}.png" for strength in strengths}
            missing = {strength: target for strength, target in targets.items() if not target.is_file()}
            drawn.kept += len(targets) - len(missing)
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
        with replacing(target) as part:
            Image.fromarray(lines).save(part, "PNG")
        drawn.written += 1
