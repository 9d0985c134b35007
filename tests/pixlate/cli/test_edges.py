"""``pixlate data edges``: drawings that pair with their photographs."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pixlate.data.edges
import pixlate.losses.hed
from pixlate.cli import main
from pixlate.data.folders import match_by_name
from pixlate.plugin.testing import make_photographs

Draw = Callable[..., int]


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Run ``data edges`` with the images' brightness in the place of HED's edges; return its exit code."""
    monkeypatch.setattr(pixlate.data.edges, "_hed", lambda: lambda images: images.mean(dim=1, keepdim=True))

    def draw(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", "data", "edges", *map(str, words)])
        return main()

    return draw


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for path in make_photographs(tmp_path / "photographs/sub", 2, 40, 48).iterdir():
        with Image.open(path) as image:
            image.paste("black", (4, 4, 44, 20))
            image.paste("white", (4, 10, 44, 14))
            image.save(path)
    return tmp_path / "photographs"


@pytest.mark.parametrize("drawer", ["hed", "contours"])
def test_drawings_at_each_strength_pair_with_their_photographs(
    drawer: str, draw: Draw, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(photographs, tmp_path / "out", "--drawer", drawer, "--strengths", 0.2, 0.5) == 0
    assert capsys.readouterr().out == f"4 drawings written, into {tmp_path / 'out'}\n"
    for strength in ("0.2", "0.5"):
        pairs, alone = match_by_name(tmp_path / "out" / strength, photographs)
        assert len(list(pairs)) == 2 and not alone
        with Image.open(tmp_path / "out" / strength / "sub/000.png") as drawing:
            assert drawing.mode == "L" and drawing.size == (48, 40)


def test_one_strength_writes_into_the_folder_itself(draw: Draw, photographs: Path, tmp_path: Path) -> None:
    assert draw(photographs, tmp_path / "out", "--strengths", 0.4) == 0
    assert (tmp_path / "out/sub/000.png").is_file()


def test_drawings_that_exist_are_kept(draw: Draw, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(photographs, tmp_path / "out", "--strengths", 0.4)
    (tmp_path / "out/sub/001.png").write_bytes(b"touched up by hand")
    (tmp_path / "out/sub/000.png").unlink()
    capsys.readouterr()
    assert draw(photographs, tmp_path / "out", "--strengths", 0.4) == 0
    assert capsys.readouterr().out == f"1 drawings written, 1 kept that were there, into {tmp_path / 'out'}\n"
    assert (tmp_path / "out/sub/001.png").read_bytes() == b"touched up by hand"


@pytest.mark.parametrize("other", [["--strengths", 0.5], ["--strengths", 0.4, "--thickness", 2], ["--strengths", 0.4, "--drawer", "contours"]], ids=str)
def test_drawings_made_in_another_way_are_not_kept_as_if_they_were_these(
    other: list[object], draw: Draw, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(photographs, tmp_path / "out", "--strengths", 0.4)
    (tmp_path / "out/sub/000.png").unlink()
    capsys.readouterr()
    assert draw(photographs, tmp_path / "out", *other) == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert f"got {tmp_path}/out/sub/001.png made with --drawer hed --strengths 0.4 --thickness 1; name another folder" in printed
    assert not (tmp_path / "out/sub/000.png").exists()


def test_blank_drawings_are_counted(draw: Draw, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "even").mkdir()
    Image.new("RGB", (40, 40), "grey").save(tmp_path / "even/one.png")
    assert draw(tmp_path / "even", tmp_path / "out", "--strengths", 0.9) == 0
    assert "1 drawings written (1 blank, without a line of that strength: lower --strengths), into" in capsys.readouterr().out


def test_photograph_that_cannot_be_read_is_named_and_the_others_are_drawn(
    draw: Draw, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photographs / "bad.png").write_bytes(b"no image")
    assert draw(photographs, tmp_path / "out", "--strengths", 0.4) == 1
    captured = capsys.readouterr()
    assert "bad.png" in captured.err and "2 drawings written, 1 photographs failed" in captured.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strengths", "0"], "expected --strengths above 0 and below 1, each once, got 0"),
        (["--strengths", "0.2", "0.2"], "each once, got 0.2 0.2"),
        (["--strengths", "0.2", "0.20000001"], "each once, got 0.2 0.20000001"),
        (["--thickness", "0"], "expected --thickness from 0.3 to 16, got 0"),
    ],
)
def test_impossible_drawings_are_refused(
    words: list[str], message: str, draw: Draw, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(photographs, tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err


def test_drawings_among_the_photographs_and_equal_names_are_refused(draw: Draw, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(photographs, photographs / "out") == 2
    assert "drawings would be taken for photographs; name another folder" in capsys.readouterr().err
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(photographs / "sub/000.jpg")
    assert draw(photographs, tmp_path / "out") == 2
    assert "got two or more of sub/000; rename or remove one of each" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_weights_are_named_before_anything_is_read(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pixlate.data.edges._hed.cache_clear()
    monkeypatch.setattr(pixlate.losses.hed, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["pixlate", "data", "edges", str(photographs), str(tmp_path / "out")])
    assert main() == 2
    assert "pip install 'pixlate[edges]'" in capsys.readouterr().err
