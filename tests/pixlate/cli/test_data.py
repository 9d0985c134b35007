"""``pixlate data check``."""

import json
import sys
from pathlib import Path

import pytest

from pixlate.cli import main
from pixlate.cli.data import check
from pixlate.errors import PixlateError
from pixlate.plugin.testing import make_photographs


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["pixlate", "data", "check", *map(str, arguments)])
    return main()


def test_sound_folders_give_0_and_a_summary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source, target = make_photographs(tmp_path / "source", 3), make_photographs(tmp_path / "target", 3, seed=1)
    assert run(monkeypatch, source, target) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "paired: sources and targets matched by name, 3 pairs; where they are not, say what they are with --kind"
    assert lines[1] == f"{source}: 3 images, width 96 to 96 (median 96), height 96 to 96 (median 96) pixels"
    assert lines[2] == "    by channels: 3 of 3; by bits of a sample: 3 of 8"
    assert lines[-1] == "ok       no problems"


def test_problems_give_1_and_a_sentence_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    make_photographs(tmp_path, 3)
    (tmp_path / "000.png").write_bytes(b"")
    assert run(monkeypatch, tmp_path, "--patch", 100) == 1
    problems = [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem  ")]
    assert len(problems) == 2 and "000.png: the file is empty" in problems[0] and "2 images are smaller than a patch of 100 pixels" in problems[1]


def test_json_is_one_object_with_the_same_facts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    make_photographs(tmp_path, 2, 30, 60)
    assert run(monkeypatch, tmp_path, "--json", "--kind", "degraded") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "degraded" and report["problems"] == []
    assert report["folders"][0] | {"path": ""} == {
        "path": "",
        "images": 2,
        "heights": [30, 30, 30],
        "widths": [60, 60, 60],
        "channels": {"3": 2},
        "bits": {"8": 2},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected folders of images, got none; write: pixlate data check photos/"),
        ((".", "--pairing", "paired"), "--pairing is now --kind; write: pixlate data check --kind paired"),
        (
            (".", "--kind", "pairs"),
            "expected --kind to be one of degraded, domains, images, masked, paired, photographs, taught, unpaired, got 'pairs'; choose one, or install the plugin",
        ),
        (("missing",), "expected a folder of images, got missing, which is not there"),
        ((".", "--patch", "-1"), "expected --patch of at least 0, got -1"),
    ],
)
def test_mistakes_give_2_and_one_line(
    arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pixlate: {message}") and error.count("\n") == 1


def test_an_empty_kind_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected --kind to be one of degraded, .*paired.*, got ''"):
        check((tmp_path,), kind="")
