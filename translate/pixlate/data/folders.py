"""Which images a training folder holds."""

from collections.abc import Sequence
from pathlib import Path

from pixlate.errors import PixlateError

TRAINING_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})


def list_images(folders: Sequence[Path]) -> list[Path]:
    """Return the images in and below the folders, sorted by path, folder after folder; hidden ones are left out.

    One that is found twice, as below two of the folders, counts once: it could be held out and trained on.

    Raises:
        PixlateError: A folder is missing or holds no image.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise PixlateError(f"expected a folder of images, got {folder}, which is {'a file' if folder.exists() else 'not there'}; name a folder")
        images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in TRAINING_SUFFIXES and path.is_file() and not _hidden(path, folder))
        if not images:
            raise PixlateError(f"expected images ({', '.join(sorted(TRAINING_SUFFIXES))}) in {folder}, found none; name a folder that holds some")
        for path in images:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def split_held_out(images: Sequence[Path], count: int) -> tuple[list[Path], list[Path]]:
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


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
