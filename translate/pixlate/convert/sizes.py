"""Which size each output has, how often the model runs for it, and what is left to the filter that resizes."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixlate.convert.options import ConvertOptions
from pixlate.inference.chain import grown, stages_of
from pixlate.inference.chaining import again, most_runs
from pixlate.inference.executor import Executor

MOST_RUNS = 3
"""Most runs of one model, one after another: what it invents grows with each."""
SLACK = 1.05
"""Times by which a side may exceed what the model makes before it runs again: so much, the filter enlarges unseen."""
_TIMES = {2: "twice", 3: "three times"}


@dataclass(frozen=True)
class Sized:
    """What becomes of a picture of a size."""

    lane: str
    """Name of its executor in the lanes of a batcher."""
    executor: Executor
    """Runs the model as often as it must."""
    made: tuple[int, int]
    """Width and height of what the model makes."""
    size: tuple[int, int]
    """Width and height of the output."""
    cost: int
    """What each pixel of the source counts, over one that goes through the model once."""
    notes: tuple[str, ...] = ()

    @property
    def enlarged(self) -> int:
        """Most times by which a side of what is in memory exceeds that of the source."""
        source = self.made[0] // self.executor.spec.scale
        return -(-max(self.made[0], self.size[0]) // source)

    @property
    def resized(self) -> bool:
        """Whether the output has another size than what the model makes."""
        return self.made != self.size


class Sizes:
    """The sizes of the outputs of a conversion.

    Args:
        options: Say what is asked.
        executor: Runs the model once.
    """

    def __init__(self, options: ConvertOptions, executor: Executor) -> None:
        self._asked = options.output_size
        most = most_runs(executor, MOST_RUNS) if self._asked.given else 1
        self._runs = [again(executor, runs) for runs in range(1, most + 1)]

    @property
    def lane(self) -> Mapping[str, Executor]:
        """The executors of a thread of a batcher, by name."""
        return {self._name(runs): executor for runs, executor in enumerate(self._runs, 1)}

    def of(self, width: int, height: int) -> Sized:
        """Return what becomes of a source of a size."""
        asked, factor = self._asked.of(width, height), self._asked.factor(width, height) or 0.0
        runs = next((runs for runs, executor in enumerate(self._runs, 1) if factor <= executor.spec.scale * SLACK), len(self._runs))
        executor = self._runs[runs - 1]
        made = width * executor.spec.scale, height * executor.spec.scale
        return Sized(self._name(runs), executor, made, asked or made, self._cost(runs), self._notes(runs, factor))

    def cost(self, width: int, height: int) -> int:
        """Return what a source of a size counts in progress: its pixels, as often as they go through the model."""
        return width * height * self.of(width, height).cost

    def _name(self, runs: int) -> str:
        return "" if runs == 1 else f"{runs} runs"

    def _cost(self, runs: int) -> int:
        through = [sum(side**2 for side in grown(stages_of(self._runs[index].spec))) for index in (0, runs - 1)]
        return max(1, round(through[1] / through[0]))

    def _notes(self, runs: int, factor: float) -> tuple[str, ...]:
        scale = self._runs[runs - 1].spec.scale
        notes = [f"the model runs {_TIMES[runs]}, one run after another, since the size asked for exceeds what it makes in one"] if runs > 1 else []
        if factor > scale * SLACK:
            reason = "does not enlarge" if scale == 1 else f"enlarges {scale} times at most"
            notes.append(f"the model {reason}, so the rest up to the size asked for is Lanczos' filter, which adds no detail")
        return tuple(notes)
