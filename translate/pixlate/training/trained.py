"""The networks of a run with the weights that training gave them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pixlate.errors import PixlateError
from pixlate.plugin.gan import GAN
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.spec import Padding
from pixlate.runs.folder import OPTIONS
from pixlate.training.checkpoint import Checkpoint, is_checkpoint, load_checkpoint
from pixlate.training.run import RunOptions


@dataclass(frozen=True)
class Trained:
    """What a run has come to."""

    options: RunOptions
    gan: GAN
    """With the averaged weights, on the CPU."""
    checkpoint: Checkpoint

    @property
    def padding(self) -> Padding:
        """How pictures are padded to sizes that the networks take."""
        found: Padding = self.checkpoint.state["options"].get("padding", "edge")
        return found

    @classmethod
    def load(cls, run: Path, best: bool = False, plugin: Path | None = None) -> Self:
        """Return the networks of a run, or of one of its checkpoints.

        Args:
            run: Folder that training wrote, or one of its checkpoints.
            best: Whether the checkpoint that validated best is taken instead of the newest.
            plugin: The single file whose method the run trained, where it was started with one.

        Raises:
            PixlateError: It is no run, or has no such checkpoint, or was trained with other options than it says now.
        """
        chosen = run.resolve()
        if is_checkpoint(chosen) and best:
            raise PixlateError(f"expected a run with --best, got one of its checkpoints, {run}; leave out --best, or name the run")
        run = chosen.parent.parent if is_checkpoint(chosen) else run
        options = RunOptions.load(run, installed().offered(Method), plugin)
        gan = options.build()
        checkpoint = load_checkpoint(chosen, best)
        try:
            gan.load_state_dict(checkpoint.average)
        except RuntimeError as error:
            raise PixlateError(
                f"expected the weights of {run / OPTIONS}, but its checkpoint holds those of another network; undo the change of its options"
            ) from error
        return cls(options, gan, checkpoint)
