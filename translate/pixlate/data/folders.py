"""Which images training folders hold, and whether their sizes fit, by their headers."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import ContextVar
from math import log
from pathlib import Path
from typing import Literal, TypeVar

from pixlate.data.pixels import UnreadableImage, advised, image_formats, size_of
from pixlate.errors import PixlateError
from pixlate.images import BUILT_IN
from pixlate.places.paths import pair_name, walk
from pixlate.plugin.place import Failures

ARRAY_SUFFIXES = frozenset(BUILT_IN)
"""Those that conversion reads, of which ``.npy`` may have any number of channels."""
TRAINING_SUFFIXES = ARRAY_SUFFIXES - {".npy"}
Listing = Literal["conversion", "0.1"]
"""Which files of a folder are images: those that conversion finds, through linked folders too; or those of 0.1, which knew fewer suffixes and followed no links."""
_EARLIER = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".npy"})
_listing: ContextVar[Listing] = ContextVar("listing", default="conversion")
NAMED = 10
"""Files that an error names; of more it gives the number."""
LARGEST_STRETCH = 0.03
"""Natural logarithm of the ratio of two aspects up to which images have the same shape."""
LEAST_ASPECT = 1.3
"""Least width over height of an image that holds a source and a target side by side."""
_Image = TypeVar("_Image")


@contextmanager
def listed_as(listing: Listing) -> Iterator[None]:
    """Context in which folders are listed in that way: a run that resumes must find what it began with."""
    token = _listing.set(listing)
    try:
        yield
    finally:
        _listing.reset(token)


def list_images(folders: Sequence[Path], suffixes: AbstractSet[str] = TRAINING_SUFFIXES) -> list[Path]:
    """Return the images in and below the folders, sorted by path, folder after folder; hidden ones are left out, and links to folders are followed.

    Those of the formats that plugins add are images, too. One that is found twice, as below two of the folders, counts once: it could be held out and trained on.
    A link back to a folder above it is warned of.

    Raises:
        PixlateError: A folder is missing, cannot be read or holds no image.
    """
    earlier = _listing.get() == "0.1"
    suffixes = (suffixes & _EARLIER if earlier else suffixes) | (image_formats().keys() - BUILT_IN.keys())
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise PixlateError(f"expected a folder of images, got {folder}, which is {'a file' if folder.exists() else 'not there'}; name a folder")
        images = sorted(path for path in (_unlinked(folder) if earlier else _linked(folder)) if path.suffix.lower() in suffixes)
        if not images:
            raise PixlateError(f"expected images ({', '.join(sorted(suffixes))}) in {folder}, found none; name a folder that holds some")
        for path in images:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _linked(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that conversion finds; a link to a file that is not there is one, whose reading says so."""
    failures: Failures = []
    for name in walk(folder, None, failures):
        path = Path(name)
        if not path.name.startswith(".") and (path.is_file() or path.is_symlink()):
            yield path
    for place, reason in failures:
        if not os.access(place, os.R_OK | os.X_OK):
            raise PixlateError(f"{place}: {reason}")
        warnings.warn(f"{place} {reason}", stacklevel=3)


