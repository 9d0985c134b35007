"""What those who look at run folders find, while runs go on and after they ended."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pixlate.errors import PixlateError
from pixlate.runs.state import SILENT, Run, Status, find_runs, read_run
from pixlate.system.locking import is_locked

HOLD = "import sys, time; from io import FileIO; from pixlate.system.locking import lock_file; file = FileIO(sys.argv[1], 'a+'); lock_file(file); print(flush=True); sys.stdin.read()"


def make(folder: Path, *lines: dict[str, Any], steps: int | None = 100, status: Status | None = None, plugin: str = "", checkpoint: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    named = f"[plugin]\npath = {json.dumps(plugin)}\nsha256 = 'x'\n" if plugin else ""
    length = f"steps = {steps}\n" if steps is not None else ""
    (folder / "options.toml").write_text(f"{named}[train.srgan]\nfolders = ['/photos']\n{length}")
    (folder / "log.jsonl").write_text("".join(json.dumps({"kind": "losses", **line}) + "\n" for line in lines))
    if status:
        status.save(folder)
    if checkpoint:
        (folder / "checkpoints/step-00000010").mkdir(parents=True)
        (folder / "checkpoints/step-00000010/state.json").touch()
    return folder


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Context in which another process has the run's lock, as training has it."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == b"\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(60)


def test_run_whose_lock_another_process_holds_is_running_and_has_died_once_that_has_ended(tmp_path: Path) -> None:
    run = make(tmp_path / "run", {"step": 25, "steps_per_second": 0.5}, status=Status("running", 100))
    with held(run):
        assert is_locked(run / ".lock") is True
        now = read_run(run)
        assert (now.state, now.step, now.steps, now.seconds_left) == ("running", 25, 100, 150.0)
    assert is_locked(run / ".lock") is False
    then = read_run(run)
    assert (then.state, then.seconds_left) == ("died", None)


def test_looking_at_a_lock_leaves_it_to_the_next_who_takes_it(tmp_path: Path) -> None:
    assert is_locked(tmp_path / "none") is False
    (tmp_path / ".lock").touch()
    assert is_locked(tmp_path / ".lock") is False
    with held(tmp_path):
        assert is_locked(tmp_path / ".lock") is True


@pytest.mark.parametrize(("age", "state"), [(0.0, "running"), (SILENT + 60, "died")])
def test_where_the_file_system_has_no_locks_a_silent_log_says_that_a_run_has_died(
    age: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path, {"step": 5}, status=Status("running", 100))
    monkeypatch.setattr("pixlate.runs.state.is_locked", lambda path: None)
    os.utime(run / "log.jsonl", (time.time() - age, time.time() - age))
    assert read_run(run).state == state


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_state_that_training_wrote_at_its_end_is_told(state: Any, tmp_path: Path) -> None:
    status = Status(state, 100, "the disk is full", "cpu, 32-true", {"pixel": "How far outputs are from targets."})
    found = read_run(make(tmp_path, {"step": 7}, status=status))
    assert (found.state, found.message, found.device, found.meanings) == (state, "the disk is full", "cpu, 32-true", status.meanings)


@pytest.mark.parametrize(
    ("step", "steps", "state", "length"), [(100, 100, "finished", 100), (99, 100, "stopped", 100), (99, 0, "stopped", None), (99, None, "stopped", None)]
)
def test_run_of_an_older_version_is_judged_by_its_options_and_log(step: int, steps: int | None, state: str, length: int | None, tmp_path: Path) -> None:
    found = read_run(make(tmp_path, {"step": step}, steps=steps))
    assert (found.state, found.steps, dict(found.meanings)) == (state, length, {})


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"state": "dancing", "steps": 3}', '{"state": "running"}', '{"state": "running", "steps": "3"}', '{"steps": 1', "\x00"]
)
def test_damaged_status_is_passed_over(text: str, tmp_path: Path) -> None:
    run = make(tmp_path, {"step": 100})
    (run / "status.json").write_text(text)
    assert read_run(run).state == "finished"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("stopped", ["resume", "export", "convert"]),
        ("failed", ["resume", "export", "convert"]),
        ("finished", ["make it longer", "export", "convert"]),
    ],
)
def test_commands_that_go_on_name_run_and_plugin_and_can_be_pasted(state: Any, words: list[str], tmp_path: Path) -> None:
    run = make(tmp_path / "my run", status=Status(state, 100), plugin="my method.py", checkpoint=True)
    commands = read_run(run).commands()
    assert list(commands) == words
    parsed = subprocess.run(["sh", "-c", f"printf '%s\\n' {commands[words[0]]}"], check=True, capture_output=True, text=True).stdout.splitlines()
    longer = ["--steps", "200"] if state == "finished" else []
    assert parsed == ["pixlate", "train", "--resume", str(run), *longer, "--plugin", "my method.py"]
    assert commands["export"] == f"pixlate export '{run}' model.onnx --plugin 'my method.py'"


def test_run_of_a_model_that_takes_no_image_goes_on_with_sample(tmp_path: Path) -> None:
    run = make(tmp_path, status=Status("finished", 100, sampler=True), checkpoint=True)
    assert read_run(run).commands()["sample"] == "pixlate sample model.onnx drawn/ --grid" and "convert" not in read_run(run).commands()


def test_there_are_no_commands_before_there_is_a_checkpoint(tmp_path: Path) -> None:
    assert read_run(make(tmp_path, status=Status("failed", 100))).commands() == {}


def test_runs_are_found_below_a_folder_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b/deep/run", "a", "c"):
        make(tmp_path / name)
    make(tmp_path / "a/inside")
    make(tmp_path / ".hidden")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/options.toml").write_text("of something else = 1")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert [str(path.relative_to(tmp_path)) for path in find_runs(tmp_path)] == ["a", "b/deep/run", "c"]
    assert list(find_runs(tmp_path / "a")) == [tmp_path / "a"] and list(find_runs(tmp_path / "photos")) == [] and list(find_runs(tmp_path / "none")) == []


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected a run folder with options\.toml"):
        read_run(tmp_path)


def test_runs_are_read_without_pytorch() -> None:
    code = "import sys, pixlate.runs.state; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_run_that_is_read_holds_the_log_and_the_sheets(tmp_path: Path) -> None:
    run = make(tmp_path, {"step": 5, "pixel": 0.5}, {"step": 10, "pixel": 0.25})
    (run / "samples").mkdir()
    for name in ("step-00000010.png", "step-00000005.png", "step-00000010.round-trip.jpg", "step-00000010.Odd.jpg", "step-best.png", "other.png"):
        (run / "samples" / name).touch()
    (run / "samples/step-00000001.png").symlink_to(run / "log.jsonl")
    found: Run = read_run(run)
    assert found.logged.curves("losses") == {"pixel": [(5, 0.5), (10, 0.25)]}
    assert {view: list(sheets) for view, sheets in found.sheets.items()} == {"translation": [5, 10], "round-trip": [10]}
