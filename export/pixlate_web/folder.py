"""The tab Folder: a folder that was named on the command line, converted as `pixlate convert` does it."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path, PurePath
from typing import Any

import gradio as gr

from pixlate.convert import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.places.local import HOME
from pixlate.system.text import printable
from pixlate_web.controls import controls
from pixlate_web.page import Page, Parts, buttons, connect
from pixlate_web.sessions import Session
from pixlate_web.views import item, results
from pixlate_web.work import Work


def folder_tab(page: Page) -> None:
    """Add the tab to the page that is being built."""

    def start(session: Session, values: Sequence[Any]) -> tuple[Work, str]:
        folder, name, *rest = values
        source, out = output_folder(page, folder, name)
        work = begun(page, session, source, out, *chosen.chosen(rest))
        return work, str(PurePath(folder, *PurePath(name.strip()).parts))

    with gr.Row():
        with gr.Column(scale=2, min_width=220):
            names = list(page.folders)
            folder = gr.Dropdown(names, value=names[0], label="Folder", info="those that `pixlate web` was started with", elem_id="folder")
            name = gr.Textbox("translated", label="Into its folder", info="made if missing; what is finished there is kept", elem_id="into")
            chosen = controls(page.options, [each for each in page.models if not each.takes_mask])  # masks are painted on single pictures
            paths = json.dumps({name: printable(path) for name, path in page.folders.items()})
            gr.HTML(f'<pixlate-paths data-of="folder" data-paths="{escape(paths)}"></pixlate-paths>', elem_classes="px-hidden")
            begin, end = buttons("Convert", "-folder", "folder-status")
        with gr.Column(scale=3, min_width=220):
            status = gr.HTML(elem_id="folder-status", apply_default_css=False)
            shown = gr.HTML(elem_id="folder-results", apply_default_css=False)
    connect(page, Parts(begin, end, status, shown), [folder, name, *chosen.inputs], start, lambda session: session.conversion, listed)


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


def begun(page: Page, session: Session, source: Path, out: Path, model: str, options: ConvertOptions) -> Work:
    """Begin to convert a folder, or to continue.

    Raises:
        PixlateError: One is being converted.
    """
    with session.lock:
        session.require_idle(session.conversion)
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
