"""A data kind: a folder of photographs and a folder of masks. PyTorch is imported lazily."""

from collections.abc import Sequence
from pathlib import Path

import pixlate
from pixlate.data.check import check_images
from pixlate.data.folders import match_by_name, name_some
from pixlate.data.pixels import UnreadableImage, size_of
from pixlate.options import FolderOptions
from pixlate.plugin.data import DataReport, Track, TrainingData


def pairs_of(folders: Sequence[Path]) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return the photographs with their masks, and sentences on what is wrong with them; a file that cannot be read has its turn later.

    Raises:
        pixlate.PixlateError: There are not two folders, or one is missing or holds no image.
    """
    if len(folders) != 2:
        raise pixlate.PixlateError(f"expected two folders, PHOTOGRAPHS MASKS, got {len(folders)}; name a folder of photographs and one of masks")
    pairs, alone = match_by_name(*folders)
    problems, other = [], []
    for photograph, mask in pairs:
        try:
            sizes = [f"{width} x {height}" for height, width in map(size_of, (photograph, mask))]
        except UnreadableImage:
            continue
        if sizes[0] != sizes[1]:
            other.append(f"{mask} ({sizes[1]}) for {photograph} ({sizes[0]})")
    if alone:
        problems.append(f"expected a mask for every photograph, got {len(alone)} without a partner: {name_some(alone)}; add or remove them")
    if other:
        problems.append(f"expected masks of the size of their photographs, got {name_some(other)}; make them again")
    return pairs, problems


def check(folders: Sequence[Path], options: FolderOptions, patch: int, track: Track) -> DataReport:
    """Look at each photograph, and whether its mask fits, for ``pixlate data check``; masks may well be the same."""
    pairs, problems = pairs_of(folders)
    report = check_images(folders[:1], options, patch, track)
    report.layout, report.pairs = "photographs and masks matched by name", len(pairs)
    report.problems += problems
    return report


def open_masked(folders: Sequence[Path], options: FolderOptions, spec: pixlate.ModelSpec) -> TrainingData:
    """Return the photographs with their masks."""
    from pixlate_inpaint.images import MaskedImages

    pairs, problems = pairs_of(folders)
    if problems:
        raise pixlate.PixlateError(problems[0])
    return MaskedImages(pairs, options, spec.multiple)


MASKED = pixlate.DataKind(
    name="masked",
    summary="A folder of photographs, and a folder of masks of the same names and sizes, white where there is something to fill",
    example="photos/ masks/",
    options=FolderOptions,
    open=open_masked,
    roles={"source": "image", "target": "image", "mask": "mask"},
    check=check,
)
"""A photograph with a hole, whole, and the mask."""
