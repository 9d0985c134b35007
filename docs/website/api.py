"""Makes the pages of the Python API from the source alone, read by griffe: nothing is imported, PyTorch least of all."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]
GROUPS = {
    "use": (
        "Use models",
        ("load", "convert", "ConvertOptions", "Translator", "blended", "Picture", "cache_folder", "PixlateError", "OutOfDeviceMemory", "DeviceLost"),
    ),
    "train": (
        "Write a method",
        (
            *("Method", "GAN", "Player", "Export", "DataKind", "paired", "unpaired", "degraded", "TrainingOptions", "AdversarialOptions"),
            *("DataOptions", "PairedOptions", "UnpairedOptions", "DegradedOptions", "Metric", "Sample"),
        ),
    ),
    "plugin": (
        "Write a plugin",
        ("hookimpl", "ModelCard", "ModelSpec", "ModelInput", "Provenance", "Runtime", "Engine", "ImageFormat", "ForeignGenerator", "ImportOptions", "Check"),
    ),
}
"""Pages of the names of ``pixlate`` -> title and names, in the order of the page."""
PACKAGES = {"losses": "Losses", "networks": "Networks", "testing": "Help for tests of plugins"}
"""Pages of other packages that plugins import -> title."""
INTRODUCTION = """API
===

``import pixlate`` imports no PyTorch; what needs it is imported when its name is first used. Every name here comes from ``pixlate`` itself, but for the
losses, networks and help for tests, whose modules are named on their pages. The hooks through which a plugin is found have :doc:`a page of their own </docs/hooks>`.

.. toctree::

"""
FIELDS = {"parameters": "param {name}", "attributes": "ivar {name}", "raises": "raises {annotation}", "returns": "returns", "yields": "yields"}
"""Sections of a docstring -> Sphinx's fields."""
KEPT = re.compile(r"(``[^`]+``|:[a-z]+:`[^`]+`)")
"""Code and references, which keep their characters."""


def pages() -> dict[str, str]:
    """Return the pages, in reStructuredText, by their names without a suffix; every public name is on one of them."""
    package = griffe.load("pixlate", search_paths=[ROOT / "translate"], resolve_aliases=True, resolve_external=False)
    assert isinstance(package, griffe.Module)
    named = [name for _, names in GROUPS.values() for name in names]
    exported = {str(name) for name in package.exports or ()}
    if set(named) != exported or len(named) != len(exported):
        wrong = ", ".join(sorted(set(named) ^ exported)) or "a name twice"
        sys.exit(f"expected every public name of pixlate in one group of {Path(__file__).name}, got a difference in: {wrong}; add or remove it there")
    made = {"api/index": INTRODUCTION + "".join(f"   {name}\n" for name in (*GROUPS, *PACKAGES))}
    for page, (title, names) in GROUPS.items():
        made[f"api/{page}"] = _page(title, "pixlate", [(name, _defined(package, name)) for name in names])
    for page, title in PACKAGES.items():
        made[f"api/{page}"] = _package(title, package[page])
    return made


def _defined(package: griffe.Module, name: str) -> griffe.Object:
    """Return what a public name is: where a module has the same name as the function it holds, the function."""
    found = package[name]
    if found.is_module:
        found = found[name]
    return found.final_target if found.is_alias else found  # type: ignore[no-any-return]


def _package(title: str, package: griffe.Module) -> str:
    """Return the page of a package: its own exports, or what each of its modules defines."""
    text = f"{_heading(title, '=')}{escaped(_first(package))}\n\n"
    if package.exports:
        return text + _module(package.path, [(str(name), _defined(package, str(name))) for name in package.exports])
    for name, module in sorted(package.modules.items()):
        public = [
            (inner, member) for inner, member in module.members.items() if isinstance(member, griffe.Class | griffe.Function) and not inner.startswith("_")
        ]
        if public:
            text += f"{_heading(name, '-')}{escaped(_first(module))}\n\n{_module(module.path, public)}"
    return text


def _page(title: str, module: str, objects: Iterable[tuple[str, griffe.Object]]) -> str:
    return _heading(title, "=") + _module(module, objects)


def _heading(title: str, line: str) -> str:
    return f"{title}\n{line * len(title)}\n\n"


def _module(path: str, objects: Iterable[tuple[str, griffe.Object]]) -> str:
    """Return directives for the objects of a module."""
    return "\n".join([f".. py:currentmodule:: {path}", "", *(line for name, found in objects for line in _described(name, found))]) + "\n"


def _described(name: str, found: griffe.Object) -> Iterator[str]:
    """Yield the lines that describe a class, a function or a value, its members indented."""
    if isinstance(found, griffe.Class):
        yield from _class(name, found)
    elif isinstance(found, griffe.Function):
        yield from _function(name, found)
    elif isinstance(found, griffe.Attribute):
        yield from _attribute("data" if found.parent and found.parent.is_module else "attribute", name, found)
    else:
        raise TypeError(f"expected a class, a function or a value, got {found.kind} {name}")


