"""A loss that compares the features of a network trained on photographs: VGG19, with ImageNet's weights from a local file or torchvision's."""

from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from pixlate.errors import PixlateError
from pixlate.losses.differences import l1, mse
from pixlate.weights.reading import read_content

Distance = Literal["mse", "l1"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
PUBLISHED = "vgg19-dcbb9e9d.pth"
PREFIX = "features."
GROUPS = (2, 2, 4, 4, 4)
"""Convolutions between the poolings, each followed by an activation (Simonyan and Zisserman 2015, table 1, column E)."""


class Perceptual(nn.Module):
    """Compares features of two batches of RGB images (batch, 3, height, width) in [0, 1] and returns a scalar (Johnson et al. 2016, eq. 2).

    The features are frozen: gradients reach the first batch alone.

    Args:
        features: The feature network, such as :func:`pixlate.losses.load_vgg19` returns; it gets images normalised as ImageNet's.
        distance: ``mse`` is the mean squared difference of the features (Ledig et al. 2017, eq. 5), ``l1`` the mean absolute one (ESRGAN).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: nn.Module, distance: Distance = "mse") -> None:
        super().__init__()
        if distance not in ("mse", "l1"):
            raise ValueError(f"expected a distance of mse or l1, got {distance!r}; choose one of these")
        self.features = features.eval().requires_grad_(False)
        self.compare = mse if distance == "mse" else l1
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the distance of the features of output and target.

        Raises:
            ValueError: The shapes differ or are not those of RGB images.
        """
        if output.shape != target.shape or output.ndim != 4 or output.shape[1] != 3:
            raise ValueError(
                f"expected output and target of one shape (batch, 3, height, width), got {tuple(output.shape)} and {tuple(target.shape)}; pass RGB images"
            )
        with torch.no_grad():
            wanted = self._see(target)
        return self.compare(self._see(output), wanted)

    def _see(self, images: Tensor) -> Tensor:
        features: Tensor = self.features((images - self.mean) / self.deviation)
        return features.float()  # squares of features may leave the range of 16 bits

    def train(self, mode: bool = True) -> Self:
        """Keep the features in evaluation mode."""
        super().train(mode)
        self.features.eval()
        return self


def layer_index(layer: str) -> int:
    """Return the place of a layer among VGG19's features.

    ``conv5_4`` is the fourth convolution of the fifth group before its activation, which ESRGAN compares (Wang et al. 2018, 3.2);
    ``relu5_4`` is the same after it, as SRGAN's phi_5,4 is defined (Ledig et al. 2017, 2.2.1).

    Raises:
        PixlateError: There is no such layer.
    """
    names: list[str] = []
    for group, count in enumerate(GROUPS, 1):
        names += [*(f"{kind}{group}_{number}" for number in range(1, count + 1) for kind in ("conv", "relu")), ""]  # pooling has no name
    if not layer or layer not in names:
        raise PixlateError(f"expected a layer of VGG19 such as conv1_2, conv5_4 or relu5_4, got {layer!r}; choose one of {', '.join(filter(None, names))}")
    return names.index(layer)


def load_vgg19(path: Path | None = None, layer: str = "conv5_4") -> nn.Sequential:
    """Return VGG19 up to a layer, frozen, in evaluation mode, on the CPU: normalised RGB (batch, 3, height, width) to (batch, maps, h, w).

    Args:
        path: A file of weights, .safetensors or what ``torch.save`` wrote, with torchvision's names; they may lack the ``features.`` before them.
            None takes torchvision's ImageNet weights from its cache, and downloads them first where they are not there.
        layer: The last layer, see :func:`layer_index`; layers behind it need no weights.

    Raises:
        PixlateError: No such layer, or the weights cannot be had or read.
    """
    from torchvision.models import vgg19

    with torch.device("meta"):  # the weights come from the file: drawing 140 million of them first would take seconds
        network: nn.Sequential = vgg19().features[: layer_index(layer) + 1]
    path = path or _published()
    names = frozenset(network.state_dict())
    state = _read(path, names)
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        missing = sorted(names - state.keys())
        what = f"lacks {PREFIX}{missing[0]}" if missing else "holds tensors of other shapes"
        raise PixlateError(f"expected the weights of VGG19 up to {layer}, but {path} {what}; use torchvision's {PUBLISHED}") from error
    return network.float().eval().requires_grad_(False)


def _published() -> Path:
    """Return where torchvision's weights are, after downloading them if necessary."""
    from torchvision.models import VGG19_Weights

    url: str = VGG19_Weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rpartition("-")[2])
        except (OSError, RuntimeError) as error:  # no network, no such address, a folder that cannot be written, a wrong hash
            raise PixlateError(
                f"expected VGG19's weights for the perceptual loss, but {url} cannot be fetched ({error}); "
                f"put {path.name} into {path.parent}, name a copy of it with --perceptual-weights, "
                "or train without: --stages pixel, or --perceptual-weight 0 --second-pixel-weight 1"
            ) from error
    return path


def _read(path: Path, names: frozenset[str]) -> dict[str, Tensor]:
    """Return the tensors of these names, in 32 bits; others are not brought into memory."""
    try:
        found = read_content(path, only=lambda key: key.removeprefix(PREFIX) in names)
        return {key.removeprefix(PREFIX): tensor.float() for key, tensor in found.items()}
    except PixlateError as error:
        reason = str(error.__cause__ or error).partition("\n")[0].partition(". ")[0]  # PyTorch's message continues with how to run the file's code
        raise PixlateError(f"expected the weights of VGG19 in {path}, but it cannot be read ({reason}); use torchvision's {PUBLISHED}") from error
