"""``?strength=`` and ``serve --strength``: answers blended with their uploads."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.pixlate.conftest import NEAREST, Nearest, nearest, noise, write_conditional
from tests.pixlate_onnx.test_interpolation import network
from tests.pixlate_serve.conftest import PNG, Application, Server, error_of, file, pixels_of

import pixlate
from pixlate.errors import PixlateError
from pixlate.inference.strength import blend
from pixlate.plugin.spec import ModelInput
from pixlate_onnx.runner import OnnxTranslator
from pixlate_serve.options import ServeOptions

Start = Callable[..., Application]
UPLOAD = noise(6, 9)


def expected(strength: float) -> np.ndarray:
    return blend(nearest(UPLOAD[None], 2)[0], UPLOAD, strength)


def test_request_says_its_strength_and_the_command_line_the_usual_one(start: Start) -> None:
    application, plain = start(strength=0.25), start()
    for query, usual, strength in (
        ("", 0.25, 1.0),
        ("?strength=0.5", 0.5, 0.5),
        ("?strength=0", 0, 0),
        ("?strength=1", 1, 1),
        ("?strength=5e-1&format=png", 0.5, 0.5),
    ):
        for server, share in ((application, usual), (plain, strength)):
            np.testing.assert_array_equal(pixels_of(server.translate(file(UPLOAD), query=query).content), expected(share))


def test_answer_says_which_model_made_it_and_how(start: Start) -> None:
    application = start(strength=0.25)
    for query, expected in (("", "Pixlate nearest at strength 0.25"), ("?strength=0.5", "Pixlate nearest at strength 0.5"), ("?strength=1", "Pixlate nearest")):
        assert f'AISystemUsed="{expected}"'.encode() in application.translate(file(UPLOAD), query=query).content


@pytest.mark.parametrize("strength", ["-0.1", "1.01", "nan", "inf", "much", "", "0,5", "1\n2"])
def test_strength_that_is_no_number_from_0_to_1_is_400(start: Start, strength: str) -> None:
    answer = start().send("POST", "/v1/models/nearest:translate", content=file(UPLOAD), headers=PNG, params={"strength": strength})
    status, code, message = error_of(answer)
    assert (status, code) == (400, "wrong_strength") and message.startswith("expected ?strength= ")


def test_model_of_other_channels_takes_no_strength(start: Start) -> None:
    application = start({"nearest": Nearest(replace(NEAREST, channels_in=1))})
    status, _, message = error_of(application.translate(file(UPLOAD), query="?strength=0.5"))
    assert status == 400 and "as many channels as it takes for a strength below 1, got one that takes 1 and gives 3" in message


def test_condition_of_that_name_is_the_models_own(start: Start, tmp_path: Path) -> None:
    model = OnnxTranslator(write_conditional(tmp_path / "model.onnx", [ModelInput("strength", "label", choices=("weak", "strong"))]), "cpu")
    assert start({"model": model}).translate(file(UPLOAD), "model", query="?strength=strong").status_code == 200


@pytest.mark.parametrize("options", [{"strength": 1.5}, {"strength": -1}, {"blend_with": "upscale-x2"}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(PixlateError, match="expected --strength"):
        ServeOptions(**options)  # type: ignore[arg-type]


def test_server_blends_the_weights_of_two_files(launch: Callable[..., Server], tmp_path: Path) -> None:
    first, second = network(tmp_path / "a.onnx", 1), network(tmp_path / "b.onnx", 2)
    server = launch(first, blend_with=second, strength=0.3)
    url = f"{server.url}/v1/models/a"
    answer = httpx.post(f"{url}:translate", content=file(UPLOAD), headers=PNG, timeout=60)
    np.testing.assert_array_equal(pixels_of(answer.content), pixlate.load(first, "cpu", blend_with=second, strength=0.3)(UPLOAD[None])[0])
    assert b'AISystemUsed="Pixlate a.onnx blended with b.onnx at strength 0.3"' in answer.content
    refused = httpx.post(f"{url}:translate?strength=0.5", content=file(UPLOAD), headers=PNG, timeout=60)
    assert error_of(refused)[:2] == (400, "wrong_strength")
    digests = [sha256(path.read_bytes()).hexdigest() for path in (first, second)]
    assert json.loads(httpx.get(url, timeout=60).text)["weights"] == sha256(f"{' '.join(digests)} 0.3".encode()).hexdigest()
    assert server.stop() == 0


def test_second_file_is_for_one_model(tmp_path: Path) -> None:
    paths = [network(tmp_path / f"{name}.onnx", seed) for seed, name in enumerate("abc")]
    words = ["serve", *map(str, paths[:2]), "--blend-with", str(paths[2]), "--strength", "0.5", "--port", "0"]
    found = subprocess.run([sys.executable, "-m", "pixlate", *words], check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2 and "expected one model for --blend-with, got a and b" in found.stderr
