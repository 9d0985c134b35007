"""``pixlate cache clear`` removes what Pixlate made, and nothing else."""

import hashlib
from pathlib import Path

import pytest

import pixlate
from pixlate.cli.cache import clear
from pixlate.inference.ready import file_of
from pixlate.system.locking import locked
from pixlate.system.user import tag


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(path: Path) -> Path:
    def write(part: Path) -> None:
        part.write_bytes(b"x" * 2_000_000)

    return file_of(pixlate.ModelCard("a", "", path, make=write), 1)


def test_what_was_made_is_removed_and_counted(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(cache / "models" / "a.onnx")
    make(cache / "b.onnx")
    (cache / "models" / ".making-a.onnx-1").mkdir()  # of a process that was killed
    assert clear() == 0
    assert capsys.readouterr().out == f"removed 4 files from {cache}, 4.0 MB\n"
    assert not cache.exists()
    assert clear() == 0
    assert capsys.readouterr().out == f"there is nothing of Pixlate in {cache}\n"


def test_files_of_others_stay(cache: Path) -> None:
    made = make(cache / "a.onnx")
    for name in ("mine.onnx", "mine.onnx.sha256", ".mine.onnx.lock", "notes.txt", "other", ".other.lock"):
        (cache / name).write_text("mine")
    clear()
    assert not made.exists()
    assert sorted(path.name for path in cache.iterdir()) == [".mine.onnx.lock", ".other.lock", "mine.onnx", "mine.onnx.sha256", "notes.txt", "other"]


def test_files_named_by_digests_are_removed_from_tagged_folders_alone(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = "0a" * 32
    for folder in ("distill", "other"):
        (cache / folder / "0a").mkdir(parents=True)
        for name in (f"0a/{digest}.npz", f"0a/.{digest}-1.part", "0a/mine.npz"):
            (cache / folder / name).write_bytes(b"x" * 500_000)
    tag(cache / "distill")
    (cache / "other" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# Of another program.\n")
    assert clear() == 0
    assert capsys.readouterr().out == f"removed 2 files from {cache}, 1.0 MB\n"
    assert [path.name for path in (cache / "distill").rglob("*")] == ["0a", "mine.npz"]
    assert len(list((cache / "other" / "0a").iterdir())) == 3
    assert clear() == 0 and "nothing of Pixlate" in capsys.readouterr().out


def test_a_file_that_is_being_made_stays(cache: Path) -> None:
    made = make(cache / "a.onnx")
    with locked(made):
        clear()
    assert hashlib.sha256(made.read_bytes()).hexdigest() in (cache / "a.onnx.sha256").read_text()
