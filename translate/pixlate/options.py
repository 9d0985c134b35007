"""Options of training that every method shares; the string under a field is its help on the command line."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DataOptions:
    """What is cut out of the training images."""

    patch: int = 32
    """Height and width of a source patch, in pixels."""
    rescale: tuple[float, ...] = (1.0,)
    """Sizes at which every photograph is used, as fractions of its own; smaller copies are sharper."""
    hold_out: int = 10
    """Images, evenly spread over the sorted list, that validation uses and training never sees."""


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
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
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
    """A run or checkpoint whose weights of the same name and shape are taken over before the first step."""
