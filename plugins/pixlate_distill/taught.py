"""The data kind ``taught``: photographs, their sources, and what a teacher makes of these."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixlate.data.kinds import relit
from pixlate.plugin.data import DataKind
from pixlate_distill.options import DistillData

if TYPE_CHECKING:
    from pixlate.plugin.data import TrainingData
    from pixlate.plugin.spec import ModelSpec


def _facts(folders: Sequence[Path], options: DistillData) -> Mapping[str, Any]:
    from pixlate_distill.teacher import Teacher

    return {**Teacher(options).facts(), **relit(folders, options)}


def _open(folders: Sequence[Path], options: DistillData, spec: "ModelSpec") -> "TrainingData":
    from pixlate_distill.data import TaughtImages

    return TaughtImages(folders, options, spec)


taught = DataKind(
    name="taught",
    summary="Folders of photographs; the sources are made by reducing or degrading them, the targets by a teacher",
    example="photos/ --teacher upscale-x4",
    options=DistillData,
    open=_open,
    roles={"source": "image", "target": "image", "truth": "image"},
    facts=_facts,
)
