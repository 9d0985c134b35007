"""A million objects before and after the model: seconds and memory of plan, journal, resumption and report, each in a process of its own.

The store is ``listed.py``: it lists names, sizes and checksums as S3 does, and has no latency, so what is measured is Pixlate's own work.
``--quick`` leaves the million out.
"""

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import Figure, save, timed

COUNTS = (10_000, 100_000, 1_000_000)
FILES = 100_000
"""Empty files of the local walk."""
SETTINGS = "0123456789abcdef"
WHAT = "plan, journal and report of many objects in a listed store in memory"
STORE = "names, sizes and checksums as S3 lists them, without latency"


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in millions of bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()  # the maximum of getrusage counts the process that this one was forked from
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def held_mb() -> float:
    """Return the resident memory of this process now, in millions of bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


class Measured:
    """Seconds and memory of the parts of one process."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part, and look at what it leaves in memory."""
        started, used = time.perf_counter(), time.process_time()
        yield
        seconds, used = time.perf_counter() - started, time.process_time() - used  # on a busy machine the processor's seconds say more
        self.found |= {f"{name}_s": round(seconds, 3), f"{name}_cpu_s": round(used, 3)}
        self.found |= {f"{name}_held_mb": round(held_mb(), 1), f"{name}_peak_mb": round(peak_mb(), 1)}


def start(measured: Measured) -> None:
    """Import what every part needs, so that the parts alone are measured."""
    with measured.part("start"):
        import pixlate.convert.conversion  # noqa: F401
        import pixlate_fsspec.store  # noqa: F401


def nothing(measured: Measured, count: int, folder: Path) -> None:
    """Only start."""


def bare_list(measured: Measured, count: int, folder: Path) -> None:
    """Have the store list everything, and keep the list."""
    from listed import Listed

    Listed.count = count
    with measured.part("list"):
        found = Listed().find("bucket/photos", detail=True)
    assert len(found) == count


def planned(count: int) -> Any:
    """Return the plan of all objects of the store."""
    from listed import Listed
    from pixlate.convert import ConvertOptions
    from pixlate.convert.plan import make_plan
    from pixlate.places.local import locate
    from pixlate.plugin.manager import installed

    Listed.count = count
    plan = make_plan([locate("listed://bucket/photos")], locate("listed://bucket/large"), ConvertOptions(), installed().image_formats())
    assert len(plan.jobs) == count
    return plan


def plan(measured: Measured, count: int, folder: Path) -> None:
    """Plan a folder of the store."""
    with measured.part("plan"):
        kept = planned(count)
    del kept


def replay(measured: Measured, count: int, folder: Path) -> None:
    """Read the journal of a local output folder."""
    from pixlate.places.journal import ReadOnlyJournal
    from pixlate.places.local import LocalStore

    with measured.part("replay"):
        journal = ReadOnlyJournal(LocalStore(folder), SETTINGS)
    assert journal.knows("0000/IMG_00000000.jpg")


def resume(measured: Measured, count: int, folder: Path) -> None:
    """Do what the same command does where everything is finished: plan, open the journal, settle every job, close the journal."""
    from listed import Listed
    from pixlate.convert.plan import settle
    from pixlate.places.journal import Journal

    Listed.finished, Listed.journal = True, folder / ".pixlate" / "journal.jsonl"
    with measured.part("plan"):
        plan = planned(count)
    with measured.part("open"):
        journal = Journal(plan.store, SETTINGS)
    with journal:
        with measured.part("settle"):
            for job in plan.jobs:
                result = settle(job, job.place.version(), journal, "resume")
                assert result is not None and result.status == "finished before"
        started = time.perf_counter()
    measured.found |= {"close_s": round(time.perf_counter() - started, 3), "close_peak_mb": round(peak_mb(), 1)}


