"""What the tabs of the page share: the pages that are open, the models, and how a conversion begins, is followed and cancelled."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from pixlate.errors import PixlateError
from pixlate_web.drawing import Painter
from pixlate_web.models import Offered
from pixlate_web.options import WebOptions
from pixlate_web.sessions import Session, Sessions
from pixlate_web.training_runs import TrainingRuns
from pixlate_web.views import end_of, progress_of, refusal
from pixlate_web.work import Turns, Work

EVERY_S = 0.25
"""Seconds between two looks at how far a conversion is."""


@dataclass
class Page:
    """The server's side of all pages."""

    options: WebOptions
    folders: Mapping[str, Path]
    """Those that the page may convert, by the names that it shows."""
    models: Sequence[Offered]
    sessions: Sessions
    turns: Turns = field(init=False)
    painter: Painter = field(init=False)
    runs: TrainingRuns = field(init=False)
    """Runs of training under the folders."""

    def __post_init__(self) -> None:
        self.turns, self.painter, self.runs = Turns(self.options.queue), Painter(self.options), TrainingRuns(list(self.folders.values()))

    def session(self, request: gr.Request) -> Session:
        """Return the session of the page that a request is from.

        Raises:
            PixlateError: Gradio gave it no name.
        """
        if not request.session_hash:
            raise PixlateError("expected a request from an open page, got another; load the page")
        return self.sessions.of_page(request.session_hash)


@dataclass(frozen=True)
class Parts:
    """The parts of a tab that begin and cancel a conversion and say how it goes."""

    begin: gr.Button
    cancel: gr.Button
    status: gr.HTML
    results: gr.HTML


def buttons(begin: str, what: str, status: str) -> tuple[gr.Button, gr.Button]:
    """Add the buttons to begin and to cancel, which stay visible below what is scrolled.

    Args:
        begin: What the first says, and in lower case its name.
        what: Added to the name of the second.
        status: Name of the part that says how it goes; where it is out of sight, as on a phone, the page scrolls to it.
    """
    with gr.Row(elem_classes="px-actions"):
        first = gr.Button(begin, variant="primary", elem_id=begin.lower())
        second = gr.Button("Cancel", interactive=False, elem_id=f"cancel{what}")
    first.click(None, js=f"() => document.getElementById('{status}').scrollIntoView({{ block: 'nearest', behavior: 'smooth' }})", api_visibility="private")
    return first, second


def connect(
    page: Page,
    parts: Parts,
    inputs: Sequence[Any],
    start: Callable[[Session, Sequence[Any]], tuple[Work, str]],
    newest: Callable[[Session], Work | None],
    listed: Callable[[Session, Work], str],
) -> None:
    """Have the buttons of a tab begin and cancel conversions.

    Args:
        page: The page.
        parts: Of the tab.
        inputs: Controls whose values ``start`` takes.
        start: Begins a conversion for a page; returns it, and where its results are as the page calls that, if they are in a folder.
        newest: Returns the newest conversion of the tab.
        listed: Returns the list of its results.
    """

    async def begin(request: gr.Request, *values: Any) -> AsyncIterator[Shown]:
        try:
            session = page.session(request)
            work, out = start(session, values)
        except PixlateError as error:
            yield refusal(str(error)), gr.skip(), gr.update(interactive=True), gr.update(interactive=False)
            return
        async for shown in _followed(work, lambda each: listed(session, each), out):
            yield shown

    def cancel(request: gr.Request) -> object:
        if (work := newest(page.session(request))) is None or work.ended:
            return gr.skip()
        work.cancel()
        return progress_of(work)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    parts.begin.click(begin, list(inputs), [parts.status, parts.results, parts.begin, parts.cancel], **quiet)
    parts.cancel.click(cancel, None, parts.status, **quiet)


Shown = tuple[Any, Any, Any, Any]
"""Status, results, and the buttons to begin and to cancel."""


async def _followed(work: Work, results: Callable[[Work], str], out: str) -> AsyncIterator[Shown]:
    """Yield what a tab shows while a conversion runs, and at its end."""
    count, said = -1, ""
    while not work.ended:
        now, text = len(work.results), progress_of(work)
        if (now, text) != (count, said):
            shown = results(work) if now != count else gr.skip()
            yield text, shown, gr.update(interactive=False), gr.update(interactive=not work.cancelled)
        count, said = now, text
        await asyncio.sleep(EVERY_S)
    yield end_of(work, out), results(work), gr.update(interactive=True), gr.update(interactive=False)
