"""Sphinx's configuration of the site; ``make.py`` beside it lays out the pages."""

from importlib.metadata import version as installed
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

HERE = Path(__file__).parent

project = "Pixlate"
release = version = installed("pixlate")
language = "en"
extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["**/examples/*"]
html_theme = "pydata_sphinx_theme"
html_title = "Pixlate"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": ["sphinx-version"],
    "header_links_before_dropdown": 6,
}
html_sidebars: dict[str, list[str]] = {"index": [], "benchmarks/README": []}
myst_heading_anchors = 4
"""Headings are anchors under the names that a forge gives them, as the guides use them."""
python_maximum_signature_line_length = 100
add_module_names = False
copybutton_exclude = ".linenos, .gp, .go"


def link_pictures(app: Sphinx, page: nodes.document, name: str) -> None:
    """Make each picture of a page a link to its file, where it has its whole size."""
    for picture in list(page.findall(nodes.image)):
        if picture["uri"] in app.env.images and not isinstance(picture.parent, nodes.reference):
            file = f"{app.builder.imagedir}/{app.env.images[picture['uri']][1]}"
            link = nodes.reference("", "", refuri=relative_uri(app.builder.get_target_uri(name), file), internal=True, classes=["picture"])
            picture.replace_self(link)
            link += picture


def setup(app: Sphinx) -> None:
    """Register what the pages need."""
    app.connect("doctree-resolved", link_pictures)
