"""Help on the terminal: options under headings, each text as one paragraph, and no names, choices or defaults that say nothing."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pixlate.options.checks import flag

if TYPE_CHECKING:
    from cyclopts.help import ColumnSpec, HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

SHARE = 0.35
"""Part of the terminal's width that the names of options have, if the longest fits."""
_SILENT = frozenset({'""', "()", "False", "None"})
"""Defaults that tell a reader nothing."""


class Help:
    """Formats the help of a command; what it takes from Cyclopts and rich is imported when it is asked for.

    Args:
        headings: Returns the heading of each option by the name of its field, in the order of the help; see :func:`pixlate.options.groups.headings`.
        first: Heading of the options that have none, which come first.
    """

    def __init__(self, headings: Callable[[], Mapping[str, str]] = dict, first: str = "Parameters") -> None:
        self._headings, self._first = headings, first

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: object) -> None:
        """Print the usage line."""
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_usage(console, options, usage)

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Print a panel, or one for each heading."""
        from cyclopts.help import DefaultFormatter
        from rich.text import Text

        for entry in panel.entries:
            if isinstance(text := getattr(entry.description, "primary_renderable", None), Text):
                text.plain = " ".join(text.plain.split())
        if panel.format == "command":
            return DefaultFormatter()(console, options, panel)
        entries = sorted(map(_plain, panel.entries), key=lambda entry: not entry.positional_label)
        headings = {flag(name): heading for name, heading in self._headings().items()} if str(panel.title) == "Parameters" else {}
        first = self._first if str(panel.title) == "Parameters" else panel.title
        below: dict[Any, list[HelpEntry]] = {first: [], **{heading: [] for heading in headings.values()}}
        for entry in entries:
            below[headings.get(next(iter(entry.positive_names), ""), first)].append(entry)
        columns = _columns(console, entries)
        for heading, some in below.items():
            DefaultFormatter(column_specs=columns)(console, options, panel.copy(title=heading, entries=some))
        return None


def _plain(entry: "HelpEntry") -> "HelpEntry":
    """Return an option without what says nothing: the empty or false default, and ``--no-NAME`` of what is off; lists are shown as they are written."""
    default = entry.default
    if default in _SILENT:
        default = None
    elif default and default.startswith("("):
        default = default.strip("(,)").replace("'", "").replace(",", "")
    several = entry.positional_label and str(entry.type).endswith("...]")
    label = f"{str(entry.positional_label).removesuffix('S')}..." if several else entry.positional_label
    return entry.copy(
        default=default,
        negative_names=entry.negative_names if entry.type is bool and default else (),
        positional_label=label,
        positive_names=() if label else entry.positive_names,
    )


def _columns(console: "Console", entries: list["HelpEntry"]) -> tuple["ColumnSpec", ...]:
    """Return columns of the same widths for all entries, of which the names are as wide as the longest, so that none is broken."""
    from cyclopts.help import ColumnSpec, NameRenderer
    from cyclopts.help.specs import AsteriskColumn, DescriptionColumn

    labels = [entry.display_labels_with_metavar for entry in entries]
    words = max((len(word) for label in labels for word in " ".join(label).split()), default=0)
    width = min(max(math.ceil(SHARE * console.width), words + 2), max((len(" ".join(label)) for label in labels), default=0))
    names = ColumnSpec(renderer=NameRenderer(max_width=width), header="Option", style="cyclopts.name", min_width=width, max_width=width)
    required = (AsteriskColumn,) if any(entry.required for entry in entries) else ()
    return (*required, names, DescriptionColumn)
