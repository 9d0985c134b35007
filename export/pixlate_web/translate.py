"""The tab Translate: pictures that are dropped on the page."""

from dataclasses import replace
from pathlib import Path

import gradio as gr

from pixlate.convert import ConvertOptions
from pixlate.errors import PixlateError
from pixlate_web.controls import controls
from pixlate_web.page import Page, Parts, buttons, connect
from pixlate_web.pictures import accepted
from pixlate_web.sessions import Session
from pixlate_web.views import item, results
from pixlate_web.work import Work


def translate_tab(page: Page) -> None:
    """Add the tab to the page that is being built."""
    with gr.Row():
        with gr.Column(scale=2, min_width=220):
            gr.HTML(f'<pixlate-drop data-accept="{accepted()}"></pixlate-drop>', apply_default_css=False)
            chosen = controls(page.options, page.models)
            begin, end = buttons("Translate", "", "translate-status")
        with gr.Column(scale=3, min_width=220):
            status = gr.HTML(elem_id="translate-status", apply_default_css=False)
            shown = gr.HTML(elem_id="translate-results", apply_default_css=False)
    connect(
        page,
        Parts(begin, end, status, shown),
        chosen.inputs,
        lambda session, values: (begun(page, session, *chosen.chosen(values)), ""),
        lambda session: session.work,
        listed,
    )


def begun(page: Page, session: Session, model: str, options: ConvertOptions) -> Work:
    """Begin to translate the pictures of a page.

    Raises:
        PixlateError: There are none, some are being translated, or the model fills what is painted and nothing is.
    """
    with session.lock:
        session.require_idle(session.work)
        if not session.pictures:
            raise PixlateError("expected a picture, got none; drop one on the page")
        if any(each.model == model and each.takes_mask for each in page.models):
            options = replace(options, mask=session.masks())
        session.work = Work(page.turns, [session.folder / "in"], session.new_output(), model, options)
        session.work.start()
        return session.work


def listed(session: Session, work: Work) -> str:
    """Return the list of a translation's results."""
    items = []
    done = 0
    for number, result in sorted(((int(Path(each.source).parent.name), each) for each in list(work.results)), key=lambda pair: pair[0]):
        address = f"{session.key}/{number}"
        done += result.status == "converted"
        items.append(item(result, f"/pixlate/view/{address}/source", f"/pixlate/view/{address}/output", f"/pixlate/output/{address}"))
    return results("translate", items, f"/pixlate/outputs/{session.key}" if done > 1 else "")
