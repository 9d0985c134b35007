"""Which images a training folder holds."""

import hashlib
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TypeVar

from pixlate.data.pixels import image_formats
from pixlate.errors import PixlateError
from pixlate.images import BUILT_IN

TRAINING_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
ARRAY_SUFFIXES = TRAINING_SUFFIXES | {".npy"}
"""Where images may have any number of channels."""
NAMED = 10
"""Files that an error names; of more it gives the number."""
_Image = TypeVar("_Image")


def list_images(folders: Sequence[Path], suffixes: AbstractSet[str] = TRAINING_SUFFIXES) -> list[Path]:
    """Return the images in and below the folders, sorted by path, folder after folder; hidden ones are left out.

    Those of the formats that plugins add are images, too. One that is found twice, as below two of the folders, counts once: it could be held out and trained on.

    Raises:
        PixlateError: A folder is missing or holds no image.
    """
    suffixes = suffixes | (image_formats().keys() - BUILT_IN.keys())
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise PixlateError(f"expected a folder of images, got {folder}, which is {'a file' if folder.exists() else 'not there'}; name a folder")
        images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
        images = [path for path in images if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
        if not images:
            raise PixlateError(f"expected images ({', '.join(sorted(suffixes))}) in {folder}, found none; name a folder that holds some")
        for path in images:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def digest_names(folders: Sequence[Path]) -> str:
    """Return the SHA-256 of the images' paths below their folders: whether a folder holds the same files as before, wherever it is now."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in list_images([folder], TRAINING_SUFFIXES | ARRAY_SUFFIXES):
            digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(b"\0")
    return digest.hexdigest()


def match_by_name(source: Path, target: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Return the pairs of files that have the same path below their folders, suffix aside, and the files that have no partner.

    Raises:
        PixlateError: A folder is missing, holds no image, or holds two of one name.
    """
    check_apart(source, target)
    sources, targets = (_by_stem(folder) for folder in (source, target))
    pairs = [(path, targets[stem]) for stem, path in sources.items() if stem in targets]
    alone = [path for own, other in ((sources, targets), (targets, sources)) for stem, path in own.items() if stem not in other]
    return pairs, alone


def check_apart(source: Path, target: Path) -> None:
    """Refuse two folders of which one is, or is inside, the other: images would be their own counterparts."""
    first, second = source.resolve(), target.resolve()
    if first.is_relative_to(second) or second.is_relative_to(first):
        raise PixlateError(
            f"expected a folder of sources and a separate one of targets, got {source} and {target}, where one holds the other; name two that do not"
        )


def name_some(names: Sequence[object], count: int = NAMED) -> str:
    """Return the first few of a list, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(str, names[:count])) + more


def split_held_out(images: Sequence[_Image], count: int) -> tuple[list[_Image], list[_Image]]:
    """Return (training, validation) images, the ``count`` validation ones evenly spread over the list.

    Raises:
        PixlateError: Nothing would be left to train on.
    """
    if count >= len(images):
        raise PixlateError(
            f"expected more than {count} images, of which {count} are held out for validation, got {len(images)}; add images or lower --hold-out"
        )
    chosen = {(2 * index + 1) * len(images) // (2 * count) for index in range(count)}
    return [path for index, path in enumerate(images) if index not in chosen], [images[index] for index in sorted(chosen)]


def _by_stem(folder: Path) -> dict[Path, Path]:
    """Return the images of a folder by their path below it without suffix."""
    found: dict[Path, Path] = {}
    for path in list_images([folder], ARRAY_SUFFIXES):
        stem = path.relative_to(folder).with_suffix("")
        if stem in found:
            raise PixlateError(f"expected one image of each name, got {found[stem]} and {path.name}, which would have the same partner; remove one")
        found[stem] = path
    return found
