"""Runs in trackers, read back by the trackers' own packages."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pixlate
from pixlate.cli import main
from pixlate.plugin.metric import Sample
from pixlate.runs.state import Status
from pixlate.training.recorder import write_sheet
from pixlate_tracking import pixlate_epoch_finished
from pixlate_tracking.sending import SENT, send

mlflow = pytest.importorskip("mlflow")


def log(run: Path, *steps: int, state: str = "running") -> Path:
    """Add steps to a run's log, each with a sheet."""
    run.mkdir(exist_ok=True)
    (run / "options.toml").write_text("[train.srgan]\nfolders = ['/photos']\nsteps = 30\nchannels = 8\ntransforms = ''\n")
    grey = np.full((8, 8, 3), 128, np.uint8)
    with (run / "log.jsonl").open("a") as file:
        for step in steps:
            file.write(
                json.dumps({"kind": "losses", "step": step, "pixel": 1 / step})
                + "\n"
                + json.dumps({"kind": "validation", "step": step, "psnr": 20.0 + step})
                + "\n"
            )
            write_sheet(run / f"samples/step-{step:08d}.png", [Sample(grey, grey, grey)])
    Status(state, 30).save(run)  # type: ignore[arg-type]  # a word
    return run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow's client of a store in a folder."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a store that MLflow would have replaced by a database
        yield mlflow.MlflowClient()


def test_mlflow_has_options_numbers_and_sheets_and_gets_each_step_once(store: Any, tmp_path: Path) -> None:
    run = log(tmp_path / "first", 10, 20)
    assert send(run, "mlflow") == (2, 2) and send(run, "mlflow") == (0, 0)
    log(run, 30, state="finished")
    assert send(run, "mlflow") == (1, 1)
    (found,) = store.search_runs([store.get_experiment_by_name("pixlate").experiment_id])
    assert found.info.run_name == "first" and found.info.status == "FINISHED"
    assert found.data.params.items() >= {"method": "srgan", "channels": "8", "steps": "30"}.items()
    history = store.get_metric_history(found.info.run_id, "losses/pixel")
    assert [(metric.step, metric.value) for metric in history] == [(step, 1 / step) for step in (10, 20, 30)]
    assert found.data.metrics["validation/psnr"] == 50
    assert len(store.list_artifacts(found.info.run_id, "samples")) == 3


def test_steps_that_a_resumed_run_makes_again_are_not_sent_twice(store: Any, tmp_path: Path) -> None:
    run = log(tmp_path / "first", 10, 20)
    send(run, "mlflow")
    log(run, 20)  # resumed from a checkpoint before step 20
    assert send(run, "mlflow") == (0, 0)


def test_server_that_does_not_answer_is_named_and_nothing_counts_as_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TRACKING_URI", "http://localhost:9"), ("HTTP_REQUEST_MAX_RETRIES", "0")):
        monkeypatch.setenv(f"MLFLOW_{name}", value)
    run = log(tmp_path / "first", 10)
    with pytest.raises(pixlate.PixlateError, match=r"MLflow did not take the run .*; set MLFLOW_TRACKING_URI to its server"):
        send(run, "mlflow")
    assert not (run / SENT).exists()


def test_wandb_writes_a_run_that_goes_on_under_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = log(tmp_path / "first", 10)
    assert send(run, "wandb") == (1, 1)
    own = json.loads((run / SENT).read_text())["wandb"]["id"]
    log(run, 20)
    assert send(run, "wandb") == (1, 1)
    files = sorted(run.glob(f"wandb/offline-run-*-{own}/run-{own}.wandb"))
    written = b"".join(path.read_bytes() for path in files)
    for text in (b"losses/pixel", b"validation/psnr", b"samples", b"channels", b"/photos"):
        assert text in written
    assert len(list(run.glob("wandb/offline-run-*/files/media/images/*.png"))) == 2


def test_nobody_logged_in_is_said_in_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pixlate", "track", str(log(tmp_path / "first", 10)), "--to", "wandb"]
    said = subprocess.run(command, check=False, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert said.returncode == 2 and "did not take the run" in said.stderr.splitlines()[-1] and "; run `wandb login`" in said.stderr.splitlines()[-1]


@pytest.mark.parametrize("text", ["", "[]", '{"mlflow": 3}', '{"mlflow": {"id": 3, "step": 1}}', '{"mlflow": {"id": "x"}}'])
def test_damaged_note_of_what_was_sent_is_refused(text: str, tmp_path: Path) -> None:
    run = log(tmp_path / "first", 10)
    (run / SENT).write_text(text)
    with pytest.raises(pixlate.PixlateError, match=r"tracking\.json is damaged .*; remove it"):
        send(run, "mlflow")


def test_command_refuses_what_is_no_run_or_no_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, sentence in ((["--to", "mlflow"], "expected a run folder"), (["--to", "paper"], "--to"), ([], "--to")):
        monkeypatch.setattr(sys, "argv", ["pixlate", "track", str(tmp_path), *arguments])
        assert main() == 2
        (printed,) = capsys.readouterr().err.splitlines()
        assert sentence in printed


def test_validation_is_sent_where_the_environment_asks_for_it(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = log(tmp_path / "first", 10)
    pixlate_epoch_finished(run, 10, [])
    assert not (run / SENT).exists()
    monkeypatch.setenv("PIXLATE_TRACK", "mlflow")
    pixlate_epoch_finished(run, 10, [])
    assert json.loads((run / SENT).read_text())["mlflow"]["step"] == 10


def test_tracker_that_fails_warns_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXLATE_TRACK", "papers")
    with pytest.warns(UserWarning, match="step 10 was not sent to papers, and is with the next validation: .*--to"):
        pixlate_epoch_finished(log(tmp_path / "first", 10), 10, [])
