"""A model file opened by a runtime, as the translator of ONNX files sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from pixlate.errors import PixlateError


@dataclass(frozen=True)
class Value:
    """An input or an output of a file."""

    name: str
    type: str
    """As ONNX Runtime writes it: ``tensor(float)``, ``tensor(float16)``, ``tensor(uint8)``, ``tensor(int64)`` or another."""
    shape: list[int | str | None]
    """A side that is free is a text or None."""


class Program(Protocol):
    """A file that is ready to run, from any thread."""

    @property
    def device(self) -> str:
        """Where it runs: ``cpu``, ``cuda:N`` and so on."""

    @property
    def metadata(self) -> str:
        """The JSON of the file's :class:`pixlate.ModelSpec`; empty where it has none."""

    @property
    def inputs(self) -> Sequence[Value]:
        """What it takes, in this order."""

    @property
    def outputs(self) -> Sequence[Value]:
        """What it gives, in this order."""

    def __call__(self, *arrays: NDArray[Any]) -> NDArray[Any]:
        """Return the first output for a batch, given its inputs in their order. One of floating point may be overwritten by the next call of the same thread.

        Raises:
            OutOfDeviceMemory: The batch does not fit.
            DeviceLost: The device has failed.
            PixlateError: The model does not take an image of this size.
        """

    def every(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """Return all outputs, in their order; raises what a call raises."""

    def terminate(self) -> None:
        """End what runs here and in programs made of this one, in any thread; it raises there."""

    def edited(self, model: bytes) -> "Program":
        """Return a model that was made of this file, on the same device; PixlateError where the runtime does not take it."""

    def given(self, constants: Sequence[NDArray[Any]]) -> "Program":
        """Return the same program with its last inputs given once and for all."""


def require_readable(path: Path) -> None:
    """Refuse a file that cannot be read, or is empty."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise PixlateError(f"the model {path} cannot be read ({error.strerror}); check its path") from error
    if empty:
        raise PixlateError(f"the model file {path} is empty; download or export it again")
