"""Training data: what a data kind is, and draws, samples and batches as the engine sees them. PyTorch is imported lazily."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pixlate.errors import PixlateError
from pixlate.options.checks import check_offer
from pixlate.options.training import DataOptions
from pixlate.plugin.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor

Role = Literal["image", "mask", "label", "vector", "noise"]
"""What a tensor of a batch is: image and mask (batch, channels, height, width) in [0, 1], label int64 (batch,), vector and noise float32 (batch, length)."""
IMAGES: Mapping[str, Role] = MappingProxyType({"source": "image", "target": "image"})
Batch = dict[str, "Tensor"]
"""Tensors by name, with axis 0 the sample; the data kind's ``roles`` say what each is.

Images and masks of a pair share geometry (crop, mirror); changes of colour and memory formats touch images alone.
"""
Track = Callable[[Iterator[Any], int], Iterable[Any]]
"""Is called with results as they come, and their number, and passes them on, as a progress bar does."""


@dataclass(frozen=True)
class FolderReport:
    """What one folder holds; files that cannot be read count as images and nothing else."""

    path: str
    images: int
    heights: tuple[int, float, int]
    """Least, median and greatest, in pixels."""
    widths: tuple[int, float, int]
    channels: dict[str, int]
    """Images by their number of channels."""
    bits: dict[str, int]
    """Images by the bits of a sample."""


@dataclass
class DataReport:
    """What a check of training folders found."""

    layout: str
    """How the images belong together, in words."""
    folders: list[FolderReport]
    kind: str = ""
    """Name of the data kind, which the command sets."""
    pairs: int = 0
    """Pairs of files that show the same, where the kind has pairs."""
    problems: list[str] = field(default_factory=list)
    """Sentences, each of which says what to do."""
    notes: list[str] = field(default_factory=list)
    """What may be intended."""


@dataclass(frozen=True)
class DataKind:
    """What training folders hold and how they are read; a value that a method carries as its ``data``.

    :data:`pixlate.paired`, :data:`pixlate.unpaired` and :data:`pixlate.degraded` are built in. A method's own defaults are
    ``dataclasses.replace(pixlate.degraded, options=MyData)``.
    """

    name: str
    """Name on the command line."""
    summary: str
    """What the folders hold, for the help; without a full stop."""
    example: str
    """Folders as a user would name them, such as ``sketches/ photos/``."""
    options: type[Any]
    """Subclass of ``DataOptions``; the string under each field is its help on the command line."""
    open: Callable[[Sequence[Path], Any, ModelSpec], "TrainingData"]
    """Return the images of folders, for an instance of ``options`` and what the network takes and gives."""
    roles: Mapping[str, Role] = field(default_factory=lambda: IMAGES)
    """What each tensor of a batch is, by its name."""
    facts: Callable[[Sequence[Path], Any], Mapping[str, Any]] = lambda folders, options: {}
    """Return what networks must know of the folders, such as names of domains, from listings alone: it is called before anything is built. Texts,
    numbers and lists of them; kept in ``options.toml`` and checkpoints, and given to ``build(options, facts)``."""
    check: Callable[[Sequence[Path], Any, int, Track], DataReport] | None = None
    """Return the problems of folders for training, for ``pixlate data check``; the number is the side of a patch, where 0 does not look. Left out, each image
    is checked by itself: ``pixlate.data.check.check_images``."""
    example_facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """What ``facts`` may return, for tests without folders."""
    sample: Callable[[ModelSpec], Batch] | None = None
    """Return a small random batch for tests; left out, made from ``roles``: see :func:`pixlate.plugin.testing.random_batch`."""

    def require_sound(self) -> None:
        """Refuse a kind that no method could use, when a method is made with it."""
        check_offer(self)
        if not (isinstance(self.options, type) and issubclass(self.options, DataOptions)):
            raise PixlateError(f"data kind {self.name!r}: expected options made from DataOptions, got {self.options!r}; write class ...(DataOptions)")
        if "image" not in self.roles.values():
            raise PixlateError(f"data kind {self.name!r}: expected a role of image, got {dict(self.roles)}; name it in roles")

    def require_roles(self, batch: Batch) -> None:
        """Refuse a batch with a tensor that ``roles`` do not name."""
        if unknown := sorted(batch.keys() - self.roles.keys()):
            raise PixlateError(f"data kind {self.name!r}: expected batches of {', '.join(self.roles)}, got also {', '.join(unknown)}; give their roles")


@dataclass(frozen=True)
class Draw:
    """One sample of a batch, chosen but not yet read."""

    indices: tuple[int, ...]
    """Which of the training images, as the training data counts them: one where source and target belong together, else a source and a target."""
    seed: int
    """Fixes crop, mirroring and everything else that is random in reading it."""


class TrainingData(Protocol):
    """What the engine asks of training images. The same draws give the same tensors in any process and thread."""

    @property
    def images(self) -> int:
        """Samples of one epoch."""

    @property
    def validated(self) -> bool:
        """Whether held-out images have targets that show the same, so that outputs can be compared with them."""

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose the samples from number ``start`` of the run on; reads no file. Each epoch goes through all images in an order of its own."""

    def load(self, draw: Draw, side: int) -> Batch:
        """Read one sample: tensors as in a batch, without axis 0, with source patches of ``side`` pixels; called from several threads.

        ``side`` is ``patch`` or, while resolution grows, less: the same content smaller, or a smaller patch of degraded photographs.

        Raises:
            PixlateError: A file cannot be read; names it.
        """

    def finish(self, batch: Batch) -> Batch:
        """Process a whole batch on its device, where that is faster; randomness is that of torch's default generators."""

    def validation(self) -> Iterator[Batch]:
        """Yield held-out images whole, as batches of one."""


def stack(samples: Sequence[Batch]) -> Batch:
    """Return samples as one batch."""
    import torch

    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
