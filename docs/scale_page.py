"""Makes ``docs/scale.md`` from ``benchmarks/results/scale.json`` and ``convert.json``, so that no measured figure is typed by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
CORE_HOUR = 0.04
"""Assumed price of an hour of a core, in any currency; the reader's own replaces it."""
MACHINES = (1, 10, 1000)
PUTS_PER_SECOND = 3500
"""What S3 publishes as the least number of writes and deletions per second and prefix."""
RUNTIMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
REQUESTS = {"read the source": "GET", "write the line of the journal": "PUT", "write the output": "PUT", "remove the line at the end": "DELETE"}
"""Requests to an object store for one picture; ``tests/pixlate_fsspec/test_scale.py`` counts them."""
ANSWERS = """| part | stops at | why, and what to do |
|---|---|---|
| listing | about {listing:,} objects in 8 GB | the client of the store builds the whole list, one page of 1,000 after the other; divide the source by prefixes, a run and an output folder for each |
| plan and journal in the command's memory | about {memory:,} objects in 8 GB | a folder that is continued has its plan, the packed journal, the listing of its outputs and, at the end, the text of the journal in memory, {memory_bytes:.0f} bytes an object at most; a new folder takes {plan_bytes:.0f}, of which Python can use some again; divide as above |
| journal as one file | the same | read whole at the start, rewritten at a clean end: {replay_us:.0f} microseconds an output to read; at a URL it is read three times, to see with which runtime the folder was begun, to merge what a crash left and to use it; twice where `--runtime` and `--arithmetic` are named |
| lines beside the journal, at a URL | {prefix:,} pictures a second, {prefix_hour:,} an hour | each is one object, written and removed under one prefix, of which S3 takes {puts:,} writes and deletions a second; divide into several output folders |
| resuming into a local folder | {digest:,.0f} MB of outputs a second | a disk knows no checksum, so each output that has the recorded size is read; stores that report MD5 are only listed |
| report | the disk | written as it goes, {report_bytes:.0f} bytes a picture; a reader of JSON needs it whole |
| lease | nothing | one object, written every 10 s, whatever the number of machines |
| command of a cluster | not measured | every answer passes through it, and with a local output every picture's bytes; write to a URL, and divide where its core is busy |
| sheet | nothing | the first four pictures |
"""


def load(name: str) -> dict[str, Any]:
    """Return a result file."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def of_machine(result: Mapping[str, Any]) -> str:
    """Return on what a file was measured: cores, processor, and its units that decide."""
    computer = result["machine"]
    flags = f" ({', '.join(computer['flags'])})" if computer.get("flags") else ""
    return f"{computer['cores']} cores of {computer['processor']}{flags}"


def seconds_per_picture(convert: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds of each picture after the first, so without the start of the command, by model, runtime and arithmetic."""
    return {
        f"`{row['model']}`, {RUNTIMES.get(row['runtime'], row['runtime'])} in {row['arithmetic']}": (median(row["some"]) - median(row["one"]))
        / (row["images"] - 1)
        for row in convert["seconds"]
    }


def work(convert: Mapping[str, Any]) -> list[str]:
    """Return the tables of pictures an hour and of their cost."""
    cores, seconds = convert["machine"]["cores"], seconds_per_picture(convert)
    hours = [
        f"| {name} | {cores * each:.2f} | {' | '.join(f'{3600 / each * count:,.0f}' for count in MACHINES)} | {3600 / each * 16 / cores:,.0f} | not measured |"
        for name, each in seconds.items()
    ]
    costs = [f"| {name} | {cores * each * 1e6 / 3600:,.0f} | {cores * each * 1e6 / 3600 * CORE_HOUR:,.0f} |" for name, each in seconds.items()]
    starts = [median(row["one"]) for row in convert["seconds"]]
    return [
        f"Measured with {of_machine(convert)}, on photographs of 481x321 (`upscale-x4`) and 256x256, JPEG to JPEG. A picture takes what a command on several takes longer than one on a single photograph, divided by how many more "
        f"there are: the start, which is once for a folder, is left out; start and first picture took {min(starts):.1f} to {max(starts):.1f} s. Ten and a thousand machines are that figure multiplied, as long as nothing in the last table is "
        "reached; 16 cores are multiplied, too, and no GPU has been measured.",
        "",
        f"| model | core seconds a picture | {' | '.join(f'machines: {count:,}' for count in MACHINES)} | 16 cores | 16 cores, one GPU |",
        f"|---|{'---|' * (len(MACHINES) + 3)}",
        *hours,
        "",
        f"A million pictures cost their core hours times your price of one; {CORE_HOUR} is an assumption, put yours in its place:",
        "",
        f"| model | core hours per million | at {CORE_HOUR} per core hour |",
        "|---|---|---|",
        *costs,
    ]


