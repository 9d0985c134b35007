"""What the page says of a conversion, as HTML: its progress in pixels, its results, and in the end what the command would print."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

from pixlate.cli.periodic import duration
from pixlate.convert.report import Result, Summary
from pixlate.images.unsupported import FILMS
from pixlate.system.text import printable
from pixlate_web.work import Work

SHOWN_FAILURES = 50


def said(*sentences: str) -> str:
    """Return sentences, each in a line of its own."""
    return "".join(f'<p class="px-said">{escape(sentence)}</p>' for sentence in sentences if sentence)


def refusal(*sentences: str) -> str:
    """Return sentences about what went wrong."""
    return "".join(f'<p class="px-refused" role="alert">{escape(sentence)}</p>' for sentence in sentences)


def progress_of(work: Work) -> str:
    """Return how far a conversion is."""
    if work.cancelled:
        return said("Cancelling: what has begun is finished …")
    if work.progress is None or work.summary is None:
        ahead = work.ahead
        return said(f"Waiting for {ahead} conversion{'s' if ahead > 1 else ''} of other pages …" if ahead else f"Loading {work.model} …")
    summary, progress = work.summary, work.progress
    done, total = progress.pixels_done, progress.pixels_done + progress.pixels_left
    left, frames = progress.seconds_left, progress.frames
    parts = [
        f"{summary.planned - summary.not_reached} of {summary.planned} pictures",
        f"{done / 1e6:.1f} of {total / 1e6:.1f} million pixels",
        *([f"frame {frames[0]} of {frames[1]}"] if frames[1] else []),
        *([f"{duration(max(1, left))} left"] if left is not None and summary.not_reached else []),
        *([f"{summary.failed} failed"] if summary.failed else []),
    ]
    share = progress.fraction * 100
    bar = f'<div class="px-bar" role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100"><div style="width: {share:.1f}%"></div></div>'
    return bar + said(", ".join(parts))


def end_of(work: Work, out: str = "") -> str:
    """Return what is to be said of a conversion that has ended.

    Args:
        work: The conversion.
        out: Where the results are, for a folder, as the page calls it; it shows the whole path where the pointer rests.
    """
    if work.refused:
        return refusal(work.refused)
    if work.summary is None:
        return said("Cancelled before anything was converted.")
    summary = work.summary
    where = f', into <span title="{escape(printable(work.out))}">{escape(printable(out))}</span>' if out else ""
    return f'<p class="px-said">{escape(_counts(summary))}{where}</p>' + said(*_remarks(summary)) + refusal(*_problems(summary, bool(out)))


def _counts(summary: Summary) -> str:
    speed = f" in {duration(max(1, summary.seconds))} on {summary.device}" if summary.converted else ""
    others = {"finished before": summary.finished_before, "skipped": summary.skipped, "failed": summary.failed, "not reached": summary.not_reached}
    return ", ".join([f"{summary.converted} converted{speed}", *(f"{count} {what}" for what, count in others.items() if count)])


def _remarks(summary: Summary) -> Iterable[str]:
    if summary.ignored:
        yield f"Left out: {', '.join(f'{count} {printable(kind)}' for kind, count in sorted(summary.ignored.items()))}."
    if summary.choice:
        yield f"What ran it: {summary.choice}."
    yield from (f"Note: {caution}." for caution in summary.cautions)
    for note, count in summary.notes.items():
        yield f"Note on {count} picture{'' if count == 1 else 's'}: {note}."


def _problems(summary: Summary, resumes: bool) -> Iterable[str]:
    for source, reason in summary.failures[:SHOWN_FAILURES]:
        yield f"{name_of(source)}: {reason}"
    if summary.failed > SHOWN_FAILURES:
        yield f"… and {summary.failed - SHOWN_FAILURES} more failed"
    if summary.unwritten:
        yield summary.unwritten
    if summary.stopped:
        yield f"Stopped: {summary.stopped}"
    elif summary.interrupted:
        yield "Cancelled." + (" Convert the same folder again to continue." if resumes else "")


def name_of(source: str) -> str:
    """Return the file name of a source."""
    return printable(source.replace("\\", "/").rpartition("/")[2])


def results(kind: str, items: Sequence[Mapping[str, Any]], all_at: str = "") -> str:
    """Return a list of results, of which one is compared with its source.

    Args:
        kind: Name of the list on the page.
        items: Of :func:`item`.
        all_at: Address of all results in one file, where there is one.
    """
    if not items:
        return ""
    data = json.dumps({"list": kind, "items": list(items), "all": all_at})
    return f'<pixlate-results data-results="{escape(data)}"></pixlate-results>'


def item(result: Result, before: str = "", after: str = "", download: str = "", name: str = "") -> dict[str, Any]:
    """Return one entry of :func:`results`: with addresses of its pictures where there are any.

    Sizes are those of the output where they are known.
    """
    width, height = result.output_size or (0, 0)
    sizes = "{}x{} → {}x{}".format(*result.source_size, width, height) if result.source_size and result.output_size else result.status
    if result.frames > 1:
        sizes = f"{sizes}, {result.frames} frames"
    more = "; ".join([sizes, *([result.reason] if result.reason and result.status != "converted" else []), *result.notes])
    entry: dict[str, Any] = {"name": name or name_of(result.source), "status": result.status, "text": more}
    if result.status == "converted" and after:
        if PurePath(result.output).suffix.lower() in FILMS:
            return entry | {"film": after, "download": download}
        entry |= {"before": before, "after": after, "download": download, "width": width, "height": height}
    return entry
