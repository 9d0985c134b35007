"""Models that fill what is painted: the brush of the page."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import write_conditional
from tests.pixlate_web.conftest import Browser, Site, ended, pictures, started
from tests.pixlate_web.steps import choose, give, saved, translate

import pixlate
from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelInput
from pixlate_web.sessions import Dropped, Session

pytest.importorskip("gradio")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that offers a model which makes white what is painted, and keeps the rest."""
    model = write_conditional(tmp_path_factory.mktemp("models") / "whiten.onnx", [ModelInput("hole", "mask")])
    site = started(tmp_path_factory.mktemp("masks"), "--model", str(model))
    site.model = model
    yield site
    assert ended(site) == 0


def paint(page: Any, *points: tuple[float, float]) -> None:
    """Paint from point to point, in shares of the picture, and wait until the mask was taken."""
    page.locator("pixlate-mask img").evaluate("(image) => image.decode()")
    canvas = page.locator("pixlate-mask canvas")
    canvas.evaluate("(each) => each.scrollIntoView({ block: 'center' })")
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    with page.expect_response(lambda response: "/pixlate/masks/" in response.url and response.ok):
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()


def test_what_is_painted_is_filled_and_all_else_is_kept(site: Site, browser: Browser, tmp_path: Path) -> None:
    (source,) = pictures(tmp_path / "in", 1)
    page = browser.open(site, accept_downloads=True)
    choose(page, site.model)
    assert "Drop a picture, then paint" in page.inner_text("pixlate-mask")
    give(page, [source])
    assert "expected a painted mask, since this model fills what is marked, got none" in translate(page)
    paint(page, (0.1, 0.9), (0.9, 0.9))
    page.click("pixlate-mask >> text=Undo")
    paint(page, (0.25, 0.5), (0.75, 0.5))
    (kept,) = (path for path in site.kept() if "masks" in path.parts)
    mask = kept.read_bytes()
    levels = np.asarray(Image.open(io.BytesIO(mask)).convert("L"))
    assert levels.shape == (40, 60) and {*np.unique(levels)} == {0, 255}
    assert levels[20, 30] == 255 and levels[36, 30] == levels[5, 5] == 0, "undone, and never painted"
    assert "1 converted" in translate(page)
    _, output = saved(page, "text=Download")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / source.name).write_bytes(mask)
    pixlate.convert(tmp_path / "in", tmp_path / "out", site.model, mask=tmp_path / "masks")
    assert output == (tmp_path / "out" / source.name).read_bytes()
    before, after = (np.asarray(Image.open(file).convert("RGB")) for file in (source, io.BytesIO(output)))
    assert (after[levels == 255] == 255).all() and (after[levels == 0] == before[levels == 0]).all()


def test_each_picture_has_a_mask_of_its_own_which_goes_with_it(site: Site, browser: Browser, tmp_path: Path) -> None:
    sources = pictures(tmp_path / "in", 2)
    page = browser.open(site)
    choose(page, site.model)
    give(page, sources)
    paint(page, (0.5, 0.5), (0.6, 0.5))
    page.select_option("pixlate-mask select >> nth=0", label=sources[1].name)
    said = translate(page)
    assert "1 converted" in said and "1 failed" in said, "the second has no mask yet"
    paint(page, (0.2, 0.5), (0.3, 0.5))
    assert "2 converted" in translate(page)
    page.get_by_label(f"Take {sources[1].name} off").click()
    page.wait_for_function("document.querySelector('pixlate-mask select').options.length == 1")
    assert page.eval_on_selector("pixlate-mask select", "(each) => each.selectedOptions[0].label") == sources[0].name
    assert page.locator("[role=tab]:has-text('Folder')").count() == 1
    page.click("[role=tab]:has-text('Folder')")
    assert page.locator(f"[role=tabpanel]:visible .px-cards input[value='{site.model}']").count() == 0, "masks are painted on single pictures"


@pytest.mark.parametrize(
    ("size", "format", "sentence"),
    [((6, 5), "PNG", "expected a PNG file of 8x5, as the picture, got PNG of 6x5"), ((8, 5), "JPEG", "got JPEG"), (None, "", ".")],
)
def test_mask_that_is_none_of_the_picture_is_refused(tmp_path: Path, size: tuple[int, int] | None, format: str, sentence: str) -> None:
    session = Session(tmp_path, 5)
    session.pictures[1] = Dropped(1, tmp_path / "in/000001/picture.png", (8, 5))
    buffer = io.BytesIO(b"no picture")
    if size:
        Image.new("L", size).save(buffer, format)
    with pytest.raises(PixlateError, match=sentence):
        session.paint(1, buffer.getvalue())
    with pytest.raises(PixlateError, match="got one of a picture that was taken off"):
        session.paint(2, buffer.getvalue())
    assert not (tmp_path / "masks").exists()
