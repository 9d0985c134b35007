"""The same conversion on a Ray cluster: same tree, same bytes, same exit codes, whoever is killed."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.pixlate.conftest import command, folder, outputs, save, tree

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.report import Report, Summary
from pixlate.errors import PixlateError
from pixlate_ray import RayOptions

pytestmark = [
    # of Ray itself: sockets, files and processes that it leaves to the end of the process
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]

PATIENCE = 240
"""Seconds a process may take; only a hang takes as long."""
COUNT = 48


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of two cores that other processes may use too; conversions of this process use it without an address."""
    from pixlate_ray.cluster import connected

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PIXLATE_CORES", "2")
        patched.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))  # who is killed leaves folders
        patched.setattr(tempfile, "tempdir", None)
        with connected("") as ray:
            yield ray.get_runtime_context().gcs_address
    gc.collect()  # what Ray leaves open is found here, under the filters of this module
    assert [words for words in processes().values() if f"pixlate-ray-{os.getpid()}-" in words] == []


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = folder(tmp_path_factory.mktemp("photos"), COUNT, 200, 210)
    (root / "empty.png").touch()
    (root / "odd\nname.jpg").write_bytes(save(root.parent / "a.jpg").read_bytes())
    (root / "notes.txt").touch()
    return root


@pytest.fixture(scope="module")
def expected(photos: Path, onnx_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes | None]:
    """What the threads of one process make of them."""
    out = tmp_path_factory.mktemp("expected") / "out"
    assert convert(photos, out, onnx_model, ConvertOptions(device="cpu")).failed == 1
    return tree(out)


def clustered(source: str | Path, out: str | Path, model: Path, watch: Callable[[Report], None] | None = None, address: str = "", **options: Any) -> Summary:
    return convert(source, out, model, ConvertOptions(device="cpu", **options), watch, RayOptions(address, concurrency=2))


def processes() -> dict[int, str]:
    """Return the command of each process of this machine."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found[int(path.parent.name)] = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def workers() -> list[int]:
    """Return the processes that convert."""
    return [process for process, words in processes().items() if words.startswith("ray::Worker")]


def until(process: subprocess.Popen[str], out: Path, count: int) -> None:
    """Wait until so many outputs are there."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and (len(outputs(out)) if out.exists() else 0) < count:
        assert time.monotonic() < deadline, "the conversion hangs"
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()


