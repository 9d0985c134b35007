"""What Pixlate 0.1 wrote, and a plugin written for it, serve this version: see ``tests/fixtures/0.1/README.md``."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tomli_w
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file
from tests.commands import Done, run_modules

import pixlate
from pixlate.testing import make_photographs

OLD = Path(__file__).parent / "fixtures/0.1"
PAIRED = ["photographs", "negatives"]
FOLDERS = {"pix2pix": PAIRED, "cyclegan": PAIRED, "srgan": PAIRED[:1]}
STEPS = 6
"""Steps of the runs, which were stopped after half of them."""
TOLERANCE = 1e-4
"""Largest difference of a weight that another machine's arithmetic is granted; the steps that were left move some by a hundred times as much."""
IDLE = {
    "pix2pix": "",
    "cyclegan": "",
    "srgan": r".*\.body\.(0\.layers\.[03]|1)\.bias|.*\.body\..*running_mean",
}
"""Weights left out: a bias before a batch norm moves no picture, so that it follows rounding alone, and the norm's mean follows it."""
LEVEL = 1.01
"""Largest difference of a picture that another machine's rounding is granted, in levels of 255."""
CONVERTED = {
    "out": ("uint8", None, []),
    "out-options": ("float", pixlate.ConvertOptions(format="png", quality=80, strip_metadata=True), ["--format", "png", "--quality", "80", "--strip-metadata"]),
}
"""Output folders, with the model and the options they were made with, for Python and for the command line."""


def run_commands(*commands: Sequence[object], site: str = "") -> list[Done]:
    """Run commands of Pixlate's one after the other in a process of their own, with a folder of packages before the others."""
    return run_modules(*(("pixlate", *command) for command in commands), site=site)


def copy_run(method: str, folder: Path) -> Path:
    """Copy a run, and change its image folders in ``options.toml``, as users may."""
    run = folder / method
    shutil.copytree(OLD / "runs" / method, run)
    options = tomllib.loads((run / "options.toml").read_text())
    options["train"][method]["folders"] = [str(OLD / "images" / name) for name in FOLDERS[method]]
    (run / "options.toml").write_text(tomli_w.dumps(options))
    return run


def averages(run: Path) -> dict[str, NDArray[np.float32]]:
    """Return the averaged weights of a run's last checkpoint."""
    (path,) = sorted(run.glob("checkpoints/step-*/average.safetensors"))[-1:]
    return load_file(path)


COUNTED = r".*(running_mean|running_var|num_batches_tracked)"
"""Names of what is counted, not learnt."""


def furthest(first: dict[str, NDArray[np.float32]], second: dict[str, NDArray[np.float32]], left_out: str = "") -> float:
    """Return the largest difference of two sets of weights of the same names and shapes, those aside whose names match."""
    assert {name: value.shape for name, value in first.items()} == {name: value.shape for name, value in second.items()}
    return max(float(abs(value - second[name]).max()) for name, value in first.items() if value.size and not re.fullmatch(left_out, name))


def pixels(path: Path) -> NDArray[np.float64]:
    """Return the levels of a picture on the range from 0 to 1."""
    levels = imagecodecs.imread(path)
    return np.asarray(levels / np.iinfo(levels.dtype).max)


def difference(first: Path, second: Path) -> float:
    """Return the largest difference of two pictures, in levels of 255."""
    one, other = pixels(first), pixels(second)
    assert one.shape == other.shape
    return float(abs(one - other).max() * 255)


