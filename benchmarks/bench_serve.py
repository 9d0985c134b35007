"""Speed and memory of ``pixlate serve``, with clients in a process of their own.

- throughput: answers/s to concurrent clients that send photographs and take PNG, over images/s of a bare ``session.run`` loop on arrays already
  in memory; the two take turns, so that a machine that slows down slows both. Latencies are those of the clients, who keep the queue filled.
- memory: resident memory of the server over minutes of full load with pictures of many sizes, damaged and oversized ones among them; the
  first fifth fills what is filled once.

Run: ``PIXLATE_DATA=... python benchmarks/bench_serve.py``; ``--minutes 60`` for the whole hour.
"""

import argparse
import asyncio
import io
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from common import TURNS, Figure, data, in_turns, save, timed

LARGEST = 2_000_000
"""Bytes and pixels of the largest upload in the memory benchmark."""


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["upscale-x4", "upscale-x2"], help="shipped models to measure")
    parser.add_argument("--images", type=int, default=64, help="photographs of the throughput benchmark")
    parser.add_argument("--clients", type=int, default=16, help="concurrent clients")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each side")
    parser.add_argument("--minutes", type=float, default=5, help="length of the memory benchmark")
    parser.add_argument("--load", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--device", default="auto", help="device of the server")
    options = parser.parse_args()
    if options.load:
        url, folder, clients, seconds = options.load
        print(*asyncio.run(load(url, Path(folder), int(clients), float(seconds))))
        return
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photographs = sorted((data() / "photos/test").glob("*.jpg"))[: options.images]
        source = work / "photos"
        source.mkdir()
        for path in photographs:
            (source / path.name).write_bytes(path.read_bytes())
        rows = [throughput(source, model, options) for model in options.models]
        load_row, *figures = memory(work, options)
    what = f"`pixlate serve` to {options.clients} clients that send photographs and receive PNG"
    save("serve", {"what": what, "throughput": [row for row, _ in rows], "memory": load_row}, [*(figure for _, figure in rows), *figures])


def throughput(source: Path, model: str, options: argparse.Namespace) -> tuple[dict[str, Any], Figure]:
    """Return the seconds of all answers and of the bare loop, turn by turn, the clients' latencies, and the ratio."""
    latencies: list[float] = []

    def answers() -> float:
        with served(model, options.device) as (url, _process):
            seconds, *each = ask(url, source, options.clients, 0)
        latencies.extend(each)
        return seconds

    def loop() -> float:
        return float(timed([sys.executable, Path(__file__).with_name("bare.py"), model, source]).output)

    seen = in_turns({"serve": answers, "loop": loop}, options.turns)
    centiles = statistics.quantiles(latencies, n=100)
    images = len(list(source.iterdir()))
    row = {"model": model, "images": images, **seen.to_json(), "latency_s": {f"p{share}": round(centiles[share - 1], 3) for share in (50, 90, 95, 99)}}
    return row, seen.times(f"`{model}`, {images} photographs: `serve` to {options.clients} clients over a bare loop", "serve", "loop", required=0.90)


def memory(work: Path, options: argparse.Namespace) -> tuple[dict[str, Any], Figure, Figure]:
    """Return the server's resident memory over time under mixed load, its growth, and its end."""
    source = work / "mixed"
    source.mkdir()
    random = np.random.default_rng(0)
    for number in range(60):
        height, width = random.integers(24, 160, 2)
        stream = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(stream, ("PNG", "JPEG", "WEBP", "TIFF")[number % 4])
        whole = stream.getvalue()
        (source / f"{number:02}").write_bytes({8: whole[: len(whole) // 2], 9: bytes(LARGEST + 1)}.get(number % 10, whole))
    model, seconds = options.models[-1], options.minutes * 60
    sizes: list[float] = []
    with served(model, options.device, "--max-bytes", str(LARGEST), "--max-pixels", str(LARGEST)) as (url, process):
        words = [sys.executable, __file__, "--load", url, str(source), str(options.clients), str(seconds)]
        clients = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        while clients.poll() is None:
            sizes.append(resident(process))
            time.sleep(max(0.2, seconds / 300))
        output = clients.communicate()[0]
        statuses = dict(re.findall(r'pixlate_requests_total{model="[^"]*",status="(\d+)"} (\d+)', httpx.get(f"{url}/metrics").text))
    if clients.returncode:
        sys.exit("the clients failed")
    warm = sizes[len(sizes) // 5 :]
    fifth = max(1, len(warm) // 5)
    first, last = statistics.median(warm[:fifth]), statistics.median(warm[-fifth:])
    row = {
        "model": model,
        "minutes": options.minutes,
        "requests": len(output.split()) - 1,
        "answers_by_status": {status: int(count) for status, count in sorted(statuses.items())},
        "resident_mb": [round(size, 1) for size in sizes[:: max(1, len(sizes) // 60)]],
    }
    return (
        row,
        Figure(f"memory of `serve` after {options.minutes:g} minutes of load over its first", last / first, required=1.10, better="less"),
        Figure(f"memory of `serve` after {options.minutes:g} minutes of load", last, "MB", better="less"),
    )


@contextmanager
def served(model: str, device: str, *words: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start a server; yield its address and process, and check that it shuts down cleanly."""
    command = [sys.executable, "-m", "pixlate", "serve", model, "--port", "0", "--device", device, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"on (http://\S+) ", process.stdout.readline())
        if found is None:
            sys.exit("the server did not start")
        yield found[1], process
        process.send_signal(signal.SIGTERM)
        if process.wait(60):
            sys.exit(f"the server ended with {process.returncode}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(url: str, source: Path, clients: int, seconds: float) -> list[float]:
    """Run the clients in a process of their own; return the seconds of all, and of each answer."""
    return [float(word) for word in timed([sys.executable, __file__, "--load", url, source, str(clients), str(seconds)]).output.split()]


async def load(url: str, source: Path, clients: int, seconds: float) -> list[float]:
    """Send the files, each once or over and over for some seconds; return the seconds of all, and of each answer."""
    files = [path.read_bytes() for path in sorted(source.iterdir())]
    model = httpx.get(f"{url}/v1/models").json()["models"][0]["name"]
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    started = time.perf_counter()
    numbers = iter(range(len(files))) if not seconds else _while(lambda: time.perf_counter() - started < seconds)

    async def client() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=300) as connection:
            for number in numbers:
                sent = time.perf_counter()
                headers = {"Content-Type": "application/octet-stream", "Accept": "image/png"}
                answer = await connection.post(f"/v1/models/{model}:translate", content=files[number % len(files)], headers=headers)
                latencies.append(time.perf_counter() - sent)
                statuses[answer.status_code] += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    total = time.perf_counter() - started
    if statuses.keys() - {200, 413, 422} or (not seconds and statuses.keys() != {200}):
        sys.exit(f"unexpected answers: {dict(statuses)}")
    return [total, *latencies]


def _while(goes_on: Callable[[], bool]) -> Iterator[int]:
    number = 0
    while goes_on():
        yield number
        number += 1


def resident(process: "subprocess.Popen[str]") -> float:
    """Return the resident memory of a process, in millions of bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


if __name__ == "__main__":
    main()
