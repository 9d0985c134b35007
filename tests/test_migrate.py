"""What ``docs/migrate.md`` says of 0.1 and of now is so; ``tests/test_compatibility.py`` has the files of 0.1 themselves."""

import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import pixlate
from pixlate.cli import build_app, main
from pixlate.options.checks import before, gone
from pixlate.plugin.entries import _GONE, API, SUPPORTED
from pixlate.plugin.manager import installed

GUIDE = (Path(__file__).parents[1] / "docs/migrate.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    section = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table[2:]]


def test_options_by_which_runs_of_0_1_continue_are_listed_with_both_values() -> None:
    owners = {owner for method in installed().offered(pixlate.Method).values() for owner in (method.options, method.data.options, method.training)}
    differing = set()
    for owner in owners:
        defaults = {item.name: item.default for item in fields(owner)}
        differing |= {(name, str(old), str(defaults[name])) for name, old in before(owner).items() if old != defaults[name]}
        assert not gone(owner), "an option that is gone is to be named in the guide"
    assert differing == {(option.removeprefix("--").replace("-", "_"), old, new) for option, old, new in rows("Runs")}


def test_new_commands_are_commands() -> None:
    named = re.findall(r"`(?:pixlate )?([a-z ]+)`", GUIDE.partition("New commands: ")[2].partition(". `pixlate convert --help`")[0])
    assert len(named) == 18
    app = build_app()
    for words in named:
        inner = app
        for word in words.split():
            inner = inner[word]


def test_pairing_is_answered_with_kind(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["pixlate", "data", "check", "photos", "--pairing", "paired"])
    assert main() == 2
    assert "pixlate data check --kind paired" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["engine", "address", "concurrency", "jpeg"])
def test_options_of_conversion_that_are_gone_are_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(pixlate.PixlateError, match=f"expected no {name} in ConvertOptions"):
        pixlate.ConvertOptions(**{name: "ray"})  # type: ignore[arg-type]
    assert f"{name}=" in GUIDE


def test_plugin_api_of_0_1_is_supported_and_what_it_lacks_is_named() -> None:
    assert (API, SUPPORTED) == (2, (1, 2))
    assert all(f"`{hook}`" in GUIDE for hook in _GONE)
    assert all(name in sys.modules or __import__(name) for name in ("pixlate.contracts", "pixlate.method", "pixlate.testing"))


def test_versions_of_the_models_are_as_the_guide_says() -> None:
    card = installed().offered(pixlate.ModelCard)["upscale-x4"]
    assert card.version == 2 and 1 in card.earlier
