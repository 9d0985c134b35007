"""Writes ``benchmarks/README.md`` and its bars from ``results/*.json``, so that no figure is typed by hand. ``--check`` only checks whether they are current."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bars import draw, number

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
TITLES = {
    "peers": "Beside the usual ways",
    "convert": "`pixlate convert`",
    "editions": "Beside an earlier release",
    "runner": "Folders of many sizes",
    "large": "Large pictures",
    "video": "Films",
    "export": "Exported files, 8 and 16 bits",
    "export-without-bfloat16": "8 bits on a processor without bfloat16",
    "serve": "`pixlate serve`",
    "web": "The page in the browser",
    "scale": "A million objects",
    "train-cpu": "Training on a CPU",
    "train-cuda": "Training on a GPU",
    "gpu": "Everything on a GPU",
    "methods": "What a step of each method costs",
    "learning": "Whether methods learn",
    "shapes": "Whether StarGAN v2 changes the domain and keeps the shape",
    "toys": "What methods learn of toys",
    "sampling": "Whether DCGAN draws digits",
    "quality": "Enlarging, on a standard set",
    "quality-photo": "Enlarging photographs as phones store them",
    "quality-clean": "JPEG and noise removed",
    "quality-brighten": "Dark photographs",
    "quality-drawing": "Coloured drawings",
    "translation": "Day to night",
}
"""Result files by name, in the order of the page; others follow."""
TOP = """# Benchmarks

`python benchmarks/page.py` draws this page and its bars from `results/*.json`; no figure is typed by hand. Machines are shared and noisy, so compare the ratios: all
sides of a ratio are measured in turns, in one run on one machine, and a ratio is the median of its turns, with the least and the most of them in brackets.
"""
REPEAT = """## How to repeat

```sh
export PIXLATE_DATA=...       # the folder of images
make bench                    # speed and memory
make bench-quality            # how good the ready models are: all pictures
python benchmarks/page.py     # this page; both targets end with it
```

`make bench` takes about 40 minutes on two cores: its commands have fewer photographs than the defaults of the scripts, and the table below says which command made the figures of this
page. A GPU's figures need one: `python benchmarks/gpu.py`. `bench_editions.py` needs a checkout of the earlier release, `bench_scale.py` lists a million objects, and `bench_peers.py --ncnn` an environment with ncnn. Some files measure nothing
themselves: `measures.py` holds the measures of quality as functions of any model (`bench_quality.py --clean runs/mine/model.onnx` measures a file), `sheets.py` draws the pictures of the models' cards,
and `usual_way.py`, `bare.py` and `ncnn_way.py` are what others use instead.
"""


def load() -> dict[str, dict[str, Any]]:
    """Return the result files by name, in the order of the page."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    return {name: found[name] for name in [*(name for name in TITLES if name in found), *(name for name in found if name not in TITLES)]}


def reached(figure: Mapping[str, Any]) -> str:
    """Return whether a figure clears its bars: the aim, what is required, or neither."""
    clears = {
        name: (figure["value"] >= figure[name]) == (figure["better"] == "more") or figure["value"] == figure[name]
        for name in ("required", "aim")
        if name in figure
    }
    if not clears.get("required", True):
        return "**missed**"
    return "aim" if clears.get("aim") else "yes"


def measured(figure: Mapping[str, Any]) -> str:
    """Return a figure's value, unit and spread."""
    unit = "" if figure["unit"] == "times" else f" {figure['unit']}".rstrip()
    ends = [written(figure, name) for name in ("least", "most") if name in figure]
    spread = f" ({' to '.join(ends)})" if len(ends) == 2 else f" (least {ends[0]})" if "least" in figure else f" (most {ends[0]})" if ends else ""
    return f"{written(figure, 'value')}{unit}{spread}"


def written(figure: Mapping[str, Any], name: str) -> str:
    """Return one number of a figure; decibels with two decimals, for a tenth of one is much."""
    return f"{figure[name]:.2f}" if figure["unit"] == "dB" else number(figure[name])


def bar(figure: Mapping[str, Any], name: str) -> str:
    """Return a bar of a figure, or nothing."""
    sign = "≥" if figure["better"] == "more" else "≤"
    return f"{sign} {number(figure[name])}" if name in figure else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table."""
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(cells)} |" for cells in rows), ""]


def overview(results: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the table of all figures that have a bar."""
    rows = []
    for name, result in results.items():
        for figure in result["figures"]:
            if "required" in figure:
                rows.append([f"[{figure['what']}](#{anchor(title(name))})", bar(figure, "required"), bar(figure, "aim"), measured(figure), reached(figure)])
    return ["## What was asked, and what was measured", "", *table(["what", "required", "aim", "measured", "reached"], rows)]


