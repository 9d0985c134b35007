"""Checks the links of a built site: pages, pictures and anchors exist, nothing is fetched from elsewhere, and addresses elsewhere are well formed."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("object", "data")}
"""Tags and attributes whose file a browser fetches when it shows the page."""
FROM_STYLE = re.compile(r"""url\(\s*["']?(?!data:|#)([^"')\s]+)|@import\s+["']([^"']+)""")
"""Files that a style sheet fetches."""


class Page(HTMLParser):
    """The anchors of a page, and what it links to or fetches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, bool]] = []
        """Addresses, and whether a browser fetches them to show the page."""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note anchors, links and files."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        for name in ("href", "src", "data"):
            if name in found and ((tag, name) in FETCHED or (tag, name) == ("a", "href")):
                self.links.append((found[name], tag != "a"))
        self.links += [(part.split()[0], True) for part in found.get("srcset", "").split(",") if part.strip()]


def broken(site: Path) -> list[str]:
    """Return a sentence for every link of a site's pages and style sheets that leads nowhere, or that fetches from elsewhere."""
    site = site.resolve()
    templates = site / "_static"  # of the theme
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if not path.is_relative_to(templates)}
    found = []
    for path, page in pages.items():
        found += [f"{path.relative_to(site)}: {reason}" for address, fetched in page.links for reason in _wrong(address, fetched, path, pages, site)]
    for path in sorted(site.rglob("*.css")):
        addresses = [first or second for first, second in FROM_STYLE.findall(path.read_text())]
        found += [f"{path.relative_to(site)}: {reason}" for address in addresses for reason in _wrong(address, True, path, pages, site)]
    return found


def _wrong(address: str, fetched: bool, path: Path, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    """Yield what is wrong with one address of a file."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return
    if parts.scheme or parts.netloc:
        if fetched:
            yield f"{address} is fetched from elsewhere; a page must show without a network"
        elif parts.scheme == "mailto":
            if "@" not in parts.path:
                yield f"{address} is no address for mail"
        elif parts.scheme not in ("https", "http") or "." not in parts.netloc.strip("."):
            yield f"{address} is no address of a page elsewhere"
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_relative_to(site) or not target.is_file():
        yield f"{address} does not exist"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        yield f"{address} has no such anchor"
