"""Weights of the networks that metrics use: local files, read without running code."""

from pathlib import Path

import torch
from torch import Tensor

from pixlate.errors import PixlateError
from pixlate.places.paths import digest_file
from pixlate.weights.reading import read_content


def hub_file(url: str) -> Path:
    """Return where PyTorch and the libraries built on it keep the file of that address."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def read_weights(path: Path, metric: str, network: str, url: str, option: str = "") -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a PyTorch file by name, and the first 8 digits of its SHA-256.

    ``metric`` needs the weights of ``network`` from ``url``; ``option`` is the one that names another file, where there is one.

    Raises:
        PixlateError: The file is missing, damaged, holds anything but tensors, or would have to run code.
    """
    if not path.is_file():
        place = f"{path}, or name the file with {option}" if option else str(path)
        raise PixlateError(f"{metric} needs the weights of {network}, which are not there; download {url} to {place}")
    wrong = f"expected the weights of {network} in {path}, got"
    try:
        state = dict(read_content(path, option))
    except PixlateError as error:
        found = "a file that is damaged or would run code" if error.__cause__ else "something else than tensors by name"
        raise PixlateError(f"{wrong} {found}; download {url} again") from error
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise PixlateError(f"{wrong} something else than tensors by name; download {url} again")
    return state, digest_file(path)[:8]
