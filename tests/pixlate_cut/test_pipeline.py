"""CUT from training that is killed to export, conversion, evaluation and the server."""

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.commands import Done, Process, run_modules
from tests.pixlate_serve.conftest import Application, file, pixels_of

import pixlate
import pixlate_cut
from pixlate.plugin.testing import make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.run import RunOptions
from pixlate_serve.options import ServeOptions
from pixlate_serve.service import Service

(METHOD,) = pixlate_cut.pixlate_methods()
SMALL = ["--channels", 4, "--blocks", 1, "--discriminator-channels", 4, "--discriminator-layers", 2, "--projection-channels", 8, "--nce-patches", 16]
SHORT = ["--patch", 32, "--resize", 36, "--hold-out", 1, "--batch", 2, "--steps", 5, "--checkpoint-every", 2, "--validate-every", 5, "--log-every", 1]
FAST = ["--nce-weight", 10, "--no-identity-nce", "--flip-equivariance"]
SIZES = [(8, 8), (13, 40), (33, 27), (64, 48), (101, 75)]


@dataclass(frozen=True)
class Workplace:
    """A folder of images, runs and models, and what each command printed."""

    folder: Path
    done: Mapping[str, Done]
    ending: int | None
    """How the process ended that was to be killed."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Train with and without being killed, resume, export, convert and evaluate."""
    folder = tmp_path_factory.mktemp("cut")
    day, night = (make_photographs(folder / name, 3, 40, 44, seed) for seed, name in enumerate(("day", "night")))
    words = ["train", "cut", day, night, *FAST, *SMALL, *SHORT, "--workers", 1, "--device", "cpu"]
    (folder / "printed").mkdir()
    killed = Process(folder / "printed", "train_killed_after", 3, *map(str, words), "--out", str(folder / "run"))
    killed.communicate(timeout=300)
    commands = {
        "whole": [*words, "--out", folder / "whole"],
        "resume": ["train", "--resume", folder / "run"],
        "export": ["export", folder / "run", folder / "cut.onnx"],
        "convert": ["convert", day, folder / "out", "--model", folder / "cut.onnx"],
        "set": ["convert", day, folder / "other", "--model", folder / "cut.onnx", "--set", "domain=grey"],
        "evaluate": ["evaluate", folder / "cut.onnx", day, night, "--layout", "unpaired", "--json"],
        "one set": ["train", "cut", day, *SMALL, *SHORT, "--out", folder / "refused"],
        "preset of another method": ["train", "cut", day, night, "--preset", "fidelity", "--out", folder / "refused"],
    }
    done = dict(zip(commands, run_modules(*(["pixlate", *each] for each in commands.values())), strict=True))
    return Workplace(folder, done, killed.returncode)


def by_pytorch(workplace: Workplace, pixels: np.ndarray) -> np.ndarray:
    """Return what the run's generator makes of images (batch, height, width, 3), whose sides are made multiples of 4 by reflection, in levels."""
    gan = RunOptions.load(workplace.folder / "run", {"cut": METHOD}).build()
    gan.load_state_dict(load_checkpoint(workplace.folder / "run").average)
    height, width = pixels.shape[1:3]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    padded = torch.nn.functional.pad(images, (0, -width % 4, 0, -height % 4), "reflect")
    with torch.no_grad():
        levels: np.ndarray = (gan.exported().eval()(padded)[:, :, :height, :width] * 255).permute(0, 2, 3, 1).numpy()
    return levels


def test_killed_training_resumes_to_the_weights_of_a_run_never_killed(workplace: Workplace) -> None:
    assert workplace.ending == -signal.SIGKILL
    workplace.done["whole"].require()
    assert "from step 2 on" in workplace.done["resume"].require().err
    runs = [workplace.folder / name / "checkpoints/step-00000005" for name in ("run", "whole")]
    for part in ("weights", "average", "optimizers"):
        first, second = ((run / f"{part}.safetensors").read_bytes() for run in runs)
        assert first == second, part


def test_projections_are_trained_with_the_generator(workplace: Workplace) -> None:
    states = [load_checkpoint(workplace.folder / "run/checkpoints" / f"step-{step:08}").weights for step in (4, 5)]
    moved = {name.partition(".")[0] for name, weight in states[0].items() if not torch.equal(weight, states[1][name])}
    assert moved == {"generators", "discriminators", "projections"}


@pytest.mark.parametrize("size", SIZES)
def test_exported_file_gives_the_pictures_of_pytorch(size: tuple[int, int], workplace: Workplace) -> None:
    workplace.done["export"].require()
    pixels = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    expected = by_pytorch(workplace, pixels)
    found = pixlate.load(workplace.folder / "cut.onnx", device="cpu")(pixels)
    assert abs(found.astype(np.float32) - expected).max() <= 1 and expected.std() > 1


def test_folder_is_converted_and_the_server_answers_the_same(workplace: Workplace) -> None:
    workplace.done["convert"].require()
    service = Service({"cut": pixlate.load(workplace.folder / "cut.onnx", device="cpu")}, ServeOptions(), "")
    service.start()
    assert service.models["cut"].warm.wait(30)
    for path in sorted((workplace.folder / "day").iterdir()):
        pixels, converted = (np.array(Image.open(each)) for each in (path, workplace.folder / "out" / path.name))
        assert abs(converted - by_pytorch(workplace, pixels[None])[0]).max() <= 1
        answer = Application(service).translate(file(pixels), "cut")
        np.testing.assert_array_equal(pixels_of(answer.content), converted)
    assert service.close(timeout_s=30)


def test_evaluation_gives_figures(workplace: Workplace) -> None:
    metrics = json.loads(workplace.done["evaluate"].require().out)["metrics"]
    assert np.isfinite(metrics["sliced-wasserstein"]["value"])


REFUSED = {
    "one set": "expected two folders, SOURCE TARGET, got 1; name a folder of sources and one of targets",
    "preset of another method": "expected --preset of cut to be one of paper, fastcut, small-data, quick, got 'fidelity'; choose one",
    "set": "expected no condition, since this model takes none, got domain; leave it out",
}


@pytest.mark.parametrize("command", REFUSED)
def test_bad_input_is_refused_in_one_sentence(command: str, workplace: Workplace) -> None:
    done = workplace.done[command]
    assert (done.code, done.out) == (2, "") and done.err.strip().startswith(f"pixlate: {REFUSED[command]}"), done.err
    assert not (workplace.folder / "refused").exists()
