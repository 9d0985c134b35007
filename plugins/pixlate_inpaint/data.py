"""A data kind: photographs, and what to fill in them. PyTorch is imported lazily."""

from collections.abc import Sequence
from pathlib import Path

import pixlate
from pixlate.data.check import check_images
from pixlate.data.folders import list_images, match_by_name, name_some
from pixlate.data.pixels import UnreadableImage, size_of
from pixlate.plugin.data import DataReport, Track, TrainingData
from pixlate_inpaint.options import MaskedOptions

Files = tuple[Path, ...]
"""A photograph, and its mask where that is a file."""


def files_of(folders: Sequence[Path], options: MaskedOptions) -> tuple[list[Files], list[str]]:
    """Return the photographs with their masks, and sentences on what is wrong with them; a file that cannot be read has its turn later.

    Raises:
        pixlate.PixlateError: There are more than two folders, or one is missing or holds no image.
    """
    if len(folders) == 1:
        return [(path,) for path in list_images(folders)], []
    if len(folders) != 2:
        raise pixlate.PixlateError(f"expected one folder of photographs, or two, PHOTOGRAPHS MASKS, got {len(folders)}; name one or two")
    default = MaskedOptions()
    if (options.holes, options.strokes, options.box) != (default.holes, default.strokes, default.box):
        raise pixlate.PixlateError("expected --holes, --strokes and --box with a folder of photographs alone, got a folder of masks too; leave one of them out")
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
    return list(pairs), problems


def check(folders: Sequence[Path], options: MaskedOptions, patch: int, track: Track) -> DataReport:
    """Look at each photograph, and whether its mask fits, for ``pixlate data check``; masks may well be the same."""
    from pixlate_inpaint.images import read

    files, problems = files_of(folders, options)
    report = check_images(folders[:1], options, patch, track)
    report.problems += problems
    if len(folders) == 2:
        report.layout, report.pairs = "photographs and masks matched by name", len(files)
        for each in () if problems else files:
            try:
                read(each, options.holes)
            except UnreadableImage:  # a photograph that cannot be read is in the report already
                continue
            except pixlate.PixlateError as error:
                report.problems.append(str(error))
    return report


def open_masked(folders: Sequence[Path], options: MaskedOptions, spec: pixlate.ModelSpec) -> TrainingData:
    """Return the photographs with their masks."""
    from pixlate_inpaint.images import MaskedImages

    files, problems = files_of(folders, options)
    if problems:
        raise pixlate.PixlateError(problems[0])
    return MaskedImages(files, options, spec.multiple)


MASKED = pixlate.DataKind(
    name="masked",
    summary="A folder of photographs, whose holes are drawn, and maybe a folder of masks of the same names and sizes, white where there is something to fill",
    example="photos/ masks/",
    options=MaskedOptions,
    open=open_masked,
    roles={"source": "image", "target": "image", "mask": "mask"},
    check=check,
)
"""A photograph with a hole, whole, and the mask."""