@dataclass(frozen=True)
class Runs:
    """Copies of the runs, and what went on with them."""

    folder: Path
    done: dict[str, Done]
    """By the method that was resumed; ``begin`` and ``export`` are of pix2pix."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    kept = copy_run("pix2pix", folder / "kept")
    options = ("--start-from", kept, "--steps", 1, "--learning-rate", 1e-9)
    commands: dict[str, tuple[object, ...]] = {method: ("train", "--resume", copy_run(method, folder)) for method in FOLDERS}
    commands["begin"] = ("--config", kept / "options.toml", "train", "pix2pix", "--out", folder / "begun", *options)
    commands["export"] = ("export", kept, folder / "model.onnx")
    return Runs(folder, dict(zip(commands, run_commands(*commands.values()), strict=True)))


@pytest.mark.parametrize("method", FOLDERS)
def test_a_run_of_0_1_resumes_to_the_weights_0_1_reached(method: str, runs: Runs) -> None:
    runs.done[method].require()
    run, before = runs.folder / method, OLD / "runs" / method
    expected = load_file(OLD / "expected" / f"{method}.safetensors")
    assert furthest(averages(before), expected, f"{COUNTED}|{IDLE[method]}") > 50 * TOLERANCE, "there was something left to learn"
    assert furthest(averages(run), expected, IDLE[method]) <= TOLERANCE
    log = (run / "log.jsonl").read_text()
    assert log.startswith((before / "log.jsonl").read_text())
    assert [line["step"] for line in map(json.loads, log.splitlines()) if line["kind"] == "losses"] == list(range(1, STEPS + 1))


def test_options_and_weights_of_0_1_begin_a_new_run(runs: Runs) -> None:
    assert re.search(r"took over (\d+) of \1 tensors", runs.done["begin"].require().err)
    old, new = (tomllib.loads((runs.folder / run / "options.toml").read_text())["train"]["pix2pix"] for run in ("kept/pix2pix", "begun"))
    assert {name for name in old if new[name] != old[name]} == {"start_from", "steps", "learning_rate"}
    before, after = averages(OLD / "runs/pix2pix"), averages(runs.folder / "begun")
    assert furthest(after, before, COUNTED) < 1e-6


def test_a_run_of_0_1_exports(runs: Runs, tmp_path: Path) -> None:
    runs.done["export"].require()
    model = runs.folder / "model.onnx"
    assert pixlate.convert(OLD / "models/uint8-source.png", tmp_path / "output.png", model).converted == 1
    assert difference(tmp_path / "output.png", OLD / "models/uint8-output.png") <= LEVEL
    spec, before = (pixlate.load(path).spec for path in (model, OLD / "models/uint8.onnx"))
    assert (spec.method, spec.scale, spec.multiple, spec.minimum, spec.norm) == (before.method, before.scale, before.multiple, before.minimum, before.norm)


def test_a_run_of_0_1_keeps_its_padding_when_it_is_resumed(runs: Runs) -> None:
    states = [json.loads(path.read_text()) for run in ("pix2pix", "begun") for path in sorted((runs.folder / run).glob("checkpoints/step-*/state.json"))[-1:]]
    assert [state["state"]["options"]["padding"] for state in states] == ["edge", "reflect"], "a new run has the new one"


@pytest.mark.parametrize(("io", "tolerance"), [("uint8", LEVEL), ("float", LEVEL / 10)])
def test_a_file_of_0_1_gives_its_pictures(io: str, tolerance: float, tmp_path: Path) -> None:
    source, expected, model = OLD / f"models/{io}-source.png", OLD / f"models/{io}-output.png", OLD / f"models/{io}.onnx"
    spec = pixlate.load(model).spec
    assert spec.multiple > 1 and all(side % spec.multiple for side in pixels(source).shape[:2]), "it has to be padded"
    assert spec.provenance.version.startswith("0.1.")
    assert pixlate.convert(source, tmp_path / "output.png", model).converted == 1
    assert difference(tmp_path / "output.png", expected) <= tolerance
    assert pixels(expected).std() > 0.05, "there is something to see"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Copy the folder that 0.1 converted, with the times its files had."""
    folder = tmp_path / "source"
    shutil.copytree(OLD / "converted/source", folder)
    for name, mtime in json.loads((OLD / "converted/mtimes.json").read_text()).items():
        os.utime(folder / name, ns=(mtime, mtime))
    return folder


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time of each picture in and below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".pixlate" not in path.parts]
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("name", CONVERTED)
def test_a_folder_of_0_1_continues_without_a_file_redone(name: str, source: Path, tmp_path: Path) -> None:
    model, _, options = CONVERTED[name]
    out = tmp_path / "out"
    shutil.copytree(OLD / "converted" / name, out)
    before = state_of(out)
    (done,) = run_commands(("convert", source, out, "--model", OLD / f"models/{model}.onnx", *options, "--json"))
    summary = json.loads(done.require().out)
    assert (summary["planned"], summary["finished_before"], summary["converted"], summary["failed"]) == (5, 5, 0, 0)
    assert state_of(out) == before and len(before) == 5


