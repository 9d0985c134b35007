"""Several models as one: what the first makes goes into the next, and nothing is written between."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels, luma
from pixlate.inference.conditions import NONE
from pixlate.inference.statistics import measures
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import FixedSize, Measuring, Statistics, Translator

if TYPE_CHECKING:
    from pixlate.inference.executor import Executor

MOST_SCALE = 64
"""Most times that the models of a chain may enlarge together, the most that a single one may."""


@dataclass(frozen=True)
class ChainSpec(ModelSpec):
    """What a chain of models needs and gives, as one model."""

    stages: tuple[ModelSpec, ...] = ()
    """Those of its models, in order."""


def stages_of(spec: ModelSpec) -> tuple[ModelSpec, ...]:
    """Return the specs of the models that a spec stands for: those of a chain, or the one."""
    return spec.stages if isinstance(spec, ChainSpec) else (spec,)


def composed(specs: Sequence[ModelSpec]) -> ChainSpec:
    """Return the spec of models that run one after another, in pixels of the first one's source.

    A tile needs the context of the first, and that of each later one over the scale before it. Its sides must be multiples of what each model takes. It is never
    padded before the last model: tiles end where the picture does, so that each model pads what it is given, as it would the whole.
    """
    scale, halo, multiple, minimum = 1, 0, 1, 1
    for spec in specs:
        halo += -(-spec.halo // scale)
        multiple = math.lcm(multiple, spec.multiple // math.gcd(spec.multiple, scale))
        minimum = max(minimum, -(-spec.minimum // scale))
        scale *= spec.scale
    first = specs[0]
    return ChainSpec(
        method=", ".join(dict.fromkeys(spec.method for spec in specs)),
        direction=first.direction,
        scale=scale,
        channels_in=first.channels_in,
        channels_out=specs[-1].channels_out,
        multiple=multiple,
        minimum=minimum + multiple - 1,  # the last tile may be smaller by that, and must not be padded up to it
        tiling_exact=all(spec.tiling_exact for spec in specs),
        halo=halo,
        whole=any(spec.whole for spec in specs),
        keeps_grey=all(spec.keeps_grey for spec in specs),
        on_white=any(spec.on_white for spec in specs),
        norm="per-image" if any(spec.norm == "per-image" for spec in specs) else first.norm,
        precision=first.precision,
        io="uint8" if any(spec.io == "uint8" for spec in specs) else "float",
        padding=first.padding,
        inputs=first.inputs,
        provenance=first.provenance,
        stages=tuple(specs),
    )


def require_chainable(translators: Sequence[Translator], names: Sequence[str]) -> None:
    """Refuse models that cannot run one after another.

    Raises:
        PixlateError: One does not take the channels that the one before it gives, needs a condition and is not the first, takes images of one size alone, or
            all of them enlarge too much.
    """
    for before, after, name, next_name in zip(translators, translators[1:], names, names[1:], strict=False):
        given, taken = before.spec.channels_out, after.spec.channels_in
        if given not in (1, taken) and (given, taken) != (3, 1):
            raise PixlateError(
                f"expected models that take what the one before gives, got {next_name} of {taken} channels after {name}, which gives {given}; change --then"
            )
        if needed := [each.name for each in after.spec.conditions if each.default is None]:
            raise PixlateError(
                f"expected --then models that take an image alone, got {next_name}, which needs {' and '.join(needed)}; --set, --mask and --seed are of --model: name it there"
            )
    for translator, name in zip(translators, names, strict=True):
        if isinstance(translator, FixedSize) and translator.fixed_size is not None:
            height, width = translator.fixed_size
            raise PixlateError(f"expected models of any size to run after another, got {name}, which takes {width}x{height} alone; export it with free sides")
    if (scale := math.prod(translator.spec.scale for translator in translators)) > MOST_SCALE:
        raise PixlateError(f"expected models that enlarge at most {MOST_SCALE} times together, got {scale} times of {' then '.join(names)}; leave one out")


class Chain:
    """Models that run one after another, as a :class:`pixlate.Translator`.

    Pictures of 8 bits are of 8 bits between two models, those of 16 of 16: rounded as files would be. A picture whose channels the next model does not take
    becomes grey, or three of the same, as a file would.

    Args:
        stages: Run the models, in order; one that runs several times is listed as often.
    """

    def __init__(self, stages: Sequence["Executor"]) -> None:
        self.stages = stages
        self.spec = composed([stage.spec for stage in stages])
        self._counts: dict[int, int] = {}
        """How many statistics each stage has, of those that measure."""

    @property
    def device(self) -> str:
        """Where it runs."""
        return self.stages[0].translator.device

    def __call__(self, pixels: "Pixels | None", **conditions: NDArray[Any]) -> Pixels:
        """Translate; the conditions are those of the first model. See :class:`pixlate.Translator`."""
        assert pixels is not None  # or the first model has been refused
        for index, stage in enumerate(self.stages):
            pixels = stage(_fitting(pixels, stage.spec), conditions=conditions if index == 0 else NONE)
        return pixels

    def terminate(self) -> None:
        """End what runs; see :class:`pixlate.plugin.translator.Interruptible`."""
        for stage in self.stages:
            stage.terminate()

    def arithmetic(self, kind: np.dtype[Any]) -> str:
        """Return what pictures of a type are computed in: see :class:`pixlate.plugin.translator.Computing`."""
        return " and ".join(dict.fromkeys(stage.arithmetic(kind) for stage in self.stages))

    @property
    def measures(self) -> bool:
        """Whether a model of it has norms that measure each image; see :class:`pixlate.plugin.translator.Measuring`."""
        return bool(self._measuring)

    @property
    def measured_scale(self) -> int:
        """Sides of what the last model that measures is given, over those of the source."""
        return math.prod(stage.spec.scale for stage in self.stages[: self._measuring[-1]]) if self._measuring else 1

    @property
    def _measuring(self) -> list[int]:
        return [index for index, stage in enumerate(self.stages) if measures(stage.translator)]

    def statistics(self, pixels: Pixels, **conditions: NDArray[Any]) -> Statistics:
        """Return what all its norms measure of one image, one model after another; see :class:`pixlate.plugin.translator.Measuring`."""
        found: list[tuple[NDArray[np.float32], ...]] = []
        measuring = self._measuring
        for index in range(measuring[-1] + 1):
            stage, given = self.stages[index], conditions if index == 0 else NONE
            pixels = _fitting(pixels, stage.spec)
            if index in measuring:
                assert isinstance(stage.translator, Measuring)
                own = stage.translator.statistics(pixels, **given)
                self._counts[index] = len(own)
                found += own
            if index < measuring[-1]:
                pixels = stage(pixels, conditions=given)
        return found

    def with_statistics(self, statistics: Statistics) -> Self:
        """Return the same chain with given statistics; see :class:`pixlate.plugin.translator.Measuring`."""
        stages, rest = list(self.stages), list(statistics)
        for index, count in sorted(self._counts.items()):
            translator = stages[index].translator
            if count:
                assert isinstance(translator, Measuring)
                stages[index] = stages[index].running(translator.with_statistics(rest[:count]))
            del rest[:count]
        return type(self)(stages)


def _fitting(pixels: Pixels, spec: ModelSpec) -> Pixels:
    """Return pixels (batch, height, width, channels) with the channels that the next model takes."""
    channels, wanted = pixels.shape[3], spec.channels_in
    if channels == wanted:
        return pixels
    if (channels, wanted) == (3, 1):
        return np.stack([luma(image) for image in pixels])
    return np.broadcast_to(pixels, (*pixels.shape[:3], wanted))


def grown(specs: Sequence[ModelSpec]) -> list[int]:
    """Return the sides of what each model is given, over those of the source."""
    return reduce(lambda sides, spec: [*sides, sides[-1] * spec.scale], specs[:-1], [1])
