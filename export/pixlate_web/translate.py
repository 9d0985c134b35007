"""The tab Translate: pictures that are dropped on the page."""

from collections.abc import AsyncIterator
from pathlib import Path

import gradio as gr

from pixlate.errors import PixlateError
from pixlate_web.page import Page, Shown, buttons, checked_model, controls, followed, not_begun
from pixlate_web.pictures import accepted
from pixlate_web.sessions import Session
from pixlate_web.views import item, progress_of, results
from pixlate_web.work import Work


def translate_tab(page: Page) -> None:
    """Add the tab to the page that is being built."""

    async def translate(
        request: gr.Request, model: str | None, strength: float, size: str, number: float | None, format: str, quality: int
    ) -> AsyncIterator[Shown]:
        try:
            session = page.session(request)
            work = begun(page, session, model, strength, size, number, format, quality)
        except PixlateError as error:
            yield not_begun(error)
            return
        async for shown in followed(work, lambda each: listed(session, each)):
            yield shown

    def cancel(request: gr.Request) -> object:
        if (work := page.session(request).work) is None or work.ended:
            return gr.skip()
        work.cancel()
        return progress_of(work)

    with gr.Row():
        with gr.Column(scale=2, min_width=220):
            gr.HTML(f'<pixlate-drop data-accept="{accepted()}"></pixlate-drop>', apply_default_css=False)
            chosen = controls(page)
            begin, end = buttons("Translate", "", "translate-status")
        with gr.Column(scale=3, min_width=220):
            status = gr.HTML(elem_id="translate-status", apply_default_css=False)
            shown = gr.HTML(elem_id="translate-results", apply_default_css=False)
    begin.click(translate, chosen.inputs, [status, shown, begin, end], show_progress="hidden", api_visibility="private")
    end.click(cancel, None, status, show_progress="hidden", api_visibility="private")


def begun(page: Page, session: Session, model: str | None, strength: float, size: str, number: float | None, format: str, quality: int) -> Work:
    """Begin to translate the pictures of a page.

    Raises:
        PixlateError: There are none, some are being translated, or an option is wrong.
    """
    model = checked_model(page, model)
    options = page.convert_options(strength, size, number, format, quality)
    with session.lock:
        if session.closed:
            raise PixlateError("expected an open page, got one that was closed; load it again")
        if session.work is not None and not session.work.ended:
            raise PixlateError("expected to wait for the translation that runs, got another; cancel that first")
        if not session.pictures:
            raise PixlateError("expected a picture, got none; drop one on the page")
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
