"""Help pages as a terminal of 80 columns shows them."""

import io
import re
from dataclasses import dataclass, fields
from typing import ClassVar

import pytest
from rich.console import Console

from pixlate.cli import build_app
from pixlate.convert import ConvertOptions
from pixlate.options.groups import Groups, headings
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method

METHODS = ("pix2pix", "cyclegan", "srgan")


def page(*command: str) -> str:
    shown = io.StringIO()
    build_app(command).meta([*command, "--help"], console=Console(file=shown, width=80, color_system=None, force_terminal=False), result_action="return_value")
    return shown.getvalue()


@pytest.mark.parametrize("name", METHODS)
def test_help_of_a_method_has_headings_and_unbroken_names(name: str) -> None:
    text = page("train", name)
    assert re.findall(r"╭─ ([^─]+) ─", text) == [
        "Everyday",
        "Images",
        "Networks",
        "Losses",
        "Optimisation",
        "Speed and memory",
        "Validation, checkpoints and log",
        *(["Degradation", "Second-order degradation"] if name == "srgan" else []),
    ]
    method = installed().offered(Method)[name]
    options = {f"--{item.name.replace('_', '-')}" for owner in (method.options, method.data.options, method.training) for item in fields(owner)}
    assert options <= set(re.findall(r"--[a-z0-9-]+", text))
    assert text.startswith(f"Usage: pixlate train {name} FOLDER... [OPTIONS]\n")
    assert "│ FOLDER...  " in text


def test_help_of_convert_shows_everyday_options_before_those_for_memory_and_files() -> None:
    text = page("convert", "--engine", "ray")
    found = re.findall(r"╭─ ([^─]+?) ─", text)
    assert found == [
        "Arguments",
        "Everyday",
        "Size of the outputs, one of these",
        "Memory and devices",
        "What the model takes besides the image",
        "Files",
        "Options of --engine ray",
    ]
    everyday, memory = text.index("Everyday"), text.index("Memory and devices")
    assert everyday < text.index("--format STR") < memory < text.index("--tile ")
    assert {f"--{item.name.replace('_', '-')}" for item in fields(ConvertOptions)} <= set(re.findall(r"--[a-z0-9-]+", text))
    assert {name for names in ConvertOptions.GROUPS.values() for name in names} <= {item.name for item in fields(ConvertOptions)}


@pytest.mark.parametrize("command", [("train", "pix2pix"), ("train", "srgan"), ("convert",), ("evaluate",), ("data", "check")], ids=" ".join)
def test_help_says_nothing_of_empty_defaults_and_ways_to_empty_a_list(command: tuple[str, ...]) -> None:
    text = " ".join(page(*command).replace("│", " ").split())
    for noise in ('[default: ""]', "[default: ()]", "[default: False]", "--empty-", "--no-dry-run", "--no-skip"):
        assert noise not in text
    assert ("--mirror --no-mirror" in text) == (command == ("train", "pix2pix"))


def test_fields_are_below_the_heading_of_the_class_they_come_from() -> None:
    @dataclass(frozen=True)
    class Base:
        rate: float = 1.0
        other: int = 0
        GROUPS: ClassVar[Groups] = {"Speed": ("rate",)}

    @dataclass(frozen=True)
    class Derived(Base):
        layers: int = 3
        GROUPS: ClassVar[Groups] = {"Networks": ("layers",)}

    assert headings(Derived, "Rest") == {"rate": "Speed", "other": "Rest", "layers": "Networks"}


def test_headings_name_fields_that_exist() -> None:
    for method in (installed().offered(Method)[name] for name in METHODS):
        for owner in (method.options, method.data.options, method.training):
            named = {name for each in owner.__mro__ for names in vars(each).get("GROUPS", {}).values() for name in names}
            assert named <= {item.name for item in fields(owner)}
