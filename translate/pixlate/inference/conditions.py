"""What a model takes besides the image: from the user's ``NAME=VALUE``, folder of masks and reference picture to arrays, and checks of arrays."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.picture import Pixels, on_white, to_8_bits
from pixlate.images.resize import resized
from pixlate.images.scene import displayed
from pixlate.places.paths import digest_file, images_by_name
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.spec import ModelInput, ModelSpec

Arrays = Mapping[str, NDArray[Any]]
"""Conditions by name, one entry for each image, or without a batch axis for one image."""
NONE: Arrays = MappingProxyType({})
LARGEST = float(np.finfo(np.float32).max)
"""Greatest number of a vector or of noise."""
FILLED = np.uint8(255)
"""Level of a mask where the model fills."""
LARGEST_MASK = 10**9
"""Most pixels that the header of a mask or reference may declare; no mask is decoded that is larger than its image."""
ALPHA = Path("alpha")
"""In place of a folder of masks: what is transparent in a picture is filled."""
MOST_DIGITS = 18
"""Most digits of a seed."""
SEED = "seed"
"""In ``--set``, the seed of noise that is the same for every image."""


@dataclass(frozen=True)
class Conditions:
    """The conditions of every image of a conversion: what the user gave, defaults, and noise that belongs to the image."""

    spec: ModelSpec
    values: Arrays
    """Labels (), vectors (length,), references (side, side, channels), and noise (length,) that is the same for every image, by name."""
    seed: int = 0
    """With the image's name, the seed of its noise."""

    @classmethod
    def of(cls, spec: ModelSpec, given: Mapping[str, str], seed: int = 0, *, masks: bool = False, references: Arrays = NONE) -> "Conditions":
        """Return the conditions that a user gave for a model as texts by name; ``masks`` says whether each image comes with one.

        With the text ``seed`` noise is drawn once for all images; references are the pictures themselves, since no text that comes over a network may name a file.

        Raises:
            PixlateError: A name is unknown, a value is missing or wrong, or there are masks or a seed and the model takes none.
        """
        fixed = given.get(SEED)
        given = {name: text for name, text in given.items() if name != SEED}
        known = _known(spec, given)
        own = [each.name for each in spec.conditions if each.kind == "mask"]
        if len(own) > 1:
            raise PixlateError(f"expected a model of at most one mask, got {' and '.join(own)}; call it from Python")
        if masks and not own:
            raise PixlateError("expected a model that takes a mask for --mask, got one that takes none; leave it out")
        if own and not masks:
            raise PixlateError(f"expected a mask, {own[0]}, for each image, got none; name their folder with --mask FOLDER")
        drawn = [each for each in spec.conditions if each.kind == "noise"]
        if (seed or fixed is not None) and not drawn:
            raise PixlateError(f"expected no seed for a model that takes no noise, got {seed or fixed}; leave it out")
        values = {name: value for name, each in known.items() if (value := references.get(name, _value(each, given.get(name), references))) is not None}
        if fixed is not None:
            if seed or not (fixed.isascii() and fixed.isdecimal() and len(fixed) <= MOST_DIGITS):
                got = f"--seed {seed} too" if seed else repr(fixed[:20])
                raise PixlateError(f"expected --set seed= to be a whole number from 0 on, without --seed, got {got}; write: --set seed=3")
            values |= {each.name: noise(each, f"{int(fixed)}/") for each in drawn}
        return cls(spec, values, seed)

    @classmethod
    def neutral(cls, spec: ModelSpec) -> "Conditions":
        """Return defaults, first choices, zeros and grey references, to run a model without being asked; a model of masks needs those besides."""
        needed = [each for each in spec.conditions if each.kind in ("label", "vector") and each.default is None]
        given = {each.name: each.choices[0] if each.kind == "label" else ",".join(["0"] * each.length) for each in needed}
        grey = {each.name: np.full((each.side, each.side, each.channels), 127, np.uint8) for each in spec.conditions if each.kind == "reference"}
        return cls.of(spec, given, masks=any(each.kind == "mask" for each in spec.conditions), references=grey)

    def arrays(self, name: str, mask: Pixels | None = None) -> dict[str, NDArray[Any]]:
        """Return the conditions of one image, without a batch axis; its name decides its noise, and a mask is (height, width, 1)."""
        found = dict(self.values)
        for each in self.spec.conditions:
            if each.kind == "noise" and each.name not in found:
                found[each.name] = noise(each, f"{self.seed}/{name}")
            elif each.kind == "mask" and mask is not None:
                found[each.name] = mask
        return found


