"""Finds plugins, loads each separately and calls their hooks; only what is wrong is left out, with a warning that names it."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pluggy import HookImpl

from pixlate.errors import PixlateError
from pixlate.plugin import hookspecs
from pixlate.plugin.entries import API, GROUP, SUPPORTED, Hooks, LeftOut, Plugin, PluginWarning, entry_points
from pixlate.plugin.offer import Offer, asking

if TYPE_CHECKING:
    from cyclopts import App

    from pixlate.plugin.check import Check
    from pixlate.plugin.image_format import ImageFormat

CORE = "core"
"""Entry point of what Pixlate offers itself."""
Offered = TypeVar("Offered", bound=Offer)


class Plugins:
    """The loaded plugins.

    A plugin that fails to import, or that needs another plugin API, is left out whole; a hook or a value that is wrong is left out alone. Each
    is warned of once, with distribution, version and reason. Names that two plugins offer are left out, too, and are an error only when used; but what
    the core offers it keeps, image formats aside.
    """

    def __init__(self, found: Iterable[tuple[EntryPoint, Plugin]]) -> None:
        self.manager = Hooks(GROUP)
        self.manager.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        self._left_out: dict[tuple[Plugin, str, str, int], LeftOut] = {}
        self._silent: set[HookImpl] = set()
        for entry, plugin in found:
            try:
                with asking():
                    module = entry.load()
            except BaseException as error:  # noqa: BLE001 - whatever a foreign module raises, the others must still load
                self.plugins.append(replace(plugin, error=fault(error)))
                _warn(f"the plugin {plugin} is left out, it failed to import ({fault(error)}); update or uninstall {plugin.distribution}")
            else:
                self.add(module, plugin)

    def offered(self, wanted: type[Offered], of: Plugin | None = None) -> dict[str, Offered]:
        """Return the values of a class by name, in the order of the plugins, all of them or those ``of`` one; a name that two offer is left out."""
        return self._unique(wanted, (value for value in self._values(wanted) if of in (None, value[0])))

    def image_formats(self, films: bool = False) -> "dict[str, ImageFormat]":
        """Return the built-in image formats and those of all plugins by suffix; one whose name or suffix two formats claim refuses each file.

        A plugin's replaces a built-in one of its name or suffix. Those of films are left out where they are not asked for: they hold no picture to learn from.
        """
        from pixlate.plugin.image_format import ImageFormat

        values = list(self._values(ImageFormat))
        taken = {claim for owner, offered in values if owner.name != CORE for claim in (offered.name, *offered.suffixes)}
        values = [(owner, offered) for owner, offered in values if owner.name != CORE or offered.name not in taken]
        formats = self._unique(ImageFormat, values)
        claims: dict[str, list[tuple[Plugin, ImageFormat]]] = {}
        for owner, offered in values:
            for suffix in offered.suffixes:
                if owner.name != CORE or suffix not in taken:
                    claims.setdefault(suffix, []).append((owner, offered))
        found = {}
        for suffix, claiming in claims.items():
            name = claiming[0][1].name
            if len(claiming) > 1:
                both = " and ".join(f"{offered.name!r} of the plugin {owner}" for owner, offered in claiming)
                sentence = f"the suffix {suffix} is claimed by the image formats {both}; uninstall one of them"
                self._leave_out([owner for owner, _ in claiming], "suffix", suffix, sentence, warn=False)
                found[suffix] = ImageFormat(name, (suffix,), partial(_refuse, sentence))
            elif name in formats:
                found[suffix] = formats[name]
            else:
                found[suffix] = ImageFormat(name, (suffix,), partial(_refuse, self.why(ImageFormat.kind, name)))
        return {suffix: format for suffix, format in found.items() if films or not format.film}

    def checks(self) -> "list[Check]":
        """Return the findings of all plugins."""
        from pixlate.plugin.check import Check

        return [check for _, check in self._values(Check)]

    def add_commands(self, app: "App") -> None:
        """Let each plugin add its commands; one that fails is named in a warning, and the other commands still work."""
        for implementation in self.manager.hook.pixlate_commands.get_hookimpls():
            try:
                implementation.function(app)
            except BaseException as error:  # noqa: BLE001 - whatever a foreign module raises, help and doctor must still work
                owner = self.origin(implementation.plugin_name)
                self._leave_out([owner], "commands", "pixlate_commands", f"the commands of the plugin {owner} are left out ({fault(error)}); update it")

    def left_out(self) -> list[LeftOut]:
        """Call every collecting hook, and return what is not used of those that are loaded."""
        from pixlate.plugin.engine import Engine
        from pixlate.plugin.method import Method
        from pixlate.plugin.metric import Metric
        from pixlate.plugin.model_card import ModelCard
        from pixlate.plugin.runtime import Runtime

        for wanted in (Method, ModelCard, Runtime, Engine, Metric):
            self.offered(wanted)
        self.image_formats()
        self.checks()
        return list(self._left_out.values())

    def why(self, kind: str, name: str) -> str:
        """Return why a name cannot be used, for a sentence that refuses it; nothing where no plugin that is left out may have offered it."""
        named = [each.sentence for each in self._left_out.values() if (each.kind, each.name) == (kind, name)]
        unnamed = [each.sentence for each in self._left_out.values() if each.name == _hook(kind)]
        whole = [f"the plugin {plugin} is left out ({plugin.error})" for plugin in self.plugins if plugin.error]
        return "; ".join(named[:1] or [*unnamed, *whole])

    def add(self, module: object, plugin: Plugin) -> Plugin:
        """Load what a plugin's module offers, but for what does not fit; return what is known of it now."""
        api = getattr(module, "PIXLATE_API", 1)
        error, self.manager.misfits = "", {}
        if type(api) is not int or api not in SUPPORTED:
            older = "Pixlate" if type(api) is int and api > API else plugin.distribution
            error = f"it needs plugin API {api!r}, and this Pixlate has {' and '.join(map(str, SUPPORTED))}; update {older}"
        elif known := self.manager.get_name(module):
            error = f"its module is that of the plugin {known}"
        else:
            try:
                self.manager.register(module, name=str(plugin))
            except BaseException as raised:  # noqa: BLE001 - a module may hold objects that raise when they are looked at
                error = fault(raised)
        hooks = () if error else tuple(sorted(caller.name for caller in self.manager.get_hookcallers(module) or []))
        loaded = replace(plugin, hooks=hooks, error=error, api=api)
        self.plugins.append(loaded)
        if error:
            _warn(f"the plugin {plugin} is left out: {error}")
        for hook, reason in {} if error else self.manager.misfits.items():
            self._leave_out([loaded], "hook", hook, f"the hook {hook} of the plugin {plugin} is left out: {reason}; update {plugin.distribution}")
        return loaded

    def origin(self, name: str) -> Plugin:
        """Return the plugin registered under a name; one registered by hand, as in a test of a plugin, belongs to no distribution."""
        return next((plugin for plugin in self.plugins if name in (str(plugin), plugin.name)), Plugin(name, name, "of no distribution"))

    def _unique(self, wanted: type[Offered], values: Iterable[tuple[Plugin, Offered]]) -> dict[str, Offered]:
        offers: dict[str, list[tuple[Plugin, Offered]]] = {}
        for owner, offer in values:
            offers.setdefault(offer.name, []).append((owner, offer))
        for name, offering in offers.items():
            owners = [owner for owner, _ in offering if owner.name != CORE]
            if len(owners) < len(offering):
                for owner in owners:
                    sentence = f"{_one(wanted.kind)} of the plugin {owner} is left out: {name!r} is the name of Pixlate's own; rename it in the plugin"
                    self._leave_out([owner], wanted.kind, name, sentence)
                offers[name] = [offer for offer in offering if offer[0].name == CORE]
            elif len(owners) > 1:
                sentence = f"two plugins offer {_one(wanted.kind)} named {name!r}: {' and '.join(map(str, owners))}; uninstall one of them"
                self._leave_out(owners, wanted.kind, name, sentence, warn=False)
        return {name: offering[0][1] for name, offering in offers.items() if len(offering) == 1}

    def listened(self, hook: str) -> bool:
        """Return whether any plugin listens to a hook that ends in ``_finished``."""
        return any(implementation not in self._silent for implementation in getattr(self.manager.hook, hook).get_hookimpls())

    def report(self, hook: str, **given: object) -> None:
        """Call every plugin that listens to a hook that ends in ``_finished``; one that raises is named in a warning and not called again."""
        for implementation in reversed(getattr(self.manager.hook, hook).get_hookimpls()):
            if implementation in self._silent:
                continue
            try:
                implementation.function(*(given[name] for name in implementation.argnames))
            except BaseException as error:  # noqa: BLE001 - a listener must not end a training of days
                _warn(f"the plugin {self.origin(implementation.plugin_name)} failed in {hook} ({fault(error)}); it is not called again")
                self._silent.add(implementation)

    def first(
        self, hook: str, given: Callable[[], Mapping[str, object]], wanted: str, fits: Callable[[Any], bool], subject: str = "it"
    ) -> tuple[Any, list[str]]:
        """Call one plugin after the other until one answers; return the answer or None, and a sentence for each plugin that failed.

        A PixlateError of a plugin, which refuses what it was given, is raised. ``given`` returns the arguments, for each plugin again: what one does to
        them reaches no other. ``fits`` is whether an answer is the ``wanted`` one; ``subject`` is the word for what is given.
        """
        failures = []
        for implementation in reversed(getattr(self.manager.hook, hook).get_hookimpls()):
            owner, arguments = self.origin(implementation.plugin_name), given()
            try:
                answer = implementation.function(*(arguments[name] for name in implementation.argnames))
            except PixlateError:
                raise
            except BaseException as error:  # noqa: BLE001 - another plugin may have the answer
                failures.append(f"the plugin {owner} failed on {subject} ({fault(error)})")
                continue
            if answer is not None and fits(answer):
                return answer, failures
            if answer is not None:
                failures.append(f"the plugin {owner} returned {type(answer).__name__} instead of {wanted}")
        return None, failures

    def _values(self, wanted: type[Offered]) -> Iterator[tuple[Plugin, Offered]]:
        """Yield what each plugin offers of a class, but for what raises, is of another type, or cannot be used."""
        hook = _hook(wanted.kind)
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            owner = self.origin(implementation.plugin_name)
            remedy = f"update or uninstall {owner.distribution}"
            values: list[Any] = []
            with asking():
                try:
                    for value in implementation.function():  # those before one that raises are kept
                        values.append(value)
                except BaseException as error:  # noqa: BLE001 - whatever a foreign function raises, the others must still be asked
                    sentence = f"the plugin {owner} failed in {hook} ({fault(error)}), which is left out from there on; {remedy}"
                    self._leave_out([owner], "hook", hook, sentence)
            for place, value in enumerate(values, start=1):
                fits = isinstance(value, wanted)
                reason = value.refusal if fits else f"expected {_one(wanted.__name__)} with a name, got {type(value).__name__} as value {place}"
                if reason:
                    name = value.name if fits and isinstance(value.name, str) else hook
                    self._leave_out([owner], wanted.kind, name, f"{_one(wanted.kind)} of the plugin {owner} is left out: {reason}; {remedy}", place=place)
                else:
                    yield owner, value

    def _leave_out(self, plugins: Iterable[Plugin], kind: str, name: str, sentence: str, warn: bool = True, place: int = 0) -> None:
        """Note what is not used of plugins, and warn of it the first time; ``place`` tells those of one hook apart that have no name."""
        for plugin in plugins:
            if (plugin, kind, name, place) not in self._left_out:
                self._left_out[plugin, kind, name, place] = LeftOut(plugin, kind, name, sentence)
                if warn:
                    _warn(sentence)


def _hook(kind: str) -> str:
    """Return the hook that collects values of a kind."""
    return f"pixlate_{kind.replace(' ', '_')}s"


def _one(word: str) -> str:
    """Return a word with its article."""
    return f"{'an' if word[0] in 'aeiouAEIOU' else 'a'} {word}"


def _refuse(sentence: str, path: object) -> NoReturn:
    """Refuse a file of a format that cannot be used."""
    raise PixlateError(sentence)


def fault(error: BaseException) -> str:
    """Return what a plugin's code raised, on one line, with its class where it is not a sentence for the user; KeyboardInterrupt, the user's, is raised.

    Whatever calls a plugin catches BaseException and calls this first: a plugin that ends the process must not end that of the others.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - a foreign exception may fail to say what it is
        text = ""
    return text if isinstance(error, PixlateError) else f"{type(error).__name__}: {text[:160]}"


def _warn(sentence: str) -> None:
    warnings.warn(sentence, PluginWarning, stacklevel=3)


@cache
def installed() -> Plugins:
    """Return the plugins of this environment, found once a process."""
    return Plugins(entry_points())
