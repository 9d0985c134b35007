"""``pixlate runs`` as a user meets it."""

import json
import re
from pathlib import Path

import pytest

from pixlate.cli.runs import runs
from pixlate.errors import PixlateError
from pixlate.runs.state import Status


def make(folder: Path, method: str = "pix2pix", state: str = "finished", best: str = "") -> Path:
    """Make a run folder of 300 steps, of which 200 are logged."""
    (folder / "checkpoints/step-00000200").mkdir(parents=True)
    (folder / "checkpoints/step-00000200/state.json").touch()
    if best:
        (folder / "checkpoints/best.json").write_text(best)
    (folder / "options.toml").write_text(f"[train.{method}]\nfolders = ['/photos']\nsteps = 300\n")
    lines = [{"kind": "losses", "step": 200, "pixel": 0.25}, {"kind": "validation", "step": 200, "psnr_luma": 23.5}]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Status(state, 300).save(folder)  # type: ignore[arg-type]  # a word of the parametrised test
    return folder


def test_runs_are_listed_with_state_steps_and_best_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "first", best='{"step": 100, "metric": "psnr_luma", "value": 24.123}')
    make(tmp_path / "nested/second", "srgan", "stopped")
    (tmp_path / "photographs").mkdir()
    assert runs(tmp_path) == 0
    lines = [re.split("  +", line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["run", "method", "state", "steps", "best"],
        ["first", "pix2pix", "finished", "200 of 300", "psnr_luma 24.12 at step 100"],
        ["nested/second", "srgan", "stopped", "200 of 300"],
    ]


def test_json_holds_the_newest_figures_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "first", best='{"step": 100, "metric": "psnr_luma", "value": 24.123}')
    assert runs(tmp_path / "first", json=True) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "first" and row["best"] == {"step": 100, "metric": "psnr_luma", "value": 24.123}
    assert row["losses"] == {"pixel": 0.25} and row["validation"] == {"psnr_luma": 23.5} and row["seconds_left"] is None


@pytest.mark.parametrize(
    "damaged", ['{"step": "x"}', "[]", "null", '{"step": 1, "metric": "a", "value": "b"}', '{"step": 1, "metric": "a", "value": 1.0, "more": 2}']
)
def test_damaged_note_of_the_best_checkpoint_costs_only_that_figure(damaged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "first", best=damaged)
    assert runs(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("200 of 300")


def test_folder_without_runs_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs(tmp_path) == 0
    assert capsys.readouterr().out.startswith(f"no runs of training in {tmp_path}; `pixlate train METHOD")


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected a folder of runs, got \S*none, which is not there"):
        runs(tmp_path / "none")


def test_run_whose_log_cannot_be_read_is_named_and_the_others_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "first")
    (make(tmp_path / "second") / "log.jsonl").unlink()
    (tmp_path / "second/log.jsonl").mkdir()
    assert runs(tmp_path) == 1
    printed = capsys.readouterr()
    assert "first" in printed.out and "second" not in printed.out and printed.err.startswith("pixlate: second: ")
