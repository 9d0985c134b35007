"""What a model takes besides the image: from the user's ``NAME=VALUE`` to arrays, and checks of arrays."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels
from pixlate.plugin.spec import ModelInput, ModelSpec

Arrays = Mapping[str, NDArray[Any]]
"""Conditions by name, one entry for each image, or without a batch axis for one image."""
NONE: Arrays = MappingProxyType({})
LARGEST = float(np.finfo(np.float32).max)
"""Greatest number of a vector or of noise."""


@dataclass(frozen=True)
class Conditions:
    """The conditions of every image of a conversion: what the user gave, defaults, and noise that belongs to the image."""

    spec: ModelSpec
    values: Arrays
    """Labels () and vectors (length,) by name."""
    seed: int = 0
    """With the image's name, the seed of its noise."""

    @classmethod
    def of(cls, spec: ModelSpec, given: Mapping[str, str], seed: int = 0, *, masks: bool = False) -> "Conditions":
        """Return the conditions that a user gave for a model.

        Args:
            spec: Of the model.
            given: Texts by name.
            seed: Of the noise.
            masks: Whether each image comes with a mask.

        Raises:
            PixlateError: A name is unknown, a value is missing or wrong, or there are masks or a seed and the model takes none.
        """
        known = {each.name: each for each in spec.conditions}
        for name in given:
            if name not in known:
                raise PixlateError(f"expected {_listed(known)} as names of conditions, which this model takes, got {name}; leave it out")
        own = [each.name for each in spec.conditions if each.kind == "mask"]
        if len(own) > 1:
            raise PixlateError(f"expected a model of at most one mask, got {' and '.join(own)}; call it from Python")
        if masks and not own:
            raise PixlateError("expected a model that takes a mask for --mask, got one that takes none; leave it out")
        if own and not masks:
            raise PixlateError(f"expected a mask, {own[0]}, for each image, got none; name their folder with --mask FOLDER")
        if seed and not any(each.kind == "noise" for each in spec.conditions):
            raise PixlateError(f"expected no seed for a model that takes no noise, got {seed}; leave it out")
        values = {name: value for name, each in known.items() if (value := _value(each, given.get(name))) is not None}
        return cls(spec, values, seed)

    @classmethod
    def neutral(cls, spec: ModelSpec) -> "Conditions":
        """Return defaults, first choices and zeros, to run a model without being asked; a model of masks needs those besides."""
        labels = {each.name: each.choices[0] for each in spec.conditions if each.kind == "label" and each.default is None}
        vectors = {each.name: ",".join(["0"] * each.length) for each in spec.conditions if each.kind == "vector" and each.default is None}
        return cls.of(spec, labels | vectors, masks=any(each.kind == "mask" for each in spec.conditions))

    def arrays(self, name: str, mask: Pixels | None = None) -> dict[str, NDArray[Any]]:
        """Return the conditions of one image, without a batch axis.

        Args:
            name: Of the image, such as its path below the source folder, from which its noise is drawn.
            mask: (height, width, 1), where the model takes one.
        """
        found = dict(self.values)
        for each in self.spec.conditions:
            if each.kind == "noise":
                found[each.name] = noise(each, f"{self.seed}/{name}")
            elif each.kind == "mask" and mask is not None:
                found[each.name] = mask
        return found


