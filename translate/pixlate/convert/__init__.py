"""Converts folders of images with a model. Importing this imports neither NumPy nor Pillow; converting does."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixlate.convert.options import ConvertOptions
from pixlate.errors import PixlateError

if TYPE_CHECKING:
    from pixlate.convert.report import Report, Summary
    from pixlate.plugin.engine import Engine
    from pixlate.plugin.place import Place

__all__ = ["ConvertOptions", "convert"]


def convert(
    source: "str | Path | Place | Sequence[str | Path | Place]",
    out: "str | Path | Place",
    model: str | Path,
    options: ConvertOptions | None = None,
    watch: "Callable[[Report], None] | None" = None,
    engine: object = "threads",
    **named: object,
) -> "Summary":
    """Convert a file, a folder, a glob or several of them; return a summary.

    One bad file never stops the others: it is counted in the summary with its reason. The same call again continues after a crash.

    Args:
        source: Where the images are: paths, or, as texts, URLs, or a :class:`pixlate.plugin.place.Place` of your own.
        out: The output folder, a path, a URL or a place; for a single file also an image file.
        model: A ready model's name or a model file.
        options: How to convert; ``ConvertOptions(dry_run=True)`` is refused here, see :func:`pixlate.convert.preview.preview`.
        watch: Called before the first image and after each with the report, whose ``progress`` counts pixels, and whose ``interrupt`` ends the conversion as Ctrl-C does.
        engine: What runs the conversion: the name of an engine, or an instance of an engine's options.
        named: Options by name, such as ``strength=0.5``: the same as in ``options``, of which they take the place.

    Raises:
        PixlateError: Refused before anything was written: no such option, model, engine, device or source, clashing names, an output that cannot be written.
    """
    from pixlate.convert.conversion import planned
    from pixlate.convert.report import Summary

    chosen = ConvertOptions() if options is None else options
    if not isinstance(chosen, ConvertOptions):
        raise PixlateError(f"expected options to be a pixlate.ConvertOptions, got {options!r}; write pixlate.ConvertOptions(format='png')")
    if named:
        chosen = chosen.replaced(named)
    if chosen.dry_run:
        raise PixlateError("expected a conversion, got dry_run; call pixlate.convert.preview.preview for what would be done")
    if watch is not None and not callable(watch):
        raise PixlateError(
            f"expected watch to be a function that is called after each image, got {watch!r}; to watch the source, write options=pixlate.ConvertOptions(watch=True)"
        )
    running, engine_options = choose_engine(engine)
    if chosen.watch and running.name != "threads":
        raise PixlateError(f"expected the threads of this process for --watch, got --engine {running.name}; leave out one")
    sources = list(source) if isinstance(source, Iterable) and not isinstance(source, str | Path) else [source]
    for name, path in (*(("a source", path) for path in sources), ("the output folder", out)):
        if not isinstance(path, str | Path) and not hasattr(path, "fetched"):
            raise PixlateError(f"expected {name} to be a path or a URL, got {path!r}; give a text or a pathlib.Path")
    summary = running.run(planned(sources, out, model, chosen, watch), engine_options)
    if not isinstance(summary, Summary):
        raise PixlateError(f"expected a Summary of the engine {running.name!r}, got {type(summary).__name__}; update the plugin that offers it")
    return summary


def choose_engine(engine: object) -> "tuple[Engine, Any]":
    """Return an engine and its options, for its name or an instance of its options.

    Raises:
        PixlateError: No installed plugin offers it.
    """
    from pixlate.plugin.engine import Engine
    from pixlate.plugin.manager import installed

    engines = installed().offered(Engine)
    if isinstance(engine, str) and engine in engines:
        return engines[engine], engines[engine].options()
    for offered in engines.values():
        if type(engine) is offered.options:
            return offered, engine
    reason = isinstance(engine, str) and installed().why("engine", engine)
    raise PixlateError(f"expected an engine ({', '.join(sorted(engines))}), got {engine!r}; {reason or 'install the plugin that offers it, or name another'}")
