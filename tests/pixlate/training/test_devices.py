"""Where training runs: refusals of devices that are not there, and processes that share each batch."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from tests.commands import Process

from pixlate.errors import PixlateError
from pixlate.options import TrainingOptions
from pixlate.training import devices, engine
from pixlate.training.checkpoint import load_checkpoint, newest
from pixlate.training.run import RunOptions, is_main_process
from pixlate.training.validation import Validation

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
Lines = Callable[..., list[dict[str, Any]]]
Start = Callable[..., Process]
PIXLATE = ["pixlate"]
TORCHRUN = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "pixlate"]
SHARED = {"steps": 3, "batch": 4, "norm": "none", "discriminator_norm": "none", "learning_rate": 1e-3, "dropout": 0.0, "channels_last": False}


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA works here")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_device_that_is_not_there_is_refused_and_nothing_written(device: str, make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=f"expected CUDA for --device {device}, but PyTorch .* finds none; run `pixlate doctor`, or use --device cpu"):
        fit(make_run(device=device), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("device", "count", "asked"), [("cuda:2", 1, "cuda:2"), ("cuda", 3, "cuda and --devices 3"), ("auto", 4, "auto and --devices 4")])
def test_gpu_of_a_number_that_is_not_there_is_refused(device: str, count: int, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(PixlateError, match=f"expected one of the 2 GPUs, counted from 0, got --device {asked}"):
        devices.open_fabric(TrainingOptions(device=device, devices=count, batch=12))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_device_that_is_there_is_used(device: str, make_run: MakeRun, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def validate(gan: object, data: object, device: torch.device, metrics: object) -> Validation:
        used.append(device.type)
        return Validation()

    monkeypatch.setattr(engine, "validate", validate)
    assert fit(make_run(device=device), tmp_path).finished
    assert used == ["cuda"]


class Apple:
    """In place of Fabric's: an Apple computer's GPU, there or not."""

    def __init__(self, there: bool) -> None:
        self.is_available = lambda: there


@pytest.mark.parametrize(("cuda", "apple", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_auto_takes_cuda_then_the_gpu_of_an_apple_computer_then_the_cpu(cuda: bool, apple: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Seen:
        def __init__(self, accelerator: str, **how: object) -> None:
            asked.append(accelerator)

        def launch(self) -> None:
            pass

    monkeypatch.setattr(devices, "Fabric", Seen)
    monkeypatch.setattr(devices, "MPSAccelerator", Apple(apple))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    devices.open_fabric(TrainingOptions(device="auto"))
    if apple:
        devices.open_fabric(TrainingOptions(device="mps", precision="auto"))
    assert asked == [expected, *(["mps"] if apple else [])]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precision": "bf16-mixed"}, "--precision 32-true on the GPU of an Apple computer, got bf16-mixed"),
        ({"precision": "16-mixed"}, "--precision 32-true on the GPU of an Apple computer, got 16-mixed"),
        ({"devices": 2}, "--devices 1 on the GPU of an Apple computer, got 2"),
        ({"compile": True}, "no --compile on the GPU of an Apple computer"),
    ],
)
@pytest.mark.parametrize("device", ["auto", "mps"])
def test_what_is_not_done_on_the_gpu_of_an_apple_computer_is_refused(
    device: str, options: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "MPSAccelerator", Apple(True))
    with pytest.raises(PixlateError, match=f"expected {sentence}.*; change it, or use --device cpu"):
        devices.open_fabric(TrainingOptions(device=device, **options))


def test_gpu_of_an_apple_computer_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "MPSAccelerator", Apple(False))
    with pytest.raises(PixlateError, match=r"expected the GPU of an Apple computer for --device mps, but PyTorch .* finds none; use --device cuda or cpu"):
        devices.open_fabric(TrainingOptions(device="mps"))


@pytest.mark.parametrize(
    ("error", "lacked"),
    [
        (NotImplementedError("The operator 'aten::_x' is not currently implemented for the MPS device. If you want this op to be"), "the operator aten::_x"),
        (TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. Please use"), "numbers of 64 bits"),
    ],
)
def test_what_pytorch_lacks_on_an_apple_computer_is_one_sentence(
    error: Exception, lacked: str, make_run: MakeRun, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(self: object, step: int) -> None:
        raise error

    monkeypatch.setattr("pixlate.training.trainer.Trainer.step", step)
    with pytest.raises(
        PixlateError, match=f"PyTorch .* lacks {lacked} on the GPU of an Apple computer.*; use --device cpu, or set PYTORCH_ENABLE_MPS_FALLBACK=1"
    ):
        fit(make_run(), tmp_path)
    assert devices.missing_operator(RuntimeError("another")) == devices.missing_operator(TypeError("expected a float64")) == ""


@pytest.mark.parametrize(
    ("environment", "options", "sentence"),
    [
        ({"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6"}, {"batch": 8}, "--batch to be a multiple of --accumulate times 6 processes, got 8"),
        ({"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}, {"batch": 12, "devices": 3}, "--devices 2, as many as torchrun started here, got 3; leave it out"),
    ],
)
def test_processes_of_torchrun_that_do_not_fit_the_options_are_refused(
    environment: dict[str, str], options: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PixlateError, match=re.escape(f"expected {sentence}")):
        devices.open_fabric(TrainingOptions(device="cpu", **options))


@pytest.mark.parametrize(("environment", "first"), [({}, True), ({"RANK": "0"}, True), ({"RANK": "3", "LOCAL_RANK": "0"}, False), ({"LOCAL_RANK": "1"}, False)])
def test_only_the_first_process_prints(environment: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_main_process() == first


def test_gradients_become_the_mean_over_processes() -> None:
    class Two:
        """Answers as two processes would, of which the other has gradients of 0."""

        world_size = 2

        def all_reduce(self, values: torch.Tensor, reduce_op: str) -> torch.Tensor:
            assert reduce_op == "mean"
            return values / 2

    parameters = [torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.arange(6.0).view(2, 3), torch.ones(4)
    devices.average_gradients(Two(), list(parameters))  # type: ignore[arg-type]
    assert torch.equal(parameters[0].grad, torch.arange(6.0).view(2, 3) / 2) and torch.equal(parameters[1].grad, torch.full((4,), 0.5))
    assert parameters[2].grad is None
    devices.average_gradients(Fabric(accelerator="cpu", devices=1), list(parameters))
    assert torch.equal(parameters[1].grad, torch.full((4,), 0.5)), "alone, nothing is done"


def arguments(options: RunOptions, run: Path) -> list[object]:
    """Return the command line of a run; it reads the options of a run folder written here."""
    folder = run.with_name(f"{run.name}-options")
    folder.mkdir()
    options.save(folder)
    return ["--config", folder / "options.toml", "train", options.method.name, "--out", run]


def require_same_weights(first: Path, second: Path) -> None:
    weights = [load_checkpoint(run).weights for run in (first, second)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-5, rtol=0, msg=lambda text, name=name: f"{name}: {text}")  # type: ignore[misc]


@pytest.mark.parametrize(("launcher", "count"), [pytest.param(PIXLATE, 2, id="devices"), pytest.param(TORCHRUN, 1, id="torchrun", marks=pytest.mark.slow)])
def test_two_processes_give_the_weights_of_one_on_the_whole_batch(
    launcher: list[str], count: int, make_run: MakeRun, fit: Fit, start: Start, lines: Lines, tmp_path: Path
) -> None:
    fit(make_run("pix2pix", **SHARED), tmp_path / "one")
    process = start(*launcher, *arguments(make_run("pix2pix", **SHARED, devices=count), tmp_path / "two"))
    _, printed = process.communicate(timeout=240)
    assert process.returncode == 0, printed
    assert printed.count("done: ") == 1
    require_same_weights(tmp_path / "one", tmp_path / "two")
    logs = [lines(tmp_path / name) for name in ("one", "two")]
    assert [(line["kind"], line["step"]) for line in logs[0]] == [(line["kind"], line["step"]) for line in logs[1]], "written once"
    for first, second in zip(*logs, strict=True):
        own = first.keys() - {"steps_per_second", "kind"}
        assert {name: second[name] for name in own} == pytest.approx({name: first[name] for name in own}, abs=1e-3)
    folder = newest(tmp_path / "two" / "checkpoints")
    assert folder is not None and folder.name == "step-00000003"


def test_signal_to_the_launcher_stops_all_processes_with_a_checkpoint(make_run: MakeRun, start: Start, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = make_run("pix2pix", **{**SHARED, "steps": 1_000_000, "checkpoint_every": 1_000_000, "validate_every": 1_000_000}, devices=2)
    process = start(*PIXLATE, *arguments(options, run))
    while not ((run / "log.jsonl").is_file() and (run / "log.jsonl").stat().st_size > 500):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, printed = process.communicate(timeout=240)
    assert process.returncode == 130, printed
    assert "stopped; resume with" in printed
    assert newest(run / "checkpoints") is not None
    with pytest.raises(ProcessLookupError):  # nobody of the group is left
        for _ in range(6000):  # a minute
            os.killpg(process.pid, 0)
            time.sleep(0.01)


def test_image_that_one_process_cannot_read_ends_all_processes_and_is_named(make_run: MakeRun, start: Start, photographs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    (folder / "001.png").write_bytes((folder / "001.png").read_bytes()[:-200])
    options = make_run("pix2pix", folders=(folder,), grey=True, **{**SHARED, "steps": 50, "batch": 2, "hold_out": 0}, devices=2)
    process = start(*PIXLATE, *arguments(options, tmp_path / "run"))
    _, printed = process.communicate(timeout=240)
    assert process.returncode not in (0, 130)
    assert f"pixlate: {folder / '001.png'}: " in printed, printed
