"""The examples of docs/serve.md do what they say."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

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
    assert len(commands) == 3
    for command in commands:
        subprocess.run(shlex.split(f"{command.replace(ADDRESS, at.url)} --fail --silent --show-error"), check=True, timeout=60, stdout=subprocess.DEVNULL)
    for name, format in (("large.jpg", "JPEG"), ("large.png", "PNG")):
        with Image.open(name) as image:
            assert (image.format, image.size) == (format, (64, 48))


def test_every_status_the_interface_tells_of_is_in_the_guide() -> None:
    rows = [row for row in GUIDE.splitlines() if re.match(r"\| \d", row)]
    told = {int(status) for row in rows for status in re.findall(r"\d{3}", row.split("|")[1])}
    assert told == {400, 401, 404, 405, 406, 408, 413, 415, 422, 429, 503}