def page() -> str:
    """Return the whole page."""
    scale, convert = load("scale"), load("convert")
    rows, largest = scale["rows"], scale["rows"][-1]
    count = largest["objects"]
    base = largest["nothing"]["start_held_mb"]
    plan_bytes = (largest["plan"]["plan_held_mb"] - base) * 1e6 / count
    list_bytes = (largest["list"]["list_held_mb"] - base) * 1e6 / count
    memory_bytes = (largest["resume"]["close_peak_mb"] - base) * 1e6 / count
    constants = [
        f"| {row['objects']:,} | {row['list']['list_s']:.1f} | {row['list']['list_peak_mb']:.0f} | {row['plan']['plan_s']:.1f} | {row['plan']['plan_peak_mb']:.0f} "
        f"| {row['plan']['plan_held_mb']:.0f} | {row['replay']['replay_s']:.1f} | {row['replay']['replay_peak_mb']:.0f} | {row['resume']['settle_s']:.1f} "
        f"| {row['resume']['close_s']:.1f} | {row['resume']['close_peak_mb']:.0f} | {row['report']['report_s']:.1f} |"
        for row in rows
    ]
    answers = ANSWERS.format(
        listing=int(8e9 / list_bytes // 1e6 * 1e6),
        memory=int(8e9 / memory_bytes // 1e6 * 1e6),
        memory_bytes=memory_bytes,
        plan_bytes=plan_bytes,
        replay_us=largest["replay"]["replay_s"] * 1e6 / count,
        prefix=PUTS_PER_SECOND // 2,
        prefix_hour=PUTS_PER_SECOND // 2 * 3600,
        puts=PUTS_PER_SECOND,
        digest=scale["digest_mb_per_s"],
        report_bytes=largest["report"]["report_mb"] * 1e6 / count,
    )
    return "\n".join(
        [
            "# Scale",
            "",
            "Generated from `benchmarks/results/` by `docs/generate.py`: what one machine, ten and a thousand convert, what it costs, and where each part stops scaling.",
            "",
            "## Pictures an hour, and their cost",
            "",
            *work(convert),
            "",
            f"At an object store each picture takes {len(REQUESTS)} requests: {', '.join(f'{verb} to {what}' for what, verb in REQUESTS.items())}; to list, one per 1,000 objects.",
            "",
            "## What the command itself takes",
            "",
            f"`benchmarks/bench_scale.py` lists objects with the fields that S3 sends, from memory and without latency; each column is a process of its own, on {scale['machine']['cores']} cores of "
            f'{scale["machine"]["processor"]}. Python and Pixlate alone take {base:.0f} MB. "List" is the store\'s own list, which no plan can be without; it is dropped while the plan is made. '
            'Memory "held" counts what Python keeps for itself afterwards. "Settle" finds every output finished, by the checksums that the store reports.',
            "",
            "| objects | list, s | list, MB | plan, s | most MB | MB held | journal read, s | most MB | settle, s | journal written, s | most MB of it all | report, s |",
            f"|{'---|' * 12}",
            *constants,
            "",
            f"A tree of {scale['walk']['files']:,} files on a local disk is planned in {scale['walk']['walk_s']:.1f} s.",
            "",
            "## Where each part stops",
            "",
            answers,
        ]
    )
