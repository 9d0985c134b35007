"""Builds the executor of a chain: tiles that all its models take, and how often a model runs again."""

from collections.abc import Sequence

from pixlate.inference.chain import MOST_SCALE, Chain, composed, grown, require_chainable
from pixlate.inference.executor import AUTO_TILE, Batched, Executor, Tiled
from pixlate.inference.sizes import least_tile
from pixlate.plugin.translator import FixedSize, Translator

CONTEXTS = 8
"""Sides of the smallest automatic tile of a chain, over its context: with smaller ones more than half of what is computed would be computed twice."""


def chained(translators: Sequence[Translator], names: Sequence[str], tile: Tiled, batch: Batched, bucket: Tiled) -> Executor:
    """Return the executor of models that run one after another, with the options that an executor of one has.

    An automatic tile is smaller than that of one model, by as much as the models before the last enlarge, so that none of them takes more memory.

    Raises:
        PixlateError: They cannot, see :func:`pixlate.inference.chain.require_chainable`, or the tile is too small for them.
    """
    require_chainable(translators, names)
    specs = [translator.spec for translator in translators]
    spec, sides = composed(specs), grown(specs)
    if tile == "auto" and not spec.whole:
        kind = "cpu" if translators[0].device == "cpu" else "gpu"
        tile = max(AUTO_TILE[kind] // max(sides), CONTEXTS * spec.halo, least_tile(spec))
    stages: dict[tuple[int, int], Executor] = {}
    for translator, side in zip(translators, sides, strict=True):
        # what is in tiles already is not cut again, unless memory runs out; where one must see the whole picture, the others are in tiles of their own
        own: Tiled = max(tile * side, least_tile(translator.spec)) if isinstance(tile, int) else tile
        if (id(translator), side) not in stages:
            stages[id(translator), side] = Executor(translator, "auto" if translator.spec.whole else own, batch, "off")
    chain = Chain([stages[id(translator), side] for translator, side in zip(translators, sides, strict=True)])
    return Executor(chain, tile, batch, bucket)


def most_runs(executor: Executor, most: int) -> int:
    """Return how often the last model that enlarges can run, one run after another: at most ``most`` times, and once where none enlarges or it takes conditions."""
    translators = _translators(executor)
    place = _last_enlarging(translators)
    if place is None:
        return 1
    model = translators[place]
    spec, fixed = model.spec, isinstance(model, FixedSize) and model.fixed_size is not None
    if spec.conditions or spec.channels_in != spec.channels_out or fixed:
        return 1
    runs, scale = 1, executor.spec.scale
    while runs < most and scale * spec.scale <= MOST_SCALE:
        runs, scale = runs + 1, scale * spec.scale
    return runs


def again(executor: Executor, runs: int) -> Executor:
    """Return an executor whose last model that enlarges runs so many times, one run after another; see :func:`most_runs`."""
    if runs == 1:
        return executor
    translators = _translators(executor)
    place = _last_enlarging(translators)
    assert place is not None
    repeated = [*translators[:place], *[translators[place]] * runs, *translators[place + 1 :]]
    return chained(repeated, [translator.spec.method for translator in repeated], *executor.asked)


def _translators(executor: Executor) -> list[Translator]:
    return [stage.translator for stage in executor.translator.stages] if isinstance(executor.translator, Chain) else [executor.translator]


def _last_enlarging(translators: Sequence[Translator]) -> int | None:
    return max((place for place, translator in enumerate(translators) if translator.spec.scale > 1), default=None)
