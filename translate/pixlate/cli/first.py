"""What leads on: three commands to try first, where ``pixlate`` is called without one, and after a conversion where its result is and what to do next."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.system.text import is_url, printable, shown

if TYPE_CHECKING:
    from pixlate.convert.options import ConvertOptions
    from pixlate.convert.report import Summary


def has_page() -> bool:
    """Return whether ``pixlate web`` works here."""
    return find_spec("pixlate_web") is not None and find_spec("gradio") is not None


def first_steps() -> str:
    """Return what to try first with what is installed, in lines of at most 80 characters."""
    rows = (
        ("pixlate demo", "enlarges a few small pictures"),
        ("pixlate convert photos/ out/ --model upscale-x4", "your own, 4 times larger"),
        ("pixlate web", "a page to drop pictures on") if has_page() else ("pixlate models", "what else models can do"),
    )
    width = max(len(command) for command, _ in rows)
    steps = "\n".join(f"  {command:{width}}  {what}" for command, what in rows)
    return f"Pixlate translates images with trained models. Three commands to try first:\n\n{steps}\n\nAll commands: pixlate --help. What works on this machine: pixlate doctor."


def next_step(summary: "Summary", out: object, options: "ConvertOptions") -> str:
    """Return where the result of a conversion is, as a path that can be opened from anywhere, and what to do next; nothing where there is no result.

    Args:
        summary: The results.
        out: The output, as the user named it.
        options: How it was converted.
    """
    if not summary.converted and not summary.finished_before:
        return ""
    result = shown(str(out)) if is_url(str(out)) else str(Path(str(out).removeprefix("file://")).absolute())
    if summary.failed and options.report is None:
        then = "next: --report FILE.json lists every file that failed"
    elif summary.sheet:
        then = f"next: look at {Path(summary.sheet).absolute()}"
    elif options.watch or summary.not_reached:
        then = ""
    elif has_page():
        then = "next: see before and after with --sheet FILE.png --limit 4 --on-exists overwrite, or on a page: pixlate web"
    else:
        then = "next: see before and after with --sheet FILE.png --limit 4 --on-exists overwrite"
    return printable(f"the result is {result}{f'; {then}' if then else ''}")
