"""Options of other tools are answered with options that exist."""

import re

import pytest
from tests.pixlate.cli.test_help import METHODS, page

from pixlate.cli.habits import COMMANDS, TOOLS, answer

FIRST = ("convert", "train", "import", "export", "evaluate", "serve", "models", "data")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The help of each command; that of training is of all methods."""
    found = {name: page(name) for name in FIRST}
    return found | {"train": found["train"] + "".join(page("train", method) for method in METHODS), "data": page("data", "check")}


def test_every_option_and_command_to_write_exists(pages: dict[str, str]) -> None:
    lines = [(command, text) for tool in TOOLS for command, options in tool.options.items() for text in options.values()]
    lines += [("", text) for text in COMMANDS.values()] + [("", f"`{line}`") for tool in TOOLS for line in tool.commands.values()]
    for command, text in lines:
        for code in re.findall(r"`([^`]+)`", text):
            named = re.search(r"pixlate (?:--config \S+ )?([a-z]+)", code)
            assert named is None or named[1] in FIRST, text
            options = set(re.findall(r"--[a-z0-9-]+", code)) - {"--config"}
            assert options <= set(re.findall(r"--[a-z0-9-]+", pages[named[1] if named else command])), text


def test_no_option_that_exists_is_answered_as_one_of_another_tool(pages: dict[str, str]) -> None:
    for command in ("convert", "train"):
        for option in re.findall(r"(?<=│ )--[a-z0-9-]+", pages[command]):
            assert answer(command, option) == "", option


@pytest.mark.parametrize("spelling", ["--n_epochs", "--n-epochs"])
def test_underscores_and_hyphens_are_one(spelling: str) -> None:
    assert answer("train", spelling).startswith("write `--epochs N` for all epochs")
