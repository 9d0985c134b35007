"""Options of ``pixlate triton``; the string under a field is its help on the command line."""

import re
from dataclasses import dataclass
from typing import Literal

from pixlate.errors import PixlateError
from pixlate.options import check_least, check_most, check_types, check_used

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")
LARGEST = 1_000_000
"""Most that any number may be, so that a slip of the finger is refused here and not by Triton."""


@dataclass(frozen=True)
class TritonOptions:
    """How Triton is to run a model."""

    name: str = ""
    """Name of the model for clients; by default the ready model's or the file's."""
    version_number: int = 1
    """Number of this version; others of the same name are kept."""
    served_versions: int = 1
    """Newest versions that Triton serves at a time."""
    max_batch: int = 0
    """Most images in a batch; 0 is 8 if the file's batch is dynamic, and no batching if it is fixed."""
    preferred_batch: tuple[int, ...] = ()
    """Sizes of batches that are run without waiting for more; by default only those of --max-batch are."""
    queue_delay_us: int = 500
    """Longest an image waits for others of its size, in microseconds."""
    instances: int = 1
    """Copies of the model that run at once, for each GPU."""
    device: Literal["cpu", "gpu"] = "gpu"
    """Where the server runs it."""
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs, from 0; by default all that the server sees."""
    threads: int = 0
    """Threads of one instance on --device cpu; 0 divides the available cores among the instances."""
    tensorrt: bool = False
    """Compile the model with TensorRT, which takes minutes for the first image and is cached; in half precision if the file is."""
    tensorrt_workspace: int = 4096
    """Workspace of TensorRT in GPU memory, in MiB."""
    overwrite: bool = False
    """Replace an existing version and configuration."""

    def __post_init__(self) -> None:
        check_types(self)
        least = {"version_number": 1, "served_versions": 1, "max_batch": 0, "queue_delay_us": 0, "instances": 1, "threads": 0, "tensorrt_workspace": 1}
        check_least(self, **least)
        check_most(self, **dict.fromkeys(least, LARGEST))
        if self.name:
            require_name(self.name)
        check_used(self, self.device == "gpu", "--device gpu", "gpus", "tensorrt")
        check_used(self, self.device == "cpu", "--device cpu", "threads")
        check_used(self, self.tensorrt, "--tensorrt", "tensorrt_workspace")
        for name, values, smallest in (("gpus", self.gpus, 0), ("preferred-batch", self.preferred_batch, 1)):
            wrong = [value for value in values if not smallest <= value <= LARGEST or values.count(value) > 1]
            if wrong:
                raise PixlateError(f"expected every --{name} once, from {smallest} to {LARGEST}, got {wrong[0]}; correct it")
        if self.tensorrt and self.served_versions > 1:
            raise PixlateError(
                f"expected --served-versions 1 with --tensorrt, got {self.served_versions}: versions would share a cache of compiled weights; use a --name each"
            )


def require_name(name: str) -> str:
    """Return a model's name that is safe as a folder, in a URL and in quotes.

    Raises:
        PixlateError: It is not.
    """
    if not _NAME.fullmatch(name):
        raise PixlateError(
            f"expected a model name of up to 128 letters, digits, points, hyphens and underscores, that begins with a letter or digit, got {name[:60]!r}; "
            "choose one with --name"
        )
    return name
