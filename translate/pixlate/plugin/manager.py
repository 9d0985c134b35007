"""Finds plugins, loads each by itself and asks them."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pluggy import HookImpl, PluginManager
from pluggy import PluginValidationError as InvalidHook

from pixlate.errors import PixlateError
from pixlate.plugin import hookspecs
from pixlate.plugin.check import Check
from pixlate.plugin.method import Method
from pixlate.plugin.metric import Metric
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.runtime import Runtime

if TYPE_CHECKING:
    from cyclopts import App

    from pixlate.images import ImageFormat

GROUP = "pixlate"


class Named(Protocol):
    """Anything offered under a name that must be unique."""

    @property
    def name(self) -> str:
        """The name."""
        ...


Offer = TypeVar("Offer", bound=Named)


@dataclass(frozen=True)
class Plugin:
    """An entry point of the group ``pixlate``."""

    name: str
    """Name of the entry point."""
    distribution: str
    """Name of the package that brings it."""
    version: str
    """Version of that package."""
    hooks: tuple[str, ...] = ()
    """Hooks it implements."""
    error: str = ""
    """Why it was left out, if it was."""

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


class Plugins:
    """The loaded plugins.

    One that fails to import is left out with a warning that names its distribution and version.

    Raises:
        PixlateError: A plugin implements a hook that does not exist, or two distributions name one entry point.
    """

    def __init__(self, found: Iterable[tuple[EntryPoint, Distribution]]) -> None:
        self.manager = PluginManager(GROUP)
        self.manager.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        for entry, distribution in found:
            self._add(entry, Plugin(entry.name, distribution.name, distribution.version))

    def methods(self) -> dict[str, Method]:
        """Return the methods of all plugins by name."""
        return self._collect("method", self.manager.hook.pixlate_methods)

    def models(self) -> dict[str, ModelCard]:
        """Return the ready models of all plugins by name."""
        return self._collect("model", self.manager.hook.pixlate_models)

    def runtimes(self) -> dict[str, Runtime]:
        """Return the runtimes of all plugins by name, in the order in which they are asked."""
        return self._collect("runtime", self.manager.hook.pixlate_runtimes)

    def image_formats(self) -> "dict[str, ImageFormat]":
        """Return the image formats of all plugins by suffix.

        Raises:
            PixlateError: Two formats claim one suffix.
        """
        formats: dict[str, ImageFormat] = self._collect("image format", self.manager.hook.pixlate_image_formats)
        claimed: dict[str, ImageFormat] = {}
        for offered in formats.values():
            for suffix in offered.suffixes:
                if suffix in claimed:
                    raise PixlateError(
                        f"the suffix {suffix} is claimed by the image formats {claimed[suffix].name!r} and {offered.name!r}; uninstall one of them"
                    )
                claimed[suffix] = offered
        return claimed

    def metrics(self) -> dict[str, Metric]:
        """Return the metrics of all plugins by name."""
        return self._collect("metric", self.manager.hook.pixlate_metrics)

    def checks(self) -> list[Check]:
        """Return the findings of all plugins."""
        implementations = self.manager.hook.pixlate_checks.get_hookimpls()
        return [check for each in implementations for check in _values(self.origin(each.plugin_name), each)]

    def add_commands(self, app: "App") -> None:
        """Let each plugin add its commands; one that fails is named in a warning, and the other commands still work."""
        for implementation in self.manager.hook.pixlate_commands.get_hookimpls():
            try:
                implementation.function(app)
            except Exception as error:  # noqa: BLE001 - whatever a foreign module raises, help and doctor must still work
                owner = self.origin(implementation.plugin_name)
                warnings.warn(f"the commands of the plugin {owner} are left out ({type(error).__name__}: {error}); update it", stacklevel=2)

    def origin(self, name: str) -> Plugin:
        """Return the plugin of that entry point name; one registered by hand, as in a test of a plugin, belongs to no distribution."""
        return next((plugin for plugin in self.plugins if plugin.name == name), Plugin(name, name, "of no distribution"))

    def _add(self, entry: EntryPoint, plugin: Plugin) -> None:
        if any(other.name == plugin.name for other in self.plugins):
            raise PixlateError(f"two plugins are named {plugin.name!r}: {self.origin(plugin.name)} and {plugin}; uninstall one of them")
        try:
            module = entry.load()
        except Exception as error:  # noqa: BLE001 - whatever a foreign module raises, the others must still load
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(f"the plugin {plugin} is left out, it failed to import ({reason}); update or uninstall {plugin.distribution}", stacklevel=2)
            self.plugins.append(Plugin(plugin.name, plugin.distribution, plugin.version, error=reason))
            return
        try:
            self.manager.register(module, name=plugin.name)
            self.manager.check_pending()
        except InvalidHook as error:
            known = ", ".join(sorted(name for name in vars(hookspecs) if name.startswith("pixlate_")))
            raise PixlateError(
                f"the plugin {plugin} does not fit Pixlate's hooks: {error}; the hooks are {known}: update or uninstall {plugin.distribution}"
            ) from error
        hooks = tuple(sorted(caller.name for caller in self.manager.get_hookcallers(module) or []))
        self.plugins.append(Plugin(plugin.name, plugin.distribution, plugin.version, hooks))

    def _collect(self, kind: str, hook: Callable[[], object]) -> dict[str, Offer]:
        """Ask every plugin for its values and refuse two of one name, naming both plugins."""
        offers: dict[str, Offer] = {}
        owners: dict[str, Plugin] = {}
        for implementation in hook.get_hookimpls():  # type: ignore[attr-defined]
            owner = self.origin(implementation.plugin_name)
            for offer in _values(owner, implementation):
                if offer.name in offers:
                    raise PixlateError(f"two plugins offer a {kind} named {offer.name!r}: {owners[offer.name]} and {owner}; uninstall one of them")
                offers[offer.name], owners[offer.name] = offer, owner
        return offers


def _values(owner: Plugin, implementation: HookImpl) -> list[Any]:
    """Return what a plugin offers through one hook.

    Raises:
        PixlateError: It raises, or returns what cannot be walked over; the plugin is named.
    """
    try:
        offers: Iterable[Any] = implementation.function()  # type: ignore[assignment]
        return list(offers)
    except Exception as error:
        name = implementation.function.__name__
        raise PixlateError(f"the plugin {owner} failed in {name} ({type(error).__name__}: {error}); update or uninstall {owner.distribution}") from error


@cache
def installed() -> Plugins:
    """Return the plugins of this environment, found once a process."""
    return Plugins(_entry_points())


def _entry_points() -> list[tuple[EntryPoint, Distribution]]:
    """Return the entry points of the group with their distributions; an installed distribution seen twice on the path counts once."""
    seen: dict[tuple[str, str], tuple[EntryPoint, Distribution]] = {}
    for distribution in distributions():
        for entry in distribution.entry_points:
            if entry.group == GROUP:
                seen.setdefault((distribution.name, entry.name), (entry, distribution))
    return sorted(seen.values(), key=lambda pair: (pair[1].name, pair[0].name))
