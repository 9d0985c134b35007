"""``make docs``: the site has every page, and each of its links leads somewhere."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import pixlate
from pixlate.inference import ready

ROOT = Path(__file__).parents[1]
WEBSITE = ROOT / "docs" / "website"
MODULES = ("api", "diagrams", "links", "make")


@pytest.fixture(scope="module")
def website() -> Iterator[dict[str, Any]]:
    """The modules that make the site, by name."""
    sys.path.insert(0, str(WEBSITE))
    yield {name: import_module(name) for name in MODULES}
    sys.path.remove(str(WEBSITE))
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once."""
    folder = tmp_path_factory.mktemp("website")
    out = folder / "site"
    command = [sys.executable, str(WEBSITE / "make.py"), "--out", str(out), "--sources", str(folder / "sources")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def letters(text: str) -> str:
    """Return the letters, digits and spaces of a text: quotes are curved on a page."""
    return re.sub(r"[^\w ]", "", text)


def test_site_has_a_page_for_every_guide_model_card_and_part_of_the_api(site: Path) -> None:
    guides = [path for folder in (ROOT, ROOT / "docs") for path in folder.glob("*.md") if path.name != "README.md"]
    cards = [path for pattern in ("*/models/*.md", "*/*.md") for path in (ROOT / "plugins").glob(pattern)]
    assert len(guides) > 15 and len(cards) > 8
    for page in (*guides, *cards, ROOT / "benchmarks/README.md"):
        title = page.read_text().split("\n", 1)[0].removeprefix("# ")
        shown = (site / page.relative_to(ROOT)).with_suffix(".html").read_text()
        assert letters(title) in letters(re.sub(r"<[^>]+>", "", shown)), page
    assert "converts folders of images" in (site / "index.html").read_text()


def test_every_public_name_is_in_the_reference_with_what_its_docstring_says(site: Path) -> None:
    pages = "".join(path.read_text() for path in (site / "api").glob("*.html"))
    for name in pixlate.__all__:
        assert f'id="pixlate.{name}"' in pages, name
    for member in ("pixlate.GAN.generator_losses", "pixlate.ConvertOptions.on_exists", "pixlate.losses.gradient_penalty", "pixlate.networks.unet.UNet"):
        assert f'id="{member}"' in pages, member
    assert "of that name anywhere (*.gif, drafts)" in pages  # no star was taken for emphasis


def test_every_page_is_reached_from_the_front(site: Path, website: dict[str, Any]) -> None:
    reached, waiting = set(), [site / "index.html"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        links = [address.partition("#")[0] for address, fetched in website["links"].Page(page).links if not fetched and "://" not in address]
        waiting += [(page.parent / link).resolve() for link in links if link.endswith(".html")]
    pages = {path for path in site.rglob("*.html") if "_static" not in path.parts}
    assert {path.relative_to(site).as_posix() for path in pages - reached} <= {"genindex.html", "py-modindex.html", "search.html"}


def test_search_needs_no_server(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    assert index.startswith("Search.setIndex(")  # a script, which a browser loads from a file; JSON it would not
    for word in ("bicub", "discrimin", "triton"):
        assert re.search(rf'"?{word}"?:', index), word


def test_diagrams_are_pictures_and_need_no_script(site: Path) -> None:
    page = (site / "docs/architecture.html").read_text()
    assert page.count(".svg") >= 5 and "flowchart" not in page
    assert "mermaid" not in "".join(path.name for path in site.rglob("*"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('<a href="gone.html">x</a>', "gone.html does not exist"),
        ('<a href="other.html#gone">x</a>', "other.html#gone has no such anchor"),
        ('<a href="#gone">x</a>', "#gone has no such anchor"),
        ('<img src="gone.png">', "gone.png does not exist"),
        ('<img src="https://example.org/a.png">', "fetched from elsewhere"),
        ('<script src="//example.org/a.js"></script>', "fetched from elsewhere"),
        ('<link rel="stylesheet" href="https://example.org/a.css">', "fetched from elsewhere"),
        ('<img srcset="gone.png 2x">', "gone.png does not exist"),
        ('<a href="https:/example.org">x</a>', "no address of a page elsewhere"),
        ('<a href="htps://example.org">x</a>', "no address of a page elsewhere"),
        ('<a href="../outside.html">x</a>', "does not exist"),
    ],
)
def test_broken_link_is_found(line: str, said: str, tmp_path: Path, website: dict[str, Any]) -> None:
    (tmp_path / "outside.html").write_text("")
    site = tmp_path / "site"
    site.mkdir()
    (site / "other.html").write_text('<h1 id="here">Other</h1>')
    (site / "page.html").write_text('<a href="other.html#here">there</a> <a href="https://example.org/a#b">elsewhere</a>')
    assert website["links"].broken(site) == []
    (site / "page.html").write_text(line)
    (reason,) = website["links"].broken(site)
    assert reason.startswith("page.html: ") and said in reason


def test_style_sheet_that_fetches_a_font_from_elsewhere_is_found(tmp_path: Path, website: dict[str, Any]) -> None:
    (tmp_path / "a.css").write_text("@import 'https://example.org/font.css'; p { background: url(data:image/png;base64,AA==) }")
    (reason,) = website["links"].broken(tmp_path)
    assert "https://example.org/font.css is fetched from elsewhere" in reason


def test_diagram_that_was_changed_and_not_drawn_again_stops_the_build(website: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=r"diagrams of guide\.md to be drawn, and one was changed since; run: make diagrams"):
        website["make"].with_diagrams("# Guide\n\n```mermaid\nflowchart TD\n    a --> b\n```\n", "guide.md")


def test_public_name_without_a_place_in_the_reference_stops_the_build(website: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {name: (title, tuple(inner for inner in names if inner != "load")) for name, (title, names) in website["api"].GROUPS.items()}
    monkeypatch.setattr(website["api"], "GROUPS", groups)
    with pytest.raises(SystemExit, match="got a difference in: load; add or remove it there"):
        website["api"].pages()


@pytest.mark.parametrize(
    ("docstring", "written"),
    [
        ("Leave out *.gif and a_ or b|c.", r"Leave out \*.gif and a\_ or b\|c."),
        ("What ``a*b_`` and :meth:`exports` do, and `pixlate --help`.", "What ``a*b_`` and :meth:`exports` do, and ``pixlate --help``."),
        ("Example::\n\n    a = b * c_\n\nand *then*", "Example::\n\n    a = b * c_\n\nand \\*then\\*"),
    ],
)
def test_prose_of_docstrings_is_shown_as_it_is_written(docstring: str, written: str, website: dict[str, Any]) -> None:
    assert website["api"].escaped(docstring) == written


def test_api_is_read_without_importing_pixlate() -> None:
    code = f"import sys; sys.path.insert(0, {str(WEBSITE)!r}); import api; api.pages(); sys.exit(any(name.split('.')[0] in ('pixlate', 'torch') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


def test_guide_that_no_section_names_is_the_last_of_the_guides(tmp_path: Path, website: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    sections = website["make"].SECTIONS
    fewer = sections | {"guides": ("Guides", tuple(name for name in sections["guides"][1] if name != "docs/serve"))}
    monkeypatch.setattr(website["make"], "SECTIONS", fewer)
    website["make"].lay_out(tmp_path / "sources")
    listed = re.findall(r"^/(.*)$", (tmp_path / "sources" / "guides.md").read_text(), re.MULTILINE)
    assert listed == [*fewer["guides"][1], "docs/serve"]


def test_every_extra_for_users_is_on_the_page_of_installing() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys() - {"demo", "dev", "docs"}
    assert extras == set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/install.md").read_text(), re.MULTILINE))


def test_every_ready_model_is_on_the_page_of_models_with_its_licence_and_eight_pictures() -> None:
    page = (ROOT / "docs/models.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    licences = {name: row[-1].rstrip(" |").split(", ", 1)[1] for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    assert licences.keys() == ready.cards().keys()
    for name, card in ready.cards().items():
        said = card.licence or pixlate.load(name).spec.provenance.licence
        assert said.startswith(licences[name]), name
        assert f"](sheets/{name}.webp)" in page and (ROOT / "docs" / "sheets" / f"{name}.webp").is_file()