def report(measured: Measured, count: int, folder: Path) -> None:
    """Write a report of results."""
    from listed import name_of
    from pixlate.convert.report import Report, Result

    with measured.part("report"), Report(folder / "report.json", count, {}) as written:
        for index in range(count):
            name = name_of(index)
            written.add(
                Result(f"listed://bucket/photos/{name}", name, "converted", "", ("written as PNG, since .webp can only be read",), (640, 480), (2560, 1920))
            )
    measured.found["report_mb"] = round((folder / "report.json").stat().st_size / 1e6, 1)


def walk(measured: Measured, count: int, folder: Path) -> None:
    """Plan a folder tree of real files."""
    from pixlate.convert import ConvertOptions
    from pixlate.convert.plan import make_plan
    from pixlate.places.local import locate
    from pixlate.plugin.manager import installed

    with measured.part("walk"):
        plan = make_plan([locate(folder / "files")], locate(folder / "out"), ConvertOptions(), installed().image_formats())
    assert len(plan.jobs) == count


PARTS: dict[str, Callable[[Measured, int, Path], None]] = {
    "nothing": nothing, "list": bare_list, "plan": plan, "replay": replay, "resume": resume, "report": report, "walk": walk
}  # fmt: skip


def run_part(name: str, count: int, folder: Path) -> dict[str, float]:
    """Measure a part in a process of its own."""
    finished = timed([sys.executable, __file__, name, str(count), folder])
    found: dict[str, float] = json.loads(finished.output)
    print(f"{name} of {count:,}: {found}", flush=True)
    return found


def digest_rate() -> float:
    """Return how many megabytes a second are read and hashed, of a file that the system has in memory: what an output costs whose store knows no checksum."""
    from pixlate.places.paths import digest_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(b"\xa5" * 100_000_000)
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            digest_file(path)
            seconds.append(time.perf_counter() - started)
    return round(100 / statistics.median(seconds), 1)


def main() -> None:
    """Measure all parts at all counts, or one of them in this process."""
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        measured = Measured()
        start(measured)
        PARTS[sys.argv[1]](measured, int(sys.argv[2]), Path(sys.argv[3]))
        print(json.dumps(measured.found))
        return
    from listed import lines_of, name_of

    rows = []
    for count in COUNTS[:2] if "--quick" in sys.argv else COUNTS:
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            (folder / ".pixlate").mkdir()
            (folder / ".pixlate" / "journal.jsonl").write_bytes(lines_of(count, SETTINGS))
            rows.append({"objects": count, **{name: run_part(name, count, folder) for name in ("nothing", "list", "plan", "replay", "resume", "report")}})
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for index in range(FILES):
            path = folder / "files" / name_of(index)
            if not index % 1000:
                path.parent.mkdir(parents=True)
            path.touch()
        walked = {"files": FILES, **run_part("walk", FILES, folder)}
    save("scale", {"what": WHAT, "store": STORE, "rows": rows, "walk": walked, "digest_mb_per_s": digest_rate()}, figures(rows[-1], walked))


def figures(row: Mapping[str, Any], walked: Mapping[str, Any]) -> list[Figure]:
    """Return what is compared with the bars: the largest count, and memory beyond that of the store's own list."""
    objects, over = f"{row['objects']:,} objects", row["plan"]["plan_peak_mb"] - row["list"]["list_peak_mb"]

    def less(what: str, value: float, unit: str = "s", required: float | None = None) -> Figure:
        return Figure(f"{objects}: {what}", value, unit, required=required, better="less")

    return [
        less("seconds to plan", row["plan"]["plan_s"], required=60),
        less("peak memory of planning, beyond that of the store's own list", over, "MB", 500),
        less("peak memory of planning, with the list", row["plan"]["plan_peak_mb"], "MB"),
        less("seconds to read the journal", row["replay"]["replay_s"], required=30),
        less("seconds to find all finished, by the store's checksums", row["resume"]["settle_s"]),
        less("seconds to write the report", row["report"]["report_s"]),
        Figure(f"{walked['files']:,} local files: seconds to plan", walked["walk_s"], "s", better="less"),
    ]


if __name__ == "__main__":
    main()
