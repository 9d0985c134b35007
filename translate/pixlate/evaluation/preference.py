"""Which of two translations people prefer: their votes, counted, with an interval."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Literal, get_args

from pixlate.errors import PixlateError

Choice = Literal["first", "second", "neither"]
NORMAL = 1.959963984540054
"""Standard deviations that hold 95 % of a normal distribution, on both sides of its mean."""


@dataclass(frozen=True)
class Preference:
    """How often the first of two folders was preferred to the second."""

    first: int
    second: int
    neither: int = 0
    """Pairs of which the voter could not tell."""

    @property
    def decided(self) -> int:
        """Votes for one of the two."""
        return self.first + self.second

    @property
    def share(self) -> float:
        """The share of the first among the votes for one of the two; a half where there is none."""
        return self.first / self.decided if self.decided else 0.5

    @property
    def interval(self) -> tuple[float, float]:
        """The share's 95 % interval by Wilson (1927), for votes that do not depend on each other."""
        return wilson(self.first, self.decided)

    def sentence(self, first: str, second: str) -> str:
        """Say in words which is preferred, if the votes show it."""
        low, high = self.interval
        verdict = f"{first} is preferred" if low > 0.5 else f"{second} is preferred" if high < 0.5 else "no preference is shown: the interval holds 50 %"
        undecided = f", {self.neither} undecided" if self.neither else ""
        return f"{first} {self.first}, {second} {self.second}{undecided}: {100 * self.share:.0f} % for {first} ({100 * low:.0f} % to {100 * high:.0f} % at 95 %); {verdict}"


def wilson(chosen: int, votes: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, after so many votes of which so many chose it (Wilson 1927); (0, 1) without votes."""
    if not votes:
        return 0.0, 1.0
    share, factor = chosen / votes, NORMAL**2 / votes
    middle, half = share + factor / 2, NORMAL * sqrt(share * (1 - share) / votes + factor / votes / 4)
    return max(0.0, (middle - half) / (1 + factor)), min(1.0, (middle + half) / (1 + factor))


def count(files: Sequence[Path]) -> tuple[str, str, Preference]:
    """Return the names of both folders, and the votes of all files that the page of ``pixlate compare`` saved.

    Raises:
        PixlateError: A file cannot be read, or holds votes on other folders than the first file.
    """
    read = {path: _read(path) for path in files}
    folders = {names for names, _ in read.values()}
    if len(folders) > 1:
        raise PixlateError(
            f"expected votes on the same two folders in each file, got {' and '.join(' beside '.join(names) for names in sorted(folders))}; count them apart"
        )
    ((first, second),) = folders
    total = Counter(choice for _, choices in read.values() for choice in choices)
    return first, second, Preference(total["first"], total["second"], total["neither"])


def _read(path: Path) -> tuple[tuple[str, str], list[Choice]]:
    """Return the names of the folders and the choices of a file of votes."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        choices = list(content["votes"].values())
        if not isinstance(content["first"], str) or not isinstance(content["second"], str) or not {*choices} <= {*get_args(Choice)}:
            raise ValueError("other words than those of a vote")
        return (content["first"], content["second"]), choices
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PixlateError(f"{path}: expected votes that the page of `pixlate compare` saved, but they cannot be read ({reason}); save them again") from error
