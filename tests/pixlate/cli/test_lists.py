"""``pixlate models``, ``plugins`` and ``doctor``."""

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import pixlate
from pixlate.cli import train
from pixlate.cli.doctor import doctor
from pixlate.cli.models import Entry, _whole, models
from pixlate.cli.plugins import plugins
from pixlate.inference.ready import cards
from pixlate.plugin.check import Check
from pixlate.plugin.entries import Plugin
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.spec import ModelSpec, Provenance


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_models_lists_each_ready_model_in_one_line_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert models() == 0
    lines = printed(capsys).splitlines()
    for name, card in cards().items():
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert line.endswith(f"  {card.summary}") and len(line) <= 80
    assert any(line.split()[:3] == ["day-to-night", "32", "KB"] for line in lines), "small files have no 0.0 MB"
    assert any(line.split()[:3] == ["upscale-x4", "2.8", "MB"] for line in lines)


def test_models_are_listed_under_their_licence_and_demonstrations_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert models() == 0
    text = printed(capsys)
    lines = text.splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("  upscale-x4 "))
    licence = next(line for line in reversed(lines[:at]) if not line.startswith("  "))
    assert licence.startswith("licence: non-commercial research and education")
    assert text.index("  upscale-x4 ") < text.index("\nDemonstrations: ") < text.index("  sketch-to-photo ")
    assert all(len(line) <= 80 for line in lines)


def test_models_shows_all_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert models("day-to-night") == 0
    newest = printed(capsys)
    card = cards()["day-to-night"]
    for line in (
        "licence: non-commercial",
        "version: 2 (others: day-to-night@1)",
        f"file: {card.path}, 32 KB",
        f"card: {card.card}",
        "steps: 4000",
        "scale: 1",
    ):
        assert f"    {line}" in newest
    assert models("day-to-night@1") == 0
    assert f"    version: 1 (others: day-to-night@2)\n    file: {card.earlier[1]}, 61 KB\n" in printed(capsys)
    assert models("day-to-night@1", json=True) == 0
    (row,) = json.loads(printed(capsys))
    assert (row["version"], row["path"]) == (1, str(card.earlier[1]))


def test_a_model_of_others_weights_shows_no_steps_that_pixlate_never_made(tmp_path: Path) -> None:
    """Such as Real-ESRGAN's: nobody who exported it said how it was trained."""
    card = ModelCard("theirs", "enlarges", tmp_path / "theirs.onnx", None)
    shown = [
        "\n".join(_whole(Entry(card, 1, card.path, ModelSpec(provenance=Provenance(data="a paper", steps=steps, version=version)), 1)))
        for steps, version in ((0, ""), (40, "0.2"))
    ]
    assert "data: a paper" in shown[0] and not any(word in shown[0] for word in ("steps", "seed", "exported"))
    assert all(words in shown[1] for words in ("steps: 40", "seed: 0", "exported by: Pixlate 0.2"))


def test_models_refuses_a_name_that_it_does_not_list() -> None:
    with pytest.raises(pixlate.PixlateError, match=r"expected a model's name \(.*upscale-x4\), got 'upscale'; did you mean upscale-x"):
        models("upscale")
    with pytest.raises(pixlate.PixlateError, match="got 'BRIGHTEN'; did you mean brighten"):
        models("BRIGHTEN")
    with pytest.raises(pixlate.PixlateError, match="`pixlate convert --model` takes files"):
        models(str(cards()["brighten"].path))


