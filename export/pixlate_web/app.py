"""The page, and the addresses below ``/pixlate/`` that its own parts use."""

from importlib.resources import files
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import Response

from pixlate.errors import PixlateError
from pixlate_web.door import Door
from pixlate_web.draw import draw_tab
from pixlate_web.drawing import MOST_BYTES
from pixlate_web.folder import folder_tab
from pixlate_web.page import Page
from pixlate_web.pictures import download, download_all, refused, upload, view
from pixlate_web.runs import runs_tab
from pixlate_web.sessions import Session
from pixlate_web.translate import translate_tab

_GONE = PixlateError("expected something of an open page, got what is no longer there; load the page again")
_HEAD = '<script type="module" src="/pixlate/page.js"></script><link rel="stylesheet" href="/pixlate/page.css">'


def build_app(page: Page, token: str) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(Door, host=page.options.host, hosts=page.options.allow_host, token=token)],
    )
    _add_files(app)
    _add_pictures(app, page)
    _add_folder(app, page)
    _add_runs(app, page)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        build_blocks(page),
        "/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"], primary_hue="teal"),
        head=_HEAD,
    )
    return mounted


def build_blocks(page: Page) -> gr.Blocks:
    """Return the page with its tabs."""

    def opened(request: gr.Request) -> str:
        return f'<span data-session="{page.session(request).key}"></span>'

    def closed(request: gr.Request) -> None:
        page.sessions.close(request.session_hash or "")

    blocks: gr.Blocks
    with gr.Blocks(title="Pixlate", analytics_enabled=False) as blocks:
        session = gr.HTML(elem_classes="px-hidden")
        gr.HTML('<h1 class="px-title">Pixlate</h1>', elem_classes="px-top", apply_default_css=False)
        with gr.Tab("Translate"):
            translate_tab(page)
        with gr.Tab("Draw"):
            draw_tab()
        if page.folders:
            with gr.Tab("Folder"):
                folder_tab(page)
            with gr.Tab("Runs"):
                runs_tab(blocks, page.runs)
        blocks.load(opened, None, session, api_visibility="private")
        blocks.unload(closed)
    blocks.queue(default_concurrency_limit=None)
    return blocks


def _add_files(app: FastAPI) -> None:
    static = {file.name: file for file in (files("pixlate_web") / "static").iterdir()}

    @app.get("/pixlate/{name}")
    def file(name: str) -> Response:
        if name not in static:
            return refused(_GONE, 404)
        text = static[name].read_text(encoding="utf-8")
        return Response(text, media_type="text/javascript" if name.endswith("js") else "text/css", headers={"Cache-Control": "no-cache"})


def _add_pictures(app: FastAPI, page: Page) -> None:
    """Add what the tabs Translate and Draw send and show."""
    options = page.options

    @app.post("/pixlate/pictures/{key}")
    async def take(request: Request, key: str) -> Response:
        session = page.sessions.of_key(key)
        return refused(_GONE, 404) if session is None else await upload(request, session, options)

    @app.delete("/pixlate/pictures/{key}/{number}")
    def take_off(key: str, number: int) -> Response:
        session = page.sessions.of_key(key)
        if session is None:
            return refused(_GONE, 404)
        if session.work is not None and not session.work.ended:
            return refused(PixlateError("expected to wait for the translation that runs; cancel it first"), 409)
        session.drop(number)
        return Response(status_code=204)

    @app.get("/pixlate/view/{key}/{number}/{which}")
    def look(key: str, number: int, which: str) -> Response:
        path = _picture(page.sessions.of_key(key), number, which)
        return refused(_GONE, 404) if path is None else view(path)

    @app.get("/pixlate/output/{key}/{number}")
    def save(key: str, number: int) -> Response:
        path = _picture(page.sessions.of_key(key), number, "output")
        return refused(_GONE, 404) if path is None else download(path)

    @app.get("/pixlate/outputs/{key}")
    def save_all(key: str) -> Response:
        session = page.sessions.of_key(key)
        return refused(_GONE, 404) if session is None or not session.outputs else download_all(session.outputs)

    @app.post("/pixlate/masks/{key}/{number}")
    async def paint(request: Request, key: str, number: int) -> Response:
        session = page.sessions.of_key(key)
        if session is None:
            return refused(_GONE, 404)
        try:
            await run_in_threadpool(session.paint, number, await small(request, "a mask"))
        except PixlateError as error:
            return refused(error)
        return Response(status_code=204)

    @app.post("/pixlate/drawings/{key}")
    async def draw(request: Request, key: str, model: str) -> Response:
        if page.sessions.of_key(key) is None:
            return refused(_GONE, 404)
        try:
            data = await small(request, "a drawing")
            picture = await run_in_threadpool(page.painter.paint, data, model)
        except PixlateError as error:
            return refused(error)
        return Response(picture, media_type="image/png")


def _add_folder(app: FastAPI, page: Page) -> None:
    """Add what the tab Folder shows: the results of the page's own newest conversion, and their sources."""

    @app.get("/pixlate/folder/{key}/{index}/{which}")
    def look(key: str, index: int, which: str) -> Response:
        session = page.sessions.of_key(key)
        work = None if session is None else session.conversion
        if work is None or not 0 <= index < len(work.results) or work.results[index].status != "converted":
            return refused(_GONE, 404)
        result = work.results[index]
        path = Path(result.source) if which == "source" else work.out / result.output
        return view(path) if path.is_file() else refused(_GONE, 404)


def _add_runs(app: FastAPI, page: Page) -> None:
    """Add what the tab Runs shows: sheets of samples of the runs that were found."""

    @app.get("/pixlate/runs/sheet")
    def look(run: str, view: str, step: int) -> Response:
        path = page.runs.sheet(run, view, step)
        try:
            data = b"" if path is None else path.read_bytes()
        except OSError:  # thinned out meanwhile
            data = b""
        if path is None or not data:
            return refused(_GONE, 404)
        return Response(data, media_type="image/jpeg" if path.suffix == ".jpg" else "image/png")


async def small(request: Request, what: str) -> bytes:
    """Return the body of a request that a page made by itself.

    Raises:
        PixlateError: It has more bytes than such a one can have.
    """
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            raise PixlateError(f"expected {what} of at most {MOST_BYTES:,} bytes, got more; clear it")
    return data


def _picture(session: Session | None, number: int, which: str) -> Path | None:
    """Return a picture of the page, or its output, where there is one."""
    if session is None or number not in session.pictures:
        return None
    path = session.pictures[number].path if which == "source" else session.output_of(number)
    return path if path is not None and path.is_file() else None
