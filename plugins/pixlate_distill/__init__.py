"""Distillation: a small network learns the outputs of a large one (Hinton et al. 2015; of super-resolution: He et al. 2020). ``photo-x4-free`` is made so."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pixlate

if TYPE_CHECKING:
    from pixlate_distill.model import Student
    from pixlate_distill.options import DistillOptions

PIXLATE_API = 2
COST = "cost_"
"""Before the names of the facts that say what the teacher costs."""


def build(options: "DistillOptions", facts: Mapping[str, Any] | None = None) -> "Student":
    """Return an untrained student for what the teacher is; PyTorch is imported only here."""
    from pixlate_distill.model import Student

    return Student(options, facts or {})


@pixlate.hookimpl
def pixlate_models() -> "Iterable[pixlate.ModelCard]":
    """Offer the model trained by ``recipes/``."""
    folder = Path(__file__).parent / "models"
    yield pixlate.ModelCard("photo-x4-free", "photo-x4, trained on free pictures alone", folder / "photo-x4-free.onnx", folder / "photo-x4-free.md")


@pixlate.hookimpl
def pixlate_methods() -> "Iterable[pixlate.Method]":
    """Offer ``distill``."""
    from pixlate_distill.options import DistillOptions, DistillTraining
    from pixlate_distill.taught import taught

    yield pixlate.Method(
        name="distill",
        summary="Distillation: a small network learns the pictures of a large model",
        data=taught,
        options=DistillOptions,
        build=build,
        training=DistillTraining,
        presets={"photo": Path(__file__).parent / "presets" / "photo.toml"},
    )