@pytest.mark.parametrize("name", CONVERTED)
def test_a_folder_of_0_1_gets_only_what_is_missing_or_has_changed(name: str, source: Path, tmp_path: Path) -> None:
    model, options, _ = CONVERTED[name]
    out = tmp_path / "out"
    shutil.copytree(OLD / "converted" / name, out)
    before = state_of(out)
    (out / "雪.png").unlink()
    shutil.copy(source / "雪.png", source / "alpha.png")
    summary = pixlate.convert(source, out, OLD / f"models/{model}.onnx", options)
    assert (summary.finished_before, summary.converted, summary.failed) == (3, 2, 0)
    after = state_of(out)
    assert {file for file in before if after[file] != before[file]} == {"雪.png", "alpha.png"}
    assert all(difference(out / file, OLD / "converted" / name / "雪.png") <= LEVEL for file in ("雪.png", "alpha.png"))


def test_a_folder_of_0_1_made_with_other_options_is_not_taken_for_finished(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(OLD / "converted/out", out)
    before = state_of(out)
    summary = pixlate.convert(source, out, OLD / "models/uint8.onnx", pixlate.ConvertOptions(quality=80))
    assert (summary.finished_before, summary.converted, summary.failed) == (0, 0, 5)
    assert state_of(out) == before


LEVELS = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
"""A picture for the plugin's model."""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Install the wheel of the plugin and run commands with it."""
    folder = tmp_path_factory.mktemp("plugin")
    (wheel,) = (OLD / "plugin").glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    make_photographs(folder / "photographs", 3, 24, 28)
    (folder / "source").mkdir()
    (folder / "source/a.old").write_bytes(b"OLD 13 9\n" + LEVELS.tobytes())
    (folder / "source/broken.old").write_bytes(b"NEW")
    Image.fromarray(LEVELS).save(folder / "source/b.png")
    commands = {
        "plugins": ("plugins", "--json"),
        "doctor": ("doctor", "--json"),
        "convert": ("convert", folder / "source", folder / "out", "--model", "old-negative", "--json"),
        "train": ("train", "old", folder / "photographs", "--out", folder / "run", "--device", "cpu"),
        "check": ("old-check",),
    }
    return Runs(folder, dict(zip(commands, run_commands(*commands.values(), site=str(folder / "site")), strict=True)))


def test_a_plugin_of_0_1_works_with_its_wheel(plugin: Runs) -> None:
    old = {listed["name"]: listed for listed in json.loads(plugin.done["plugins"].require().out)}["old"]
    assert (old["distribution"], old["version"], old["error"]) == ("pixlate-old", "1.4.0", "")
    offers = {"methods", "models", "open_model", "metrics", "image_formats", "checks", "commands", "step_finished", "epoch_finished"}
    assert {hook.removeprefix("pixlate_") for hook in old["hooks"]} == offers


def test_check_of_a_plugin_of_0_1_is_shown_by_doctor(plugin: Runs) -> None:
    found = {check["name"]: check for check in json.loads(plugin.done["doctor"].out)}  # whatever it says of the machine
    assert (found["old tables"]["status"], found["old tables"]["found"]) == ("ok", "all there")


def test_model_and_format_of_a_plugin_of_0_1_convert(plugin: Runs) -> None:
    summary = json.loads(plugin.done["convert"].out)
    assert (summary["converted"], summary["failed"]) == (2, 1)
    assert "begins with OLD" in summary["failures"][0][1]
    for name in ("a.png", "b.png"):
        np.testing.assert_array_equal(np.array(Image.open(plugin.folder / "out" / name)), 255 - LEVELS)


def test_a_method_of_a_plugin_of_0_1_trains_by_its_own_defaults(plugin: Runs) -> None:
    plugin.done["train"].require()
    run = plugin.folder / "run"
    options = tomllib.loads((run / "options.toml").read_text())["train"]["old"]
    defaults = {"channels": 2, "depth": 2, "patch": 16, "resize": 20, "hold_out": 1, "lines": 1.0, "steps": 2, "batch": 2, "schedule": "constant"}
    assert {name: options[name] for name in defaults} == defaults
    heard = [json.loads(line) for line in (run / "old-steps.jsonl").read_text().splitlines()]
    assert [list(line) for line in heard] == [["step", "discriminator", "l1", "adversarial"]] * 2
    assert json.loads((run / "old-samples-2.json").read_text()) == [[20, 20, 3]]
    (validation,) = (line for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if line["kind"] == "validation")
    assert 0 < validation["old_mae"] < 255


def test_command_of_a_plugin_of_0_1_checks_its_methods_against_the_contract(plugin: Runs) -> None:
    printed = plugin.done["check"].require().out
    assert printed.splitlines() == ["old keeps the contract with 8 channels", "oldgan keeps the contract with 8 channels"]
