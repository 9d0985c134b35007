"""Conversion on a Ray cluster: the engine ``ray``. Ray and all that needs it are imported lazily."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pixlate
from pixlate.errors import PixlateError
from pixlate.options import check_types
from pixlate.plugin.engine import Engine

if TYPE_CHECKING:
    from pixlate.convert.conversion import Task
    from pixlate.convert.report import Summary

PIXLATE_API = 2


@dataclass(frozen=True)
class RayOptions:
    """How a cluster is used."""

    address: str = ""
    """Address of the Ray cluster's head, HOST:PORT, or auto for the one that runs on this machine; by default the command starts a local one and stops it."""
    concurrency: int = 0
    """Workers of the Ray cluster; 0 takes one for each GPU, or for each four cores where there is none."""

    def __post_init__(self) -> None:
        check_types(self)
        if self.concurrency < 0:
            raise PixlateError(f"expected --concurrency of at least 0, got {self.concurrency}; choose a larger one")


@pixlate.hookimpl
def pixlate_engines() -> Iterable[Engine]:
    """Offer the workers of a Ray cluster."""
    yield Engine("ray", "workers of a Ray cluster (needs pixlate[cluster])", RayOptions, _run)


def _run(task: "Task", options: RayOptions) -> "Summary":
    from pixlate_ray.driver import run

    return run(task, options)