def _unlinked(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, as 0.1 did."""
    return (path for path in folder.rglob("*") if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts))


def digest_names(folders: Sequence[Path]) -> str:
    """Return the SHA-256 of the images' paths below their folders: whether a folder holds the same files as before, wherever it is now."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in list_images([folder], ARRAY_SUFFIXES):
            digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(b"\0")
    return digest.hexdigest()


def match_by_name(source: Path, target: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Return the pairs of files that have the same path below their folders, suffix and form of Unicode aside, and the files that have no partner.

    Raises:
        PixlateError: A folder is missing, holds no image, or holds two of one name.
    """
    check_apart(source, target)
    sources, targets = (_by_stem(folder) for folder in (source, target))
    pairs = [(path, targets[stem]) for stem, path in sources.items() if stem in targets]
    alone = [path for own, other in ((sources, targets), (targets, sources)) for stem, path in own.items() if stem not in other]
    return pairs, alone


def differing_in_case(names: Iterable[str], others: Iterable[str]) -> str:
    """Return advice on names without a partner that would have one if case did not count, to end a sentence with; empty where there are none."""
    folded = {name.casefold(): name for name in names}
    found = [f"{folded[name.casefold()]} and {name}" for name in others if folded.get(name.casefold(), name) != name]
    return f"; upper and lower case count, and {len(found)} pairs of names differ in nothing else: {name_some(found, 3)}; rename one of each" if found else ""


def without_partner(alone: Sequence[Path], source: Path, target: Path) -> str:
    """Say which files of two folders have no partner, and what to do."""
    advice = differing_in_case(*([pair_name(path.relative_to(folder)) for path in alone if path.is_relative_to(folder)] for folder in (source, target)))
    return f"{name_some(alone)}{advice or '; add the partners or take them out'}"


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


def unlike(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Return whether two sizes, (height, width), have another shape than rounding would explain."""
    return abs(log(first[0] * second[1] / (first[1] * second[0]))) > LARGEST_STRETCH


def too_narrow(height: int, width: int) -> bool:
    """Return whether an image is no wider than one picture alone would be, and so hardly holds two side by side."""
    return width < LEAST_ASPECT * height


def check_sizes(samples: Sequence[tuple[Path, ...]], patch: int, damaged: Literal["stop", "skip"], halves: int = 1) -> None:
    """Refuse images that keep their own size and are smaller than a patch, pairs of two sizes, and images that do not hold two side by side.

    Each sample is one file that holds so many ``halves`` side by side, or a source and its target. A ``patch`` of 0 says that images are resized: pairs of two
    shapes are then warned of, since one of them may be rotated. A damaged header that is to be skipped has its turn later.

    Raises:
        PixlateError: Names the files.
    """
    small: list[Path] = []
    different: list[str] = []
    odd: list[str] = []
    narrow: list[str] = []
    for files in samples:
        try:
            sizes = [size_of(path) for path in files]
        except UnreadableImage as error:
            if damaged == "stop":
                raise advised(error) from error
            continue
        named = [f"{path} ({width} x {height})" for path, (height, width) in zip(files, sizes, strict=True)]
        small += [path for path, (height, width) in zip(files, sizes, strict=True) if min(height, width // halves) < patch]
        if len(set(sizes)) > 1 and (patch or unlike(*sizes)):
            different.append(" and ".join(named))
        if halves == 2 and too_narrow(*sizes[0]):
            narrow += named
        if halves == 2 and sizes[0][1] % 2:
            odd.append(f"{files[0]} ({sizes[0][1]} pixels wide)")
    if 2 * len(narrow) > len(samples):
        raise PixlateError(
            f"expected images that hold source and target side by side, got {name_some(narrow)}; "
            "name two folders, SOURCE TARGET, or add --grey or --lines 1 where these are targets alone"
        )
    if odd:
        raise PixlateError(
            f"expected a source and a target of one width side by side, got {name_some(odd)}; fix them, or name two folders, of sources and of targets"
        )
    if different and not patch:
        warnings.warn(
            f"expected the two of a pair to have one shape, got {len(different)} that differ and are stretched, and may not show the same: "
            f"{name_some(different)}; turn or crop one of each",
            stacklevel=3,
        )
    elif different:
        raise PixlateError(f"expected the two of a pair to have one size with --resize 0, got {name_some(different)}; fix them, or set --resize")
    if small:
        raise PixlateError(
            f"expected images of at least {patch} x {patch} pixels (--patch) with --resize 0, got smaller ones: {name_some(small)}; "
            "lower --patch, set --resize, or take them out"
        )


def _by_stem(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by :func:`pixlate.places.paths.pair_name`."""
    found: dict[str, Path] = {}
    for path in list_images([folder], ARRAY_SUFFIXES):
        stem = pair_name(path.relative_to(folder))
        if stem in found:
            raise PixlateError(f"expected one image of each name, got {found[stem]} and {path.name}, which would have the same partner; remove one")
        found[stem] = path
    return found
