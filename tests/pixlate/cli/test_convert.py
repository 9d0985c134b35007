"""``pixlate convert`` as users call it: exit codes, sentences and JSON."""

import io
import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import NEAREST, Nearest, command, folder, load, nearest, noise, outputs, save, tree, write_onnx, write_sampler

from pixlate.cli import main
from pixlate.cli.convert import convert as convert_command
from pixlate.convert import conversion
from pixlate.inference import models
from pixlate.inference.executor import Executor
from pixlate.plugin.spec import ModelSpec

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run ``pixlate convert`` in this process; returns exit code, standard output and standard error."""

    def start(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pixlate", "convert", *map(str, arguments), "--device", "cpu"])
        capfd.readouterr()
        code = main()
        return (code, *capfd.readouterr())

    return start


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("model") / "nearest.onnx", NEAREST)


def test_a_folder_is_converted_and_the_summary_says_so(tmp_path: Path, model: Path, call: Call) -> None:
    source = folder(tmp_path / "in", 4)
    (source / "notes.txt").touch()
    code, stdout, stderr = call(source, tmp_path / "out", "--model", model)
    assert (code, stderr) == (0, "")
    assert stdout.startswith("4 converted at ")
    assert f"images/s on cpu, into {tmp_path / 'out'}\n" in stdout
    assert "hidden: 1 .txt\n" in stdout
    assert (nearest(noise(6, 9, seed=1)[None], 2)[0] == load(tmp_path / "out" / "1" / "001.png")).all()
    code, stdout, _ = call(source, tmp_path / "out", "--model", model)
    assert (code, stdout.splitlines()[0]) == (0, f"0 converted, 4 finished before, into {tmp_path / 'out'}")


def test_the_speed_of_animations_counts_their_frames(tmp_path: Path, model: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = (Image.fromarray(noise(9, 12, seed=seed)) for seed in range(5))
    first.save(tmp_path / "a.png", save_all=True, append_images=others, duration=50)
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(conversion, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    code, stdout, _ = call(tmp_path / "a.png", tmp_path / "out", "--model", model, "--frames", "all", "--json")
    assert (code, json.loads(stdout)["frames"], json.loads(stdout)["converted"]) == (0, 5, 1)
    assert call(tmp_path / "a.png", tmp_path / "again", "--model", model, "--frames", "all")[1].startswith("1 converted at 2.50 frames/s on cpu")


def test_a_model_file_without_metadata_is_opened_by_its_shapes(tmp_path: Path, call: Call) -> None:
    bare = write_onnx(tmp_path / "bare.onnx", None)
    assert call(save(tmp_path / "a.png", 9, 9), tmp_path / "out", "--model", bare)[0] == 0
    assert load(tmp_path / "out" / "a.png").size == (18, 18)


def test_failures_are_listed_and_the_exit_code_is_1(tmp_path: Path, model: Path, call: Call) -> None:
    source = folder(tmp_path / "in", 1)
    for number in range(13):
        (source / f"empty\n{number:02}.png").touch()
    code, stdout, stderr = call(source, tmp_path / "out", "--model", model)
    assert code == 1
    assert "1 converted" in stdout
    assert "13 failed" in stdout
    lines = [line for line in stderr.splitlines() if line.startswith(("failed: ", "... and "))]  # a slow machine prints its progress, too
    reason = "the file is empty; copy it again from its source"
    assert lines[:-1] == [f"failed: {source}/empty\\n{number:02}.png: {reason}" for number in range(10)], "in the order of their names, not in that of reading"
    assert lines[-1] == "... and 3 more; --report FILE.json lists all"


def test_fail_fast_says_that_it_stopped(tmp_path: Path, model: Path, call: Call) -> None:
    source = folder(tmp_path / "in", 40)
    (source / "0" / "000.png").write_bytes(b"")
    code, stdout, stderr = call(source, tmp_path / "out", "--model", model, "--fail-fast", "--threads", 1)
    assert code == 1
    assert "not reached" in stdout
    assert stderr.endswith("stopped: stopped at the first failure, as --fail-fast asks\n")


def test_json_is_one_document_on_standard_output(tmp_path: Path, model: Path, call: Call) -> None:
    source = folder(tmp_path / "in", 3)
    (source / "empty.png").touch()
    code, stdout, _ = call(source, tmp_path / "out", "--model", model, "--json")
    summary = json.loads(stdout)
    assert (code, summary["exit_code"], summary["converted"], summary["failed"]) == (1, 1, 3, 1)
    code, stdout, _ = call(source, tmp_path / "out", "--model", model, "--json", "--dry-run")
    preview = json.loads(stdout)
    assert (code, preview["exit_code"], len(preview["files"])) == (1, 1, 4)
    assert {file["action"] for file in preview["files"]} == {"finished before", "fail: the file is empty; copy it again from its source"}


def test_json_of_a_refused_command_is_nothing_on_standard_output(tmp_path: Path, model: Path, call: Call) -> None:
    for more in ((), ("--dry-run",)):
        code, stdout, stderr = call(tmp_path / "none", tmp_path / "out", "--model", model, "--json", *more)
        assert (code, stdout) == (2, "")
        assert stderr.startswith("pixlate: expected a file, a folder or a glob")


def test_a_dry_run_writes_nothing_and_shows_sizes(tmp_path: Path, model: Path, call: Call) -> None:
    source = folder(tmp_path / "in", 2, 10, 20)
    before = tree(tmp_path)
    code, stdout, stderr = call(source, tmp_path / "out", "--model", model, "--dry-run", "--report", tmp_path / "r.json", "--sheet", tmp_path / "s.png")
    assert (code, stderr) == (0, "")
    assert tree(tmp_path) == before
    assert f"convert: {source}/0/000.png -> {tmp_path}/out/0/000.png 20x10 -> 40x20\n" in stdout
    assert stdout.endswith("2 files, 0 would fail by their headers, 0.0016 million pixels of output; nothing was written\n")


def test_a_dry_run_refuses_an_engine_that_is_not_installed(tmp_path: Path, model: Path, call: Call) -> None:
    source = save(tmp_path / "in" / "a.png").parent
    code, stdout, stderr = call(source, tmp_path / "out", "--model", model, "--dry-run", "--engine", "queue")
    assert (code, stdout) == (2, "") and "expected an engine (" in stderr and "got 'queue'" in stderr


def test_a_report_lists_every_file_once_with_its_reason(tmp_path: Path, model: Path, call: Call) -> None:
    source = folder(tmp_path / "in", 3)
    (source / "empty.png").touch()
    (source / "loop").symlink_to(".")
    code, stdout, _ = call(source, tmp_path / "out", "--model", model, "--report", tmp_path / "deep" / "report.json", "--sheet", tmp_path / "sheet.png")
    assert code == 1
    assert f"report: {tmp_path / 'deep' / 'report.json'}\n" in stdout
    assert f"before/after sheet: {tmp_path / 'sheet.png'}\n" in stdout
    written = json.loads((tmp_path / "deep" / "report.json").read_text())
    assert sorted(Path(file["source"]).name for file in written["files"]) == ["000.png", "001.png", "002.png", "empty.png", "loop"]
    assert all(file["reason"] for file in written["files"] if file["status"] == "failed")
    assert written["summary"]["failed"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", r"the model file \S+ is empty"), (b"this is no model" * 9, r"is damaged or no ONNX model"), ("half", r"is damaged or no ONNX model")],
)
def test_a_damaged_model_file_is_refused(content: bytes | str, message: str, tmp_path: Path, model: Path, call: Call) -> None:
    import re

    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(content if isinstance(content, bytes) else model.read_bytes()[: len(model.read_bytes()) // 2])
    code, stdout, stderr = call(save(tmp_path / "in" / "a.png").parent, tmp_path / "out", "--model", damaged)
    assert (code, stdout) == (2, "")
    assert re.search(message, stderr)
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_no_onnx_file_or_a_folder_is_refused(tmp_path: Path, call: Call) -> None:
    source = save(tmp_path / "in" / "a.png")
    code, _, stderr = call(source, tmp_path / "out", "--model", source)
    assert code == 2
    assert "no installed plugin opens" in stderr
    code, _, stderr = call(source, tmp_path / "out", "--model", tmp_path)
    assert code == 2
    assert "is a folder; export a run" in stderr


def test_a_picture_of_other_channels_than_the_model_takes_fails_with_both_numbers(tmp_path: Path, call: Call) -> None:
    four = write_onnx(tmp_path / "four.onnx", ModelSpec(scale=2, channels_in=4, channels_out=4), channels=4)
    code, _, stderr = call(save(tmp_path / "in" / "a.png"), tmp_path / "out", "--model", four, "--format", "tiff")
    assert code == 1
    assert "the model takes pictures of 4 channels, this one has 3 channels; convert it or use another model" in stderr


def test_a_model_that_takes_no_image_is_refused(tmp_path: Path, call: Call) -> None:
    code, _, stderr = call(save(tmp_path / "in" / "a.png"), tmp_path / "out", "--model", write_sampler(tmp_path / "sampler.onnx"))
    assert code == 2
    assert f"which draws its own; write: pixlate sample {tmp_path / 'sampler.onnx'} out/ --count 64" in stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_names_the_known_ones_before_the_folder_is_walked(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixlate.plugin.model_card import ModelCard

    ready = {name: ModelCard(name, "", tmp_path) for name in ("upscale-x4", "upscale-x2")}
    monkeypatch.setattr("pixlate.inference.ready.installed", type("Plugins", (), {"offered": lambda self, wanted: ready, "why": lambda self, kind, name: ""}))
    monkeypatch.setattr(conversion, "make_plan", lambda *arguments: pytest.fail("walked"))
    code, _, stderr = call(tmp_path, tmp_path / "out", "--model", "upscale-x8")
    assert code == 2
    assert "expected a model's name (upscale-x2, upscale-x4) or a file, got 'upscale-x8'" in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--quality", "0"), "--quality from 1 to 100, got 0"),
        (("--quality", "101"), "--quality from 1 to 100, got 101"),
        (("--tile", "8"), "--tile of at least 16, got 8"),
        (("--batch", "0"), "--batch of at least 1"),
        (("--threads", "-1"), "--threads of at least 0"),
        (("--max-pixels", "0"), "--max-pixels of at least 1"),
        (("--suffix", "a/b"), "--suffix without slashes"),
    ],
)
def test_options_out_of_range_are_refused_with_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path, model: Path, call: Call) -> None:
    code, _, stderr = call(save(tmp_path / "a.png"), tmp_path / "out", "--model", model, *arguments)
    assert code == 2
    assert message in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "out").exists()


def test_too_few_paths_are_refused_with_the_command_to_write(model: Path, call: Call) -> None:
    code, _, stderr = call("photos", "--model", model)
    assert code == 2
    assert "expected a source and an output folder, got photos; write: pixlate convert photos/ out/" in stderr


def test_a_tile_smaller_than_the_models_context_is_refused(tmp_path: Path, call: Call) -> None:
    wide = write_onnx(tmp_path / "wide.onnx", ModelSpec(scale=2, tiling_exact=True, halo=40))
    code, _, stderr = call(save(tmp_path / "a.png"), tmp_path / "out", "--model", wide, "--tile", 64)
    assert code == 2
    assert "--tile of at least 81 pixels" in stderr


def test_tiles_of_a_real_model_give_the_same_picture(tmp_path: Path, model: Path, call: Call) -> None:
    source = save(tmp_path / "in" / "a.png", 150, 90)
    for name, arguments in (("whole", ("--tile", "off")), ("tiled", ("--tile", "33", "--batch", "3"))):
        assert call(source, tmp_path / name, "--model", model, *arguments)[0] == 0
    np.testing.assert_array_equal(load(tmp_path / "whole" / "a.png"), load(tmp_path / "tiled" / "a.png"))  # the files differ: one is packed in strips


def test_options_are_read_from_a_toml_file(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pixlate.toml"
    config.write_text('[convert]\nformat = "png"\nsuffix = "_x2"\n')
    assert tomllib.loads(config.read_text())
    words = ["pixlate", "convert", save(tmp_path / "in" / "a.jpg").parent, tmp_path / "out", "--model", model, "--device", "cpu", "--config", config]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    assert main() == 0
    assert list(outputs(tmp_path / "out")) == ["a_x2.png"]


@pytest.mark.parametrize("content", ["convert = 3", "[[convert]]"])
def test_a_toml_file_whose_convert_is_no_table_is_refused(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.toml").write_text(content)
    monkeypatch.setattr(sys, "argv", ["pixlate", "--config", str(tmp_path / "c.toml"), "convert", "photos", "out"])
    assert main() == 2
    assert "must be a mapping" in capsys.readouterr().err


def test_names_that_standard_output_cannot_hold_are_escaped(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "in" / "日本.png").parent
    held = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", held)
    monkeypatch.setattr(sys, "argv", ["pixlate", "convert", str(source), str(tmp_path / "aus ü"), "--model", str(model), "--dry-run", "--device", "cpu"])
    assert main() == 0
    monkeypatch.setattr(sys, "argv", ["pixlate", "convert", str(source), str(tmp_path / "aus ü"), "--model", str(model), "--device", "cpu"])
    assert main() == 0
    held.seek(0)
    shown = held.buffer.read().decode("ascii")
    assert "\\u65e5\\u672c.png" in shown
    assert "aus \\xfc" in shown


def test_an_output_folder_of_undecodable_bytes_is_printed(tmp_path: Path, model: Path, call: Call) -> None:
    import os

    out = tmp_path / os.fsdecode(b"\xff out")
    code, stdout, _ = call(save(tmp_path / "a.png"), out, "--model", model)
    assert code == 0
    assert "into " + str(tmp_path / "\\udcff out") in stdout
    assert (out / "a.png").is_file()


def test_a_report_that_cannot_be_finished_gives_exit_code_1_and_a_line(tmp_path: Path, model: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixlate.convert.report import Summary
    from pixlate.convert.sheet import Sheet

    def full(self: Sheet, summary: Summary) -> None:
        summary.unwritten = "the sheet x could not be written (No space left on device)"

    monkeypatch.setattr(Sheet, "save", full)
    code, stdout, stderr = call(save(tmp_path / "a.png"), tmp_path / "out", "--model", model, "--sheet", tmp_path / "x.png")
    assert code == 1
    assert stdout.startswith("1 converted")
    assert stderr == "failed: the sheet x could not be written (No space left on device)\n"


def test_a_bug_keeps_its_traceback_and_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(executor: object, *arguments: object) -> None:
        raise ValueError("a bug of ours")

    monkeypatch.setattr(models, "load", lambda model, device, *_, **__: Nearest())
    monkeypatch.setattr(Executor, "translate", buggy)
    with pytest.raises(ValueError, match="a bug of ours"):
        convert_command(folder(tmp_path / "in", 9), tmp_path / "out", model=str(save(tmp_path / "model.png")))
    assert outputs(tmp_path / "out") == {}


def test_the_process_ends_with_the_exit_codes_that_the_help_documents(tmp_path: Path, model: Path) -> None:
    source = folder(tmp_path / "in", 2)
    for arguments, code in (((source, tmp_path / "out"), 0), ((source, source), 2)):
        process = command(*arguments, "--model", model)
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == code
        assert "Traceback" not in stderr
    (source / "empty.png").touch()
    process = command(source, tmp_path / "out", "--model", model)
    process.communicate(timeout=120)
    assert process.returncode == 1


def test_a_terminal_shows_progress_with_the_models_name_as_it_is(tmp_path: Path, model: Path) -> None:
    """Brackets in a path are no markup; standard output stays the summary alone."""
    import os
    import pty
    import subprocess

    odd = tmp_path / "[v2] x[" / "a.onnx"
    odd.parent.mkdir()
    odd.write_bytes(model.read_bytes())
    mine, theirs = pty.openpty()
    words = [sys.executable, "-m", "pixlate", "convert", folder(tmp_path / "in", 5), tmp_path / "out", "--model", "[v2] x[/a.onnx", "--device", "cpu"]
    process = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=theirs, text=True, cwd=tmp_path, env=os.environ | {"COLUMNS": "120"}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(mine, 4096)
        except OSError:  # the other end is closed
            break
    os.close(mine)
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert b"[v2] x[/a.onnx" in shown
    assert b"5/5" in shown
    assert stdout.startswith("5 converted")


def test_quiet_prints_failures_alone(tmp_path: Path, model: Path, call: Call) -> None:
    source = folder(tmp_path / "in", 2)
    assert call(source, tmp_path / "out", "--model", model, "--quiet") == (0, "", "")
    (source / "empty.png").touch()
    failure = f"{source}/empty.png"
    code, stdout, stderr = call(source, tmp_path / "out", "--model", model, "--quiet")
    assert (code, stdout, stderr) == (1, "", f"failed: {failure}: the file is empty; copy it again from its source\n")
    code, stdout, stderr = call(source, tmp_path / "out", "--model", model, "--quiet", "--dry-run")
    assert (code, stderr) == (1, "") and stdout.startswith(f"fail: the file is empty; copy it again from its source: {failure}")
    assert len(stdout.splitlines()) == 1


def test_verbose_prints_a_line_for_each_file_on_standard_error(tmp_path: Path, model: Path, call: Call) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    (source / "a.jpg").write_bytes((source / "0" / "000.png").read_bytes())
    code, stdout, stderr = call(source, out, "--model", model, "--verbose")
    assert code == 0 and stdout.startswith("3 converted")
    lines = sorted(stderr.splitlines())
    assert lines[0] == f"converted: {source}/0/000.png -> {out}/0/000.png 9x6 -> 18x12"
    assert lines[2] == f"converted: {source}/a.jpg -> {out}/a.jpg 9x6 -> 18x12 (the file is PNG inside, whatever its name says)"
    _, _, stderr = call(source, out, "--model", model, "--verbose", "--json")
    assert sorted(stderr.splitlines())[0] == f"finished before: {source}/0/000.png -> {out}/0/000.png"
    _, _, stderr = call(source / "a.jpg", tmp_path / "large.png", "--model", model, "--verbose")
    assert stderr.startswith(f"converted: {source}/a.jpg -> {tmp_path}/large.png 9x6 -> 18x12")
    code, _, stderr = call(source, out, "--model", model, "--verbose", "--quiet")
    assert code == 2 and "expected one of --quiet and --verbose, got both" in stderr


def test_a_dry_run_names_what_is_left_out_and_how_long_the_work_takes(tmp_path: Path, model: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["pixlate.convert.preview"], "measured_speed", lambda executor: 100.0)
    source = folder(tmp_path / "in", 3, 60, 100)
    (source / "notes.txt").touch()
    arguments = (source, tmp_path / "out", "--model", model, "--dry-run", "--exclude", "001.png", "--limit", 1)
    code, stdout, _ = call(*arguments)
    assert code == 0
    assert stdout.splitlines()[1:] == [
        "left out, since their names are not those of images Pixlate reads, or hidden: 1 .txt",
        "left out: 1 by --exclude, 1 by --limit",
        "about 0:01:00 of work on cpu, as fast as a sample has run, without reading and writing",
        "1 file, 0 would fail by their headers, 0.024 million pixels of output; nothing was written",
    ]
    found = json.loads(call(*arguments, "--json")[1])
    assert (found["left_out"], found["seconds"]) == ({".txt": 1, "by --exclude": 1, "by --limit": 1}, 60.0)


@pytest.mark.parametrize("wrong", ["source", "model", "mask", "out", "report"])
def test_paths_are_checked_before_what_runs_models_is_imported(wrong: str, tmp_path: Path) -> None:
    """A fresh process, in which importing PyTorch or ONNX Runtime is an error."""
    import subprocess

    source = folder(tmp_path / "in", 1)
    (tmp_path / "weights.pth").write_bytes(b"weights")
    (tmp_path / "file").touch()
    words = {"source": source, "out": tmp_path / "out", "--model": tmp_path / "weights.pth", "--mask": source, "--report": tmp_path / "r.json"}
    bad = {
        "source": tmp_path / "none",
        "model": tmp_path / "none.pth",
        "mask": tmp_path / "none",
        "out": tmp_path / "file" / "out",
        "report": tmp_path / "file" / "r",
    }
    words |= {name if name in words else f"--{name}": bad[name] for name in [wrong]}
    code = "import sys; sys.modules.update(torch=None, onnxruntime=None); from pixlate.cli import main; sys.exit(main())"
    given = [str(words.pop("source")), str(words.pop("out")), *(str(word) for pair in words.items() for word in pair)]
    done = subprocess.run([sys.executable, "-c", code, "convert", *given], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert str(bad[wrong]) in done.stderr and "PyTorch" not in done.stderr and "lacks a library" not in done.stderr
