"""A data kind: photographs alone. PyTorch is imported lazily."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pixlate
from pixlate.data.check import check_images
from pixlate.plugin.data import TrainingData
from pixlate_style.options import PhotographOptions


def open_photographs(folders: Sequence[Path], options: Any, spec: pixlate.ModelSpec) -> TrainingData:
    """Return the photographs of all folders."""
    from pixlate_style.images import Photographs

    return Photographs(folders, options, spec.multiple)


PHOTOGRAPHS = pixlate.DataKind(
    name="photographs",
    summary="Folders of photographs of any kind",
    example="photos/",
    options=PhotographOptions,
    open=open_photographs,
    roles={"source": "image", "target": "image"},
    check=partial(check_images, layout="photographs alone"),
)
"""Photographs; source and target are the same."""