def title(name: str) -> str:
    """Return the heading of a result file."""
    return TITLES.get(name, name)


def anchor(heading: str) -> str:
    """Return the address of a heading on the page, as GitHub writes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def images(results: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Return the drawings by file name: those a result asks for, and of every file the ratios that have a bar."""
    drawings = {}
    for name, result in results.items():
        for key, chart in result.get("charts", {}).items():
            drawings[f"{name}-{key}.svg"] = draw(chart["title"], chart["unit"], chart["rows"])
    rows = [
        {
            "name": figure["what"].replace("`", ""),
            "label": f"{number(figure['value'])} of {number(figure['required'])}",
            "ours": reached(figure) != "**missed**",
            **{key: figure[key] / figure["required"] for key in ("value", "least", "most") if key in figure},
        }
        for result in results.values()
        for figure in result["figures"]
        if figure["unit"] == "times" and figure["better"] == "more" and figure.get("required")
    ]
    if rows:
        drawings["overview.svg"] = draw("Speed over what was asked", "each ratio over its bar; grey where it is missed", rows, (1.0, "required"))
    return drawings


def repeat(results: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return how to repeat everything, and what each command took."""
    rows = []
    for name, result in results.items():
        minutes = f"{result['took_s'] / 60:.1f}" if "took_s" in result else ""
        rows.append([f"[{title(name)}](#{anchor(title(name))})", f"`{result['command']}`", f"[`results/{name}.json`](results/{name}.json)", minutes])
    return [REPEAT, *table(["what", "command", "figures", "minutes"], rows)]


def details(name: str, result: Mapping[str, Any]) -> list[str]:
    """Return the section of a result file."""
    computer = result["machine"]
    versions = ", ".join(f"{package} {version}" for package, version in computer["versions"].items())
    flags = f" ({', '.join(computer['flags'])})" if computer.get("flags") else ""
    where = f"{computer['cores']} cores of {computer['processor']}{flags}, {computer['system']}, Python {computer['python']}, {versions}; commit {result['commit'] or 'not recorded'}."
    parts = [
        f"## {title(name)}",
        "",
        f"{sentence(result.get('what', title(name)).replace('``', '`'))} `{result['command']}` writes [`results/{name}.json`](results/{name}.json).",
        "",
    ]
    for key, chart in result.get("charts", {}).items():
        parts += [f"![{chart['title']}](results/{name}-{key}.svg)", ""]
    for grid in result.get("tables", []):
        parts += table(grid["head"], [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in grid["rows"]])
    rows = [
        [
            figure["what"],
            measured(figure),
            str(figure["turns"]) if figure["turns"] > 1 or figure["unit"] == "times" else "",
            bar(figure, "required"),
            bar(figure, "aim"),
        ]
        for figure in result["figures"]
    ]
    if rows:
        parts += table(["what", "measured", "turns", "required", "aim"], rows)
    return [*parts, *(f"{sentence(note)}" for note in result.get("notes", [])), *([""] if result.get("notes") else []), where, ""]


def sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def page(results: Mapping[str, dict[str, Any]]) -> str:
    """Return the page."""
    pictures = images(results)
    parts = [TOP, *overview(results)]
    if "overview.svg" in pictures:
        parts += ["![Speed over what was asked](results/overview.svg)", ""]
    for name, result in results.items():
        if name == "peers":  # the first thing to look at
            parts += details(name, result)
    parts += repeat(results)
    for name, result in results.items():
        if name != "peers":
            parts += details(name, result)
    return "\n".join(parts).rstrip() + "\n"


def main() -> int:
    """Write page and bars, or with ``--check`` return 1 where one is not current."""
    results = load()
    made = {FOLDER / "README.md": page(results)} | {RESULTS / name: text for name, text in images(results).items()}
    stale = [path for path, text in made.items() if not path.is_file() or path.read_text() != text]
    left_over = [path for path in RESULTS.glob("*.svg") if path not in made]
    if "--check" in sys.argv:
        print(*(f"{path} is not current; run: python benchmarks/page.py" for path in [*stale, *left_over]), sep="\n")
        return 1 if stale or left_over else 0
    for path, text in made.items():
        path.write_text(text)
    for path in left_over:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
