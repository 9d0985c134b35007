"""--preserve-times: outputs have the times of their sources, and the journal is none the wiser."""

import os
from pathlib import Path
from typing import cast

import pytest
from tests.pixlate.conftest import Run, folder, outputs, save, stamps

CHANGED, READ = 1_234_567_890_123_456_789, 1_300_000_000_000_000_001
"""Nanoseconds of 2009 and 2011."""


def dated(source: Path) -> Path:
    for index, path in enumerate(sorted(source.rglob("*.png"))):
        os.utime(path, ns=(READ + index, CHANGED + index))
    return source


def times(path: Path) -> tuple[int, int]:
    return path.stat().st_atime_ns, path.stat().st_mtime_ns


def test_outputs_have_the_times_of_their_sources(run: Run, tmp_path: Path) -> None:
    source, out = dated(folder(tmp_path / "in", 3)), tmp_path / "out"
    names = sorted(path.relative_to(source) for path in source.rglob("*.png"))
    assert run(source, out, preserve_times=True).converted == 3
    assert [times(out / name) for name in names] == [(READ + index, CHANGED + index) for index in range(3)]


def test_without_the_option_outputs_are_new(run: Run, tmp_path: Path) -> None:
    source, out = dated(folder(tmp_path / "in", 1)), tmp_path / "out"
    run(source, out)
    assert times(next(iter(outputs(out).values())))[1] > READ


def test_the_same_command_finds_them_finished(run: Run, tmp_path: Path) -> None:
    source, out = dated(folder(tmp_path / "in", 3)), tmp_path / "out"
    run(source, out, preserve_times=True)
    before = stamps(out)
    assert run(source, out, preserve_times=True).finished_before == 3
    assert run(source, out).finished_before == 3
    assert stamps(out) == before


def test_outputs_that_are_finished_get_their_times_later(run: Run, tmp_path: Path) -> None:
    source, out = dated(folder(tmp_path / "in", 1)), tmp_path / "out"
    run(source, out)
    dated(source)
    summary = run(source, out, preserve_times=True)
    assert (summary.converted, summary.finished_before) == (0, 1)
    assert times(out / "0" / "000.png") == (READ, CHANGED)


def test_a_source_that_changes_is_converted_again_and_its_output_dated_again(run: Run, tmp_path: Path) -> None:
    source, out = dated(save(tmp_path / "in" / "a.png").parent), tmp_path / "out"
    run(source, out, preserve_times=True)
    save(source / "a.png", 7, 7)
    os.utime(source / "a.png", ns=(READ, CHANGED + 10**9))
    assert run(source, out, preserve_times=True).converted == 1
    assert times(out / "a.png") == (READ, CHANGED + 10**9)


def test_urls_are_left_out_with_a_note(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    source, out = dated(folder(tmp_path / "in", 1)), cast("Path", "memory://times")
    note = "--preserve-times keeps the times of files on a disk alone: a URL has none that can be read or set"
    summary = run(source, out, preserve_times=True)
    assert (summary.converted, summary.cautions.count(note)) == (1, 1)
    summary = run("memory://times", tmp_path / "back", preserve_times=True)
    assert (summary.failed, summary.cautions.count(note)) == (0, 1)
    assert times(tmp_path / "back" / "0" / "000.png")[1] > READ
