"""Weights of other code bases for SRGAN's generators."""

import re
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING

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


def import_basicsr(state: "Mapping[str, Tensor]", names: Set[str]) -> "dict[str, Tensor] | None":
    """Return the weights of BasicSR's MSRResNet under the names of ours with the staged tail, or None where these are not such weights."""
    if "conv_first.weight" not in state or "body.0.conv1.weight" not in state or "conv_last.weight" not in state:
        return None
    stages = sum(f"upconv{number}.weight" in state for number in (1, 2))
    places = {"hr": stages, "last": stages + 2}
    weights = {}
    for key, tensor in state.items():
        for pattern, name in _RENAMED:
            if match := re.fullmatch(pattern, key):
                weights["generators.source_to_target." + match.expand(name).format(**places)] = tensor
    return weights if weights.keys() <= names else None