class ImageConditions:
    """The conditions of the images of a folder: those of the command, and a mask of the same :func:`pixlate.places.paths.pair_name`.

    Args:
        spec: Of the model.
        texts: Such as ``hair=blond``.
        seed: With an image's name, the seed of its noise.
        folder: Of the masks, where the model takes one; :data:`ALPHA` where they are what is transparent.
        formats: Image formats by suffix.

    Raises:
        PixlateError: A condition is unknown, missing or wrong, or the folder holds no images.
    """

    def __init__(self, spec: ModelSpec, texts: Sequence[str], seed: int, folder: Path | None, formats: Mapping[str, ImageFormat]) -> None:
        given = parse(texts)
        files = {each: Path(given.pop(each.name)) for each in spec.conditions if each.kind == "reference" and each.name in given}
        references = {each.name: reference(each, path, formats) for each, path in files.items()}
        self._conditions = Conditions.of(spec, given, seed, masks=folder is not None, references=references)
        defaults = {each.name: _value(each, None) for each in spec.conditions if each.name in given and each.default is not None}
        same = {name for name, value in defaults.items() if value is not None and np.array_equal(value, self._conditions.values[name])}
        self.texts = tuple(text for text in texts if text.partition("=")[0] not in same)
        """Those that give a condition another value than its default."""
        self.from_alpha = folder == ALPHA
        """Whether what is transparent is filled, so that pictures come out opaque."""
        self._folder, self._formats = None if self.from_alpha else folder, formats
        self._masks = {} if self._folder is None else images_by_name(self._folder, formats)

    def require_some(self, names: Iterable[str]) -> None:
        """Refuse images of which none has a mask, where the model takes one."""
        if self._folder is None:
            return
        first = ""
        for name in names:
            if name in self._masks:
                return
            first = first or name
        if first:
            raise PixlateError(f"expected masks in {self._folder} with the names of the images, such as {first}, got none of them; name another folder")

    def arrays(self, name: str, height: int, width: int, alpha: Pixels | None = None) -> dict[str, NDArray[Any]]:
        """Return the conditions of one image, without a batch axis; ``alpha`` (height, width) is how opaque it is.

        Raises:
            PixlateError: Its mask is missing, cannot be read, is of another size or covers all of it.
        """
        if self.from_alpha:
            return self._conditions.arrays(name, hole_of(alpha))
        return self._conditions.arrays(name, None if self._folder is None else self._mask(name, height, width))

    def _mask(self, name: str, height: int, width: int) -> Pixels:
        """Return a mask, uint8 (height, width, 1); 255 is what to fill."""
        path = self._masks.get(name)
        if path is None:
            raise PixlateError(f"expected a mask named {name} in {self._folder}, found none; add it, or take the image out")
        try:
            with ImageFile(path, max_pixels=max(LARGEST_MASK, height * width), formats=self._formats) as file:
                size, file.max_pixels = file.size, height * width
                levels = to_8_bits(file.read().pixels) if size == (width, height) else None
        except PixlateError as error:
            raise PixlateError(f"the mask {path} cannot be used: {error}") from error
        if levels is None:
            raise PixlateError(f"expected a mask of {width}x{height} as the image, got {path} of {size[0]}x{size[1]}; resize it")
        if levels.min() == FILLED:
            raise PixlateError(f"expected a mask that leaves something of the image to go by, got {path}, all white; paint black what is to stay")
        return levels if levels.shape[2] == 1 else np.rint(levels.mean(axis=2, keepdims=True)).astype(np.uint8)


def hole_of(alpha: Pixels | None) -> Pixels:
    """Return the mask of what is transparent in a picture, uint8 (height, width, 1), from its alpha (height, width).

    Raises:
        PixlateError: Nothing is transparent, or everything.
    """
    hole = None if alpha is None else FILLED - to_8_bits(alpha)[:, :, None]
    if hole is None or not hole.any():
        raise PixlateError(
            "expected a picture that is transparent where the model is to fill it, got an opaque one; erase the place and save it as PNG or WebP"
        )
    if hole.min() == FILLED:
        raise PixlateError("expected a picture that is opaque where it is to stay, got one that is transparent everywhere; erase less of it")
    return hole


def kept(spec: ModelSpec, pixels: Pixels, output: Pixels, conditions: Arrays) -> Pixels:
    """Return the output of a model that fills, with the samples of the image itself wherever no mask covers it at all, whatever the model computes in.

    Masks are those of :func:`checked`. Outputs of another size or other channels than the image are returned as they are.
    """
    masks = [conditions[each.name] for each in spec.conditions if each.kind == "mask"]
    if not masks or output.shape != pixels.shape:
        return output
    return np.where(np.any(masks, axis=0), output, pixels)


