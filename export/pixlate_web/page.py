"""What the tabs of the page share: the pages that are open, the models, and the options."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from pixlate.convert import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed
from pixlate_web.drawing import Painter
from pixlate_web.models import Offered
from pixlate_web.options import WebOptions
from pixlate_web.sessions import Session, Sessions
from pixlate_web.training_runs import TrainingRuns
from pixlate_web.views import end_of, progress_of, refusal
from pixlate_web.work import Turns, Work

SAME = "as it is"
"""The choice of no format."""
EVERY_S = 0.25
"""Seconds between two looks at how far a conversion is."""
SIZES = {"of the model": "", "times": "scale", "long side": "long_side", "million pixels": "megapixels"}
"""The choices of a size -> options of the conversion."""


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

    def convert_options(self, strength: float, size: str, number: float | None, format: str, quality: int) -> ConvertOptions:
        """Return the options that the controls of a tab stand for; those at their defaults as the command has them.

        Raises:
            PixlateError: A number of a control is none that the option has.
        """
        option = SIZES.get(size, "")
        if option and number is None:
            raise PixlateError(f"expected a number for the size in {size}, got none; write one beside it")
        whole = int(number) if option == "long_side" and number == int(number or 0) else number
        return ConvertOptions(
            **({option: whole} if option else {}),  # type: ignore[arg-type]
            format=None if format == SAME else format,
            quality=int(quality),
            strength=None if strength == 1 else float(strength),
            device=self.options.device,
            runtime=self.options.runtime,
            arithmetic=self.options.arithmetic,
            max_pixels=self.options.max_pixels,
        )


@dataclass(frozen=True)
class Controls:
    """What a tab has for choosing how to convert."""

    model: gr.Radio
    strength: gr.Slider
    size: gr.Dropdown
    number: gr.Number
    format: gr.Dropdown
    quality: gr.Slider

    @property
    def inputs(self) -> list[Any]:
        """Return them in the order of :meth:`Page.convert_options`, the model first."""
        return [self.model, self.strength, self.size, self.number, self.format, self.quality]


def controls(page: Page) -> Controls:
    """Add the controls to the tab that is being built."""
    names = list(dict.fromkeys(format.name for format in installed().image_formats().values() if format.write is not None))
    choices = [(each.text, each.model) for each in page.models]
    model = gr.Radio(choices, value=page.models[0].model if page.models else None, label="Model", elem_classes="px-cards")
    with gr.Row():
        size = gr.Dropdown(list(SIZES), value=next(iter(SIZES)), label="Size", min_width=150)
        number = gr.Number(2, label="Number", minimum=0, visible=False, min_width=80)
        format = gr.Dropdown([SAME, *names], value=SAME, label="Format", min_width=150)
    with gr.Row():
        strength = gr.Slider(0, 1, 1, step=0.05, label="Strength", info="the rest is the original", min_width=190)
        quality = gr.Slider(1, 100, 95, step=1, label="Quality", info="of JPEG, WebP and AVIF", min_width=190)
    size.change(lambda chosen: gr.update(visible=bool(SIZES.get(chosen))), size, number, show_progress="hidden", api_visibility="private")
    return Controls(model, strength, size, number, format, quality)


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


def checked_model(page: Page, model: str | None) -> str:
    """Return the model that was chosen, if it is one of the page.

    Raises:
        PixlateError: It is none: a request that the page did not make could name any file.
    """
    if model not in [each.model for each in page.models]:
        raise PixlateError(f"expected a model of the page, got {model!r}; choose one of the cards")
    return str(model)


Shown = tuple[Any, Any, Any, Any]
"""Status, results, and the buttons to begin and to cancel."""


async def followed(work: Work, results: Callable[[Work], str], out: str = "", path: str = "") -> AsyncIterator[Shown]:
    """Yield what a tab shows while a conversion runs, and at its end.

    Args:
        work: The conversion, which has been started.
        results: Returns the list of its results.
        out: Where they are, for a folder, as the page calls it.
        path: The same as the whole path.
    """
    count, said = -1, ""
    while not work.ended:
        now, text = len(work.results), progress_of(work)
        if (now, text) != (count, said):
            shown = results(work) if now != count else gr.skip()
            yield text, shown, gr.update(interactive=False), gr.update(interactive=not work.cancelled)
        count, said = now, text
        await asyncio.sleep(EVERY_S)
    yield end_of(work, out, path), results(work), gr.update(interactive=True), gr.update(interactive=False)


def not_begun(error: PixlateError) -> Shown:
    """Return what a tab shows where a conversion was refused."""
    return refusal(str(error)), gr.skip(), gr.update(interactive=True), gr.update(interactive=False)
