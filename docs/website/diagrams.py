"""Draws the Mermaid diagrams of the guides as SVG, which the site shows without a script and without a network.

A forge draws the blocks itself. The site shows ``diagrams/DIGEST.svg``, named by the digest of the block, so that a diagram that was changed and not drawn again
stops the build. Run ``make diagrams`` after changing one: it needs npm and Chromium; building the site needs neither.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / "diagrams"
GUIDES = Path(__file__).parents[1]
BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGE = """<!doctype html><meta charset="utf-8"><body><script>{library}</script><script>
(async () => {{
    mermaid.initialize({{startOnLoad: false, theme: "neutral", htmlLabels: false, flowchart: {{htmlLabels: false}}, fontFamily: "sans-serif"}});
    for (const [name, text] of Object.entries({blocks})) {{
        const {{svg}} = await mermaid.render("d" + name, text);
        const made = document.createElement("script");
        made.type = "text/plain"; made.id = name; made.textContent = svg;
        document.body.append(made);
    }}
}})();
</script></body>"""


def digest(block: str) -> str:
    """Return the name of a diagram: 16 hexadecimal digits of its text's SHA-256."""
    return hashlib.sha256(block.encode()).hexdigest()[:16]


def drawn(blocks: Sequence[str], library: Path) -> dict[str, str]:
    """Return the SVG of each block by its digest.

    Args:
        blocks: Mermaid texts.
        library: ``mermaid.min.js``.
    """
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if not browser:
        sys.exit(f"expected a browser that draws the diagrams, found none of {', '.join(BROWSERS)}; install Debian's package chromium")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        script = library.read_text().replace("</script", "<\\/script")
        page.write_text(PAGE.format(library=script, blocks=json.dumps({digest(block): block for block in blocks})))
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=60000",
            f"--user-data-dir={folder}/profile",
            "--dump-dom",
            page.as_uri(),
        ]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout  # noqa: S603 - the browser, on our own page
    found = dict(re.findall(r'<script type="text/plain" id="([0-9a-f]{16})">(.*?)</script>', shown, re.DOTALL))
    if missing := [block for block in blocks if digest(block) not in found]:
        sys.exit(f"expected Mermaid to draw every diagram, and it drew none of this one; correct it:\n{missing[0]}")
    return {name: _sized(svg) for name, svg in found.items()}


def _sized(svg: str) -> str:
    """Return an SVG with its width and height in pixels in place of 100 %, so that a page shows it no larger than it is."""
    width, height = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', svg).groups()  # type: ignore[union-attr]
    return re.sub(r' width="100%"', f' width="{float(width):.0f}" height="{float(height):.0f}"', svg, count=1) + "\n"


def main() -> None:
    """Draw what is missing, and remove what no guide has any more."""
    blocks = [block for page in sorted(GUIDES.glob("*.md")) for block in BLOCK.findall(page.read_text())]
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.svg"):
        if path.stem not in {digest(block) for block in blocks}:
            path.unlink()
    if new := [block for block in blocks if not (FOLDER / f"{digest(block)}.svg").is_file()]:
        for name, svg in drawn(new, Path(sys.argv[1])).items():
            (FOLDER / f"{name}.svg").write_text(svg)
    print(f"{len(new)} of {len(blocks)} diagrams drawn in {FOLDER}")


if __name__ == "__main__":
    main()
