"""``pixlate train METHOD --preset NAME``: recipes that a method ships."""

import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pixlate.cli import main
from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.testing import check_presets, make_photographs

Run = Callable[..., int]
SHORT = ["--steps", 2, "--batch", 1, "--channels", 4, "--blocks", 1, "--hold-out", 1, "--device", "cpu", "--workers", 1, "--warm-up", 0]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photographs(tmp_path_factory.mktemp("photographs"), 3, 144, 160)


@pytest.fixture
def pixlate(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command in this process; return its exit code."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, arguments)])
        try:
            return main()
        except SystemExit as left:
            return int(left.code or 0)

    return run


def options_of(run: Path) -> dict[str, Any]:
    return tomllib.loads((run / "options.toml").read_text())


@pytest.mark.parametrize("name", ["real", "fidelity", "quick"])
def test_shipped_recipe_trains_with_its_values(name: str, photographs: Path, tmp_path: Path, pixlate: Run) -> None:
    small = ["--patch", 12, "--scale", 2] + (["--discriminator-channels", 4] if name == "real" else [])
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run", "--preset", name, *SHORT, *small) == 0
    stored, recipe = options_of(tmp_path / "run"), tomllib.loads(installed().offered(Method)["srgan"].presets[name].read_text())["train"]["srgan"]
    given = {"steps": 2, "batch": 1, "channels": 4, "blocks": 1, "warm_up": 0, "patch": 12}
    assert stored["preset"] == name
    assert stored["train"]["srgan"].items() >= {**recipe, **given}.items()


def test_command_line_comes_before_the_configuration_and_that_before_the_preset(photographs: Path, tmp_path: Path, pixlate: Run) -> None:
    (tmp_path / "own.toml").write_text('[train.srgan]\npreset = "quick"\nlearning_rate = 0.5\nvalidate_every = 7\nrescale = [0.9]\n')
    assert pixlate("--config", tmp_path / "own.toml", "train", "srgan", photographs, "--out", tmp_path / "run", "--validate-every", 3, *SHORT) == 0
    stored = options_of(tmp_path / "run")
    table = stored["train"]["srgan"]
    assert (table["validate_every"], table["learning_rate"], table["rescale"], table["tail"]) == (3, 0.5, [0.9], "direct")
    assert stored["preset"] == "quick"


def test_run_of_a_preset_goes_on_and_keeps_its_name(photographs: Path, tmp_path: Path, pixlate: Run) -> None:
    assert pixlate("train", "srgan", photographs, "--out", tmp_path / "run", "--preset", "quick", *SHORT) == 0
    assert pixlate("train", "--resume", tmp_path / "run", "--steps", 3) == 0
    stored = options_of(tmp_path / "run")
    assert (stored["preset"], stored["train"]["srgan"]["steps"], stored["train"]["srgan"]["average_decay"]) == ("quick", 3, 0.99)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["srgan", ".", "--preset", "best"], "expected --preset of srgan to be one of paper, real, fidelity, small-data, quick, got 'best'; choose one"),
        (["srgan", ".", "--preset", "fidelity", "--adversarial-weight", "1"], "expected --adversarial-weight with --stages both or adversarial only"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], sentence: str, pixlate: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pixlate("train", *arguments, "--out", tmp_path / "run") == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert sentence in printed


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan", "cut", "srgan"])
def test_defaults_are_those_of_the_paper(name: str) -> None:
    method = installed().offered(Method)[name]
    published = tomllib.loads(method.presets["paper"].read_text())["train"][name]
    defaults = {name: value for owner in (method.options, method.data.options, method.training) for name, value in vars(owner()).items()}
    assert len(published) > 20
    assert {option: defaults[option] for option in published} == {
        option: tuple(value) if isinstance(value, list) else value for option, value in published.items()
    }


@pytest.mark.parametrize("name", ["small-data", "quick"])
@pytest.mark.parametrize("method", ["pix2pix", "cyclegan", "cut"])
def test_recipe_of_the_translations_trains(method: str, name: str, photographs: Path, tmp_path: Path, pixlate: Run) -> None:
    small = ["--channels", 4, "--discriminator-channels", 4, "--patch", 64, "--resize", 64, *(["--depth", 5] if method == "pix2pix" else ["--blocks", 1])]
    arguments = ["--steps", 1, "--epochs", 0, "--batch", 1, "--hold-out", 1, "--device", "cpu", "--workers", 1]
    folders = [photographs, make_photographs(tmp_path / "other", 3, 144, 160)]
    assert pixlate("train", method, *folders, "--out", tmp_path / "run", "--preset", name, *small, *arguments) == 0
    assert options_of(tmp_path / "run")["preset"] == name


def test_help_says_what_each_preset_is_for(pixlate: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert pixlate("train", "srgan", "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert (
        "Recipe that options start from. paper: as published" in text
        and "; real: for photographs as people have them" in text
        and "quick: a small network in a few minutes" in text
    )


def test_presets_of_every_method_hold_options_that_it_has() -> None:
    for method in installed().offered(Method).values():
        check_presets(method)


def test_preset_with_an_unknown_option_is_found_by_the_check(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text("# for old photographs\n[train.srgan]\nchanels = 3\n")
    with pytest.raises(AssertionError, match=r"preset 'old': expected options of srgan, got also \['chanels'\]"):
        check_presets(replace(installed().offered(Method)["srgan"], presets={"old": tmp_path / "old.toml"}))


def test_preset_whose_file_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        PixlateError, match=r"method 'srgan': expected the preset 'gone' to be a TOML file, but .*gone\.toml is not there; ship it with the plugin"
    ):
        replace(installed().offered(Method)["srgan"], presets={"gone": tmp_path / "gone.toml"})


def test_recipe_without_its_table_is_named(tmp_path: Path, pixlate: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.toml").write_text("# nothing\n")
    method = replace(installed().offered(Method)["srgan"], presets={"empty": tmp_path / "empty.toml"})
    monkeypatch.setattr(type(installed()), "offered", lambda self, wanted, of=None: {"srgan": method} if wanted is Method else {})
    assert pixlate("train", "srgan", tmp_path, "--preset", "empty") == 2
    assert f"{tmp_path / 'empty.toml'}: expected one table, [train.srgan], in the recipe; change it in the plugin" in capsys.readouterr().err
