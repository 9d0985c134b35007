"""``pixlate sample`` as users call it: files, sentences and exit codes."""

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import NEAREST, load, save, write_conditional, write_onnx, write_sampler

from pixlate.cli import main
from pixlate.cli import sample as sample_command
from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference import conditions
from pixlate.inference.sampling import Sampler
from pixlate.plugin.spec import ModelInput, ModelSpec

Call = Callable[..., tuple[int, str, str]]
Z = ModelInput("z", "noise", length=2)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run ``pixlate`` in this process; returns exit code, standard output and standard error."""

    def start(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, words)])
        capfd.readouterr()
        code = main()
        return (code, *capfd.readouterr())

    return start


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of pictures of 4 x 4, whose level is the first number of their noise."""
    return write_sampler(tmp_path_factory.mktemp("model") / "sampler.onnx")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_pictures_are_numbered_and_each_has_the_noise_of_seed_and_number(model: Path, tmp_path: Path, call: Call) -> None:
    code, stdout, stderr = call("sample", model, tmp_path / "out", "--count", 5, "--seed", 7, "--device", "cpu")
    assert (code, stderr) == (0, "") and stdout.startswith("5 drawn by ") and stdout.endswith(f"images/s on cpu, into {tmp_path / 'out'}\n")
    assert sorted(contents(tmp_path / "out")) == [f"{number:06}.png" for number in range(1, 6)]
    for number in range(1, 6):
        drawn = conditions.noise(Z, f"7/{number}")[0]
        pixels = np.asarray(load(tmp_path / "out" / f"{number:06}.png"))
        assert pixels.shape == (4, 4, 3) and np.abs(pixels - 255 * np.clip(drawn, 0, 1)).max() <= 0.51
    assert len({*contents(tmp_path / "out").values()}) > 1


def test_same_seed_gives_the_same_files_and_more_of_them_later(model: Path, tmp_path: Path, call: Call) -> None:
    for out, seed, count in (("first", 1, 3), ("again", 1, 6), ("other", 2, 3)):
        assert call("sample", model, tmp_path / out, "--seed", seed, "--count", count, "--device", "cpu", "--batch", 2)[0] == 0
    first, again, other = (contents(tmp_path / out) for out in ("first", "again", "other"))
    assert {name: again[name] for name in first} == first != other
    code, stdout, _ = call("sample", model, tmp_path / "first", "--seed", 1, "--count", 6, "--device", "cpu")
    assert code == 0 and stdout.startswith("3 drawn by ") and ", 3 finished before, into " in stdout
    assert contents(tmp_path / "first") == again


def test_what_exists_is_never_overwritten(model: Path, tmp_path: Path, call: Call) -> None:
    save(tmp_path / "out" / "000002.png")
    mine = contents(tmp_path / "out")
    code, stdout, stderr = call("sample", model, tmp_path / "out", "--count", 3, "--device", "cpu")
    assert code == 1 and "2 drawn by " in stdout and ", 1 failed, " in stdout
    assert stderr == "failed: 000002.png: the file exists and is none of these pictures; it was kept: choose another folder\n"
    assert contents(tmp_path / "out")["000002.png"] == mine["000002.png"]
    before = contents(tmp_path / "out")
    code, stdout, stderr = call("sample", model, tmp_path / "out", "--count", 3, "--seed", 5, "--device", "cpu", "--grid")
    assert code == 1 and stderr.count("was made with another model or other options; it was kept") == 2
    assert contents(tmp_path / "out") == before and "sheet" not in stdout


def test_grid_is_a_sheet_of_all_pictures_also_of_those_drawn_before(model: Path, tmp_path: Path, call: Call) -> None:
    call("sample", model, tmp_path / "resumed", "--count", 4, "--seed", 3, "--device", "cpu")
    for out in ("resumed", "at-once"):
        code, stdout, _ = call("sample", model, tmp_path / out, "--count", 9, "--seed", 3, "--grid", "--device", "cpu")
        assert code == 0 and stdout.endswith("sheet: grid-9.png\n")
    sheets = [np.asarray(load(tmp_path / out / "grid-9.png")) for out in ("resumed", "at-once")]
    assert np.array_equal(sheets[0], sheets[1])
    levels = {int(np.asarray(load(path))[0, 0, 0]) for path in (tmp_path / "at-once").glob("0*.png")}
    assert levels <= {int(level) for level in np.unique(sheets[0])}
    before = contents(tmp_path / "at-once")
    code, stdout, _ = call("sample", model, tmp_path / "at-once", "--count", 9, "--seed", 3, "--grid", "--device", "cpu")
    assert (code, contents(tmp_path / "at-once")) == (0, before) and stdout.startswith("0 drawn by ")


