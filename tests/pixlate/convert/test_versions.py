"""Folders that an earlier version of a ready model has made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.pixlate.conftest import NEAREST, save, write_onnx

import pixlate
from pixlate.convert import ConvertOptions, convert
from pixlate.plugin.manager import Plugins
from pixlate.plugin.spec import Provenance


@pytest.fixture(autouse=True)
def twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a ready model ``twice`` of version 2, whose version 1 is still there."""
    for version in (1, 2):
        write_onnx(tmp_path / f"twice@{version}.onnx", replace(NEAREST, provenance=Provenance(steps=version)))
    card = pixlate.ModelCard("twice", "twice", tmp_path / "twice@2.onnx", version=2, earlier={1: tmp_path / "twice@1.onnx"})
    offered = Plugins.offered
    monkeypatch.setattr(Plugins, "offered", lambda plugins, wanted: {"twice": card} if wanted is pixlate.ModelCard else offered(plugins, wanted))
    save(tmp_path / "a.png")


@pytest.mark.parametrize(("made", "again"), [("twice@1", "twice"), ("twice", "twice@1")])
def test_a_rerun_with_another_version_says_which_made_the_folder(tmp_path: Path, made: str, again: str) -> None:
    options = ConvertOptions(device="cpu")
    assert convert(tmp_path / "a.png", tmp_path / "out", made, options).converted == 1
    summary = convert(tmp_path / "a.png", tmp_path / "out", again, options)
    name = "twice@2" if made == "twice" else made
    sentence = f"made with {name}, which is another version of the model; go on with --model {name}, choose another folder, or --on-exists overwrite"
    assert summary.failed == 1 and sentence in summary.failures[0][1]
    assert convert(tmp_path / "a.png", tmp_path / "out", name, options).finished_before == 1


def test_another_option_is_not_taken_for_another_version(tmp_path: Path) -> None:
    convert(tmp_path / "a.png", tmp_path / "out", "twice@1", ConvertOptions(device="cpu"))
    summary = convert(tmp_path / "a.png", tmp_path / "out", "twice", ConvertOptions(device="cpu", strength=0.5))
    assert "made with another model or other options" in summary.failures[0][1]


@pytest.mark.parametrize(("model", "named"), [("twice", "twice@2"), ("twice@1", "twice@1")])
def test_reports_name_the_version(tmp_path: Path, model: str, named: str) -> None:
    summary = convert(tmp_path / "a.png", tmp_path / "out", model, ConvertOptions(device="cpu", report=tmp_path / "report.json"))
    assert summary.model == named == json.loads((tmp_path / "report.json").read_text())["summary"]["model"]
