"""Digests of model files are remembered for as long as the file is the same, and a cache that cannot be used changes nothing."""

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from pixlate.cli.cache import clear
from pixlate.inference import digests
from pixlate.inference.digests import remembered_digest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour after the files of the test were written."""
    monkeypatch.setattr(digests, "time_ns", lambda: time.time_ns() + 3600 * 10**9)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read whole."""
    names: list[str] = []
    real = hashlib.file_digest

    def counted(file: object, kind: str) -> object:
        names.append(Path(getattr(file, "name", "")).name)
        return real(file, kind)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def records(cache: Path) -> list[Path]:
    return [path for path in (cache / "digests").glob("*") if path.name != "CACHEDIR.TAG"]


def test_a_file_is_read_once(tmp_path: Path, cache: Path, later: None, hashed: list[str]) -> None:
    model = write(tmp_path / "a.onnx", b"model")
    assert {remembered_digest(model) for _ in range(3)} == {sha256(b"model")}
    assert hashed == ["a.onnx"]
    assert [path.name for path in records(cache)] == [sha256(os.fsencode(model))]


def test_another_file_of_the_same_size_and_time_under_its_name_is_seen(tmp_path: Path, cache: Path, later: None) -> None:
    model = write(tmp_path / "a.onnx", b"model")
    status = model.stat()
    assert remembered_digest(model) == sha256(b"model")
    other = write(tmp_path / "b.onnx", b"MODEL")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(model)
    assert (model.stat().st_size, model.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert remembered_digest(model) == sha256(b"MODEL")
    assert len(records(cache)) == 1


def test_a_file_that_is_changed_in_place_is_seen(tmp_path: Path, cache: Path, later: None) -> None:
    model = write(tmp_path / "a.onnx", b"model")
    assert remembered_digest(model) == sha256(b"model")
    write(model, b"MODEL")
    os.utime(model, ns=(0, 10**18))
    assert remembered_digest(model) == sha256(b"MODEL")


def test_a_file_that_was_just_changed_is_hashed_each_time_even_with_a_forged_time(tmp_path: Path, cache: Path, hashed: list[str]) -> None:
    model = write(tmp_path / "a.onnx", b"model")
    for content in (b"model", b"MODEL"):
        write(model, content)
        os.utime(model, ns=(0, 10**18))
        assert remembered_digest(model) == sha256(content)
    assert hashed == ["a.onnx"] * 2
    assert records(cache) == []


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path: Path, cache: Path, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model, real = write(tmp_path / "a.onnx", b"model"), hashlib.file_digest

    def changed(file: object, kind: str) -> object:
        digest = real(file, kind)  # type: ignore[arg-type]
        write(model, b"longer")
        return digest

    monkeypatch.setattr(hashlib, "file_digest", changed)
    remembered_digest(model)
    assert records(cache) == []


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"0" * 64, sha256(b"other").encode() + b" 1 2 3 4 5\n"])
def test_a_damaged_record_is_hashed_and_written_again(damage: bytes, tmp_path: Path, cache: Path, later: None) -> None:
    model = write(tmp_path / "a.onnx", b"model")
    remembered_digest(model)
    (record,) = records(cache)
    whole = record.read_bytes()
    record.write_bytes(damage)
    assert remembered_digest(model) == sha256(b"model")
    assert record.read_bytes() == whole
    record.write_bytes(whole[:-1])
    assert remembered_digest(model) == sha256(b"model")


def test_a_cache_that_takes_nothing_costs_time_only(tmp_path: Path, cache: Path, later: None, hashed: list[str], recwarn: pytest.WarningsRecorder) -> None:
    cache.write_bytes(b"a file in its place")
    model = write(tmp_path / "a.onnx", b"model")
    assert [remembered_digest(model), remembered_digest(model)] == [sha256(b"model")] * 2
    assert len(hashed) == 2 and not recwarn.list


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, cache: Path, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)
    assert remembered_digest(write(tmp_path / "a.onnx", b"model")) == sha256(b"model")
    assert records(cache) == []


def test_a_user_without_a_home_has_no_memory(tmp_path: Path, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    for name in ("PIXLATE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert remembered_digest(write(tmp_path / "a.onnx", b"model")) == sha256(b"model")


def test_many_at_once_get_the_same_digest_and_leave_one_record(tmp_path: Path, cache: Path, later: None) -> None:
    model, found = write(tmp_path / "a.onnx", b"model" * 100_000), list[str]()
    threads = [threading.Thread(target=lambda: found.append(remembered_digest(model))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [sha256(b"model" * 100_000)] * 8
    assert len(records(cache)) == 1


def test_the_oldest_are_forgotten_and_clearing_the_cache_forgets_all(
    tmp_path: Path, cache: Path, later: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(digests, "MOST", 3)
    for index in range(5):
        remembered_digest(write(tmp_path / f"{index}.onnx", b"model"))
        os.utime(cache / "digests" / sha256(os.fsencode(tmp_path / f"{index}.onnx")), (index, index))
    kept = {sha256(os.fsencode(tmp_path / f"{index}.onnx")) for index in (2, 3, 4)}
    assert {path.name for path in records(cache)} == kept
    assert clear() == 0
    assert "removed 3 files" in capsys.readouterr().out
    assert not cache.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_in_the_place_of_a_record_is_replaced_and_nobody_waits_for_it(tmp_path: Path, cache: Path, later: None) -> None:
    model = write(tmp_path / "a.onnx", b"model")
    remembered_digest(model)
    (record,) = records(cache)
    record.unlink()
    os.mkfifo(record)
    assert remembered_digest(model) == sha256(b"model")
    assert record.is_file()