def parse(texts: Sequence[str]) -> dict[str, str]:
    """Return texts such as ``hair=blond`` by name.

    Raises:
        PixlateError: One has no ``=``, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            twice = f"{name} twice" if name in found else repr(text)
            raise PixlateError(f"expected --set NAME=VALUE, once for each name, got {twice}; write: --set hair=blond")
        found[name] = value
    return found


def noise(condition: ModelInput, name: str) -> NDArray[np.float32]:
    """Return the noise that belongs to a name: standard normal, (length,), the same on every machine and in any batch."""
    seed = hashlib.sha256(f"{condition.name}/{name}".encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(seed[:16])).standard_normal(condition.length, np.float32)


def stacked(conditions: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """Return the conditions of several images of one size as arrays with a batch axis."""
    return {name: np.stack([each[name] for each in conditions]) for name in conditions[0]} if conditions else {}


def checked(spec: ModelSpec, batch: int, sides: tuple[int, int], conditions: Arrays) -> dict[str, NDArray[Any]]:
    """Return the conditions of a batch in the order and with the types of the model; those with a default may be missing.

    Masks become uint8 for a file of ``uint8`` and float32 of [0, 1] for one of ``float``.

    Raises:
        PixlateError: One is missing, unknown, or of another kind, shape or range.
    """
    known = {each.name: each for each in spec.conditions}
    for name in conditions:
        if name not in known:
            raise PixlateError(f"expected {_listed(known)} as conditions, which this model takes, got {name}; leave it out")
    found = {}
    for name, each in known.items():
        value = conditions.get(name)
        if value is None:
            default = None if each.default is None else _value(each, None)
            if default is None:
                raise PixlateError(f"expected {_expected(each, batch, sides)} for {name}, got none; pass {name}=...")
            value = np.repeat(default[None], batch, axis=0)
        found[name] = _fitting(each, np.asarray(value), batch, sides, spec)
    return found


def _fitting(condition: ModelInput, value: NDArray[Any], batch: int, sides: tuple[int, int], spec: ModelSpec) -> NDArray[Any]:
    label, mask = condition.kind == "label", condition.kind == "mask"
    shape = (batch, *sides, 1) if mask else (batch,) if label else (batch, condition.length)
    right = np.issubdtype(value.dtype, np.integer) if label else value.dtype == np.uint8 or np.issubdtype(value.dtype, np.floating)
    right &= value.dtype != np.uint8 or mask or label
    right &= value.shape == shape
    low, high = (value.min(initial=0), value.max(initial=0)) if right else (0, 0)  # NaN passes through both, and compares as false
    top = len(condition.choices) - 1 if label else 255 if value.dtype == np.uint8 else 1
    if not right or not (0 <= low <= high <= top if label or mask else -LARGEST <= low <= high <= LARGEST):
        came = f"{value.min()} to {value.max()}" if right else f"{value.dtype} {value.shape}"
        within = "" if label or not right else " in [0, 1]" if mask else " of finite numbers"
        raise PixlateError(f"expected {_expected(condition, batch, sides)}{within} for {condition.name}, got {came}; change it")
    if label:
        return value.astype(np.int64)
    if not mask:
        return value.astype(np.float32)
    if spec.io == "uint8":
        return value if value.dtype == np.uint8 else np.rint(np.clip(value, 0, 1) * 255).astype(np.uint8)
    return value.astype(np.float32) / np.float32(255) if value.dtype == np.uint8 else value.astype(np.float32)


def _expected(condition: ModelInput, batch: int, sides: tuple[int, int]) -> str:
    """Return what an array of a condition is, for a sentence."""
    if condition.kind == "label":
        return f"whole numbers ({batch},) from 0 to {len(condition.choices) - 1}"
    return f"uint8 or float ({batch}, {sides[0]}, {sides[1]}, 1)" if condition.kind == "mask" else f"float ({batch}, {condition.length})"


def _value(condition: ModelInput, text: str | None) -> NDArray[Any] | None:
    """Return a label as index or a vector as numbers; None for what is not set by the user."""
    name, kind = condition.name, condition.kind
    if kind in ("mask", "noise"):
        if text is not None:
            other = "give masks with --mask FOLDER" if kind == "mask" else "it is drawn: choose other draws with --seed"
            raise PixlateError(f"expected a label or vector for --set, got the {kind} {name}; {other}")
        return None
    wanted = f"one of {', '.join(condition.choices)}" if kind == "label" else f"{condition.length} numbers with commas between"
    if text is None and condition.default is None:
        raise PixlateError(f"expected {wanted} for the {kind} {name}, got none; add --set {name}={'...' if kind == 'vector' else condition.choices[0]}")
    if kind == "label":
        chosen = condition.default if text is None else text
        if chosen not in condition.choices:
            raise PixlateError(f"expected {wanted} for {name}, got {chosen!r}; choose one of these")
        return np.array(condition.choices.index(str(chosen)), np.int64)
    try:
        numbers = [float(number) for number in (text.split(",") if text is not None else condition.default or ())]
    except ValueError:
        numbers = []
    if len(numbers) != condition.length or not all(abs(number) <= LARGEST for number in numbers):
        raise PixlateError(f"expected {wanted} for {name}, got {text!r}; write: --set {name}={','.join(['0'] * min(condition.length, 3))}")
    return np.array(numbers, np.float32)


def _listed(names: Mapping[str, ModelInput]) -> str:
    return ", ".join(names) or "none"
