"""What plugins receive during training, and what they may add to it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import pixlate
from pixlate.plugin.entries import Plugin
from pixlate.plugin.manager import installed
from pixlate.training.engine import Progress, train
from pixlate.training.run import RunOptions


@pytest.fixture
def options(make_run: Callable[..., RunOptions]) -> RunOptions:
    return make_run(scale=4, hold_out=2, validate_every=2)


@pytest.fixture
def plugin() -> "Iterator[Listener]":
    listener = Listener()
    manager = installed().manager
    manager.register(listener, name="listener")
    installed().plugins.append(Plugin("listener", "listener", "1"))
    yield listener
    manager.unregister(listener)
    installed().plugins.pop()


class Listener:
    def __init__(self) -> None:
        self.losses: list[tuple[int, dict[str, float]]] = []
        self.shown: list[tuple[int, Sequence[pixlate.Sample]]] = []
        self.states: list[Mapping[str, Tensor]] = []

    @pixlate.hookimpl
    def pixlate_step_finished(self, step: int, losses: Mapping[str, float]) -> None:
        self.losses.append((step, dict(losses)))

    @pixlate.hookimpl
    def pixlate_epoch_finished(self, run: Path, step: int, samples: Sequence[pixlate.Sample]) -> None:
        assert (run / "options.toml").is_file()
        self.shown.append((step, samples))

    @pixlate.hookimpl
    def pixlate_metrics(self) -> Iterable[pixlate.Metric]:
        yield pixlate.Metric("mae", lambda output, target: float(np.abs(output.astype(float) - target).mean()), higher_is_better=False)

    @pixlate.hookimpl
    def pixlate_import_checkpoint(self, state: Mapping[str, Tensor]) -> pixlate.ForeignGenerator | None:
        self.states.append(state)
        if "everything" not in state:
            return None
        network = nn.Module()
        network.head = nn.Sequential(nn.Conv2d(3, 8, 3))
        network.load_state_dict({"head.0.bias": state["everything"].expand(8)}, strict=False)
        return pixlate.ForeignGenerator("everything", network, pixlate.ModelSpec())


def test_plugins_receive_the_losses_of_each_step(options: RunOptions, plugin: Listener, tmp_path: Path) -> None:
    logged: list[tuple[int, dict[str, float]]] = []
    train(options, tmp_path / "run", lambda progress: logged.append((progress.step, progress.losses)), print)
    assert [step for step, _ in plugin.losses] == [1, 2, 3, 4]
    assert plugin.losses == logged


def test_plugins_receive_the_held_out_images_after_each_validation(options: RunOptions, plugin: Listener, tmp_path: Path) -> None:
    train(options, tmp_path / "run", lambda progress: None, print)
    assert [(step, len(samples)) for step, samples in plugin.shown] == [(2, 2), (4, 2)]
    sample = plugin.shown[0][1][0]
    assert sample.source is not None
    assert (sample.source.shape, sample.output.shape, sample.target.shape) == ((12, 14, 3), (48, 56, 3), (48, 56, 3))
    assert sample.output.dtype == np.uint8


def test_metrics_of_plugins_are_measured_at_each_validation(options: RunOptions, plugin: Listener, tmp_path: Path) -> None:
    figures: list[dict[str, float]] = []
    train(options, tmp_path / "run", lambda progress: figures.append(progress.figures), print)
    samples = plugin.shown[-1][1]
    expected = np.mean([np.abs(sample.output.astype(float) - sample.target).mean() for sample in samples])
    assert figures[-1].keys() == {"psnr_luma", "mae"}
    assert figures[-1]["mae"] == pytest.approx(expected)
    assert '"mae"' in (tmp_path / "run/log.jsonl").read_text()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ""])
def test_weights_a_plugin_recognises_are_started_from(options: RunOptions, plugin: Listener, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"foreign{suffix}"
    state = {"everything": torch.tensor([7.0])}
    save_file(state, path) if suffix == ".safetensors" else torch.save({"params_ema": state, "params": {"everything": torch.tensor([6.0])}}, path)
    chosen = replace(options, training=replace(options.training, steps=1, learning_rate=1e-30, start_from=str(path)))
    seen: list[Progress] = []
    train(chosen, tmp_path / "run", seen.append, print)
    from pixlate.training.checkpoint import load_checkpoint

    weights = load_checkpoint(tmp_path / "run").weights
    assert torch.equal(weights["generators.source_to_target.head.0.bias"], torch.full((8,), 7.0))


def test_weights_that_no_plugin_recognises_are_refused_with_their_keys(options: RunOptions, tmp_path: Path) -> None:
    save_file({"strange.weight": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    chosen = replace(options, training=replace(options.training, start_from=str(tmp_path / "foreign.safetensors")))
    with pytest.raises(pixlate.PixlateError, match=r"no installed plugin recognises .*foreign\.safetensors \(strange\.weight"):
        train(chosen, tmp_path / "run", lambda progress: None, print)


def test_a_damaged_safetensors_file_is_refused(options: RunOptions, tmp_path: Path) -> None:
    (tmp_path / "foreign.safetensors").write_bytes(b"no weights")
    chosen = replace(options, training=replace(options.training, start_from=str(tmp_path / "foreign.safetensors")))
    with pytest.raises(pixlate.PixlateError, match=r"expected a safetensors file for --start-from"):
        train(chosen, tmp_path / "run", lambda progress: None, print)


@pytest.mark.parametrize(("content", "message"), [(None, "is not there; check its path"), (b"no weights", "is damaged or something else")])
def test_a_pth_file_that_holds_no_weights_is_refused(options: RunOptions, tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "foreign.pth"
    if content is not None:
        path.write_bytes(content)
    chosen = replace(options, training=replace(options.training, start_from=str(path)))
    with pytest.raises(pixlate.PixlateError, match=rf"expected a PyTorch file for --start-from, but .*foreign\.pth {message}"):
        train(chosen, tmp_path / "run", lambda progress: None, print)
