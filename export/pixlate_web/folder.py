"""The tab Folder: a folder that was named on the command line, converted as `pixlate convert` does it."""

import json
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path, PurePath

import gradio as gr

from pixlate.errors import PixlateError
from pixlate.places.local import HOME
from pixlate.system.text import printable
from pixlate_web.page import Page, Shown, buttons, checked_model, controls, followed, not_begun
from pixlate_web.sessions import Session
from pixlate_web.views import item, progress_of, results
from pixlate_web.work import Work


def folder_tab(page: Page) -> None:
    """Add the tab to the page that is being built."""

    async def convert(
        request: gr.Request, folder: str | None, name: str, model: str | None, strength: float, size: str, number: float | None, format: str, quality: int
    ) -> AsyncIterator[Shown]:
        try:
            session = page.session(request)
            work = begun(page, session, folder, name, model, strength, size, number, format, quality)
        except PixlateError as error:
            yield not_begun(error)
            return
        async for shown in followed(work, lambda each: listed(session, each), str(PurePath(folder or "", *PurePath(name.strip()).parts)), str(work.out)):
            yield shown

    def cancel(request: gr.Request) -> object:
        if (work := page.session(request).conversion) is None or work.ended:
            return gr.skip()
        work.cancel()
        return progress_of(work)

    with gr.Row():
        with gr.Column(scale=2, min_width=220):
            names = list(page.folders)
            folder = gr.Dropdown(names, value=names[0], label="Folder", info="those that `pixlate web` was started with", elem_id="folder")
            name = gr.Textbox("translated", label="Into its folder", info="made if missing; what is finished there is kept", elem_id="into")
            chosen = controls(page)
            paths = json.dumps({name: printable(path) for name, path in page.folders.items()})
            gr.HTML(f'<pixlate-paths data-of="folder" data-paths="{escape(paths)}"></pixlate-paths>', elem_classes="px-hidden")
            begin, end = buttons("Convert", "-folder", "folder-status")
        with gr.Column(scale=3, min_width=220):
            status = gr.HTML(elem_id="folder-status", apply_default_css=False)
            shown = gr.HTML(elem_id="folder-results", apply_default_css=False)
    begin.click(convert, [folder, name, *chosen.inputs], [status, shown, begin, end], show_progress="hidden", api_visibility="private")
    end.click(cancel, None, status, show_progress="hidden", api_visibility="private")


def output_folder(page: Page, folder: str | None, name: str) -> tuple[Path, Path]:
    """Return a folder of the page, and the folder inside it that takes the outputs.

    Raises:
        PixlateError: The folder is none of the page, or the name leads out of it.
    """
    source = page.folders.get(folder or "")
    if source is None:
        raise PixlateError(f"expected a folder that the page was started with, got {folder!r}; choose one of the list")
    parts = PurePath(name.strip()).parts
    out = source.joinpath(*parts)
    if (
        not parts
        or PurePath(name.strip()).is_absolute()
        or ".." in parts
        or HOME in parts
        or not out.resolve().is_relative_to(source)
        or out.resolve() == source
    ):
        raise PixlateError(f"expected the name of a folder inside {folder}, such as translated, got {name!r}; choose another name")
    return source, out


def begun(
    page: Page, session: Session, folder: str | None, name: str, model: str | None, strength: float, size: str, number: float | None, format: str, quality: int
) -> Work:
    """Begin to convert a folder, or to continue.

    Raises:
        PixlateError: It is no folder of the page, one is being converted, or an option is wrong.
    """
    source, out = output_folder(page, folder, name)
    model = checked_model(page, model)
    options = page.convert_options(strength, size, number, format, quality)
    with session.lock:
        if session.closed:
            raise PixlateError("expected an open page, got one that was closed; load it again")
        if session.conversion is not None and not session.conversion.ended:
            raise PixlateError("expected to wait for the folder that is being converted, got another; cancel that first")
        session.conversion = Work(page.turns, [source], out, model, options)
        session.conversion.start()
        return session.conversion


def listed(session: Session, work: Work) -> str:
    """Return the list of a conversion's first results; the newest conversion of the page alone can be looked at."""
    items = []
    for index, result in enumerate(list(work.results)):
        address = f"/pixlate/folder/{session.key}/{index}"
        items.append(item(result, f"{address}/source", f"{address}/output", name=result.output or ""))
    return results("folder", items)