@pytest.mark.parametrize(("format", "suffix"), [("jpg", ".jpg"), ("webp", ".webp"), ("npy", ".npy")])
def test_files_have_the_format_asked_for(format: str, suffix: str, model: Path, tmp_path: Path, call: Call) -> None:
    assert call("sample", model, tmp_path / "out", "--count", 2, "--format", format, "--device", "cpu")[0] == 0
    assert sorted(contents(tmp_path / "out")) == [f"000001{suffix}", f"000002{suffix}"]


def test_pictures_say_that_a_model_made_them_whole(model: Path, tmp_path: Path, call: Call) -> None:
    call("sample", model, tmp_path / "out", "--count", 1, "--device", "cpu")
    with Image.open(tmp_path / "out" / "000001.png") as image:
        assert "trainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"] and "composite" not in image.info["XML:com.adobe.xmp"]


def test_labels_are_set_by_name(tmp_path: Path, call: Call) -> None:
    path = write_conditional(tmp_path / "labelled.onnx", [ModelInput("digit", "label", choices=("0", "1", "2"))], image=False)
    assert call("sample", path, tmp_path / "out", "--count", 1, "--set", "digit=2", "--device", "cpu")[0] == 0
    assert np.asarray(load(tmp_path / "out" / "000001.png"))[0, 0, 0] == 128
    for words, sentence in (
        ([], "expected one of 0, 1, 2 for the label digit, got none; add --set digit=0"),
        (["--set", "digit=7"], "expected one of 0, 1, 2 for digit, got '7'"),
        (["--set", "hair=2"], "expected a condition that this model takes (digit), got hair"),
    ):
        code, _, stderr = call("sample", path, tmp_path / "other", *words, "--device", "cpu")
        assert code == 2 and sentence in stderr and not (tmp_path / "other").exists()


def test_mistakes_are_one_sentence_and_exit_code_2(model: Path, tmp_path: Path, call: Call) -> None:
    images = write_onnx(tmp_path / "nearest.onnx", NEAREST)
    file = save(tmp_path / "file.png")
    for words, sentence in (
        ([], "expected a model and a folder, got neither; write: pixlate sample model.onnx out/"),
        ([images, tmp_path / "out"], f"which takes an image; write: pixlate convert photos/ out/ --model {images}"),
        ([model, file], "expected a folder for the pictures"),
        ([model, tmp_path / "out", "--count", 0], "expected --count from 1 to 999999, got 0"),
        ([model, tmp_path / "out", "--seed", -1], "expected --seed from 0"),
        ([model, tmp_path / "out", "--set", "seed=3"], "expected --seed for what is drawn from noise, got --set seed=3"),
        ([model, tmp_path / "out", "--quality", 0], "expected --quality from 1 to 100"),
        ([model, tmp_path / "out", "--format", "jpgg"], "expected a format of "),
        ([model, tmp_path / "out", "--mask", "masks"], "--mask"),
    ):
        code, _, stderr = call("sample", *words)
        assert code == 2 and sentence in stderr and stderr.count("\n") == 1, (words, stderr)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("more", [("{other}",), ("--layout", "side-by-side")])
def test_sampler_is_evaluated_on_one_folder_alone(more: tuple[str, ...], model: Path, tmp_path: Path, call: Call) -> None:
    save(tmp_path / "a" / "1.png")
    words = [word.format(other=tmp_path / "a") for word in more]
    code, _, stderr = call("evaluate", model, tmp_path / "a", *words, "--device", "cpu")
    assert code == 2 and f"expected one folder of pictures like those that {model} draws from noise, got " in stderr


def test_refusals_of_evaluating_a_sampler_name_what_it_can_have_and_each_folder_once(model: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "empty").mkdir()
    assert call("evaluate", model, tmp_path / "empty", "--device", "cpu")[2].count(str(tmp_path / "empty")) == 1
    save(tmp_path / "a" / "1.png")
    stderr = call("evaluate", model, tmp_path / "a", "--metrics", "psnr", "--device", "cpu")[2]
    assert "--metrics fid,kid" in stderr and "--metrics psnr" not in stderr


