"""Plugins as they are installed: their entry points, their API numbers, and which of their hooks fit."""

import warnings
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions

from pluggy import HookImpl, HookimplOpts, PluginManager

from pixlate.plugin import hookspecs

GROUP = "pixlate"
API = 2
"""The plugin API of this edition; ``docs/plugins.md`` says what each number changed."""
SUPPORTED = (1, 2)
"""Values of a plugin's constant ``PIXLATE_API`` that work; a plugin without one is of API 1."""
_GONE = {"pixlate_jpeg_codec": "API 2 has it no longer: JPEG files are decoded on the CPU"}
"""Hooks of earlier APIs that are ignored, with what became of them."""


class PluginWarning(UserWarning):
    """Something of a plugin is left out."""


@dataclass(frozen=True)
class Plugin:
    """An entry point of the group ``pixlate``."""

    name: str
    distribution: str
    version: str
    """Of the distribution."""
    hooks: tuple[str, ...] = ()
    """Hooks it implements."""
    error: str = ""
    """Why it was left out whole, if it was."""
    api: int = 1
    """Plugin API it was written for."""

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


@dataclass(frozen=True)
class LeftOut:
    """Part of a plugin that is not used."""

    plugin: Plugin
    kind: str
    """What it is: ``hook``, ``commands``, or what a hook collects, such as ``method``."""
    name: str
    """Its name, or that of the hook where it has none."""
    sentence: str
    """What is left out, why, and what to do."""


class Hooks(PluginManager):
    """Pluggy's manager, but a hook that does not fit is left out alone; ``misfits`` has those of the plugin registered last, with the reason."""

    misfits: dict[str, str]

    def parse_hookimpl_opts(self, plugin: object, name: str) -> HookimplOpts | None:
        """Return what a function was marked with, or None where it is no hook that can be called."""
        options = super().parse_hookimpl_opts(plugin, name)
        if options is None:
            return None
        hook = options["specname"] or name
        misfit = self._misfit(hook, HookImpl(plugin, name, getattr(plugin, name), options))
        if misfit and not options["optionalhook"]:
            self.misfits[hook] = misfit
        return None if misfit else options

    def _misfit(self, hook: str, implementation: HookImpl) -> str:
        """Return why a function cannot be called as a hook, if it cannot."""
        known = [name for name in vars(hookspecs) if name.startswith("pixlate_")]
        if hook not in known:
            from difflib import get_close_matches

            near = get_close_matches(hook, known, 1)
            return _GONE.get(hook) or f"there is no such hook{f', did you mean {near[0]}?' if near else ''}"
        if implementation.wrapper or implementation.hookwrapper:
            return "it wraps other plugins, which none may"
        arguments = getattr(self.hook, hook).spec.argnames
        unknown = [name for name in implementation.argnames if name not in arguments]
        return f"expected arguments among ({', '.join(arguments)}), got {', '.join(unknown)}" if unknown else ""


def entry_points() -> list[tuple[EntryPoint, Plugin]]:
    """Return the entry points of the group with what is known of them; an installed distribution seen twice on the path counts once."""
    seen: dict[tuple[str, str], tuple[EntryPoint, Plugin]] = {}
    for distribution in distributions():
        entries = [entry for entry in distribution.entry_points if entry.group == GROUP]
        if not entries:
            continue
        try:
            metadata = distribution.metadata  # parsed each time it is asked for
        except FileNotFoundError:  # raised instead of being empty where the package importlib_metadata is imported, which replaces Python's own
            metadata = None
        for entry in entries:
            if metadata is None or "Name" not in metadata:
                where = distribution.locate_file("")
                warnings.warn(
                    f"the plugin {entry.name} is left out: its distribution in {where} has no METADATA; install it again", PluginWarning, stacklevel=2
                )
            else:
                name = metadata["Name"]
                seen.setdefault((name, entry.name), (entry, Plugin(entry.name, name, metadata["Version"])))
    return [seen[key] for key in sorted(seen)]
