"""Parts of the page without a server: turns, names, and what is refused before the start."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from threading import Event, Thread

import pytest

from pixlate.convert import ConvertOptions
from pixlate.convert.report import Summary
from pixlate.errors import PixlateError
from pixlate.inference.progress import Progress
from pixlate_web.command import named, web
from pixlate_web.options import WebOptions
from pixlate_web.pictures import safe_name, zipped
from pixlate_web.sessions import Sessions
from pixlate_web.temporary import LOCK, remove_abandoned
from pixlate_web.views import progress_of
from pixlate_web.work import Turns, Work


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


def test_folders_are_shown_as_they_were_named_and_two_of_one_name_with_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "holiday" / "old" / "holiday").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "holiday")
    holiday = (tmp_path / "holiday").resolve()
    assert named([Path("old"), Path("old/holiday")]) == {"old": holiday / "old", str(Path("old/holiday")): holiday / "old" / "holiday"}
    assert named([Path()]) == {"holiday": holiday}
    monkeypatch.chdir("old")
    assert named([Path("holiday"), Path("..")]) == {"holiday": holiday / "old" / "holiday", "holiday (2)": holiday}


def test_killed_server_leaves_a_folder_that_the_next_one_removes_but_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = "from pixlate_web.temporary import TemporaryFolder; import sys; folder = TemporaryFolder(); print(folder.path, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        folder = Path(server.stdout.readline().strip())
        (folder / "page" / "in").mkdir(parents=True)
        (folder / "page" / "in" / "cat.png").write_bytes(b"of a page")
        (tmp_path / "pixlate-web-notes").mkdir()  # without a lock file: perhaps somebody's own
        try:
            assert remove_abandoned() == [], "its server lives"
            assert (folder / "page" / "in" / "cat.png").exists()
        finally:
            server.kill()
    sessions = Sessions(WebOptions())
    assert sorted(tmp_path.iterdir()) == sorted([sessions.root, tmp_path / "pixlate-web-notes"])
    assert sessions.close_all(lambda _: True)
    assert list(tmp_path.iterdir()) == [tmp_path / "pixlate-web-notes"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_folder_of_a_link_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "photos").mkdir()
    for name in (LOCK, "cat.png"):
        (tmp_path / "photos" / name).write_bytes(b"")
    (tmp_path / "tmp" / "pixlate-web-x").symlink_to(tmp_path / "photos")
    assert remove_abandoned() == []
    assert (tmp_path / "photos" / "cat.png").exists()


def test_loading_is_said_before_the_seconds_that_it_takes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load(*_: str) -> None:
        assert capsys.readouterr().err.startswith("loading the page")
        raise PixlateError("loaded")

    monkeypatch.setattr("pixlate_web.command.import_for", load)
    with pytest.raises(PixlateError, match="loaded"):
        web()


def test_progress_counts_the_frames_of_films() -> None:
    work = Work(Turns(1), [], Path("out"), "clean", ConvertOptions())
    work.summary, work.progress = Summary(planned=2, not_reached=2), Progress(2)
    assert "frame" not in progress_of(work)
    work.progress.frame("film.mp4", 3, 20)
    assert "0 of 2 pictures" in progress_of(work) and "frame 3 of 20" in progress_of(work)
    work.progress.finish("film.mp4", (64, 48))
    assert "frame" not in progress_of(work)


def test_missing_gradio_is_named_with_both_commands_that_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "pixlate_web.server", raising=False)
    with pytest.raises(PixlateError, match=r"pip install 'pixlate\[web\]'.*pip install --no-deps gradio=="):
        web()


def test_help_imports_no_gradio() -> None:
    code = "import sys; from pixlate.cli import build_app; build_app(('web',)); sys.exit('gradio' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
