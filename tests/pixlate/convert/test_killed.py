"""The real command, killed or interrupted at any moment: no damaged picture, no work twice, the same tree in the end."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.pixlate.conftest import command, folder, load, outputs, stamps, tree

KILLS = 20
COUNT = 48
MODEL = ("--runtime", "onnxruntime", "--model")
"""What ran a conversion is part of its journal, and is not left to a trial, whose outcome depends on how busy the machine is."""
MANY = 100
"""Pictures enough for all the kills."""
PATIENCE = 120
"""Seconds a process may take; only a hang takes as long."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that take some tens of milliseconds each."""
    return folder(tmp_path_factory.mktemp("photos"), COUNT, 320, 330)


@pytest.fixture(scope="module")
def undisturbed(photos: Path, onnx_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes | None]:
    return converted(photos, tmp_path_factory.mktemp("undisturbed") / "out", onnx_model)


def converted(photos: Path, out: Path, model: Path) -> dict[str, bytes | None]:
    """Return the tree that a conversion leaves which nothing disturbs."""
    process = command(photos, out, *MODEL, model)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return tree(out)


def finished(out: Path) -> int:
    return len(outputs(out)) if out.exists() else 0


def until(process: subprocess.Popen[str], out: Path, count: int) -> bool:
    """Wait until that many outputs exist; return whether the process still runs."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and finished(out) < count:
        assert time.monotonic() < deadline, "the conversion hangs"
        time.sleep(0.001)
    return process.poll() is None


@pytest.mark.slow
def test_conversion_killed_twenty_times_ends_with_the_same_tree(onnx_model: Path, tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", MANY, 320, 330)
    undisturbed = converted(photos, tmp_path / "undisturbed", onnx_model)
    moment = random.Random(7)
    kills = in_the_middle = rounds = 0
    while kills < KILLS:  # one conversion takes them all, if the machine is not so fast that it ends before
        out = tmp_path / f"out{rounds}"
        rounds += 1
        known: dict[str, tuple[int, int]] = {}
        while True:
            process = command(photos, out, *MODEL, onnx_model, "--threads", moment.choice([1, 2, 3]))
            if kills < KILLS and until(process, out, finished(out) + moment.choice([0, 1, 1, 2])):
                time.sleep(moment.random() * (0.05 if finished(out) else 0.8))  # the moment is meant to be arbitrary
            if kills < KILLS:
                process.kill()
            process.communicate(timeout=PATIENCE)
            killed = process.returncode == -signal.SIGKILL
            kills += killed
            in_the_middle += killed and 0 < finished(out) < MANY
            now = stamps(out) if out.exists() else {}
            assert {name: now.get(name) for name in known} == known, "a finished file was done again"
            known = now
            for name, path in outputs(out).items() if out.exists() else ():
                assert load(path).size == (660, 640)
                assert path.read_bytes() == undisturbed[name]
            if not killed:
                assert process.returncode == 0
                break
        assert tree(out) == undisturbed
    assert in_the_middle >= KILLS * 2 // 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_conversion_shuts_down_cleanly_and_resumes(
    number: signal.Signals, photos: Path, onnx_model: Path, undisturbed: dict[str, bytes | None], tmp_path: Path
) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    process = command(photos, out, *MODEL, onnx_model, "--threads", 1, "--report", report)
    assert until(process, out, 3)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    done = finished(out)
    assert 3 <= done < COUNT
    assert f"{done} converted" in stdout
    assert f"{COUNT - done} not reached" in stdout
    assert stderr.splitlines()[-1] == "stopped: interrupted; the same command continues"  # lines of progress before it, where the machine is slow
    assert report.exists()
    assert all(path.read_bytes() == undisturbed[name] for name, path in outputs(out).items())
    assert tree(out / ".pixlate").keys() == {"journal.jsonl"}
    process = command(photos, out, *MODEL, onnx_model)
    stdout, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert f"{done} finished before" in stdout
    assert tree(out) == undisturbed


def test_second_process_converting_into_one_folder_is_refused(photos: Path, onnx_model: Path, undisturbed: dict[str, bytes | None], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = command(photos, out, *MODEL, onnx_model, "--threads", 1)
    assert until(first, out, 1)
    first.send_signal(signal.SIGSTOP)  # it holds the folder, however slow the second starts
    try:
        second = command(photos, out, *MODEL, onnx_model)
        _, stderr = second.communicate(timeout=PATIENCE)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert stderr == f"pixlate: another conversion is writing into {out}; wait for it or choose another folder\n"
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
    assert tree(out) == undisturbed
