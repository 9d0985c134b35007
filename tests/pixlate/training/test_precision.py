"""What ``--precision auto`` chooses, and that a run says it, saves it and keeps it."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.runs.folder import OPTIONS
from pixlate.training import precision
from pixlate.training.engine import train
from pixlate.training.precision import suited
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
Digests = Callable[[Path], dict[str, str]]
Cpu = Callable[[float], None]
METHODS = installed().offered(Method)


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function after which convolutions in bfloat16 seem to be so many times as fast as in 32 bits, by the clock."""

    def gains(times: float) -> None:
        clock = 0.0

        def convolve(images: torch.Tensor, weights: torch.Tensor, dtype: torch.dtype) -> None:
            nonlocal clock
            clock += 1.0 if dtype == torch.bfloat16 else times

        monkeypatch.setattr(precision, "_convolve", convolve)
        monkeypatch.setattr(precision, "time", SimpleNamespace(thread_time=lambda: clock))

    return gains


def saved(run: Path) -> tuple[str, bool]:
    """Return precision and memory layout as the file in the run folder has them."""
    ((_, table),) = tomllib.loads((run / OPTIONS).read_text())["train"].items()
    return table["precision"], table["channels_last"]


@pytest.mark.parametrize(
    ("times", "expected", "said"),
    [
        (4.0, ("bf16-mixed", True), "bf16-mixed with --channels-last: a convolution in bfloat16 is 4.0 times as fast on this CPU"),
        (1.0, ("32-true", False), "32-true: a convolution in bfloat16 is 1.0 times as fast on this CPU"),
        (0.25, ("32-true", False), "32-true: a convolution in bfloat16 is 0.2 times as fast on this CPU"),
    ],
)
def test_auto_is_bfloat16_where_the_cpu_gains_by_it_and_the_run_says_and_saves_it(
    times: float, expected: tuple[str, bool], said: str, cpu: Cpu, make_run: MakeRun, tmp_path: Path
) -> None:
    cpu(times)
    lines: list[str] = []
    assert train(make_run(precision="auto", hold_out=0), tmp_path, lambda progress: None, pytest.fail, tell=lines.append)
    assert saved(tmp_path) == expected
    assert lines[0] == f"--precision auto is {said}; the run keeps this"
    assert lines[-1].endswith(f"cpu, {expected[0]}")


@pytest.mark.skipif(not (hasattr(torch.cpu, "get_capabilities") and torch.cpu.get_capabilities().get("amx_bf16")), reason="needs a CPU with AMX")
def test_cpu_with_amx_gains_by_bfloat16() -> None:
    state = torch.get_rng_state()
    assert suited(torch.device("cpu"))[0] == {"precision": "bf16-mixed", "channels_last": True}
    assert torch.equal(torch.get_rng_state(), state), "no random number is drawn"


def test_auto_is_32_bits_on_the_gpu_of_an_apple_computer() -> None:
    changes, said = suited(torch.device("mps"))
    assert changes == {"precision": "32-true"}
    assert said == "--precision auto is 32-true: nothing else is used on the GPU of an Apple computer; the run keeps this"


def test_auto_leaves_a_memory_layout_that_was_asked_for(cpu: Cpu, make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    cpu(1.0)
    fit(make_run(precision="auto", channels_last=True), tmp_path)
    assert saved(tmp_path) == ("32-true", True)


def test_nothing_is_chosen_where_a_precision_is_named(cpu: Cpu, make_run: MakeRun, tmp_path: Path) -> None:
    cpu(4.0)
    lines: list[str] = []
    train(make_run(precision="32-true", hold_out=0), tmp_path, lambda progress: None, pytest.fail, tell=lines.append)
    assert saved(tmp_path) == ("32-true", False) and not any("auto" in line for line in lines)


@pytest.mark.parametrize("method", ["srgan", "pix2pix"])
def test_auto_trains_as_what_it_chose_does_by_name(method: str, cpu: Cpu, make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path) -> None:
    cpu(4.0)
    fit(make_run(method, precision="auto"), tmp_path / "auto")
    fit(make_run(method, precision="bf16-mixed", channels_last=True), tmp_path / "named")
    assert digests(tmp_path / "auto") == digests(tmp_path / "named")


def test_resumed_run_keeps_what_it_chose_on_a_machine_that_would_choose_otherwise(
    cpu: Cpu, make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path
) -> None:
    cpu(4.0)
    options = make_run(precision="auto", steps=6, checkpoint_every=2)
    fit(options, tmp_path / "undisturbed")
    fit(options, tmp_path / "crashed", crash=3)
    cpu(1.0)
    lines: list[str] = []
    resumed = RunOptions.load(tmp_path / "crashed", METHODS)
    assert train(resumed, tmp_path / "crashed", lambda progress: None, pytest.fail, resume=True, tell=lines.append)
    assert digests(tmp_path / "crashed") == digests(tmp_path / "undisturbed")
    assert lines[0].endswith("cpu, bf16-mixed") and not any("auto" in line for line in lines)


def test_auto_written_into_the_options_of_a_run_is_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(checkpoint_every=2), tmp_path, crash=2)
    path = tmp_path / OPTIONS
    path.write_text(path.read_text().replace('precision = "32-true"', 'precision = "auto"'))
    with pytest.raises(PixlateError, match=r"precision was '32-true' and is 'auto'; undo this in"):
        fit(RunOptions.load(tmp_path, METHODS), tmp_path, resume=True)


@pytest.mark.parametrize(("native", "expected"), [(True, {"precision": "bf16-mixed", "channels_last": True}), (False, {"precision": "32-true"})])
def test_gpu_that_only_emulates_bfloat16_trains_in_32_bits(native: bool, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    changes, said = suited(torch.device("cuda"))
    assert changes == expected and "this GPU" in said


def test_compile_without_a_compiler_is_refused_before_anything_is_written(make_run: MakeRun, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    with (
        config.patch({"cpp.cxx": (None, "no-such-compiler"), "fx_graph_cache": False}),
        pytest.raises(PixlateError, match=r"expected torch.compile to work for --compile, got .*No working C\+\+ compiler.*install .*, or leave out --compile"),
    ):
        fit(make_run(compile=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()
