"""Fits foreign weights to networks of this project: names, statistics, and the spec of what they make."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pixlate.inference.sizes import spec_sizes
from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
from pixlate.plugin.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pixlate.networks.normalisation import Norm
    from pixlate.networks.resnet import ResNet
    from pixlate.networks.unet import UNet

    Network = TypeVar("Network", bound=nn.Module)

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def renamed(state: "Mapping[str, Tensor]", places: Mapping[str, str]) -> "dict[str, Tensor]":
    """Return foreign weights by our names; ``places`` has our name of each foreign module, and others get one that no network has."""
    split = ((*key.rpartition("."), tensor) for key, tensor in state.items())
    return {f"{places.get(module, f'foreign {module}')}.{leaf}": tensor for module, _, leaf, tensor in split}


def with_weights(make: "Callable[[], Network]", weights: "Mapping[str, Tensor]", only_biased: str = "") -> "Network | None":
    """Return a network that holds weights, or None where their names or shapes are not all its own.

    Names and shapes are compared before anything is allocated, so that a few bytes that describe a huge network take no memory. Counters of
    batch norms that files of torch before 0.4.1 lack are filled in. Where only the convolution ``only_biased`` has a bias, the others get one of zeros.
    """
    import torch
    from torch import nn

    with torch.device("meta"):
        network = make()
    own = network.state_dict()
    filled = {name: torch.tensor(0) for name in own if name.endswith("num_batches_tracked")} | dict(weights)
    if only_biased:
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and name != only_biased:
                if f"{name}.bias" in filled:
                    return None
                filled[f"{name}.bias"] = torch.zeros(layer.out_channels)
    if own.keys() != filled.keys() or any(value.shape != filled[name].shape for name, value in own.items()):
        return None
    network.load_state_dict(filled, assign=True)
    return network.eval()


def translation(
    method: str,
    title: str,
    make: "Callable[[], UNet | ResNet]",
    weights: "Mapping[str, Tensor]",
    last: str,
    norm: "Norm",
    options: ImportOptions,
    assumed: Iterable[str],
    project: str = "pytorch-CycleGAN-and-pix2pix",
) -> ForeignGenerator | None:
    """Return a generator between images of one size as ours, or None where the weights are not its own.

    Args:
        method: The method that the generator belongs to.
        title: What the network is, without norm and project.
        make: Makes the network.
        weights: By our names; the running statistics that torch before 0.4 wrote for instance norm are left out.
        last: Name of the convolution that has a bias without a norm, too.
        norm: Of all layers.
        options: What the file does not contain and the user may set: here the direction.
        assumed: What else it does not contain, a sentence each.
        project: The code base that wrote the file.
    """
    from pixlate.networks.symmetric import Symmetric

    kept = {name: tensor for name, tensor in weights.items() if norm != "instance" or name.rpartition(".")[2] not in _STATISTICS}
    network = with_weights(lambda: Symmetric(make()), kept, last if norm == "none" else "")
    if network is None:
        return None
    sentences = [f"direction: {options.direction}, which users of the file see; --direction changes it", *assumed]
    if norm == "batch":
        sentences.append("norm: statistics of each image, as its own code has them when it tests; --norm running takes those gathered in training")
    if len(kept) < len(weights):
        sentences.append(f"norm: instance, so the {len(weights) - len(kept)} running statistics that old versions of PyTorch wrote beside it are left out")
    inner: Any = network.network
    spec = ModelSpec(
        method=method,
        direction=options.direction,
        channels_in=inner.channels_in,
        channels_out=len(weights[f"{last}.bias"]),
        **spec_sizes(inner),
        norm={"batch": "running", "none": "none"}.get(norm, "per-image"),  # type: ignore[arg-type]
    )
    name = f"{title} {f'with {norm} norm' if norm != 'none' else 'without norm'}, {project}"
    return ForeignGenerator(name, network, spec, "per-image" if norm == "batch" else "running", tuple(sentences))


def norm_of(state: "Mapping[str, Tensor]", convolution: str, following: str) -> "Norm":
    """Return the norm of a network of pytorch-CycleGAN-and-pix2pix, by one of its convolutions and the layer after it.

    Batch norm has a weight; instance norm has none, and its convolutions are the ones with a bias.
    """
    if f"{following}.weight" in state:
        return "batch"
    return "instance" if f"{convolution}.bias" in state else "none"
