"""Weights of the networks that metrics look through: local files, read without running code."""

import hashlib
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from pixlate.errors import PixlateError


def hub_file(url: str) -> Path:
    """Return where PyTorch and the libraries built on it keep the file of that address."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def read_weights(path: Path, metric: str, network: str, url: str, option: str = "") -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a PyTorch file by name, and the first 8 digits of its SHA-256.

    Args:
        path: The file.
        metric: What needs it, for the sentence to the user.
        network: Whose weights they are.
        url: Where they can be had.
        option: The option that names another file, where there is one.

    Raises:
        PixlateError: The file is missing, damaged, holds anything but tensors, or would have to run code.
    """
    if not path.is_file():
        place = f"{path}, or name the file with {option}" if option else str(path)
        raise PixlateError(f"{metric} needs the weights of {network}, which are not there; download {url} to {place}")
    data = path.read_bytes()
    try:
        state = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise PixlateError(f"expected the weights of {network} in {path}, got a file that is damaged or would run code; download {url} again") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise PixlateError(f"expected the weights of {network} in {path}, got something else than tensors by name; download {url} again")
    return state, hashlib.sha256(data).hexdigest()[:8]
