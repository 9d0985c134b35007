"""What people do on the page, for its tests."""

from pathlib import Path
from typing import Any

import pixlate
from pixlate.places.local import HOME

DROP = """async ([name, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name));
    document.querySelector('pixlate-drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
PASTE = """async ([name, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name));
    document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""


def give(page: Any, paths: list[Path], how: str = DROP) -> None:
    """Drop files on the page, and wait until they have been taken in or refused."""
    for number, path in enumerate(paths):
        page.evaluate(how, [path.name, list(path.read_bytes())])
        page.wait_for_function(f"document.querySelectorAll('.px-pictures li, .px-problems li').length >= {number + 1}")


def choose(page: Any, model: str | Path) -> None:
    """Choose a model by its card."""
    page.locator(f"[role=tabpanel]:visible .px-cards label:has(input[value='{model}'])").click()


def translate(page: Any) -> str:
    """Press the button, and return what the page says in the end."""
    page.evaluate("document.querySelectorAll('#translate-status p').forEach((each) => { each.dataset.before = 1; })")
    page.click("#translate")
    page.wait_for_function(
        "[...document.querySelectorAll('#translate-status p:not([data-before])')].some((each) => /converted|expected|Cancelled/.test(each.innerText))"
    )
    page.wait_for_selector("#translate:not([disabled])")
    return str(page.inner_text("#translate-status"))


def saved(page: Any, click: str) -> tuple[str, bytes]:
    """Return name and bytes of what a link downloads."""
    with page.expect_download() as download:
        page.click(click)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def converted(sources: list[Path], out: Path, model: str | Path, **options: Any) -> dict[str, bytes]:
    """Return what `pixlate convert` makes of each file by itself, by name."""
    for source in sources:
        pixlate.convert(source, out / source.stem, model, **options)
    return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file() and HOME not in path.parts}
