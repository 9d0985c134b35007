"""The first experience: pixlate alone, pixlate demo, and the line after a conversion that leads on."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import NEAREST, load, save, tree, write_onnx

from pixlate import ConvertOptions
from pixlate.cli import demo, first, main
from pixlate.cli.drawn import PICTURES, SIZE, drawn
from pixlate.convert.report import Summary

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", *words])
        return main()

    return call


@pytest.mark.parametrize("web", [True, False])
def test_pixlate_alone_offers_three_commands_in_80_columns(web: bool, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "has_page", lambda: web)
    assert run() == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    commands = [line.split("  ")[1] for line in printed.splitlines() if line.startswith("  pixlate ")]
    assert commands == ["pixlate demo", "pixlate convert photos/ out/ --model upscale-x4", "pixlate web" if web else "pixlate models"]
    assert "pixlate --help" in printed


def test_pixlate_alone_imports_neither_numpy_nor_pillow() -> None:
    code = "import sys; from pixlate.cli import main; sys.argv = ['pixlate']; main(); sys.exit(len({'numpy', 'PIL', 'torch', 'gradio'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_drawn_pictures_are_small_and_full_of_edges_and_colours() -> None:
    for name in PICTURES:
        pixels = np.asarray(drawn(name)).astype(int)
        assert pixels.shape == (SIZE[1], SIZE[0], 3)
        assert (np.abs(np.diff(pixels, axis=1)).max(axis=2) > 60).mean() > 0.01
        assert len(np.unique(pixels.reshape(-1, 3) // 32, axis=0)) > 15
        assert (np.asarray(drawn(name)) == pixels).all()


def test_demo_enlarges_drawings_where_there_are_no_photographs(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert run("demo") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("3 small pictures in pixlate-demo/small are 4 times larger in pixlate-demo/large, by upscale-x4 on cpu\n")
    assert f"before and after, side by side: {tmp_path}/pixlate-demo/before-after.png\n" in printed
    assert printed.endswith("next, with pictures of your own: pixlate convert PICTURES/ out/ --model upscale-x4\n")
    assert {load(path).size for path in (tmp_path / "pixlate-demo" / "large").glob("*.png")} == {(640, 480)}
    assert load(tmp_path / "pixlate-demo" / "before-after.png").width == 756
    before = tree(tmp_path / "pixlate-demo" / "large")
    assert run("demo") == 0
    assert tree(tmp_path / "pixlate-demo" / "large") == before


def test_demo_enlarges_photographs_where_the_extra_brings_them(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage")
    assert run("demo", "shown") == 0
    assert capsys.readouterr().out.startswith("4 small pictures in shown/small are 4 times larger in shown/large, by upscale-x4 on cpu\n")
    with Image.open(tmp_path / "shown" / "large" / "coffee.png") as enlarged:
        assert enlarged.size == (600, 400)


def test_demo_touches_no_folder_of_the_users_own(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "mine" / "cat.png")
    (tmp_path / "file").touch()
    before = tree(tmp_path)
    assert run("demo", "mine") == 2
    assert capsys.readouterr().err == "pixlate: expected a new folder for the demonstration, but mine holds cat.png; name another: pixlate demo FOLDER\n"
    assert run("demo", "file") == 2
    assert capsys.readouterr().err == "pixlate: expected a folder for the demonstration, got the file file; name another: pixlate demo FOLDER\n"
    assert tree(tmp_path) == before


def converted(**more: Any) -> Summary:
    return Summary(**{"converted": 3, **more})


@pytest.mark.parametrize(
    ("summary", "options", "line"),
    [
        (converted(), {}, "the result is {here}/out; next: see before and after with --sheet FILE.png --limit 4 --on-exists overwrite"),
        (converted(sheet="s.png"), {"sheet": Path("s.png")}, "the result is {here}/out; next: look at {here}/s.png"),
        (converted(failed=1), {}, "the result is {here}/out; next: --report FILE.json lists every file that failed"),
        (converted(), {"watch": True}, "the result is {here}/out"),
        (Summary(finished_before=2), {"watch": True}, "the result is {here}/out"),
        (Summary(failed=2), {}, ""),
    ],
)
def test_a_conversion_says_where_the_result_is_and_what_to_do_next(
    summary: Summary, options: dict[str, Any], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(first, "has_page", lambda: False)
    assert first.next_step(summary, "out", ConvertOptions(**options)) == line.format(here=tmp_path)


def test_the_page_is_offered_where_it_is_installed_and_urls_stay_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "has_page", lambda: True)
    line = first.next_step(converted(), "s3://name:secret@bucket/out", ConvertOptions())
    assert line.startswith("the result is s3://") and line.endswith(", or on a page: pixlate web")


def test_only_a_terminal_shows_that_line(tmp_path: Path) -> None:
    import pty

    model = write_onnx(tmp_path / "nearest.onnx", NEAREST)
    save(tmp_path / "in" / "a.png")
    line = [sys.executable, "-m", "pixlate", "convert", "in", "out", "--model", str(model), "--device", "cpu"]
    main_end, terminal = pty.openpty()
    done = subprocess.run(line, stdout=terminal, stderr=subprocess.PIPE, timeout=120, check=False, cwd=tmp_path)
    os.close(terminal)
    printed = os.read(main_end, 100_000).decode()
    os.close(main_end)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"the result is {tmp_path}/out; next: see before and after", printed)
    done = subprocess.run(line, capture_output=True, timeout=120, check=False, cwd=tmp_path)
    assert b"the result is" not in done.stdout
