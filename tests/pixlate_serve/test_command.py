"""The command line: names of models, what is refused before anything starts, and what is imported when."""

import hashlib
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.pixlate.conftest import noise, write_sampler
from tests.pixlate.weights.test_ncnn import small
from tests.pixlate_serve.conftest import PNG, Server, picture, pixels_of

import pixlate
from pixlate.cli import main
from pixlate.errors import PixlateError
from pixlate.system.extras import install
from pixlate_serve.command import named
from pixlate_serve.options import ServeOptions

LATE = ("fastapi", "fastapi_offline", "starlette", "uvicorn", "prometheus_client", "pydantic", "python_multipart")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run ``pixlate serve`` in this process, where it is refused; returns exit code and standard error."""

    def started(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["pixlate", "serve", *map(str, words)])
        return main(), capsys.readouterr().err

    return started


def test_models_are_served_under_their_own_names_or_given_ones(tmp_path: Path) -> None:
    path = tmp_path / "my-model.onnx"
    path.touch()
    assert named(["upscale-x4", f"{path}", f"other={path}", "big=upscale-x4"]) == {
        "upscale-x4": "upscale-x4", "my-model": f"{path}", "other": f"{path}", "big": "upscale-x4",
    }  # fmt: skip
    odd = tmp_path / "a=b.onnx"
    odd.touch()
    with pytest.raises(PixlateError, match="got 'a=b'; write: NAME="):
        named([f"{odd}"])


@pytest.mark.parametrize("name", ["", "two words", "a/b", "a:b", "..", ".hidden", "-x", "ü", "a%2fb", "x" * 101, "a\nb"])
def test_name_that_is_no_segment_of_a_url_is_refused(name: str) -> None:
    with pytest.raises(PixlateError, match="expected a name of letters, digits"):
        named([f"{name}=model.onnx"])


def test_one_name_for_two_models_is_refused() -> None:
    with pytest.raises(PixlateError, match=r"a name for each model, got x for one/x\.onnx and two/x\.onnx"):
        named(["one/x.onnx", "two/x.onnx"])


def test_mistakes_are_one_sentence_and_exit_code_2(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    sampler = write_sampler(tmp_path / "sampler.onnx")
    for words, sentence in (
        ((), "expected a model; write: pixlate serve upscale-x4"),
        (("no-such-model",), "expected a model's name"),
        (("upscale-x2", "upscale-x2"), "expected a name for each model"),
        (("upscale-x2", "--port", 65536), "--port of at most 65535"),
        (("upscale-x2", "--queue", 0), "--queue of at least 1"),
        (("upscale-x2", "--quality", 101), "--quality of at most 100"),
        (("upscale-x2", "--tile", 40, "--port", 0), "expected --tile of at least"),
        (("upscale-x2", "--host", "0.0.0.0"), "expected a token, since other machines can connect"),
        (("upscale-x2", "--host", "no.such.host.invalid", "--token", "x"), "expected --host to be an address of this machine"),
        (("upscale-x2", "--host", "192.0.2.1", "--token", "x"), "cannot listen on 192.0.2.1"),
        (("upscale-x2", "--device", "cpu:1", "--port", 0), "expected --device"),
        (("upscale-x2", "--runtime", "slow", "--port", 0), "expected --runtime auto, onnxruntime, "),
        (("upscale-x2", "--runtime", "onnxruntime", "--arithmetic", "bfloat16", "--port", 0), "expected --arithmetic auto or float32 for ONNX Runtime"),
        ((sampler, "--port", 0), "expected a model that takes an image"),
    ):
        code, error = run(*words)
        assert code == 2 and sentence in error and error.count("\n") == 1, (words, error)


def test_port_that_is_taken_is_refused(run: Callable[..., tuple[int, str]]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, error = run("upscale-x2", "--port", port)
    assert code == 2 and f"cannot listen on 127.0.0.1 at port {port} (Address already in use); choose another --port" in error


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"tile": 8}, {"memory": 10}, {"timeout_s": 0}, {"grace_s": -1}, {"port": -1}, {"max_bytes": 0}, {"queue": "many"}]
)
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(PixlateError, match="expected --"):
        ServeOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["import pixlate_serve", "sys.argv = ['pixlate', 'serve', '--help']\nfrom pixlate.cli import main\nassert main() == 0"])
def test_neither_importing_nor_help_imports_the_web_packages(code: str) -> None:
    script = f"import sys\n{code}\nprint('LOADED', *({set(LATE)!r} & sys.modules.keys()))"
    printed = subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True, timeout=60).stdout
    assert printed.rpartition("LOADED")[2].split() == []


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "prometheus_client"])
def test_missing_package_is_named_with_the_command_that_installs_it(missing: str) -> None:
    script = f"import sys\nsys.modules[{missing!r}] = None\nsys.argv = ['pixlate', 'serve', 'upscale-x2']\nfrom pixlate.cli import main\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"pixlate: serving needs FastAPI, uvicorn and prometheus-client, and {missing} is missing; run: {install('serve')}\n"


def test_serving_never_imports_pytorch(launch: Callable[..., Server], tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    heavy = "{'torch', 'torchvision', 'onnx', 'onnxscript', 'kornia', 'albumentations', 'cv2', 'lightning_fabric'}"
    server = launch(
        "upscale-x2", code=f"from pixlate.cli import main; code = main(); open({str(loaded)!r}, 'w').write(str({heavy} & sys.modules.keys())); sys.exit(code)"
    )
    assert server.translate(picture(), "upscale-x2").status_code == 200
    assert server.stop() == 0
    assert loaded.read_text() == "set()"


def test_the_runtime_and_arithmetic_that_are_named_run_the_models(launch: Callable[..., Server], tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    names = "{'openvino', 'onnxruntime'}"
    server = launch(
        "upscale-x2",
        runtime="openvino",
        arithmetic="float32",
        code=f"from pixlate.cli import main; code = main(); open({str(loaded)!r}, 'w').write(str({names} & sys.modules.keys())); sys.exit(code)",
    )
    answer = server.translate(picture(), "upscale-x2")
    expected = pixlate.load("upscale-x2", "cpu", "float32", runtime="openvino")(noise(6, 9, seed=0)[None])[0]
    assert np.abs(pixels_of(answer.content).astype(int) - expected).max() <= 1
    assert server.stop() == 0
    assert loaded.read_text() == "{'openvino'}"


def test_a_model_of_ncnn_is_served_under_the_digest_of_both_its_files(launch: Callable[..., Server], tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    server = launch(f"my={small(tmp_path / 'a model.param')}")
    answer = server.translate(picture(), "my")
    assert answer.status_code == 200
    assert pixels_of(answer.content).shape == (12, 18, 3)
    words = " ".join(hashlib.sha256((tmp_path / f"a model{suffix}").read_bytes()).hexdigest() for suffix in (".param", ".bin"))
    assert answer.headers["Pixlate-Model"] == f"my; sha256={hashlib.sha256(words.encode()).hexdigest()}"
    assert server.stop() == 0


def test_token_comes_from_the_environment_and_requests_are_printed_where_asked(
    launch: Callable[..., Server], model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXLATE_TOKEN", "secret")
    server = launch(f"my={model_file}", log_requests=True)
    assert server.translate(picture(), "my").status_code == 401
    answer = httpx.post(f"{server.url}/v1/models/my:translate", content=picture(), headers=PNG | {"Authorization": "Bearer secret"})
    assert answer.status_code == 200
    assert server.stop() == 0
    refused, answered = server.log.read_text().splitlines()
    assert re.fullmatch(r"127\.0\.0\.1 POST /v1/models/my:translate 401 \d+ ms \[[0-9a-f]{16}\]", refused)
    weights = hashlib.sha256(model_file.read_bytes()).hexdigest()
    assert re.fullmatch(rf"127\.0\.0\.1 POST /v1/models/my:translate 200 \d+ ms by my; sha256={weights} \[[0-9a-f]{{16}}\]", answered)
    assert answer.headers["Pixlate-Model"] == f"my; sha256={weights}" and answered.endswith(f"[{answer.headers['X-Request-ID']}]")
