"""``-`` on the command line of ``convert``: a picture from standard input, or to standard output, of which nothing but its bytes is printed."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields
from glob import has_magic
from pathlib import Path

from pixlate.convert.options import ConvertOptions
from pixlate.convert.pipes import StandardOutput, read_input
from pixlate.errors import PixlateError
from pixlate.options.checks import flag
from pixlate.places.local import HOME, locate
from pixlate.plugin.manager import installed
from pixlate.plugin.place import Place

PIPE = "\0-"
"""What ``-`` is replaced by on the command line, where Cyclopts would take it for an option; no path can be named so."""
_SWITCHES = frozenset({"--json", "--quiet", "--verbose", *(flag(item.name) for item in fields(ConvertOptions) if item.type is bool)})
_HOW = "write: pixlate convert - - --model upscale-x4 < in.png > out.png"


def mark_pipes(words: Sequence[str]) -> list[str]:
    """Return the command line with :data:`PIPE` in place of each ``-`` that is a path of ``convert``, not the value of an option."""
    before = ["", *words]
    return [
        PIPE if word == "-" and (not last.startswith("-") or "=" in last or last in _SWITCHES or last == "-") else word
        for last, word in zip(before, words, strict=False)
    ]


@contextmanager
def opened(
    sources: Sequence[str | Path], out: str | Path, options: ConvertOptions, engine: str
) -> Iterator[tuple[list[str | Path | Place], str | Path | Place]]:
    """Context with sources and output in which a pipe is a place that can be converted; where the output is one, nothing else is printed on standard output.

    Raises:
        PixlateError: The pipe is a terminal, or cannot be used in this way.
    """
    reads, writes = PIPE in sources, out == PIPE
    if not reads and not writes:
        yield list(sources), out
        return
    if options.watch or engine != "threads":
        raise PixlateError(f"expected paths for {'--watch' if options.watch else f'--engine {engine}'}, got - for a pipe; name a folder")
    if len(sources) > 1 or (not reads and (has_magic(str(sources[0])) or locate(sources[0]).kind() == "folder")):
        raise PixlateError(f"expected one picture where - is used, got {'several sources' if len(sources) > 1 else 'a folder or a glob'}; {_HOW}")
    if reads and (sys.stdin is None or sys.stdin.closed):
        raise PixlateError(f"expected a picture on standard input, which is closed; {_HOW}")
    if reads and sys.stdin.isatty():
        raise PixlateError(f"expected a picture on standard input, got the terminal; {_HOW}")
    if writes and (sys.stdout is None or sys.stdout.closed):
        raise PixlateError(f"expected a file or a pipe for standard output, which is closed; {_HOW}")
    if writes and not options.dry_run and sys.stdout.isatty():
        raise PixlateError(f"expected a file or a pipe for standard output, got the terminal, which shows no picture; {_HOW}")
    with tempfile.TemporaryDirectory(prefix="pixlate-") as folder:
        given, taken = Path(folder) / "in", Path(folder) / "out"
        given.mkdir()
        places: list[str | Path | Place] = list(sources)
        if reads:
            places = [read_input(sys.stdin.buffer, given, installed().image_formats(films=True), options.max_pixels)]
        if not writes:
            yield places, out
            return
        stream = sys.stdout
        with redirect_stdout(sys.stderr):
            yield places, StandardOutput(str(taken))
        for path in taken.rglob("*"):
            if path.is_file() and HOME not in path.relative_to(taken).parts:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, stream.buffer, 1 << 20)
                stream.flush()
