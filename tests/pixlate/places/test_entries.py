"""Entries of the journal are packed, and come back as they were."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.places.entries import Entries, Entry

_numbers = st.integers(-(2**63), 2**63 - 1)
_hex = [st.binary(min_size=count, max_size=count).filter(any).map(bytes.hex) for count in (32, 16)]
_entries = st.builds(Entry, st.sampled_from(["a.png", "é/b.png"]), _numbers, _hex[0], _numbers, _numbers, st.text(), st.just("") | _hex[1])


@given(st.lists(_entries))
def test_entries_come_back_in_their_order_each_once(given_entries: list[Entry]) -> None:
    entries = Entries()
    for entry in given_entries * 2:
        entries.add(entry)
    for name in ("a.png", "é/b.png"):
        assert entries.of(name) == list(dict.fromkeys(entry for entry in given_entries if entry.name == name))
    assert list(entries) == sorted({entry.name for entry in given_entries})


@given(_entries, _entries)
def test_the_entry_that_describes_the_file_replaces_all_others_of_its_name(first: Entry, second: Entry) -> None:
    entries = Entries()
    entries.add(first)
    entries.keep(second)
    assert entries.of(second.name) == [second]


@pytest.mark.parametrize(
    "wrong",
    [{"size": "12"}, {"size": 2**63}, {"size": None}, {"sha256": "ab"}, {"sha256": 7}, {"md5": "zz" * 16}, {"name": 1}, {"settings": ["a"]}],
    ids=str,
)
def test_what_no_journal_has_is_refused_and_leaves_no_trace(wrong: dict[str, object]) -> None:
    entries, fields = Entries(), json.loads(Entry("a.png", 1, "ab" * 32, 1, 1, "settings", "cd" * 16).line())
    with pytest.raises((ValueError, TypeError, struct.error)):
        entries.add(Entry(**(fields | wrong)))
    assert list(entries) == []


@given(_entries)
def test_a_line_is_the_entry_as_json(entry: Entry) -> None:
    assert Entry(**json.loads(entry.line())) == entry
