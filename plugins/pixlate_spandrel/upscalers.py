"""From spandrel's descriptor of a network to ours."""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import pixlate
from pixlate.inference.sizes import round_up
from pixlate.weights.ncnn_networks import RESIZED

HALO = 32
"""Context of tiles, in input pixels: most upscalers see farther, but little of it shows."""
_FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn}
_SPARE = 2**28
"""Numbers a network may make beside its weights, such as masks of attention: 1 GiB."""


class SpandrelNetwork(nn.Module):
    """A network of spandrel's as (batch, channels, height, width) in [0, 1] to the same, not clamped.

    Args:
        model: The network.
        call: Runs it; some networks return more than the picture, or another range.
        resized: Factor of a bicubic resizing of its output, as some models of ncnn end in.
    """

    def __init__(self, model: nn.Module, call: Callable[[nn.Module, Tensor], Tensor], resized: float = 1.0) -> None:
        super().__init__()
        self.model = model
        self._call = call
        self._resized = resized

    def forward(self, images: Tensor) -> Tensor:
        """Return the translated images."""
        output = self._call(self.model, images)
        return output if self._resized == 1 else nn.functional.interpolate(output, scale_factor=self._resized, mode="bicubic")


def import_upscaler(state: Mapping[str, Tensor]) -> pixlate.ForeignGenerator | None:
    """Return the network that spandrel recognises, or None where it recognises none.

    Raises:
        PixlateError: Its network translates no whole pictures, or is larger than the weights.
    """
    if _is_unlikely(state):
        return None
    resized = float(state[RESIZED]) if RESIZED in state else 1.0
    state = {name: value for name, value in state.items() if name != RESIZED}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that spandrel imports
        spandrel: Any = import_module("spandrel")
        try:
            with _Allocations(2 * sum(value.numel() for value in state.values()) + _SPARE):
                descriptor = spandrel.ModelLoader("cpu").load_from_state_dict(dict(state))
        except spandrel.UnsupportedModelError:
            return None
    architecture = descriptor.architecture.name
    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        raise pixlate.PixlateError(f"expected a network that takes a picture alone, got {architecture}, which fills in a mask; use its own code")
    if descriptor.purpose == "FaceSR" or descriptor.size_requirements.square:
        raise pixlate.PixlateError(f"expected a network for pictures of any size, got {architecture}, which takes cut-out squares; use its own code")
    # Calling the descriptor would do this too, but in inference mode, which cannot be traced to ONNX.
    network = SpandrelNetwork(with_plain_convolutions(descriptor.model), descriptor._call_fn, resized).eval().requires_grad_(False)
    scale = round(descriptor.scale * resized)
    if not 0 < scale == descriptor.scale * resized:
        raise pixlate.PixlateError(
            f"expected a whole factor of enlargement, got {descriptor.scale * resized:g} of {architecture}; use another file of the model"
        )
    multiple = descriptor.size_requirements.multiple_of
    spec = pixlate.ModelSpec(
        method=architecture,
        scale=scale,
        channels_in=descriptor.input_channels,
        channels_out=descriptor.output_channels,
        multiple=multiple,
        minimum=max(descriptor.size_requirements.minimum, multiple, 1),
        tiling_exact=False,
        halo=round_up(HALO, multiple),
        norm="running" if any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) else "none",
        padding="reflect",  # as ``pad_tensor`` of spandrel's does
    )
    tags = f" ({', '.join(descriptor.tags)})" if descriptor.tags else ""
    return pixlate.ForeignGenerator(f"{architecture}{tags} at scale {scale}, spandrel", network, spec)


def with_plain_convolutions(model: nn.Module) -> nn.Module:
    """Return a network of spandrel's whose convolutions of several branches (``Conv3XC`` of SPAN) are single ones, as they compute when they are not trained.

    They merge their branches again in each ``forward``, which ends the process where PyTorch's exporter traces it.
    """
    for name, layer in list(model.named_modules()):
        if not (callable(merge := getattr(layer, "update_params", None)) and isinstance(merged := getattr(layer, "eval_conv", None), nn.Conv2d)):
            continue
        merge()
        plain = nn.Sequential(merged, nn.LeakyReLU(0.05)) if getattr(layer, "has_relu", False) else merged
        above, _, own = name.rpartition(".")
        setattr(model.get_submodule(above), own, plain)
    return model


class _Allocations(TorchFunctionMode):
    """Refuses a network that takes far more memory than its weights."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        given = kwargs or {}
        if func in _FACTORIES:
            size = given.get("size", args[0] if args and isinstance(args[0], tuple | list) else args)
            self.left -= torch.Size([side for side in size if isinstance(side, int)]).numel()
            if self.left < 0:
                raise pixlate.PixlateError("expected weights of a whole network, got some that speak of a far larger one; check that the file is whole")
        return func(*args, **given)


def _is_unlikely(state: Mapping[str, Tensor]) -> bool:
    """Return whether a number in a name is far beyond the count of weights: spandrel would build as many blocks."""
    digits = len(str(10 * len(state) + 100))
    return any(part.isdecimal() and len(part) > digits for key in state for part in key.split("."))
