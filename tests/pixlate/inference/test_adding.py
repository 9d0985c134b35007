"""Models in the user's own folder: added from files and over HTTP, found by name, removed."""

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.pixlate.conftest import NEAREST, Nearest, save, write_onnx

import pixlate
from pixlate.cli.models import models
from pixlate.convert import ConvertOptions, convert
from pixlate.inference import adding
from pixlate.inference.added import added, record_of, remove
from pixlate.inference.adding import add
from pixlate.inference.files import files_of_model
from pixlate.inference.models import find
from pixlate.inference.ready import cards
from pixlate.plugin.manager import Plugins

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models."""
    monkeypatch.setenv("PIXLATE_MODELS", str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "4x-Nearest.onnx", NEAREST)


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, Answer]]]:
    """A server, and what it answers by path: status, headers and body."""
    answers: dict[str, Answer] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", answers
        server.shutdown()
        thread.join()


def left(own: Path) -> list[str]:
    return sorted(path.name for path in own.glob("*") if path.name != ".models.lock")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_found_by_its_name_everywhere(model: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = add(str(model), licence="CC0-1.0")
    assert record.sha256 == sha256(model.read_bytes())
    model.unlink()
    assert pixlate.load("4x-Nearest", "cpu").spec.method == "nearest"
    assert find("4x-Nearest") == own / "4x-Nearest.onnx"
    assert convert(save(tmp_path / "a.png"), tmp_path / "out", "4x-Nearest", ConvertOptions(device="cpu")).converted == 1
    assert models() == 0
    assert re.search(r"licence: CC0-1.0\n(  .*\n)*  4x-Nearest +\d+ (bytes|KB)  a model that you have added\n", capsys.readouterr().out)
    assert models("4x-Nearest") == 0
    assert f"    from: {model}\n" in (text := capsys.readouterr().out) and "    method: nearest\n" in text


def test_a_removed_model_leaves_nothing(model: Path, own: Path) -> None:
    add(str(model), "mine")
    assert left(own) == ["mine.json", "mine.onnx"]
    assert remove("mine") > model.stat().st_size
    assert left(own) == [] and "mine" not in cards()
    with pytest.raises(pixlate.PixlateError, match=r"expected a model that you have added \(there is none\), got 'upscale-x4'"):
        remove("upscale-x4")


def test_a_download_follows_redirects_and_keeps_no_secrets(model: Path, own: Path, site: tuple[str, dict[str, Answer]]) -> None:
    url, answers = site
    content, seen = model.read_bytes(), list[tuple[int, int | None]]()
    answers["/a/mine.onnx?key=secret"] = (302, {"Location": "/b"}, b"")
    answers["/b"] = (200, {"Content-Length": str(len(content))}, content)
    record = add(f"{url}/a/mine.onnx?key=secret", sha256=sha256(content).upper(), watch=lambda done, total: seen.append((done, total)))
    assert (own / "mine.onnx").read_bytes() == content
    assert record.source == f"{url}/a/mine.onnx"
    assert seen[-1] == (len(content), len(content))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((404, {}, b""), "answers 404 Not Found; check the address"),
        ((200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"), "is a page; take the link of its download button"),
        ((200, {"Content-Length": "9"}, b"half"), r"ended after 4 of 9 bytes|cannot be downloaded"),
        ((200, {"Content-Length": "2000"}, b""), "expected a file of at most 0.0 GB, got more"),
        ((200, {}, b"x" * 1500), "expected a file of at most 0.0 GB, got more"),
        ((302, {"Location": "ftp://example.org/a.onnx"}, b""), "which is not secure|cannot be downloaded|answers 302"),
        ((302, {"Location": "/a.onnx"}, b""), "answers 302"),
        ((200, {}, b"no model"), "expected the SHA-256 0000"),
    ],
)
def test_a_download_that_fails_is_one_sentence_and_adds_nothing(
    answer: Answer, sentence: str, own: Path, site: tuple[str, dict[str, Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "MOST", 1000)
    url, answers = site
    answers["/a.onnx"] = answer
    with pytest.raises(pixlate.PixlateError, match=sentence):
        add(f"{url}/a.onnx", sha256="0" * 64)
    assert left(own) == []


def test_no_server_is_one_sentence(site: tuple[str, dict[str, Answer]]) -> None:
    with pytest.raises(pixlate.PixlateError, match="cannot be downloaded"):
        add("http://127.0.0.1:1/a.onnx", sha256="0" * 64)


def test_a_redirect_from_https_to_http_is_refused() -> None:
    from http.client import HTTPMessage
    from io import BytesIO
    from urllib.request import Request

    from pixlate.system.download import _Redirects

    with pytest.raises(pixlate.PixlateError, match=r"https://a/b leads on to http://a/b, which is not secure"):
        _Redirects().redirect_request(Request("https://a/b?key"), BytesIO(), 302, "", HTTPMessage(), "http://a/b")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("", "got an empty text"),
        ("gone.onnx", "is not there or is no file"),
        ("http://example.org/a.onnx", "take an address of https, or give --sha256"),
        ("file:///etc/a.onnx", "expected an address of https"),
        ("https://openmodeldb.info/models/4x-UltraSharp", "is a page of OpenModelDB; take the link of its Download button"),
        ("https://example.org/a.zip", "got 'a.zip'; unpack it first"),
        ("https://example.org/a", "expected a file that ends in .onnx"),
        ("https://example.org/a%20b.onnx", "got 'a b'; give one with --name"),
        ("https://example.org/a@1.onnx", "got 'a@1'; give one with --name"),
        ("https://example.org/Upscale-X4.onnx", "there is a model named upscale-x4; give another with --name"),
    ],
)
def test_what_cannot_be_added_is_refused_at_once(source: str, sentence: str, own: Path) -> None:
    with pytest.raises(pixlate.PixlateError, match=sentence):
        add(source)
    assert not own.exists()


def test_a_digest_is_checked(model: Path, own: Path) -> None:
    with pytest.raises(pixlate.PixlateError, match="expected --sha256 to be 64 hexadecimal digits, got 'abc'"):
        add(str(model), sha256="abc")
    with pytest.raises(pixlate.PixlateError, match=r"expected the SHA-256 0{64}, got .* nothing was added"):
        add(str(model), sha256="0" * 64)
    assert left(own) == []


def test_a_name_is_given_once(model: Path) -> None:
    add(str(model), "mine")
    with pytest.raises(pixlate.PixlateError, match="there is a model named mine; remove it with `pixlate models remove mine`"):
        add(str(model), "Mine")


def test_a_file_that_does_not_open_is_refused_by_the_name_it_was_given(tmp_path: Path, own: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"nonsense")
    with pytest.raises(pixlate.PixlateError, match=str(tmp_path / "a.onnx")):
        add(str(tmp_path / "a.onnx"))
    assert left(own) == []


def test_half_a_model_of_ncnn_names_the_other_file(tmp_path: Path, own: Path) -> None:
    (tmp_path / "a.param").write_bytes(b"7767517\n")
    with pytest.raises(pixlate.PixlateError, match=r"a \.param and a \.bin of the same name, but .*a\.bin is not there"):
        add(str(tmp_path / "a.param"))
    assert left(own) == []


@pytest.mark.parametrize("named", ["a.param", "a.bin"])
def test_files_of_ncnn_that_cannot_be_read_are_named_where_the_user_has_them(named: str, tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path, device: str) -> Nearest:
        raise pixlate.PixlateError(f"{path.with_suffix('.bin')} has fewer weights than {path} lists")

    monkeypatch.setattr(adding, "load", load)
    for suffix in (".param", ".bin"):
        (tmp_path / f"a{suffix}").write_bytes(b"some")
    with pytest.raises(pixlate.PixlateError, match=f"^{tmp_path}/a.bin has fewer weights than {tmp_path}/a.param lists$"):
        add(str(tmp_path / named), "mine")
    assert left(own) == []


@pytest.mark.parametrize("lost", [".param", ".bin"])
def test_a_model_of_ncnn_of_which_a_file_is_lost_is_named_and_the_others_are_listed(
    lost: str, tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(adding, "load", lambda path, device: Nearest())
    for suffix in (".param", ".bin"):
        (tmp_path / f"a{suffix}").write_bytes(b"some")
    add(str(tmp_path / "a.param"), "mine")
    (own / f"mine{lost}").unlink()
    assert models() == 1
    out, err = capsys.readouterr()
    assert (
        "  upscale-x4 " in out and f"expected the file of the model mine at {own}/mine{lost}, but it is missing; remove it with `pixlate models remove`" in err
    )


@pytest.mark.parametrize(("named", "suffixes"), [("a.param", (".param", ".bin")), ("a.bin", (".param", ".bin")), ("a.PARAM", (".PARAM", ".BIN"))])
@pytest.mark.parametrize("remote", [False, True], ids=["file", "address"])
def test_a_model_of_ncnn_is_added_and_removed_with_both_its_files(
    named: str, suffixes: tuple[str, str], remote: bool, tmp_path: Path, own: Path, site: tuple[str, dict[str, Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []

    def load(path: Path, device: str) -> Nearest:
        opened.extend(file.read_bytes() for file in files_of_model(path))
        return Nearest()

    monkeypatch.setattr(adding, "load", load)
    url, answers = site
    contents = dict(zip(suffixes if not remote else (".param", ".bin"), (b"layers", b"weights"), strict=True))
    for suffix, content in contents.items():
        (tmp_path / f"a{suffix}").write_bytes(content)
        answers[f"/a{suffix}"] = (200, {}, content)
    source = f"{url}/{named.lower()}" if remote else str(tmp_path / named)
    record = add(source, "mine", sha256=sha256(b"weights"))
    assert opened == [b"layers", b"weights"] and left(own) == ["mine.bin", "mine.json", "mine.param"]
    assert find("mine") == own / "mine.param" == record.files[0]
    assert remove("mine") > len(b"layers" + b"weights")
    assert left(own) == []


def test_what_a_killed_command_has_left_is_removed_a_day_later(model: Path, own: Path) -> None:
    for name, age in (("old", 25 * 3600), ("new", 3600)):
        (own / f".adding-{name}").mkdir(parents=True)
        (own / f".adding-{name}" / "half.onnx").write_bytes(b"half")
        os.utime(own / f".adding-{name}", (time.time() - age,) * 2)
    add(str(model), "mine")
    assert left(own) == [".adding-new", "mine.json", "mine.onnx"]


def test_a_full_disk_names_the_folder_that_is_full(model: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr("pixlate.inference.adding.shutil.copyfile", full)
    with pytest.raises(pixlate.PixlateError, match=rf"the model cannot be added \({own}: No space left on device\); check permissions and space"):
        add(str(model))
    assert left(own) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(model: Path, own: Path) -> None:
    own.write_bytes(b"")
    with pytest.raises(pixlate.PixlateError, match=r"the model cannot be added .*PIXLATE_MODELS"):
        add(str(model))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "../a"}', "\x00"])
@pytest.mark.filterwarnings("ignore:the record")
def test_a_damaged_record_is_left_out(text: str, model: Path, own: Path) -> None:
    add(str(model), "good")
    record_of("bad").write_text(text)
    with pytest.warns(UserWarning, match=r"the record .*bad\.json of an added model is left out"):
        assert list(added()) == ["good"]


def test_a_record_cannot_name_files_elsewhere(model: Path, own: Path) -> None:
    add(str(model), "good")
    values = json.loads(record_of("good").read_text())
    record_of("bad").write_text(json.dumps(values | {"name": "../4x-Nearest"}))
    with pytest.warns(UserWarning, match="it names other files"):
        assert list(added()) == ["good"]


def test_a_model_that_a_package_comes_to_ship_hides_the_added_one_and_says_so(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(str(model), "mine")
    card = pixlate.ModelCard("mine", "of a package", model)
    offered = Plugins.offered
    monkeypatch.setattr(Plugins, "offered", lambda plugins, wanted: {"mine": card} if wanted is pixlate.ModelCard else offered(plugins, wanted))
    assert find("mine") == model
    assert models() == 1
    assert "the model mine that you have added is hidden by one of a package; remove it with" in capsys.readouterr().err
    remove("mine")
    assert models() == 0