def test_models_shows_versions_sources_and_what_is_not_made_yet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(path: Path) -> None:
        raise AssertionError("a list makes no model")

    first = installed().offered(ModelCard)["upscale-x2"].path
    offered = {
        "x2": ModelCard("x2", "enlarges", first, licence="MIT", version=2, earlier={1: first}),
        "later": ModelCard("later", "later", tmp_path / "later.onnx", licence="BSD-3-Clause", source="https://example.org/later", make=make),
    }
    real = installed().offered
    monkeypatch.setattr(installed(), "offered", lambda wanted: offered if wanted is ModelCard else real(wanted))
    assert models() == 0
    text = printed(capsys)
    assert "licence: MIT\n  x2      2.7 MB  enlarges\n" in text
    assert "licence: BSD-3-Clause\n  later        -  later\n" in text and "-: made on first use, and kept in the cache\n" in text
    assert models("later") == 0
    text = printed(capsys)
    assert f"file: {tmp_path / 'later.onnx'}, made on first use, and kept in the cache\n    from: https://example.org/later\n" in text
    assert models(json=True) == 0
    rows = {row["name"]: row for row in json.loads(printed(capsys))}
    assert (rows["x2"]["version"], rows["x2"]["earlier"], rows["x2"]["licence"]) == (2, {"x2@1": str(first)}, "MIT")
    assert (rows["later"]["spec"], rows["later"]["bytes"], rows["later"]["make"]) == (None, None, True)


@pytest.mark.parametrize("name", sorted(name for name in cards() if "esrgan" not in name))
def test_card_says_limits_and_licence_before_figures_and_recipe(name: str) -> None:
    path = cards()[name].card
    assert path is not None
    text = path.read_text(encoding="utf-8")
    places = [text.index(f"- **{heading}**") for heading in ("Limits", "Licence", "Figures", "Network", "Command") if f"- **{heading}**" in text]
    assert places == sorted(places) and len(places) >= 4


def test_models_as_json_holds_the_spec_of_each_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(json=True) == 0
    rows = {row["name"]: row for row in json.loads(printed(capsys))}
    for scale, exported_by in ((2, "0.1.0"), (4, "0.2.0.dev0")):
        spec = rows[f"upscale-x{scale}"]["spec"]
        assert (spec["scale"], spec["tiling_exact"], spec["provenance"]["version"]) == (scale, True, exported_by), "the version that exported it"
        assert rows[f"upscale-x{scale}"]["card"].endswith(f"upscale-x{scale}.md")


def test_plugins_lists_distribution_version_and_hooks(capsys: pytest.CaptureFixture[str]) -> None:
    assert plugins() == 0
    assert f"srgan  pixlate {version('pixlate')}" in printed(capsys)


def test_plugins_gives_1_where_one_failed_to_import(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed(), "plugins", [Plugin("bad", "bad-package", "0.1", error="ImportError: no such thing")])
    assert plugins() == 1
    assert "bad  bad-package 0.1  left out: ImportError: no such thing" in printed(capsys)


def test_doctor_reports_versions_and_that_the_cpu_provider_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(json=True) == 0
    found = {check["name"]: check for check in json.loads(printed(capsys))}
    assert f"numpy {version('numpy')}" in found["run time"]["found"]
    assert found["CPUExecutionProvider"] == {"name": "CPUExecutionProvider", "status": "ok", "found": "loads and runs", "remedy": ""}


def test_doctor_says_which_runtime_is_fastest_and_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    doctor(json=True)
    (found,) = [check for check in json.loads(printed(capsys)) if check["name"].startswith("fastest for ")]
    assert found["status"] == "ok"
    assert re.match(r"(openvino|onnxruntime): openvino in (bfloat16|float32) .*beside onnxruntime", found["found"])
    assert ("times as fast" in found["found"]) or "levels" in found["found"]


def test_doctor_prints_the_remedy_under_a_problem_and_gives_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed(), "checks", lambda: [Check("tables", "problem", "missing", "pip install tables")])
    assert doctor() == 1
    assert "problem  tables: missing\n         fix with: pip install tables\n" in printed(capsys)


def test_doctor_names_missing_training_packages_with_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate.cli.doctor._TRAIN", ("numpy", "not-a-package"))
    assert doctor() == 0
    text = printed(capsys)
    assert "training: not installed: not-a-package" in text
    assert "fix with: pip install 'pixlate[train]' (from a checkout: pip install '.[train]')\n" in text


