"""A data kind: a folder with a sub-folder of images for each domain. PyTorch is imported lazily."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pixlate
from pixlate.options import FolderOptions
from pixlate.plugin.data import DataReport, Track, TrainingData

if TYPE_CHECKING:
    from pixlate.options import DataOptions


def names_of(folders: Sequence[Path]) -> list[str]:
    """Return the names of the domains, from listings alone.

    Raises:
        pixlate.PixlateError: There is not one folder with at least two in it.
    """
    below = [path.name for path in folders[0].iterdir() if path.is_dir() and not path.name.startswith(".")] if folders[0].is_dir() else []
    if len(folders) != 1 or len(below) < 2:
        found = f"{len(folders)} folders" if len(folders) != 1 else f"{folders[0]} with {len(below)} of them"
        raise pixlate.PixlateError(f"expected one folder with a folder of images for each domain, at least two, got {found}; write faces/, with faces/blond/")
    return sorted(below)


def facts(folders: Sequence[Path], options: "DataOptions") -> Mapping[str, Any]:
    """Return what the networks must know of the folder; kept with the run, so that resuming and exporting need no folder."""
    return {"domains": names_of(folders)}


def check(folders: Sequence[Path], options: "DataOptions", patch: int, track: Track) -> DataReport:
    """Look at each image, domain by domain, for ``pixlate data check``."""
    from pixlate.data.check import check_images

    names = names_of(folders)
    report = check_images([folders[0] / name for name in names], options, patch, track)
    report.layout = f"domains {', '.join(names)}"
    return report


def open_domains(folders: Sequence[Path], options: FolderOptions, spec: pixlate.ModelSpec) -> TrainingData:
    """Return the images, of the domains that the model knows."""
    from pixlate_domains.images import DomainImages

    names_of(folders)
    return DomainImages([folders[0] / name for name in spec.conditions[0].choices], options, spec.multiple)


DOMAINS = pixlate.DataKind(
    name="labelled",
    summary="A folder with a folder of images for each domain",
    example="faces/",
    options=FolderOptions,
    open=open_domains,
    roles={"source": "image", "target": "image", "origin": "label", "domain": "label"},
    facts=facts,
    check=check,
)
"""An image, one of another domain, and the labels of both; they do not show the same."""
