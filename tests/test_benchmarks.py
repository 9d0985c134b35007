"""What the benchmarks share: sides in turns, and figures with their spread and bars."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def common() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield import_module("common")
        for name in ("common", "page"):
            sys.modules.pop(name, None)


def test_sides_take_turns_and_none_is_always_first(common: Any) -> None:
    calls: list[str] = []

    def measure(side: str) -> float:
        calls.append(side)
        return 1.0

    seen = common.in_turns({side: partial(measure, side) for side in "ab"}, turns=3)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert seen.seen == {"a": [1.0] * 3, "b": [1.0] * 3}


def test_turns_that_warm_up_do_not_count(common: Any) -> None:
    seconds = iter([100.0, 1.0, 2.0])
    assert common.in_turns({"a": lambda: next(seconds)}, turns=2, warm_up=1).seen == {"a": [1.0, 2.0]}


def test_ratio_is_the_median_of_the_turns_with_least_and_most(common: Any) -> None:
    figure = common.Turns({"ours": [1.0, 2.0, 4.0], "theirs": [2.0, 6.0, 16.0]}).times("speed", "ours", "theirs", required=2.5)
    assert (figure.value, figure.least, figure.most, figure.turns, figure.required) == (3.0, 2.0, 4.0, 3, 2.5)


def test_result_names_the_flags_that_decide_and_the_versions(common: Any) -> None:
    machine = common.machine()
    assert machine["versions"]["pixlate"] and machine["cores"] >= 1
    if Path("/proc/cpuinfo").is_file():
        words = set(Path("/proc/cpuinfo").read_text().split())
        assert machine["flags"] == [flag for flag in common.FLAGS if flag in words]


def test_result_file_holds_command_without_paths_of_this_machine(common: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", [str(BENCHMARKS / "bench_some.py"), "--turns", "5", "--before", str(tmp_path)])
    common.save("some", {"what": "something"}, [common.Figure("speed", 1.23456, required=1.0)])
    saved = json.loads((tmp_path / "some.json").read_text())
    assert saved["command"] == "python benchmarks/bench_some.py --turns 5 --before PATH"
    assert saved["figures"] == [{"what": "speed", "value": 1.235, "unit": "times", "turns": 1, "required": 1.0, "better": "more"}]