def _class(name: str, found: griffe.Class) -> Iterator[str]:
    frozen = any(str(decorator.value).startswith("dataclass") for decorator in found.decorators)
    signature = "" if frozen or not _taken(found.parameters) else _arguments(found.parameters)
    yield f".. py:class:: {name}{signature}"
    yield ""
    bases = [str(base) for base in found.bases if str(base) not in ("ABC", "Protocol")]
    if bases:
        yield f"   Bases: {', '.join(f':py:class:`{base}`' for base in bases)}"
        yield ""
    yield from _indented(_docstring(found))
    if frozen:
        yield "   A dataclass: its arguments, by keyword, are the fields below."
        yield ""
    for inner, member in found.members.items():
        if member.is_alias or (inner.startswith("_") and inner != "__call__") or not member.docstring:
            continue
        yield from _indented(_described(inner, member))  # type: ignore[arg-type]


def _function(name: str, found: griffe.Function) -> Iterator[str]:
    method = bool(found.parent and found.parent.is_class)
    parameters = [parameter for parameter in found.parameters if not (method and parameter.name in ("self", "cls"))]
    returned = f" -> {found.returns}" if found.returns else ""
    yield f".. py:{'method' if method else 'function'}:: {name}{_arguments(parameters)}{returned}"
    yield from (f"   :{label}:" for label in ("staticmethod", "classmethod", "async", "abstractmethod") if label in found.labels)
    yield ""
    yield from _indented(_docstring(found))


def _attribute(directive: str, name: str, found: griffe.Attribute) -> Iterator[str]:
    yield f".. py:{'property' if 'property' in found.labels else directive}:: {name}"
    if found.annotation is not None:
        yield f"   :type: {found.annotation}"
    if found.value is not None and len(str(found.value)) < 80 and directive == "attribute":
        yield f"   :value: {found.value}"
    yield ""
    yield from _indented(_docstring(found))


def _taken(parameters: griffe.Parameters) -> list[griffe.Parameter]:
    return [parameter for parameter in parameters if parameter.name != "self"]


def _arguments(parameters: Iterable[griffe.Parameter]) -> str:
    """Return the arguments of a signature as Python writes them."""
    parts, star = [], False
    for parameter in parameters:
        if parameter.name == "self":
            continue
        if parameter.kind is griffe.ParameterKind.keyword_only and not star:
            parts.append("*")
        star = star or parameter.kind in (griffe.ParameterKind.keyword_only, griffe.ParameterKind.var_positional)
        sign = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(
            parameter.kind or griffe.ParameterKind.positional_or_keyword, ""
        )
        annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
        value = "" if parameter.default is None or sign else f" = {parameter.default}" if annotation else f"={parameter.default}"
        parts.append(f"{sign}{parameter.name}{annotation}{value}")
    return f"({', '.join(parts)})"


def _docstring(found: griffe.Object) -> Iterator[str]:
    """Yield the lines of a docstring; arguments and errors as fields."""
    if not found.docstring:
        return
    for section in found.docstring.parse("google", warnings=False):
        if isinstance(section, griffe.DocstringSectionText):
            yield from escaped(section.value).splitlines()
            yield ""
            continue
        if section.kind.value not in FIELDS:
            raise TypeError(f"expected sections {', '.join(FIELDS)} in the docstring of {found.path}, got {section.kind.value}; add it to FIELDS")
        for item in section.value:
            field = FIELDS[section.kind.value].format(name=getattr(item, "name", ""), annotation=item.annotation)
            yield f":{field}: {escaped(' '.join(item.description.split()))}"
        yield ""


def _first(module: griffe.Object) -> str:
    return inspect.cleandoc(module.docstring.value).split("\n\n")[0] if module.docstring else ""


def escaped(text: str) -> str:
    """Return a docstring whose prose cannot be taken for markup: options say ``*.gif``, and code may be in single backticks."""
    lines, literal = [], False
    for line in text.splitlines():
        literal = literal and (not line.strip() or line.startswith("    "))
        lines.append(line if literal else _escaped_line(line))
        literal = literal or line.endswith("::")
    return "\n".join(lines)


def _escaped_line(line: str) -> str:
    parts = KEPT.split(line)
    for index in range(0, len(parts), 2):
        prose = re.sub(r"([\\*|])", r"\\\1", parts[index])
        parts[index] = re.sub(r"(\w)_(?!\w)", r"\1\\_", re.sub(r"`([^`]+)`", r"``\1``", prose))
    return "".join(parts)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"   {line}".rstrip() for line in lines)
