"""What the benchmarks share: sides in turns, and figures with their spread and bars."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def common() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield import_module("common")
        for name in ("common", "page", "bars"):
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
    assert saved["figures"] == [{"what": "speed", "value": 1.23456, "unit": "times", "turns": 1, "required": 1.0, "better": "more"}]


@pytest.fixture(scope="module")
def page(common: Any) -> Any:
    return import_module("page")


def test_page_and_bars_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, BENCHMARKS / "page.py", "--check"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_result_has_a_heading_its_command_and_its_figures_on_the_page() -> None:
    text = (BENCHMARKS / "README.md").read_text()
    for path in (BENCHMARKS / "results").glob("*.json"):
        result = json.loads(path.read_text())
        assert f"`{result['command']}` writes [`results/{path.name}`](results/{path.name})" in text
        assert all(figure["what"] in text for figure in result["figures"]), path.name
        assert (BENCHMARKS.parent / result["command"].split()[1]).is_file()


def test_links_of_the_page_lead_to_headings_and_files() -> None:
    text = (BENCHMARKS / "README.md").read_text()
    headings = {re.sub(r"[^\w\- ]", "", line.removeprefix("## ").lower()).replace(" ", "-") for line in text.splitlines() if line.startswith("## ")}
    for address in re.findall(r"\]\(([^)]+)\)", text):
        assert address[1:] in headings if address.startswith("#") else (BENCHMARKS / address).is_file(), address


def test_every_benchmark_is_run_by_a_target_or_named_on_the_page() -> None:
    named = (BENCHMARKS.parent / "Makefile").read_text() + (BENCHMARKS / "README.md").read_text()
    assert [path.name for path in BENCHMARKS.glob("bench_*.py") if path.name not in named] == []


@pytest.mark.parametrize(
    ("value", "better", "said"), [(2.0, "more", "**missed**"), (2.2, "more", "yes"), (2.6, "more", "aim"), (2.3, "less", "**missed**"), (2.2, "less", "yes")]
)
def test_figure_is_missed_reached_or_at_its_aim(page: Any, value: float, better: str, said: str) -> None:
    aim = {"more": 2.6, "less": 1.0}[better]
    assert page.reached({"value": value, "required": 2.2, "aim": aim, "better": better}) == said


def test_spread_and_unit_are_written_beside_the_value(page: Any) -> None:
    assert page.measured({"value": 2.3456, "unit": "times", "least": 2.1, "most": 2.5}) == "2.35 (2.1 to 2.5)"
    assert page.measured({"value": 37.452, "unit": "dB"}) == "37.45 dB"


def test_bars_are_well_formed_and_as_long_as_their_values(page: Any) -> None:
    rows = [{"name": "a < b", "value": 2.0, "ours": True, "least": 1.9, "most": 4.0}, {"name": "c", "value": 1.0}]
    drawing = ElementTree.fromstring(import_module("bars").draw("Speed & more", "images/s", rows, (1.5, "required")))
    bars = [element for element in drawing.iter("{http://www.w3.org/2000/svg}rect") if element.get("class") in ("ours", "peer")]
    assert float(bars[0].attrib["width"]) == 2 * float(bars[1].attrib["width"])
    assert all(float(bar.attrib["x"]) + float(bar.attrib["width"]) <= float(drawing.attrib["width"]) for bar in bars)
