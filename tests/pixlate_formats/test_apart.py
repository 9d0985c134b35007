"""Decoders in processes of their own."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pixlate.errors import PixlateError
from pixlate_formats import apart
from pixlate_formats.apart import decoded

FAULTS = "faults"


@pytest.fixture(autouse=True)
def _faults_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new processes find the module beside this one."""
    apart._end_all()
    monkeypatch.syspath_prepend(Path(__file__).parent)


def test_a_crash_is_one_sentence_and_the_next_file_is_decoded() -> None:
    with pytest.raises(PixlateError, match=r"^the decoder of HEIC files crashed on it \(SIGSEGV\); the file may be damaged: leave it out or convert it with"):
        decoded("HEIC", FAULTS, "crash", b"file")
    assert decoded("HEIC", FAULTS, "chat", b"file").fields["length"] == 4


def test_a_hang_is_one_sentence_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded("HEIC", FAULTS, "chat", b"")  # a process that has started
    monkeypatch.setattr(apart, "SECONDS", 0.1)
    with pytest.raises(PixlateError, match=r"^the decoder of HEIC files took too long for it and was ended; "):
        decoded("HEIC", FAULTS, "hang", b"file")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_flood_of_memory_is_refused_and_the_process_goes_on() -> None:
    process = decoded("HEIC", FAULTS, "chat", b"").fields["process"]
    with pytest.raises(MemoryError):
        decoded("HEIC", FAULTS, "flood", b"file")
    assert decoded("HEIC", FAULTS, "chat", b"").fields["process"] == process


def test_what_a_library_prints_does_not_reach_the_answers() -> None:
    first, second = (decoded("HEIC", FAULTS, "chat", bytes(count)).fields for count in (3, 5_000_000))
    assert (first["length"], second["length"]) == (3, 5_000_000) and first["process"] == second["process"] != os.getpid()


def test_an_interruption_of_the_terminal_is_not_for_the_process_that_decodes() -> None:
    assert decoded("HEIC", FAULTS, "chat", b"").fields["group"] != os.getpgid(0)


def test_threads_decode_at_the_same_time_each_with_a_process_of_its_own() -> None:
    begun, found = threading.Barrier(3), set[int]()

    def work() -> None:
        begun.wait()
        found.update(decoded("HEIC", FAULTS, "chat", bytes(20_000_000)).fields["process"] for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(found) <= 3


def test_the_process_that_decodes_ends_with_the_one_that_was_killed() -> None:
    _assert_ends_with_its_parent("")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timers that end a process")
def test_a_process_that_hangs_ends_though_the_one_that_asked_it_was_killed(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    _assert_ends_with_its_parent(f"""
apart.SECONDS, timer = 0.5, apart.Timer
apart.Timer = lambda seconds, end: timer(3600, end)
threading.Thread(target=apart.decoded, args=("HEIC", {FAULTS!r}, "hang", {os.fsencode(begun)!r}), daemon=True).start()
while not os.path.exists({str(begun)!r}):
    time.sleep(0.01)  # all that is seen of the decoder is its file
""")


def _assert_ends_with_its_parent(more: str) -> None:
    """Check that a decoding process ends after the one that it works for, which runs more code, was killed."""
    script = f"""
import os, threading, time
from pixlate_formats import apart
print(apart.decoded("HEIC", {FAULTS!r}, "chat", b"").fields["process"], flush=True)
{more}
os.kill(0, 9)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True, check=False, start_new_session=True, timeout=120)
    assert done.returncode == -9
    until = time.monotonic() + 60
    while _runs(int(done.stdout)) and time.monotonic() < until:
        os.sched_yield()
    assert not _runs(int(done.stdout))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
