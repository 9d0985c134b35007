"""Which files a model is: one, or of ncnn a ``.param`` of layers and a ``.bin`` of weights; and their digest."""

import hashlib
from pathlib import Path

from pixlate.inference.digests import remembered_digest


def ncnn_pair(path: Path) -> tuple[Path, Path] | None:
    """Return the ``.param`` and ``.bin`` that a path of one of them means, or None for another file; a ``.bin`` is PyTorch's where no ``.param`` is beside it."""
    suffix = path.suffix.lower()
    if suffix == ".param":
        upper = path.with_suffix(".BIN")
        return path, upper if path.suffix == ".PARAM" and upper.exists() else path.with_suffix(".bin")
    if suffix == ".bin" and (param := path.with_suffix(".PARAM" if path.suffix == ".BIN" else ".param")).is_file():
        return param, path
    return None


def files_of_model(path: Path) -> tuple[Path, ...]:
    """Return the files that a model is read from, of which ``path`` names one."""
    return ncnn_pair(path) or (path,)


def digest_model(path: Path) -> str:
    """Return the SHA-256 of a model's file, or of the words ``SHA256 SHA256`` of its two files; of one that is missing, that of the other."""
    digests = [remembered_digest(file) for file in files_of_model(path) if file.is_file()]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()