def test_what_takes_images_refuses_a_sampler_and_names_the_command(model: Path, tmp_path: Path, call: Call) -> None:
    photographs = save(tmp_path / "in" / "a.png").parent
    for words in (("convert", photographs, tmp_path / "out", "--model", model), ("serve", model, "--port", 0)):
        code, _, stderr = call(*words)
        assert code == 2 and "expected a model that takes an image" in stderr and f"write: pixlate sample {model} out/ --count 64" in stderr


def test_evaluate_compares_as_many_drawings_with_a_folder(tmp_path: Path, call: Call) -> None:
    model = write_conditional(tmp_path / "sampler.onnx", [Z], image=False, output_size=(8, 8))
    for index in range(12):  # grey squares of levels that are as those of the model, and of another size
        level = np.uint8(255 * np.clip(np.random.default_rng(index).standard_normal(), 0, 1))
        (tmp_path / "like").mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 24, 3), level)).save(tmp_path / "like" / f"{index}.png")
        (tmp_path / "unlike").mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (16, 24, 3), np.uint8)).save(tmp_path / "unlike" / f"{index}.png")
    found = {}
    for folder in ("like", "unlike"):
        code, stdout, stderr = call("evaluate", model, tmp_path / folder, "--json", "--device", "cpu")
        assert (code, stderr) == (0, "")
        found[folder] = json.loads(stdout)
        assert (found[folder]["layout"], found[folder]["images"], found[folder]["targets"]) == ("unpaired", 12, 12)
        assert list(found[folder]["metrics"]) == ["sliced-wasserstein"]
    distances = [found[folder]["metrics"]["sliced-wasserstein"]["value"] for folder in ("like", "unlike")]
    assert distances[0] < 0.5 * distances[1], distances
    code, _, stderr = call("evaluate", model, tmp_path / "like", "--metrics", "psnr", "--device", "cpu")
    assert code == 2 and "expected metrics among fid, kid, is, precision, recall, sliced-wasserstein, got 'psnr'" in stderr


def test_summary_for_programs(model: Path, tmp_path: Path, call: Call) -> None:
    save(tmp_path / "out" / "000001.png")
    code, stdout, stderr = call("sample", model, tmp_path / "out", "--count", 2, "--json", "--device", "cpu")
    found = json.loads(stdout)
    assert (code, stderr, found["drawn"], found["exit_code"], found["device"]) == (1, "", 1, 1, "cpu")
    assert found["failures"][0][0] == "000001.png"


def test_signal_ends_after_the_pictures_at_hand_and_the_same_command_continues(
    model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_command, "AT_ONCE", 2)
    draw = sample_command._Drawing._draw

    def interrupted(self: Any, journal: Any, number: int, pixels: Pixels) -> None:
        draw(self, journal, number, pixels)
        if number == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(sample_command._Drawing, "_draw", interrupted)
    code, stdout, stderr = call("sample", model, tmp_path / "out", "--count", 9, "--grid", "--device", "cpu")
    assert code == 130 and stderr == "stopped: interrupted; the same command continues\n" and stdout.startswith("4 drawn")
    assert len(contents(tmp_path / "out")) == 4
    monkeypatch.undo()


def test_fewer_are_drawn_at_once_where_memory_runs_out() -> None:
    sizes: list[int] = []

    class Small:
        spec, device = ModelSpec(inputs=(Z,), output_size=(4, 4)), "cpu"

        def __call__(self, pixels: Pixels | None, **given: Any) -> Pixels:
            assert pixels is None
            sizes.append(len(given["z"]))
            if sizes[-1] > self.most:
                raise OutOfDeviceMemory("full")
            return np.repeat(given["z"][:, :1].astype(np.uint8), 48, axis=1).reshape(-1, 4, 4, 3)

        def __init__(self, most: int) -> None:
            self.most = most

    noise: Sequence[dict[str, Any]] = [{"z": np.full(2, number, np.float32)} for number in range(10)]
    drawn = list(Sampler(Small(3))(noise))
    assert [int(pixels[0, 0, 0]) for pixels in drawn] == list(range(10))
    assert sizes == [10, 5, 2, 2, 2, 2, 2]
    with pytest.raises(PixlateError, match="the memory of cpu does not hold one picture"):
        list(Sampler(Small(0))(noise))
