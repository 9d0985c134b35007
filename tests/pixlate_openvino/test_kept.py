"""Compiled models in the cache: used at the next start, never trusted blindly."""

import errno
import os
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from tests.pixlate.conftest import noise
from tests.pixlate_onnx.test_statistics import network

from pixlate.cli.cache import clear_folder
from pixlate.images.picture import Pixels
from pixlate_openvino import kept, program
from pixlate_openvino.translator import OpenvinoTranslator

PIXELS = noise(9, 8)[None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file."""
    return network(tmp_path / "a.onnx")


def blobs(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.blob"))


def translated(model: Path) -> Pixels:
    return OpenvinoTranslator(model, "cpu")(PIXELS)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The model files that are read to be compiled."""
    found: list[Path] = []
    read = program._read

    def counted(source: Any) -> Any:
        found.append(source)
        return read(source)

    monkeypatch.setattr(program, "_read", counted)
    return found


def test_the_second_start_uses_what_the_first_has_compiled(model: Path, cache: Path, reads: list[Path]) -> None:
    first = translated(model)
    np.testing.assert_array_equal(translated(model), first)
    assert reads == [model]
    assert OpenvinoTranslator(model, "cpu").spec.halo == 8  # the spec is kept with it
    assert len(blobs(cache)) == 1


def test_another_model_or_arithmetic_is_compiled_by_itself(
    model: Path, tmp_path: Path, cache: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    translated(model)
    other = network(tmp_path / "b.onnx", groups=2)
    other.replace(model)
    translated(model)
    monkeypatch.setattr(program, "granted_cores", lambda: 3)  # other threads, another blob
    translated(model)
    assert len(reads) == len(blobs(cache)) == 3


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:100], "its checksum is another"),
        (lambda content: content[:-1] + b"?", "its checksum is another"),
        (lambda content: b"", "it is cut short"),
        (lambda content: bytes(len(content)), "its checksum is another"),
    ],
)
def test_a_damaged_one_is_made_again_and_the_picture_is_right(damage: Any, reason: str, model: Path, cache: Path) -> None:
    first = translated(model)
    (blob,) = blobs(cache)
    whole = blob.read_bytes()
    blob.write_bytes(damage(whole))
    with pytest.warns(UserWarning, match=rf"the compiled model .*\.blob in the cache is damaged \({reason}\); it is made again"):
        np.testing.assert_array_equal(translated(model), first)
    np.testing.assert_array_equal(translated(model), first)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [(8, b"\xff\xfe", "its spec is no text"), (4, b"\x10\0\0\0", "OpenVINO does not take it"), (4, b"\0\0\0\x80", "its spec is no text")],
)
def test_one_that_is_wrong_though_its_checksum_is_right_is_made_again(place: int, value: bytes, reason: str, model: Path, cache: Path) -> None:
    first = translated(model)
    (blob,) = blobs(cache)
    content = bytearray(blob.read_bytes())
    content[place : place + len(value)] = value
    content[:4] = zlib.crc32(content[4:]).to_bytes(4, "little")
    blob.write_bytes(content)
    with pytest.warns(UserWarning, match=rf"is damaged \({reason}\); it is made again"):
        np.testing.assert_array_equal(translated(model), first)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize(
    ("plant", "reason"),
    [(os.mkfifo, "it is no regular file"), (lambda path: path.symlink_to("/dev/zero"), "it is no regular file"), (Path.mkdir, "Is a directory")],
)
def test_what_is_no_file_in_its_place_is_named_at_once_and_the_picture_is_right(plant: Any, reason: str, model: Path, cache: Path) -> None:
    first = translated(model)
    (blob,) = blobs(cache)
    blob.unlink()
    plant(blob)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(translated(model), first)
    assert f"in the cache cannot be read ({reason}); remove it, or check its permissions" in str(said[0].message)


def test_a_link_in_its_place_is_replaced_and_its_target_is_left_alone(model: Path, cache: Path, tmp_path: Path) -> None:
    first = translated(model)
    (blob,) = blobs(cache)
    blob.unlink()
    (tmp_path / "precious").write_bytes(b"precious")
    blob.symlink_to(tmp_path / "precious")
    with pytest.warns(UserWarning, match="it is cut short"):
        np.testing.assert_array_equal(translated(model), first)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not blob.is_symlink()


def test_a_cache_that_cannot_be_written_is_named_and_the_picture_is_right(model: Path, cache: Path) -> None:
    first = translated(model)
    clear_folder(cache)
    cache.rmdir() if cache.exists() else None
    cache.write_bytes(b"a file in the way")
    with pytest.warns(UserWarning, match=r"the compiled model cannot be kept in .* \(Not a directory\), so that each start compiles it again; free some space"):
        np.testing.assert_array_equal(translated(model), first)


def test_a_full_disk_leaves_no_half_file(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pixlate_openvino.kept.os.fdopen", full)
    with pytest.warns(UserWarning, match=r"cannot be kept in .* \(No space left on device\)"):
        translated(model)
    assert [path.name for path in (cache / "openvino").rglob("*") if path.is_file()] == ["CACHEDIR.TAG"]


def test_two_processes_that_fill_one_cache_are_both_right(model: Path, cache: Path) -> None:
    script = (
        "import sys, numpy, pixlate\n"
        "found = pixlate.load(sys.argv[1], 'cpu', runtime='openvino')(numpy.full((1, 9, 8, 3), 77, numpy.uint8))\n"
        "print(found.tobytes().hex())"
    )
    started = [subprocess.Popen([sys.executable, "-W", "error", "-c", script, str(model)], stdout=subprocess.PIPE) for _ in range(3)]
    outputs = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(outputs) == 1
    assert len(blobs(cache)) == 1
    assert len(list((cache / "openvino").rglob("*"))) == 3  # no part is left: the tag, the model's folder, its blob


def test_a_model_whose_weights_are_in_another_file_is_not_kept(tmp_path: Path, cache: Path) -> None:
    import onnx

    whole = onnx.load(network(tmp_path / "a.onnx"))
    onnx.save(whole, tmp_path / "b.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    np.testing.assert_array_equal(translated(tmp_path / "b.onnx"), translated(tmp_path / "a.onnx"))
    assert len(blobs(cache)) == 1


def test_what_was_used_longest_ago_makes_room(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [network(tmp_path / f"{groups}.onnx", groups=groups) for groups in (1, 2)]
    for age, path in enumerate(models):
        before = set(blobs(cache))
        translated(path)
        (new,) = set(blobs(cache)) - before
        os.utime(new, (age, age))
    first, second = sorted(blobs(cache), key=lambda path: path.stat().st_mtime)
    translated(models[0])  # used again
    left = first.with_name("left by a killed process")
    left.write_bytes(bytes(second.stat().st_size))
    os.utime(left, (2, 2))
    taken = sum(path.stat().st_size for path in (first, second, left))
    monkeypatch.setattr(kept, "MOST_BYTES", taken - 1)
    kept._make_room(cache / "openvino")
    assert (first.exists(), second.exists(), left.exists()) == (True, False, True)
    monkeypatch.setattr(kept, "MOST_BYTES", 0)
    translated(models[1])
    assert blobs(cache) == [second] and not left.exists()  # what was just made stays


def test_clearing_the_cache_removes_them(model: Path, cache: Path) -> None:
    translated(model)
    assert clear_folder(cache)[0] >= 1
    assert not list(cache.rglob("*"))


def test_a_user_without_a_home_goes_without_a_cache(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> NoReturn:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PIXLATE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pixlate.system.user.Path.home", homeless)
    assert translated(model).shape == PIXELS.shape
