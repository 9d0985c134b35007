"""Draws bars as SVG that reads on white and on dark pages, at the width of a page or of a phone."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, NAMES, NUMBERS, EDGE = 640, 236, 116, 16
"""Pixels: of the drawing, of the names beside the bars, of the numbers, and of the border."""
ROW, BAR, TOP, LINE = 27, 16, 58, 18
LONG = 30
"""Characters of a name above which all names are written over their bars."""
STYLE = """
  .page { fill: #ffffff; stroke: #d0d7de } .text { fill: #1f2328 } .quiet { fill: #59636e } .ours { fill: #0a6cbd } .peer { fill: #a4adb8 }
  .spread { stroke: #1f2328; stroke-width: 1.5 } .bar { stroke: #bc4c00; stroke-width: 2 } .bar-text { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d } .text { fill: #f0f6fc } .quiet { fill: #9198a1 } .ours { fill: #4493f8 } .peer { fill: #656c76 }
    .spread { stroke: #f0f6fc } .bar { stroke: #f0883e } .bar-text { fill: #f0883e }
  }
  text { font: 14px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }
  .title { font-weight: 600; font-size: 15px }
"""


def draw(title: str, unit: str, rows: Sequence[Mapping[str, Any]], mark: tuple[float, str] | None = None) -> str:
    """Return an SVG of horizontal bars from 0.

    Args:
        title: What is shown; one line.
        unit: Written beneath the title.
        rows: From top to bottom: ``name``, ``value``, ``ours`` (its colour), ``least`` and ``most`` where the spread is known, and ``label`` where more than the
            value is written beside the bar.
        mark: A value at which a line crosses each bar, and its words.
    """
    above = max(len(str(row["name"])) for row in rows) > LONG
    left, pitch, drop = (EDGE, ROW + LINE, LINE) if above else (NAMES, ROW, 0)
    whole = WIDTH - left - NUMBERS
    largest = max([float(row.get("most", row["value"])) for row in rows] + ([mark[0]] if mark else []))
    bottom = TOP + pitch * len(rows)
    height = bottom + (22 if mark else 6)
    described = "; ".join(f"{row['name']} {number(row['value'])}" for row in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(f'{unit}: {described}')}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="text title" x="{EDGE}" y="26">{escape(title)}</text>',
        f'<text class="quiet" x="{EDGE}" y="46">{escape(unit)}</text>',
    ]
    for index, row in enumerate(rows):
        top = TOP + pitch * index + drop
        middle, length = top + BAR / 2, whole * float(row["value"]) / largest
        place = f'x="{left}" y="{top - 5}"' if above else f'x="{left - 10}" y="{middle + 5:g}" text-anchor="end"'
        parts.append(f'<text class="text" {place}>{escape(str(row["name"]))}</text>')
        parts.append(f'<rect class="{"ours" if row.get("ours") else "peer"}" x="{left}" y="{top}" width="{max(length, 1):.1f}" height="{BAR}" rx="2"/>')
        end = length
        if "least" in row and "most" in row:
            least, most = (left + whole * float(row[key]) / largest for key in ("least", "most"))
            parts.append(f'<path class="spread" fill="none" d="M{least:.1f} {middle:g}H{most:.1f}M{least:.1f} {middle - 4:g}v8M{most:.1f} {middle - 4:g}v8"/>')
            end = max(end, most - left)
        if mark:
            across = whole * mark[0] / largest
            parts.append(f'<path class="bar" d="M{left + across:.1f} {top - 1}v{BAR + 2}"/>')
            end = max(end, across) if end + NUMBERS > across else end  # the number is written beyond a line that would cross it
        weight = ' font-weight="600"' if row.get("ours") else ""
        label = escape(str(row.get("label", number(row["value"]))))
        parts.append(f'<text class="text" x="{left + end + 8:.1f}" y="{middle + 5:g}"{weight}>{label}</text>')
    if mark:
        parts.append(f'<text class="bar-text" x="{left + whole * mark[0] / largest:.1f}" y="{bottom + 11}" text-anchor="middle">{escape(mark[1])}</text>')
    return "\n".join([*parts, "</svg>", ""])


def number(value: float) -> str:
    """Return a number with three significant digits, thousands set apart."""
    rounded = float(f"{value:.3g}") if abs(value) < 1000 else round(value)
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"
