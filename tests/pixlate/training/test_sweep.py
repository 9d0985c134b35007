"""A sweep's runs, and the report that compares them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixlate.errors import PixlateError
from pixlate.plugin.metric import Sample
from pixlate.runs.state import Status, read_run
from pixlate.training.recorder import write_sheet
from pixlate.training.report import write_comparison
from pixlate.training.run import RunOptions
from pixlate.training.sweep import begin, sweep

MakeRun = Callable[..., RunOptions]


def test_every_combination_is_a_run_of_its_own_name(make_run: MakeRun) -> None:
    runs = sweep(make_run(), ["learning-rate=1e-4,0.001", "--channels=4,8", "betas=[0.5,0.9],[0.9,0.99]", "schedule=linear"])
    assert len(runs) == 8
    chosen = runs["learning_rate=0.001,channels=8,betas=0.5-0.9,schedule=linear"]
    assert (chosen.training.learning_rate, chosen.method_options.channels, chosen.training.betas, chosen.training.schedule) == (0.001, 8, (0.5, 0.9), "linear")
    assert chosen.folders == make_run().folders


def test_values_have_the_types_of_toml(make_run: MakeRun) -> None:
    runs = sweep(make_run("pix2pix"), ["mirror=true,false", "objective=hinge,least-squares"])
    assert {(run.table()["mirror"], run.method_options.objective) for run in runs.values()} == {
        (a, b) for a in (True, False) for b in ("hinge", "least-squares")
    }
    assert "mirror=true,objective=least-squares" in runs


def test_folder_of_a_run_has_no_separator_in_its_name(make_run: MakeRun) -> None:
    assert list(sweep(make_run(), ["start_from=/runs/one,upscale x2"])) == ["start_from=_runs_one", "start_from=upscale_x2"]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["learning_rte=1,2"], r"an option of srgan, got 'learning_rte=1,2'; did you mean learning_rate\?"),
        (["learning_rate"], "expected --sweep OPTION=VALUE,VALUE, got 'learning_rate' without values; write: --sweep learning_rate=VALUE,VALUE"),
        (["zzz=1"], "`pixlate train srgan --help` lists them"),
        (["learning_rate=1e-3"], "expected --sweep of 2 to 256 runs, got 1"),
        (["learning_rate="], "got 0"),
        (["schedule=linear,,cosine"], "expected a value between the commas of --sweep schedule=linear,,cosine"),
        (["channels=4,8", "channels=16"], "expected each option once"),
        (["channels=4,4"], "got channels=4 twice"),
        (["channels=4,many"], "expected --channels to be a whole number, got 'many'"),
        (["learning_rate=1e-3,-1"], "learning-rate"),
        ([f"seed={','.join(map(str, range(257)))}"], "got 257"),
    ],
)
def test_sweep_that_cannot_be_is_refused_before_the_first_run(texts: list[str], sentence: str, make_run: MakeRun) -> None:
    with pytest.raises(PixlateError, match=sentence):
        sweep(make_run(), texts)


def test_folder_of_another_sweep_is_not_gone_on_with(make_run: MakeRun, tmp_path: Path) -> None:
    begin(tmp_path / "sweep", make_run(), ["channels=4,8"])
    begin(tmp_path / "sweep", make_run(), ["channels=4,8"])
    for options, texts in ((make_run(), ["channels=4,16"]), (make_run(steps=7), ["channels=4,8"])):
        with pytest.raises(PixlateError, match=r"expected the options that .* was begun with, got others"):
            begin(tmp_path / "sweep", options, texts)


def make(folder: Path, figure: float, higher: bool) -> Path:
    (folder / "checkpoints/step-00000020").mkdir(parents=True)
    (folder / "checkpoints/step-00000020/state.json").touch()
    (folder / "checkpoints/best.json").write_text(json.dumps({"step": 20, "metric": "figure", "value": figure, "higher_is_better": higher}))
    (folder / "options.toml").write_text(f"[train.srgan]\nfolders = ['/photos']\nsteps = 20\nchannels = {int(figure)}\nmirror = true\n")
    lines: list[dict[str, Any]] = [{"kind": "losses", "step": step, "pixel": 1 / step} for step in (10, 20)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"kind": "validation", "step": 20, "figure": figure}]))
    Status("finished", 20).save(folder)
    grey = np.full((8, 8, 3), 128, np.uint8)
    write_sheet(folder / "samples/step-00000020.png", [Sample(grey, grey, grey)])
    return folder


@pytest.mark.parametrize(("higher", "winner"), [(True, "12"), (False, "4")])
def test_report_compares_the_runs_and_goes_on_with_the_best(higher: bool, winner: str, tmp_path: Path) -> None:
    runs = {f"channels={value}": read_run(make(tmp_path / f"channels={value}", value, higher)) for value in (4, 12, 8)}
    page = write_comparison(tmp_path, runs, ["channels"]).read_text(encoding="utf-8")
    rows = re.findall(r"<tr( class=best)?><td>(\d+)</td><td>([\d.]+)</td><td>20</td><td>finished</td></tr>", page)
    assert [(channels, figure) for _, channels, figure in rows] == [("4", "4"), ("12", "12"), ("8", "8")]
    assert [channels for best, channels, _ in rows if best] == [winner]
    assert f"pixlate export {tmp_path / f'channels={winner}'} model.onnx" in page
    assert page.count('<img alt="channels=') == 3 and page.count("<polyline") == 6, "samples of each, and a curve of each in both charts"
    assert "<tr><th>mirror</th><td>true</td></tr>" in page and page.count("<th>channels</th>") == 1, "the options that the runs share"
