"""Builds the site into ``site/``: guides, models, API, benchmarks and changelog, with search; ``make docs`` runs it.

The pages are those of the repository, as a forge shows them, laid out under ``build/website`` with the paths that they have, so that the links between them hold.
What only the site has is made there: a page for each section, the API, and diagrams in place of Mermaid's blocks.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import api
import diagrams
import links

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "guides": (
        "Guides",
        (
            *(
                "docs/install",
                "docs/convert",
                "docs/web",
                "docs/formats",
                "docs/films",
                "docs/methods",
                "docs/train",
                "docs/sample",
                "docs/anomaly",
                "docs/evaluate",
                "docs/export",
                "docs/import",
                "docs/deploy",
                "docs/serve",
                "docs/cluster",
                "docs/scale",
            ),
            *("docs/write_a_plugin", "docs/plugins", "docs/migrate", "docs/coming_from", "docs/troubleshooting"),
        ),
    ),
    "reference": ("Reference", ("docs/cli", "docs/hooks", "api/index")),
    "project": ("Project", ("CHANGELOG", "CONTRIBUTING", "docs/architecture", "SECURITY")),
}
"""Sections of the site -> title and pages; a guide that none names comes last among the guides."""
FRONT = ("guides", "docs/models", "reference", "benchmarks/README", "project")
"""What the head of every page links to."""
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
"""A link or picture of Markdown: what is before its address, the address, and what is behind."""


def pages() -> list[str]:
    """Return the pages of the repository that the site shows, as paths below its root."""
    shelves = ((ROOT, "*.md"), (ROOT / "docs", "*.md"), (ROOT / "benchmarks", "README.md"), (ROOT / "plugins", "*/*.md"), (ROOT / "plugins", "*/models/*.md"))
    found = [path for folder, pattern in shelves for path in folder.glob(pattern)]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def lay_out(folder: Path) -> None:
    """Write the sources of the site into a folder: the pages, what they show and link to, and what is made.

    Args:
        folder: Is emptied first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shown = pages()
    cards = [page.removesuffix(".md") for page in shown if page.startswith("plugins/")]
    for page in shown:
        text = with_diagrams((ROOT / page).read_text(), page)
        for target in _files(ROOT / page, text):
            _copy(target, folder / target.relative_to(ROOT))
        if page == "docs/models.md":
            cards.sort(key=lambda card: text.index(f"](../{card}.md)"))
            text += toctree([(_title(f"{card}.md"), card) for card in cards])
        if page == "README.md":
            text += toctree([({"benchmarks/README": "Benchmarks", "docs/models": "Models"}.get(name, ""), name) for name in FRONT])
        _write(folder / ("index.md" if page == "README.md" else page), text)
    named = {name for _, names in SECTIONS.values() for name in names} | set(FRONT)
    others = [name for page in shown if page.startswith("docs/") and (name := page.removesuffix(".md")) not in named]
    for name, (title, names) in SECTIONS.items():
        _write(folder / f"{name}.md", f"# {title}\n" + toctree([("", inner) for inner in (*names, *(others if name == "guides" else ()))], hidden=False))
    for name, text in api.pages().items():
        _write(folder / f"{name}.rst", text)
    shutil.copytree(diagrams.FOLDER, folder / "diagrams")


def with_diagrams(text: str, page: str) -> str:
    """Return a page with its Mermaid blocks as pictures, named by the headings above them."""
    for found in reversed(list(diagrams.BLOCK.finditer(text))):
        name = f"{diagrams.digest(found[1])}.svg"
        if not (diagrams.FOLDER / name).is_file():
            sys.exit(f"expected the diagrams of {page} to be drawn, and one was changed since; run: make diagrams")
        heading = re.findall(r"^#+ (.*)$", text[: found.start()], re.MULTILINE)[-1]
        text = f"{text[: found.start()]}![Diagram: {heading}](/diagrams/{name}){text[found.end() :]}"
    return text


def toctree(entries: list[tuple[str, str]], hidden: bool = True) -> str:
    """Return the directive that makes pages the children of the one it is on."""
    lines = [f"{title} </{name}>" if title else f"/{name}" for title, name in entries]
    return "\n".join(["", "```{toctree}", *([":hidden:"] if hidden else [":maxdepth: 1"]), "", *lines, "```", ""])


def _title(page: str) -> str:
    return (ROOT / page).read_text().split("\n", 1)[0].removeprefix("# ")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _files(page: Path, text: str) -> list[Path]:
    """Return the files of the repository, no pages, that a page shows or links to."""
    found = []
    for _, address, _ in LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)):
        target = (page.parent / urlsplit(address).path).resolve()
        if not urlsplit(address).scheme and target.is_file() and target.suffix != ".md" and target.is_relative_to(ROOT):
            found.append(target)
    return found


def main() -> int:
    """Build the site; return 1 where a page, a link or an anchor is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="where the site is written, site/ by default; is emptied first")
    parser.add_argument(
        "--sources", type=Path, default=ROOT / "build" / "website", help="where its sources are laid out, build/website by default; is emptied first"
    )
    chosen = parser.parse_args()
    lay_out(chosen.sources)
    shutil.rmtree(chosen.out, ignore_errors=True)
    settings = ("--quiet", "--fail-on-warning", "--fresh-env", "--conf-dir", HERE, "--doctree-dir", chosen.sources / ".doctrees")
    done = subprocess.run([sys.executable, "-m", "sphinx", *settings, chosen.sources, chosen.out], check=False)  # noqa: S603 - Sphinx, on our own pages
    if done.returncode:
        return 1
    wrong = links.broken(chosen.out)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if not wrong:
        print(f"built {chosen.out}: open {chosen.out / 'index.html'}, or run: make docs-open")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
