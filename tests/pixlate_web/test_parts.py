"""Parts of the page without a server: turns, names, and what is refused before the start."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from threading import Event, Thread

import pytest

from pixlate.errors import PixlateError
from pixlate_web.command import web
from pixlate_web.options import WebOptions
from pixlate_web.pictures import safe_name, zipped
from pixlate_web.work import Turns


def test_conversions_run_one_after_another_in_their_order() -> None:
    turns, order = Turns(5), []
    places = [turns.join() for _ in range(3)]
    assert [turns.ahead(place) for place in places] == [0, 1, 2]

    def run(number: int) -> None:
        assert turns.wait(places[number], Event())
        order.append(number)
        turns.leave(places[number])

    threads = [Thread(target=run, args=(number,)) for number in (2, 1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2]


def test_more_than_allowed_do_not_wait_and_a_cancelled_one_leaves() -> None:
    turns = Turns(1)
    first, second = turns.join(), turns.join()
    with pytest.raises(PixlateError, match="at most 1 conversions to wait"):
        turns.join()
    cancelled = Event()
    cancelled.set()
    assert not turns.wait(second, cancelled)
    turns.leave(second)
    assert turns.wait(first, Event())
    turns.join()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("cat.jpg", "cat.jpg"),
        ("../../etc/x.png", "x.png"),
        ("C:\\pictures\\x.png", "x.png"),
        ("a:b?.png", "a_b_.png"),
        ("x" * 300 + ".png", "x" * 116 + ".png"),
    ],
)
def test_names_lead_nowhere(name: str, kept: str) -> None:
    assert safe_name(name) == kept


@pytest.mark.parametrize("name", ["", "cat", ".png", "..", "notes.txt", "x.png/"])
def test_names_of_no_picture_are_refused(name: str) -> None:
    with pytest.raises(PixlateError, match="expected a picture"):
        safe_name(name)


def test_zip_holds_every_file_whatever_their_names(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) / name for number, name in enumerate(("x.png", "X.png", "y.png"))]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        path.write_bytes(bytes([number]) * 3_000_000)
    with zipfile.ZipFile(io.BytesIO(b"".join(zipped(paths)))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name)[0] for name in archive.namelist()} == {"x.png": 0, "X (2).png": 1, "y.png": 2}


@pytest.mark.parametrize(
    ("folders", "options", "expected"),
    [
        (("nowhere",), WebOptions(), "nowhere"),
        ((".", "."), WebOptions(), "each folder once"),
        ((), WebOptions(host="0.0.0.0"), "expected a token"),
        ((), WebOptions(model=(Path("nowhere.onnx"),)), "there is no such file"),
    ],
)
def test_what_is_wrong_is_a_sentence_before_the_start(folders: tuple[str, ...], options: WebOptions, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIXLATE_TOKEN", raising=False)
    with pytest.raises(PixlateError, match=expected):
        web(*map(Path, folders), options=options)


def test_missing_gradio_is_named_with_both_commands_that_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "pixlate_web.server", raising=False)
    with pytest.raises(PixlateError, match=r"pip install 'pixlate\[web\]'.*pip install --no-deps gradio=="):
        web()


def test_help_imports_no_gradio() -> None:
    code = "import sys; from pixlate.cli import build_app; build_app(('web',)); sys.exit('gradio' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
