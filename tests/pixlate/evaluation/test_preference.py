"""How votes between two folders are counted."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pixlate.errors import PixlateError
from pixlate.evaluation.preference import Preference, count, wilson


@given(st.integers(1, 500).flatmap(lambda votes: st.tuples(st.integers(0, votes), st.just(votes))))
def test_interval_is_that_of_wilson_as_scipy_has_it(drawn: tuple[int, int]) -> None:
    expected = binomtest(*drawn).proportion_ci(0.95, "wilson")
    assert wilson(*drawn) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_is_known_before_the_first_vote() -> None:
    assert Preference(0, 0, 7).interval == (0, 1)
    assert Preference(0, 0, 7).sentence("a", "b") == "a 0, b 0, 7 undecided: 50 % for a (0 % to 100 % at 95 %); no preference is shown: the interval holds 50 %"


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [
        ((18, 2), "new is preferred"),
        ((2, 18), "old is preferred"),
        ((11, 9), "no preference is shown: the interval holds 50 %"),
        ((3, 0), "no preference is shown"),
    ],
)
def test_preference_is_claimed_only_where_the_interval_leaves_out_a_half(votes: tuple[int, int], verdict: str) -> None:
    assert verdict in Preference(*votes).sentence("new", "old")


def save(path: Path, choices: str, first: str = "new", second: str = "old") -> Path:
    words = {"n": "first", "o": "second", "-": "neither"}
    path.write_text(json.dumps({"first": first, "second": second, "seed": 0, "votes": {str(index): words[each] for index, each in enumerate(choices)}}))
    return path


def test_votes_of_several_people_are_added_up(tmp_path: Path) -> None:
    files = [save(tmp_path / "one.json", "nnn-o"), save(tmp_path / "two.json", "no-")]
    assert count(files) == ("new", "old", Preference(4, 2, 2))


def test_votes_on_other_folders_are_not_mixed(tmp_path: Path) -> None:
    files = [save(tmp_path / "one.json", "n"), save(tmp_path / "two.json", "n", second="older")]
    with pytest.raises(PixlateError, match="new beside old and new beside older; count them apart"):
        count(files)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"first": "a", "second": "b", "votes": {"x": "left"}}',
        '{"first": 1, "second": "b", "votes": {}}',
        '{"first": "a", "second": "b", "votes": {"x": []}}',
        "[" * 100_000,
    ],
)
def test_file_that_holds_no_votes_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "votes.json").write_text(text)
    with pytest.raises(PixlateError, match=r"votes\.json: expected votes that the page"):
        count([tmp_path / "votes.json"])
