"""The two ways to run a generator that was trained with batch norm."""

import copy
from dataclasses import replace
from typing import Literal

from torch import nn

from pixlate.errors import PixlateError
from pixlate.inference.sizes import blended_halo
from pixlate.plugin.spec import ModelSpec


def with_norm(network: nn.Module, spec: ModelSpec, norm: Literal["auto", "running", "per-image"]) -> tuple[nn.Module, ModelSpec]:
    """Return a generator that normalises as asked, with the spec that says so; the network given stays as it is.

    ``running`` statistics are those gathered in training. ``per-image`` statistics are those of each image, which is how Pix2Pix is tested
    in its own code (a batch of one, batch norm in training mode), and equals instance norm with batch norm's weight and bias.

    Raises:
        PixlateError: A norm mode is asked for and there is no batch norm.
    """
    batch_norms = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if norm != "auto" and not batch_norms:
        raise PixlateError(f"expected a generator with batch norm for --norm {norm}, got one whose norm is {spec.norm}; leave out --norm")
    if norm != "per-image":
        return network, spec
    network = copy.deepcopy(network)
    for name in batch_norms:
        above, _, own = name.rpartition(".")
        setattr(network.get_submodule(above), own, _per_image(network.get_submodule(name)))
    return network, replace(spec, norm="per-image", tiling_exact=False, halo=blended_halo(spec.halo))


def _per_image(norm: nn.Module) -> nn.InstanceNorm2d:
    assert isinstance(norm, nn.BatchNorm2d)
    found = nn.InstanceNorm2d(norm.num_features, norm.eps, affine=norm.affine)
    if norm.affine:
        found.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    return found
