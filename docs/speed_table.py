"""Makes the table of training speed in ``docs/train.md`` from ``benchmarks/results/train-cpu.json``, so that no measured figure is typed by hand."""

from scale_page import load, of_machine

BEGIN, END = "<!-- Made by docs/generate.py from benchmarks/results/train-cpu.json. -->", "<!-- End of what is made. -->"


def filled(guide: str) -> str:
    """Return the guide with the table between its two marks."""
    before, rest = guide.split(BEGIN)
    _, after = rest.split(END)
    return "\n".join([before + BEGIN, *table(), END + after])


def table() -> list[str]:
    """Return how many times the steps of the plain loop each method makes, and how that was measured."""
    result = load("train-cpu")
    figures = {figure["what"]: figure for figure in result["figures"]}
    sides = [side for side in result["seconds_a_step"][0] if side not in ("method", "plain")]
    rows, auto, turns = [], [], 0
    for row in result["seconds_a_step"]:
        found = {side: figures[f"{row['method']}: {side}, over the plain loop in 32 bits"] for side in sides}
        auto.append(found["engine, auto"]["value"])
        turns = found["engine, auto"]["turns"]
        name, comma, stage = row["method"].partition(",")
        cells = (f"{figure['value']:.2f} ({figure['least']:.2f} to {figure['most']:.2f})" for figure in found.values())
        rows.append(f"| `{name}`{comma}{stage} | {' | '.join(cells)} |")
    return [
        f"Steps a second over those of the usual eager loop in 32 bits, at the published sizes, images read from files, on {of_machine(result)}: `auto` makes "
        f"{min(auto):.1f} to {max(auto):.1f} times as many. Medians of {turns} turns, with the least and the most in brackets; see [benchmarks](../benchmarks/README.md#training-on-a-cpu).",
        "",
        f"| | {' | '.join(side.removeprefix('engine, ') for side in sides)} |",
        f"|---|{'---|' * len(sides)}",
        *rows,
    ]