def parse(texts: Sequence[str]) -> dict[str, str]:
    """Return texts such as ``hair=blond`` by name; refuse one without ``=``, and a name that comes twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            twice = f"{name} twice" if name in found else repr(text)
            raise PixlateError(f"expected --set NAME=VALUE, once for each name, got {twice}; write: --set hair=blond")
        found[name] = value
    return found


def pinned(text: str) -> str:
    """Return a text of ``--set`` with the digest of a picture in place of its path, since another picture at that path makes other outputs."""
    name, _, value = text.partition("=")
    path = Path(value)
    return f"{name}={digest_file(path)}" if path.suffix and path.is_file() else text


def reference(condition: ModelInput, path: Path, formats: Mapping[str, ImageFormat]) -> Pixels:
    """Return a reference picture upright, over white, at the side that a model takes: uint8 (side, side, channels).

    Raises:
        PixlateError: The file cannot be read, or its picture has other channels than the model takes.
    """
    try:
        with ImageFile(path, max_pixels=LARGEST_MASK, formats=formats) as file:
            picture = displayed(file.read(0 if condition.channels in (1, 3) else condition.channels))
    except PixlateError as error:
        raise PixlateError(f"the {condition.name} {path} cannot be used: {error}") from error
    channels = picture.pixels.shape[2]
    if channels != condition.channels:
        raise PixlateError(f"expected a picture of {condition.channels} channels for {condition.name}, got {path} of {channels}; convert it or choose another")
    if picture.alpha is not None:
        picture = replace(picture, pixels=on_white(picture.pixels, picture.alpha), alpha=None)
    return to_8_bits(resized(picture, (condition.side, condition.side)).pixels)


def noise(condition: ModelInput, name: str) -> NDArray[np.float32]:
    """Return the noise that belongs to a name: standard normal, (length,), the same on every machine and in any batch."""
    seed = hashlib.sha256(f"{condition.name}/{name}".encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(seed[:16])).standard_normal(condition.length, np.float32)


def stacked(conditions: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """Return the conditions of several images of one size as arrays with a batch axis."""
    return {name: np.stack([each[name] for each in conditions]) for name in conditions[0]} if conditions else {}


def check_pixels(pixels: object, spec: ModelSpec) -> None:
    """Refuse what is no uint8 or uint16 array (batch, height, width, channels_in)."""
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 4 or pixels.shape[3] != spec.channels_in or pixels.dtype not in (np.uint8, np.uint16):
        came = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else f"a {type(pixels).__name__}"
        raise PixlateError(f"expected uint8 or uint16 pixels (batch, height, width, {spec.channels_in}), got {came}; add a batch axis or convert them")


def checked(spec: ModelSpec, batch: int, sides: tuple[int, int], conditions: Arrays) -> dict[str, NDArray[Any]]:
    """Return the conditions of a batch in the order and with the types of the model; those with a default may be missing.

    Masks and references become uint8 for a file of ``uint8`` and float32 of [0, 1] for one of ``float``.

    Raises:
        PixlateError: One is missing, unknown, or of another kind, shape or range.
    """
    found = {}
    for name, each in _known(spec, conditions).items():
        value = conditions.get(name)
        if value is None:
            default = None if each.default is None else _value(each, None)
            if default is None:
                raise PixlateError(f"expected {_expected(each, batch, sides)} for {name}, got none; pass {name}=...")
            value = np.repeat(default[None], batch, axis=0)
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise PixlateError(f"expected {_expected(each, batch, sides)} for {name}, got a list of lists of different lengths; change it") from error
        found[name] = _fitting(each, array, batch, sides, spec)
    return found


def _known(spec: ModelSpec, names: Iterable[str]) -> dict[str, ModelInput]:
    """Return the conditions of a model by name, or refuse a name that is not one of them."""
    known = {each.name: each for each in spec.conditions}
    for name in names:
        if name not in known:
            expected = f"a condition that this model takes ({', '.join(known)})" if known else "no condition, since this model takes none"
            raise PixlateError(f"expected {expected}, got {name}; leave it out")
    return known


def _fitting(condition: ModelInput, value: NDArray[Any], batch: int, sides: tuple[int, int], spec: ModelSpec) -> NDArray[Any]:
    label, mask = condition.kind == "label", condition.pictured
    shape = shape_of(condition, batch, sides)
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


def shape_of(condition: ModelInput, batch: int, sides: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of an array of a condition, for images of so many pixels, (height, width)."""
    match condition.kind:
        case "label":
            return (batch,)
        case "mask":
            return (batch, *sides, 1)
        case "reference":
            return (batch, condition.side, condition.side, condition.channels)
        case _:
            return (batch, condition.length)


def _expected(condition: ModelInput, batch: int, sides: tuple[int, int]) -> str:
    """Return what an array of a condition is, for a sentence."""
    if condition.kind == "label":
        return f"whole numbers ({batch},) from 0 to {len(condition.choices) - 1}"
    return f"{'uint8 or float' if condition.pictured else 'float'} {shape_of(condition, batch, sides)}"


def _value(condition: ModelInput, text: str | None, references: Arrays = NONE) -> NDArray[Any] | None:
    """Return a label as index or a vector as numbers; None for what is not set by the user."""
    name, kind = condition.name, condition.kind
    if kind == "reference":
        if name not in references:
            raise PixlateError(f"expected a picture for the reference {name}, got {text or 'none'}; add --set {name}=FILE where the command reads files")
        return None
    if kind in ("mask", "noise"):
        if text is not None:
            drawn = "it is drawn: choose other draws with --seed, or one draw for all images with --set seed=3"
            other = "give masks with --mask FOLDER" if kind == "mask" else drawn
            raise PixlateError(f"expected a label or vector for --set, got the {kind} {name}; {other}")
        return None
    count = "one number" if condition.length == 1 else f"{condition.length} numbers with commas between"
    wanted = f"one of {', '.join(condition.choices)}" if kind == "label" else count
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
