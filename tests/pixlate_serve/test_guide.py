"""The examples of docs/serve.md do what they say."""

import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from PIL import Image
from tests.pixlate_serve.conftest import Server, picture

GUIDE = (Path(__file__).parents[2] / "docs/serve.md").read_text()
ADDRESS = "http://127.0.0.1:8000"


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def at(launch: Callable[..., Server], model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server with a model of the guide's name, in a folder as the guide supposes."""
    (tmp_path / "photos").mkdir()
    for name in ("cat.jpg", "photos/dog.jpg"):
        (tmp_path / name).write_bytes(picture(24, 32, format="JPEG"))
    (tmp_path / "photos/broken.jpg").write_bytes(picture(24, 32, format="JPEG")[:200])
    monkeypatch.chdir(tmp_path)
    return launch(f"upscale-x4={model_file}")


def test_python_example_translates_a_folder(at: Server, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = examples("python")
    exec(compile(example.replace(ADDRESS, at.url), "serve.md", "exec"), {})
    with Image.open("photos/dog.png") as image:
        assert image.size == (64, 48)
    assert re.fullmatch(r"photos/broken\.jpg the image is truncated or damaged .*\n", capsys.readouterr().out)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_examples_translate_an_image(at: Server) -> None:
    commands = [line for block in examples("sh") for line in block.splitlines() if line.startswith("curl ")]
    assert len(commands) == 4
    for command in commands:
        subprocess.run(shlex.split(f"{command.replace(ADDRESS, at.url)} --fail --silent --show-error"), check=True, timeout=60, stdout=subprocess.DEVNULL)
    for name, format in (("large.jpg", "JPEG"), ("large.png", "PNG")):
        with Image.open(name) as image:
            assert (image.format, image.size) == (format, (64, 48))


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_with_the_limits_of_the_guide_passes_pictures_on_and_cuts_slow_clients_off(at: Server, tmp_path: Path) -> None:
    (example,) = examples("nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    example = re.sub(r"ssl_\S+ .*\n", "", example.replace(ADDRESS, at.url).replace("443 ssl", f"127.0.0.1:{port}")).replace(
        "client_header_timeout 10s", "client_header_timeout 1s"
    )
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(f"daemon off; master_process off; pid {tmp_path}/pid; events {{}} http {{ access_log off; {folders} {example} }}")
    with subprocess.Popen([shutil.which("nginx") or "", "-p", tmp_path, "-c", "nginx.conf", "-e", "log"]) as nginx:
        try:
            transport = httpx.HTTPTransport(retries=8)  # with exponential backoff, until nginx listens
            with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                data = picture(24, 32, format="JPEG")
                assert client.post("/v1/models/upscale-x4:translate", content=data, headers={"Content-Type": "image/jpeg"}).status_code == 200
            for sent in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
                with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                    connection.sendall(sent)
                    with suppress(ConnectionResetError):
                        assert connection.recv(1 << 16) == b""
        finally:
            nginx.terminate()


def test_every_status_of_the_openapi_document_is_in_the_guide() -> None:
    rows = [row for row in GUIDE.splitlines() if re.match(r"\| \d", row)]
    told = {int(status) for row in rows for status in re.findall(r"\d{3}", row.split("|")[1])}
    assert told == {400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 429, 503}
