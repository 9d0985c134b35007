"""``pixlate convert - -``: pictures through pipes, as the shell makes them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import NEAREST, load, nearest, noise, outputs, save, tree, write_onnx

from pixlate.cli import main
from pixlate.cli.pipes import PIPE, mark_pipes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("model") / "nearest.onnx", NEAREST)


class Done(NamedTuple):
    returncode: int
    stdout: bytes
    stderr: bytes


Pixlate = Callable[..., Done]


@pytest.fixture
def pixlate(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Pixlate:
    """Run ``pixlate convert`` in this process, with bytes on standard input."""

    def start(*words: object, given: bytes = b"") -> Done:
        stdout = BytesIO()
        monkeypatch.setattr(sys, "argv", ["pixlate", "convert", *map(str, words), "--device", "cpu"])
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(given)))
        monkeypatch.setattr(sys, "stdout", TextIOWrapper(stdout, write_through=True))
        capfd.readouterr()
        code = main()
        return Done(code, stdout.getvalue(), capfd.readouterr().err.encode())

    return start


def through_files(pixlate: Pixlate, source: Path, out: Path, model: Path) -> bytes:
    done = pixlate(source, out, "--model", model)
    assert done.returncode == 0, done.stderr
    return next(iter(outputs(out).values())).read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_a_pipe_gives_the_bytes_of_the_file_conversion_in_the_format_of_the_input(pixlate: Pixlate, name: str, model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "in" / name)
    done = pixlate("-", "-", "--model", model, given=source.read_bytes())
    assert done.returncode == 0
    assert done.stdout == through_files(pixlate, source, tmp_path / "out", model)
    assert done.stderr.startswith(b"1 converted at ") and b"into standard output\n" in done.stderr


def test_a_shell_joins_it_with_other_commands(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    line = f"cat {source} | {sys.executable} -m pixlate convert - - --model {model} --device cpu --quiet | cat > {tmp_path}/b.png"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert load(tmp_path / "b.png").size == (18, 12)


def test_format_chooses_another(pixlate: Pixlate, model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    done = pixlate("--quiet", "-", "-", "--model", model, "--format=webp", "--lossless", given=source.read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "out.webp").write_bytes(done.stdout)
    assert load(tmp_path / "out.webp").format == "WEBP"
    assert (np.asarray(load(tmp_path / "out.webp")) == nearest(noise(6, 9)[None], 2)[0]).all()


def test_one_side_may_be_a_file(pixlate: Pixlate, model: Path, tmp_path: Path) -> None:
    source, out = save(tmp_path / "a.png"), tmp_path / "b.png"
    whole = through_files(pixlate, source, tmp_path / "out", model)
    assert pixlate(source, "-", "--model", model).stdout == whole
    assert pixlate("-", out, "--model", model, given=source.read_bytes()).returncode == 0
    assert out.read_bytes() == whole
    again = pixlate("-", out, "--model", model, given=source.read_bytes())
    assert b"1 finished before" in again.stdout
    other = pixlate("-", out, "--model", model, given=save(tmp_path / "other.png", seed=3).read_bytes())
    assert b"1 converted" in other.stdout
    assert load(out).getpixel((0, 0)) == tuple(noise(6, 9, seed=3)[0, 0])


def test_into_a_folder_it_is_called_image_or_what_name_says(pixlate: Pixlate, model: Path, tmp_path: Path) -> None:
    given = save(tmp_path / "a.png").read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    pixlate("-", out, "--model", model, given=given)
    pixlate("-", out, "--model", model, "--name", "cat{suffix}", given=given)
    assert set(outputs(out)) == {"image.png", "cat.png"}


def test_the_summary_as_json_goes_to_standard_error(pixlate: Pixlate, model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    done = pixlate("-", "-", "--model", model, "--json", given=source.read_bytes())
    assert json.loads(done.stderr)["converted"] == 1
    assert done.stdout.startswith(b"\x89PNG")


def test_reports_and_failures_call_it_standard_input(pixlate: Pixlate, model: Path, tmp_path: Path) -> None:
    done = pixlate("-", "-", "--model", model, "--report", tmp_path / "report.json", given=save(tmp_path / "a.png").read_bytes()[:60])
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"failed: standard input: the image is truncated or damaged (" in done.stderr
    assert json.loads((tmp_path / "report.json").read_text())["files"][0]["source"] == "standard input"


def test_what_is_no_image_is_named_and_not_read_whole(model: Path) -> None:
    done = subprocess.run(
        f"yes | {sys.executable} -m pixlate convert - - --device cpu --model {model}", shell=True, capture_output=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"pixlate: standard input: expected an image, got a file that is none of " in done.stderr


def test_limits_hold(pixlate: Pixlate, model: Path, tmp_path: Path) -> None:
    done = pixlate("-", "-", "--model", model, "--max-pixels", 50, given=save(tmp_path / "a.png").read_bytes())
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"failed: standard input: " in done.stderr and b"--max-pixels" in done.stderr


def test_more_bytes_than_an_image_has_are_refused(pixlate: Pixlate, model: Path, tmp_path: Path) -> None:
    picture = save(tmp_path / "a.bmp").read_bytes()
    done = pixlate("-", "-", "--model", model, "--max-pixels", 100, given=picture + bytes(65 << 20))
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"expected at most 67110464 bytes on standard input, as an image of --max-pixels 100 has, got more; name the file itself" in done.stderr


def test_no_bytes_are_refused(pixlate: Pixlate, model: Path) -> None:
    done = pixlate("-", "-", "--model", model)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"pixlate: expected a picture on standard input, got no bytes; check the command before the pipe\n"


def test_a_pipe_that_is_closed_early_is_quiet_and_fails(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "large.png"
    Image.fromarray(noise(300, 400)).save(source)
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "pixlate", "convert", str(source), "-", "--model", str(model), "--device", "cpu"]
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, timeout=120, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_full_disk_behind_standard_output_is_named(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    words = [sys.executable, "-m", "pixlate", "convert", str(source), "-", "--model", str(model), "--device", "cpu"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, b"pixlate: standard output takes no more (No space left on device); free some space\n")


def test_a_terminal_is_refused(model: Path, tmp_path: Path) -> None:
    import pty

    source = save(tmp_path / "a.png")
    how = b"write: pixlate convert - - --model upscale-x4 < in.png > out.png\n"
    main, terminal = pty.openpty()
    words = [sys.executable, "-m", "pixlate", "convert", "--model", str(model), "--device", "cpu"]
    done = subprocess.run([*words, "-", str(tmp_path / "b.png")], stdin=terminal, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"pixlate: expected a picture on standard input, got the terminal; " + how
    done = subprocess.run([*words, str(source), "-"], stdout=terminal, stderr=subprocess.PIPE, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, b"pixlate: expected a file or a pipe for standard output, got the terminal, which shows no picture; " + how)
    os.close(main)
    os.close(terminal)


@pytest.mark.parametrize(
    ("closed", "sentence"), [("<&-", b"a picture on standard input, which is closed"), (">&-", b"a pipe for standard output, which is closed")]
)
def test_a_closed_pipe_is_not_called_a_terminal(closed: str, sentence: bytes, model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    command = f"{sys.executable} -m pixlate convert - - --model {model} --device cpu < {source} {closed}"
    done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert sentence in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-", "out", "--watch"], "expected paths for --watch, got - for a pipe; name a folder"),
        (["-", "out", "--engine", "ray"], "expected paths for --engine ray, got - for a pipe; name a folder"),
        (["-", "a.png", "out"], "expected one picture where - is used, got several sources; write: pixlate convert - -"),
        (["folder", "-"], "expected one picture where - is used, got a folder or a glob; write: pixlate convert - -"),
        (["*.png", "-"], "expected one picture where - is used, got a folder or a glob; write: pixlate convert - -"),
        (["none.png", "-"], "expected a file, a folder or a glob, but none.png does not exist; check the path"),
        (["-"], "expected a source and an output folder, got -; write: pixlate convert photos/ out/"),
    ],
)
def test_what_a_pipe_cannot_be_is_refused(
    pixlate: Pixlate, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    done = pixlate(*words, "--model", model, given=b"x")
    assert (done.returncode, done.stdout) == (2, b"")
    assert sentence in done.stderr.decode()
    assert set(tree(tmp_path)) == {"folder"}


def test_a_dry_run_says_what_would_be_done_on_standard_error(pixlate: Pixlate, model: Path, tmp_path: Path) -> None:
    done = pixlate("-", "-", "--model", model, "--dry-run", given=save(tmp_path / "a.png").read_bytes())
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"convert: standard input -> standard output/image.png\n" in done.stderr
    assert b"nothing was written" in done.stderr


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("convert - - --model m", "convert P P --model m"),
        ("convert --model m - -", "convert --model m P P"),
        ("convert --model=m - -", "convert --model=m P P"),
        ("convert --quiet - out.png --suffix -", "convert --quiet P out.png --suffix -"),
        ("convert --watch --lossless - -", "convert --watch --lossless P P"),
    ],
)
def test_a_dash_that_is_the_value_of_an_option_stays(line: str, marked: str) -> None:
    assert [word.replace(PIPE, "P") for word in mark_pipes(line.split())] == marked.split()