def test_a_worker_killed_in_the_middle_loses_nothing_and_nothing_is_done_twice(
    address: str, photos: Path, expected: dict[str, bytes | None], onnx_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Same tree and bytes as the threads, a bad file among them, with report and sheet."""
    killed: list[int] = []
    counts: list[int] = []

    def watch(report: Report) -> None:
        counts.append(report.summary.converted)
        if report.summary.converted == 3:
            for process in workers()[:1]:
                os.kill(process, signal.SIGKILL)
                killed.append(process)

    out, report, sheet = tmp_path / "out", tmp_path / "report.json", tmp_path / "sheet.png"
    summary = clustered(photos, out, onnx_model, watch, report=report, sheet=sheet)
    assert killed
    assert (summary.converted, summary.failed, summary.not_reached, summary.exit_code) == (COUNT + 1, 1, 0, 1)
    assert summary.failures == [(str(photos / "empty.png"), "the file is empty; copy it again from its source")]
    assert summary.ignored == {".txt": 1}
    assert tree(out) == expected
    files = json.loads(report.read_text())["files"]
    assert len(files) == len({file["source"] for file in files}) == COUNT + 2
    assert [file["output_size"] for file in files if file["output"] == "0/000.png"] == [[420, 400]]
    assert summary.sheet == str(sheet)
    assert sorted(set(counts)) == list(range(COUNT + 2)), "progress came while it ran"
    printed = capfd.readouterr()
    assert printed.out == ""
    of_ray = re.compile(r"(\x1b\[\d+m)?\(")  # they begin with who says them, in colour: (raylet)
    assert [line for line in printed.err.splitlines() if not of_ray.match(line)] == [], "only lines of Ray itself"
    assert list(Path(tempfile.gettempdir()).glob("pixlate-[0-9a-f]*")) == []


def test_a_driver_killed_in_the_middle_is_continued_by_the_same_command(
    address: str, photos: Path, expected: dict[str, bytes | None], onnx_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = command(photos, out, "--model", onnx_model, "--engine", "ray", "--address", address, "--concurrency", 1)
    until(process, out, 3)
    process.kill()
    process.communicate(timeout=PATIENCE)
    done = len(outputs(out))
    assert 3 <= done < COUNT
    assert all(path.read_bytes() == expected[name] for name, path in outputs(out).items())
    summary = clustered(photos, out, onnx_model)
    assert (summary.finished_before, summary.converted, summary.failed) == (done, COUNT + 1 - done, 1)
    assert tree(out) == expected


def test_url_to_url_workers_write_and_the_driver_keeps_the_journal(
    address: str, photos: Path, expected: dict[str, bytes | None], onnx_model: Path, tmp_path: Path
) -> None:
    url = f"local://{tmp_path}/out"
    summary = clustered(f"local://{photos}", url, onnx_model, sheet=tmp_path / "sheet.png")
    assert (summary.converted, summary.failed) == (COUNT + 1, 1)
    assert summary.sheet
    made, wanted = tree(tmp_path / "out"), dict(expected)
    journals = [found.pop(".pixlate/journal.jsonl") for found in (made, wanted)]
    assert made == wanted
    names = [[json.loads(line)["name"] for line in (journal or b"").splitlines()] for journal in journals]
    assert names[0] == names[1]
    assert convert(f"local://{photos}", url, onnx_model, ConvertOptions(device="cpu")).finished_before == COUNT + 1  # the other engine continues as well


def test_interrupting_a_local_cluster_shuts_it_down_cleanly(photos: Path, expected: dict[str, bytes | None], onnx_model: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    words = [sys.executable, "-m", "pixlate", "convert", photos, out, "--model", onnx_model, "--device", "cpu", "--engine", "ray", "--report", report]
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary"), "PIXLATE_CORES": "1"}
    (tmp_path / "temporary").mkdir()
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    until(process, out, 2)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    done = len(outputs(out))
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "stopped: interrupted; the same command continues"
    assert f"{done} converted" in stdout
    assert json.loads(report.read_text())["summary"]["interrupted"] is True
    assert tree(out / ".pixlate").keys() == {"journal.jsonl"}
    assert list((tmp_path / "temporary").glob("pixlate*")) == []
    assert list(Path("/tmp").glob(f"pixlate-ray-{process.pid}-*")) == []
    assert [words for words in processes().values() if f"pixlate-ray-{process.pid}-" in words] == []
    summary = convert(photos, out, onnx_model, ConvertOptions(device="cpu"))
    assert (summary.finished_before, summary.converted) == (done, COUNT + 1 - done)
    assert tree(out) == expected


def test_an_unreachable_cluster_is_refused_before_anything_is_written(photos: Path, onnx_model: Path, tmp_path: Path) -> None:
    process = command(photos, tmp_path / "out", "--model", onnx_model, "--engine", "ray", "--address", "127.0.0.1:9", "--report", tmp_path / "report.json")
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout) == (2, "")
    assert stderr == "pixlate: no cluster answers at 127.0.0.1:9 (Connection refused); check --address, and that the cluster runs\n"
    assert list(tmp_path.iterdir()) == []


def test_a_second_cluster_for_one_process_is_refused(address: str, photos: Path, onnx_model: Path, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=f"expected the address {address}, to which this process is connected already"):
        clustered(photos, tmp_path / "out", onnx_model, address="10.0.0.1:6379")


def test_an_invalid_model_is_refused_before_a_cluster_starts(photos: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"no model")
    with pytest.raises(PixlateError, match="damaged or no ONNX model"):
        clustered(photos, tmp_path / "out", model)
    assert not (tmp_path / "out").exists()
