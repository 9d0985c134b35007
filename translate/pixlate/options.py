"""Options of training that every method shares; the string under a field is its help on the command line."""

import re
from dataclasses import dataclass
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pixlate.errors import PixlateError


@dataclass(frozen=True)
class DataOptions:
    """What is cut out of the training images."""

    patch: int = 32
    """Height and width of a source patch, in pixels."""
    rescale: tuple[float, ...] = (1.0,)
    """Sizes at which every photograph is used, as fractions of its own; smaller copies are sharper."""
    hold_out: int = 10
    """Images, evenly spread over the sorted list, that validation uses and training never sees."""

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, patch=1, hold_out=0)
        if not self.rescale or not all(0 < factor <= 1 for factor in self.rescale):
            raise PixlateError(f"expected --rescale of fractions above 0 and up to 1, got {self.rescale}; 1.0 is the photograph's own size")


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how fast to train, whatever the method."""

    steps: int = 100_000
    """Updates of every player."""
    batch: int = 16
    """Images in one step."""
    learning_rate: float = 2e-4
    """Step size of Adam at the start of the schedule."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay rates of Adam's two moments."""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    """Learning rate over the run: constant, half a cosine to zero, or constant for half the run and then linear to zero."""
    warm_up: int = 0
    """Steps in which the learning rate rises linearly from zero."""
    average_decay: float = 0.999
    """Decay of the averaged weights (EMA), which are what is exported; 0 keeps no average."""
    gradient_clip: float = 0.0
    """Largest norm of a player's gradient; 0 does not clip."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Arithmetic of the forward and backward pass; weights stay in 32 bits."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda or cuda:N."""
    seed: int = 0
    """Fixes initial weights and the order and cropping of images."""
    validate_every: int = 1000
    """Steps between two validations on held-out images."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""
    keep: int = 2
    """Newest checkpoints kept."""
    log_every: int = 50
    """Steps between two lines of the log."""
    start_from: str = ""
    """A run, a checkpoint, or a .safetensors file of another code base, whose weights of the same name and shape are taken over first."""

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, steps=1, batch=1, warm_up=0, gradient_clip=0, seed=0, validate_every=1, checkpoint_every=1, keep=1, log_every=1)
        if self.learning_rate <= 0:
            raise PixlateError(f"expected --learning-rate above 0, got {self.learning_rate}; 2e-4 is usual")
        if self.seed >= 2**32:
            raise PixlateError(f"expected --seed below {2**32}, got {self.seed}; choose a smaller one")
        for name, decay in (("betas", self.betas[0]), ("betas", self.betas[1]), ("average-decay", self.average_decay)):
            if not 0 <= decay < 1:
                raise PixlateError(f"expected --{name} of at least 0 and below 1, got {decay}; 0.99 is usual")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise PixlateError(f"expected --device auto, cpu, cuda or cuda:N, got {self.device!r}; choose one of these")


def check_types(options: Any) -> None:
    """Refuse values of an options dataclass that are not of their field's type, as a TOML file may hold them.

    Raises:
        PixlateError: With the option, what it takes and what came.
    """
    for name, hint in get_type_hints(type(options)).items():
        value = getattr(options, name)
        if not _fits(value, hint):
            raise PixlateError(f"expected --{name.replace('_', '-')} to be {_kind(hint)}, got {value!r}; see --help")


def check_least(options: Any, **least: float) -> None:
    """Refuse options below what is given for each.

    Raises:
        PixlateError: With the option, its least value and what came.
    """
    for name, smallest in least.items():
        if getattr(options, name) < smallest:
            raise PixlateError(f"expected --{name.replace('_', '-')} of at least {smallest}, got {getattr(options, name)}; raise it")


def _fits(value: object, hint: Any) -> bool:
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Literal:
        return any(value == choice and type(value) is type(choice) for choice in inner)
    if kind in (Union, UnionType):
        return any(_fits(value, choice) for choice in inner)
    if kind is tuple:
        hints = inner[:1] * len(value) if isinstance(value, tuple) and inner[1:] == (...,) else inner
        return isinstance(value, tuple) and len(value) == len(hints) and all(map(_fits, value, hints))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def _kind(hint: Any) -> str:
    """Say a type in words."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if kind in (Union, UnionType):
        return " or ".join(map(_kind, inner))
    if kind is tuple:
        return ("a list of numbers" if inner[0] in (int, float) else "a list") if inner[1:] == (...,) else f"{len(inner)} numbers"
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false", NoneType: "nothing"}.get(hint, str(hint))