def test_doctor_names_a_torchvision_that_does_not_fit_torch(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # importing it raises ImportError
    monkeypatch.setattr("pixlate.cli.doctor.find_spec", lambda name: True)
    assert doctor() == 1
    assert "torch and torchvision do not fit each other" in printed(capsys)


def test_doctor_names_a_plugin_that_fails_to_import(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed(), "plugins", [Plugin("bad", "bad-package", "0.1", error="ImportError: no such thing")])
    assert doctor() == 1
    assert "fix with: pip install --upgrade bad-package" in printed(capsys)


def test_models_names_a_file_that_is_missing_and_lists_the_others(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real, gone = installed().offered, {"gone": ModelCard("gone", "not there", tmp_path / "gone.onnx")}
    monkeypatch.setattr(installed(), "offered", lambda wanted: real(wanted) | (gone if wanted is ModelCard else {}))
    assert models() == 1
    out, err = capsys.readouterr()
    assert "  upscale-x2 " in out and "  upscale-x4 " in out
    assert f"expected the file of the model gone at {tmp_path / 'gone.onnx'}, but it is missing" in err


class Broken:
    """A plugin that offers, beside a good metric, what cannot be used."""

    @pixlate.hookimpl
    def pixlate_methods(self) -> Iterator[object]:
        yield 1 / 0

    @pixlate.hookimpl
    def pixlate_metrics(self) -> Iterator[object]:
        yield pixlate.Metric("fits", lambda output, target: 1.0)
        yield "no metric"

    @pixlate.hookimpl
    def pixlate_models(self) -> Iterator[ModelCard]:
        yield installed_model()


def installed_model() -> ModelCard:
    return ModelCard("upscale-x4", "the same name", Path("x.onnx"))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    plugins = installed()
    module = Broken()
    monkeypatch.setattr(plugins, "plugins", list(plugins.plugins))
    monkeypatch.setattr(plugins, "_left_out", {})
    plugins.add(module, Plugin("broken", "pixlate-broken", "0.3"))
    yield
    plugins.manager.unregister(module)


@pytest.mark.filterwarnings("ignore:.*broken")
@pytest.mark.usefixtures("broken")
def test_plugins_and_doctor_name_what_is_left_out_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    sentences = [
        "the plugin broken (pixlate-broken 0.3) failed in pixlate_methods (ZeroDivisionError: division by zero), which is left out from there on",
        "a metric of the plugin broken (pixlate-broken 0.3) is left out: expected a Metric with a name, got str",
        "two plugins offer a model named 'upscale-x4': ",
    ]
    for command in (plugins, doctor):
        assert command() == 1
        text = printed(capsys)
        assert all(text.count(sentence) == 1 for sentence in sentences)
    assert plugins(json=True) == 1
    (row,) = [row for row in json.loads(printed(capsys)) if row["name"] == "broken"]
    assert row["api"] == 1
    assert [(part["kind"], part["name"]) for part in row["left_out"]] == [("hook", "pixlate_methods"), ("model", "upscale-x4"), ("metric", "pixlate_metrics")]
    assert doctor(json=True) == 1
    assert [check["found"] for check in json.loads(printed(capsys)) if check["name"] == "plugin broken"]


@pytest.mark.filterwarnings("ignore:.*broken")
@pytest.mark.usefixtures("broken")
def test_a_model_two_plugins_offer_is_marked_and_the_others_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert models() == 1
    out, err = capsys.readouterr()
    assert "  upscale-x2 " in out and "  upscale-x4 " not in out
    assert err.startswith("two plugins offer a model named 'upscale-x4': ") and err.count("\n") == 1
    with pytest.raises(pixlate.PixlateError, match=r"two plugins offer a model named 'upscale-x4': .*broken \(pixlate-broken 0\.3\)"):
        pixlate.load("upscale-x4")


@pytest.mark.filterwarnings("ignore:.*broken")
@pytest.mark.usefixtures("broken")
def test_a_method_that_was_left_out_is_explained_when_asked_for() -> None:
    with pytest.raises(
        pixlate.PixlateError, match=r"expected a method \(.*srgan.*\), got 'unheard'; the plugin broken .* failed in pixlate_methods \(ZeroDivisionError"
    ):
        train.resume("unheard")
