"""Generators of other code bases that are SRGAN's."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

import pixlate
from pixlate.inference.sizes import spec_sizes
from pixlate.networks.srresnet import MSRResNet, SRResNet
from pixlate.weights.adapting import renamed, with_weights

_LEFTTHOMAS_BLOCKS = 5


class SquashedSRResNet(SRResNet):
    """The generator of leftthomas/SRGAN: SRResNet under (tanh + 1) / 2, so that its output is in (0, 1).

    Args:
        scale: 2, 4 or 8.
        channels: Feature maps.
        blocks: Residual blocks.
        normed: Whether a batch norm ends the body; in its early versions an activation does.
    """

    def __init__(self, scale: int, channels: int, blocks: int, normed: bool = True) -> None:
        super().__init__(scale, channels, blocks)
        if not normed:
            self.body[-1] = nn.PReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return the enlarged images."""
        return (torch.tanh(super().forward(images)) + 1) / 2


def import_basicsr(state: Mapping[str, Tensor]) -> pixlate.ForeignGenerator | None:
    """Return BasicSR's MSRResNet as ours with the staged tail, or None where these are not its weights."""
    first, enlarging = state.get("conv_first.weight"), state.get("upconv1.weight")
    blocks = _count(state, r"body\.(\d+)\.conv1\.weight")
    if first is None or enlarging is None or not blocks or first.ndim != 4 or enlarging.ndim != 4:
        return None
    stages = 2 if "upconv2.weight" in state else 1
    scale = 3 if stages == 1 and len(enlarging) == 9 * enlarging.shape[1] else 2**stages
    places = {"conv_first": "head.0", "conv_hr": f"tail.{stages}", "conv_last": f"tail.{stages + 2}"}
    places |= {f"body.{block}.conv{number + 1}": f"body.{block}.layers.{2 * number}" for block in range(blocks) for number in (0, 1)}
    places |= {f"upconv{stage + 1}": f"tail.{stage}.0.0" for stage in range(stages)}
    network = with_weights(lambda: MSRResNet(scale, len(first), blocks), renamed(state, places))
    if network is None:
        return None
    spec = pixlate.ModelSpec(method="srgan", scale=scale, **spec_sizes(network))
    return pixlate.ForeignGenerator(f"MSRResNet of {blocks} blocks at scale {scale}, BasicSR", network, spec)


def import_leftthomas(state: Mapping[str, Tensor]) -> pixlate.ForeignGenerator | None:
    """Return the generator of leftthomas/SRGAN as ours, or None where these are not its weights."""
    first = state.get("block1.0.weight")
    stages = _count(state, r"block8\.(\d+)\.conv\.weight")
    if first is None or first.ndim != 4 or stages not in (1, 2, 3) or "block7.0.weight" not in state:
        return None
    scale, normed, last = 2**stages, "block7.1.running_mean" in state, _LEFTTHOMAS_BLOCKS
    places = {"block1.0": "head.0", "block1.1": "head.1", "block7.0": f"body.{last}", "block7.1": f"body.{last + 1}", f"block8.{stages}": "tail"}
    for block in range(last):
        layers = enumerate(("conv1", "bn1", "prelu", "conv2", "bn2"))
        places |= {f"block{block + 2}.{layer}": f"body.{block}.layers.{index}" for index, layer in layers}
    for stage in range(stages):
        places |= {f"block8.{stage}.conv": f"upsample.{stage}.0.0", f"block8.{stage}.prelu": f"upsample.{stage}.1"}
    network = with_weights(lambda: SquashedSRResNet(scale, len(first), last, normed), renamed(state, places))
    if network is None:
        return None
    spec = pixlate.ModelSpec(method="srgan", scale=scale, **spec_sizes(network), norm="running")
    return pixlate.ForeignGenerator(f"SRResNet of {last} blocks at scale {scale}, leftthomas/SRGAN", network, spec)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """Return how many keys match, where the numbers in them are those from 0; else 0."""
    numbers = {int(match[1]) for key in state if (match := re.fullmatch(pattern, key))}
    return len(numbers) if numbers == set(range(len(numbers))) else 0
