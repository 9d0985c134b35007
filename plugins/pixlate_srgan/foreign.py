"""Generators of other code bases that are SRGAN's."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pixlate

if TYPE_CHECKING:
    from torch import Tensor

_RENAMED = (
    (r"conv_first\.(\w+)", r"head.0.\1"),
    (r"body\.(\d+)\.conv1\.(\w+)", r"body.\1.layers.0.\2"),
    (r"body\.(\d+)\.conv2\.(\w+)", r"body.\1.layers.2.\2"),
    (r"upconv1\.(\w+)", r"tail.0.0.0.\1"),
    (r"upconv2\.(\w+)", r"tail.1.0.0.\1"),
    (r"conv_hr\.(\w+)", r"tail.{hr}.\1"),
    (r"conv_last\.(\w+)", r"tail.{last}.\1"),
)


def import_basicsr(state: "Mapping[str, Tensor]") -> pixlate.ForeignGenerator | None:
    """Return BasicSR's MSRResNet as ours with the staged tail, or None where these are not its weights."""
    if "conv_first.weight" not in state or "body.0.conv1.weight" not in state or "conv_last.weight" not in state:
        return None
    from pixlate.networks.srresnet import MSRResNet

    stages = sum(f"upconv{number}.weight" in state for number in (1, 2))
    places = {"hr": stages, "last": stages + 2}
    weights = {}
    for key, tensor in state.items():
        for pattern, name in _RENAMED:
            if match := re.fullmatch(pattern, key):
                weights[match.expand(name).format(**places)] = tensor
    blocks = len({key.split(".")[1] for key in state if key.startswith("body.")})
    first = state["upconv1.weight"] if stages else state["conv_hr.weight"]
    scale = 3 if stages == 1 and len(first) == 9 * first.shape[1] else 2**stages
    network = MSRResNet(scale, len(state["conv_first.weight"]), blocks)
    network.load_state_dict(weights)
    spec = pixlate.ModelSpec(method="srgan", scale=scale, tiling_exact=True, halo=network.halo)
    return pixlate.ForeignGenerator(f"MSRResNet of {blocks} blocks at scale {scale}, BasicSR", network, spec)
