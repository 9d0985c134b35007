"""``pixlate evaluate`` as users call it: exit codes, table and JSON."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import NEAREST, nearest, noise, save, write_onnx

from pixlate.cli import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run ``pixlate evaluate`` in this process; returns exit code, standard output and standard error."""

    def start(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pixlate", "evaluate", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capfd.readouterr()
        code = main()
        return (code, *capfd.readouterr())

    return start


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("model") / "nearest.onnx", NEAREST)


def blocks(folder: Path) -> Path:
    """Write pictures that reducing by 2 and repeating pixels leaves nearly as they are: even areas."""
    folder.mkdir()
    for number, level in enumerate((40, 200)):
        Image.fromarray(np.full((16, 18, 3), level, np.uint8)).save(folder / f"{number}.png")
    return folder


def test_table_names_each_metric_with_its_implementation(tmp_path: Path, model: Path, call: Call) -> None:
    code, stdout, stderr = call(model, blocks(tmp_path / "photos"), "--device", "cpu", "--metrics", "ssim,psnr-luma")
    assert (code, stderr) == (0, "")
    lines = stdout.splitlines()
    assert lines[0] == f"{model} on cpu: 2 images (degraded)"
    row = next(line.split(maxsplit=3) for line in lines if line.lstrip().startswith("ssim"))
    assert row[:3] == ["ssim", "1.0000", "higher"]
    assert "Gaussian window 11, sigma 1.5" in row[3]
    assert "psnr-luma   inf" in stdout


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(tmp_path: Path, model: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixlate.cli.periodic.EVERY", 0.0)
    _, _, stderr = call(model, blocks(tmp_path / "photos"), "--device", "cpu", "--metrics", "psnr")
    assert stderr.splitlines() == ["0 of 2 images", "1 of 2 images", "2 of 2 images"]


def test_json_is_one_object_that_standard_parsers_read(tmp_path: Path, model: Path, call: Call) -> None:
    code, stdout, stderr = call(model, blocks(tmp_path / "photos"), "--json", "--metrics", "psnr, sliced-wasserstein")
    assert (code, stderr) == (0, "")
    found = json.loads(stdout, parse_constant=pytest.fail)
    assert (found["model"], found["images"], found["targets"], found["layout"]) == (str(model), 2, 2, "degraded")
    assert found["metrics"]["psnr"]["value"] is None
    assert found["metrics"]["psnr"]["higher_is_better"] is True
    assert found["metrics"]["psnr"]["implementation"].startswith("torchmetrics ")
    assert found["metrics"]["sliced-wasserstein"]["value"] == 0


def test_pairs_in_two_folders_are_measured(tmp_path: Path, model: Path, call: Call) -> None:
    source = noise(12, 14)
    for folder, image in (("small", source), ("large", nearest(source[None], 2)[0])):
        (tmp_path / folder).mkdir()
        Image.fromarray(image).save(tmp_path / folder / "a.png")
    code, stdout, _ = call(model, tmp_path / "small", tmp_path / "large", "--json")
    assert code == 0
    assert json.loads(stdout)["metrics"]["ssim"]["value"] == pytest.approx(1)
    assert json.loads(stdout)["notes"][0].startswith("left out: ms-ssim needs images of at least 176 pixels")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "expected a model and one or two folders, got none; write: pixlate evaluate upscale-x4 photos/"),
        (["upscale-x2"], "expected a model and one or two folders, got upscale-x2"),
        (["upscale-x2", "a", "b", "c"], "expected a model and one or two folders, got upscale-x2 a b c"),
        (["nothing", "a"], "expected a model's name"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(call: Call, arguments: list[str], reason: str) -> None:
    code, stdout, stderr = call(*arguments)
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"pixlate: {reason}")
    assert len(stderr.splitlines()) == 1


def test_a_corrupt_image_is_refused_by_name(tmp_path: Path, model: Path, call: Call) -> None:
    path = save(blocks(tmp_path / "photos") / "z.png", 40, 40)
    path.write_bytes(path.read_bytes()[:-400])
    code, stdout, stderr = call(model, tmp_path / "photos", "--metrics", "psnr-luma")
    assert (code, stdout) == (2, "")
    assert f"{path} cannot be measured, and the figures would mislead without it" in stderr


def test_a_ready_model_beats_repeating_pixels(model: Path, tmp_path: Path, call: Call) -> None:
    import skimage

    with Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png") as photograph:
        save(tmp_path / "a.png", 8, 8).unlink()
        photograph.resize((96, 96)).save(tmp_path / "a.png")
    figures = [json.loads(call(each, tmp_path, "--metrics", "psnr-luma", "--json")[1])["metrics"]["psnr-luma"]["value"] for each in ("upscale-x2", model)]
    assert figures[0] > figures[1] + 1


def test_metrics_of_pixlates_own_load_no_pytorch(tmp_path: Path, model: Path) -> None:
    folder = blocks(tmp_path / "photos")
    script = (
        f"import sys\nsys.argv = ['pixlate', 'evaluate', {str(model)!r}, {str(folder)!r}, '--metrics', 'psnr-luma,sliced-wasserstein']\n"
        "from pixlate.cli import main\nassert main() == 0\nprint('LOADED', *sorted(sys.modules.keys() & {'torch', 'torchmetrics', 'torch_fidelity'}))"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120).stdout
    assert printed.rpartition("LOADED")[2].split() == []
