"""Sphinx's configuration of the site; ``make.py`` beside it lays out the pages."""

from importlib.metadata import version as installed
from pathlib import Path

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
html_sidebars = {"index": []}
myst_heading_anchors = 4
"""Headings are anchors under the names that a forge gives them, as the guides use them."""
python_maximum_signature_line_length = 100
add_module_names = False
copybutton_exclude = ".linenos, .gp, .go"
suppress_warnings = ["misc.highlighting_failure"]
