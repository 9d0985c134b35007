"""Models that take more than a picture: their fields on the page, and what comes of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.pixlate.conftest import write_conditional, write_sampler
from tests.pixlate_web.conftest import Browser, Site, ended, pictures, started
from tests.pixlate_web.steps import choose, give, saved, translate

import pixlate
from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelInput
from pixlate_web.models import offered

pytest.importorskip("gradio")

from pixlate_web.controls import Asked

HAIR = ModelInput("hair_colour", "label", choices=("brown", "blond", "grey"), default="blond")
STYLE = ModelInput("style", "vector", length=2)
NOISE = ModelInput("z", "noise", length=3)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that offers such a model, besides others."""
    models = tmp_path_factory.mktemp("models")
    conditional = write_conditional(models / "conditional.onnx", [HAIR, STYLE, NOISE])
    site = started(tmp_path_factory.mktemp("conditions"), "--model", str(conditional))
    site.model = conditional
    yield site
    assert ended(site) == 0


def field(page: Any, label: str) -> Any:
    return page.locator("[role=tabpanel]:visible .px-conditions").get_by_label(label, exact=True)


def test_conditions_that_are_chosen_are_those_of_convert(site: Site, browser: Browser, tmp_path: Path) -> None:
    (source,) = pictures(tmp_path / "in" / "000001", 1)  # to which the noise belongs
    page = browser.open(site, accept_downloads=True)
    assert page.locator(".px-conditions:visible").count() == 0, "the model chosen at first takes none"
    give(page, [source])
    choose(page, site.model)
    results = {}
    for number, (hair, style, seed) in enumerate((("blond", (1.7, 0.0), 0), ("grey", (1.2, -1.0), 0), ("grey", (1.2, -1.0), 3))):
        if field(page, "hair colour").input_value() != hair:
            field(page, "hair colour").click()
            page.locator(f"[role=option]:has-text('{hair}')").click()
        for place, value in enumerate(style, 1):
            field(page, f"style {place}").fill(str(value))
        field(page, "Seed").fill(str(seed))
        assert "1 converted" in translate(page)
        _, results[number] = saved(page, "text=Download")
        given = (f"hair_colour={hair}", f"style={style[0]},{style[1]}")
        pixlate.convert(tmp_path / "in", tmp_path / str(number), site.model, set=given, seed=seed)
        assert results[number] == (tmp_path / str(number) / "000001" / source.name).read_bytes()
    assert len({*results.values()}) == 3


def test_missing_number_is_a_sentence(site: Site, browser: Browser, tmp_path: Path) -> None:
    page = browser.open(site)
    give(page, pictures(tmp_path, 1))
    choose(page, site.model)
    field(page, "style 2").fill("")
    assert "expected 2 numbers for style, got 0, nothing; change it" in translate(page)


def test_long_vector_is_one_field_of_numbers_with_commas() -> None:
    asked = Asked(ModelInput("style", "vector", length=9), [])
    assert asked.given(["1, 2,3,4,5,6,7,8,-0.5"]) == "style=1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0,-0.5"
    for text in ("1,2", "1,2,3,4,5,6,7,8,nine", "1,2,3,4,5,6,7,8,nan", ""):
        with pytest.raises(PixlateError, match="expected 9 numbers with commas between for style"):
            asked.given([text])


def test_model_file_of_no_picture_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="expected --model files that take a picture"):
        offered([write_sampler(tmp_path / "model.onnx")])
