"""The two ways to run a generator that was trained with batch norm."""

import copy
from dataclasses import replace
from typing import Literal

import torch
from torch import nn

from pixlate.errors import PixlateError
from pixlate.inference.sizes import allowed_side, blended_halo
from pixlate.plugin.spec import ModelSpec

_STATISTICS = {"running": "those gathered in training", "per-image": "those of each image"}


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


def compared(network: nn.Module, spec: ModelSpec, chosen: ModelSpec) -> str:
    """Return which statistics were chosen for the batch norms of a generator, and how far its outputs are from those with the others; empty without batch norms.

    Args:
        network: As it was given to :func:`with_norm`.
        spec: As it was given.
        chosen: As it came back.
    """
    if spec.conditions or not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return ""
    side = allowed_side(max(128, 2 * spec.minimum), spec)
    coarse = torch.rand(1, spec.channels_in, 8, 8, generator=torch.Generator().manual_seed(0))
    image = nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        outputs = [with_norm(network, spec, norm)[0].eval()(image).clamp(0, 1) for norm in ("running", "per-image")]
    other = "running" if chosen.norm == "per-image" else "per-image"
    return (
        f"norm {chosen.norm}: statistics are {_STATISTICS[chosen.norm]}; with --norm {other} they are {_STATISTICS[other]}, and outputs differ by "
        f"{255 * float((outputs[0] - outputs[1]).abs().mean()):.1f} levels of 255 on average (soft noise of {side}x{side} pixels): compare both on your pictures"
    )


def _per_image(norm: nn.Module) -> nn.InstanceNorm2d:
    assert isinstance(norm, nn.BatchNorm2d)
    found = nn.InstanceNorm2d(norm.num_features, norm.eps, affine=norm.affine)
    if norm.affine:
        found.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    return found
