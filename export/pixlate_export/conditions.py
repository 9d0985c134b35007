"""Conditions of a model where it is traced, calibrated and compared: drawn at random, and as a file takes them. No PyTorch here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixlate.inference.conditions import Arrays, shape_of
from pixlate.plugin.spec import ModelInput, ModelSpec


def drawn(spec: ModelSpec, batch: int, height: int, width: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return random conditions of every kind for a batch, in the order of the spec."""
    generator = np.random.default_rng(seed)

    def draw(condition: ModelInput) -> NDArray[Any]:
        match condition.kind:
            case "label":
                return generator.integers(0, len(condition.choices), batch)
            case "reference":
                return generator.integers(0, 256, shape_of(condition, batch, (height, width)), np.uint8)
            case "mask":
                return (generator.random((batch, height, width, 1)) < 0.5).astype(np.uint8) * np.uint8(255)
            case _:
                return generator.standard_normal((batch, condition.length), np.float32)

    return {each.name: draw(each) for each in spec.conditions}


def to_file(spec: ModelSpec, conditions: Arrays) -> dict[str, NDArray[Any]]:
    """Return conditions with the types of a file of ``spec.io``: masks and references of a float file are float32 in [0, 1]."""
    floats = {each.name for each in spec.conditions if each.pictured and spec.io == "float"}
    return {name: value.astype(np.float32) / np.float32(255) if name in floats else value for name, value in conditions.items()}
