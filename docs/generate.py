"""Generates ``docs/cli.md``, ``docs/hooks.md``, ``docs/coming_from.md``, ``docs/formats.md`` and ``docs/methods.md`` from the code, and ``docs/scale.md`` and a table of ``docs/train.md`` from the benchmarks' results.

``--check`` only checks whether they are current.
"""

import inspect
import io
import sys
from collections.abc import Mapping
from pathlib import Path

from formats_page import page as formats_page
from methods_page import page as methods_page
from rich.console import Console
from scale_page import page as scale_page
from speed_table import filled

from pixlate.cli import build_app
from pixlate.cli.habits import TOOLS
from pixlate.plugin import hookspecs
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method

DOCS = Path(__file__).parent
COMMANDS = (
    (),
    ("convert",),
    ("convert", "--engine", "ray"),
    ("train",),
    *(("train", name) for name in sorted(installed().offered(Method))),
    ("sample",),
    ("anomaly",),
    ("demo",),
    ("data", "check"),
    ("data", "edges"),
    ("data", "preview"),
    ("evaluate",),
    ("compare",),
    ("runs",),
    ("track",),
    ("export",),
    ("import",),
    ("serve",),
    ("triton",),
    ("web",),
    ("models",),
    ("models", "add"),
    ("models", "remove"),
    ("cache", "clear"),
    ("plugins",),
    ("doctor",),
    ("--install-completion",),
)


def cli_page() -> str:
    """Return the help of every command."""
    parts = ["# Commands", "", "Generated from the code by `docs/generate.py`.", ""]
    for command in COMMANDS:
        app, page = build_app(command), io.StringIO()
        app.meta([*command, "--help"], console=Console(file=page, width=110, color_system=None, force_terminal=False), result_action="return_value")
        text = "\n".join(line.rstrip() for line in page.getvalue().strip().splitlines())
        parts += [f"## pixlate {' '.join(command)}".rstrip(), "", "```text", text, "```", ""]
    return "\n".join(parts)


def hooks_page() -> str:
    """Return every hook with its signature and docstring."""
    parts = ["# Hooks", "", "Generated from `pixlate/plugin/hookspecs.py` by `docs/generate.py`.", "", inspect.cleandoc(hookspecs.__doc__ or ""), ""]
    for name, hook in vars(hookspecs).items():
        if name.startswith("pixlate_"):
            text, _, example = inspect.cleandoc(hook.__doc__ or "").partition("Example::\n")
            signature = str(inspect.signature(hook)).replace("'", "")
            parts += [f"## {name}", "", f"`{name}{signature}`", "", text.strip(), "", "```python", inspect.cleandoc(example), "```", ""]
    return "\n".join(parts)


def coming_from_page() -> str:
    """Return the tables for people who come from other tools."""
    parts = [
        "# Coming from another tool",
        "",
        "Generated from `pixlate/cli/habits.py` by `docs/generate.py`. The command line gives the same answers to these options.",
        "",
    ]
    for tool in TOOLS:
        parts += [f"## {tool.name}", "", *_table(tool.commands), ""]
        for command, options in tool.options.items():
            parts += [f"Options, and what `pixlate {command}` has for them:", "", *_table(options), ""]
    return "\n".join(parts)


def _table(rows: Mapping[str, str]) -> list[str]:
    """Return a table of what is typed there and here; options with one answer share a row."""
    alike = {here: [there for there, text in rows.items() if text == here] for here in rows.values()}
    return ["| there | here |", "|---|---|", *(f"| {', '.join(f'`{name}`' for name in names)} | {here} |" for here, names in alike.items())]


def main() -> int:
    """Write the pages, or with ``--check`` return 1 where one is not current."""
    pages = {DOCS / "cli.md": cli_page(), DOCS / "hooks.md": hooks_page(), DOCS / "coming_from.md": coming_from_page(), DOCS / "scale.md": scale_page()}
    pages |= {DOCS / "formats.md": formats_page(), DOCS / "methods.md": methods_page()}
    pages[DOCS / "train.md"] = filled((DOCS / "train.md").read_text())
    stale = [path for path, text in pages.items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv:
        print(*(f"{path} is not current; run: python docs/generate.py" for path in stale), sep="\n")
        return 1 if stale else 0
    for path, text in pages.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
