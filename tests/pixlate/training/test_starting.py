"""Weights of another run are taken over where they fit, and refused where none does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pixlate.errors import PixlateError
from pixlate.training.checkpoint import load_checkpoint, newest
from pixlate.training.run import RunOptions
from pixlate.training.starting import take_over, weights_to_start_from

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]


def test_body_of_x2_is_taken_over_into_x4(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(tail="direct", average_decay=0.9, learning_rate=1e-2), tmp_path / "x2")
    fit(make_run(scale=4, tail="direct", patch=6, steps=1, learning_rate=1e-12, average_decay=0.0, start_from=str(tmp_path / "x2")), tmp_path / "x4")
    small, large = load_checkpoint(tmp_path / "x2").average, load_checkpoint(tmp_path / "x4").weights
    same = {name for name in small if small[name].shape == large[name].shape}
    assert {name.split(".")[2] for name in same} == {"head", "body"}
    assert {name.split(".")[2] for name in small.keys() - same} == {"tail"}
    assert all(torch.allclose(small[name], large[name], atol=1e-9) for name in same)
    folder = newest(tmp_path / "x2" / "checkpoints")
    assert folder is not None
    assert torch.equal(load_checkpoint(folder).average["generators.source_to_target.head.0.weight"], small["generators.source_to_target.head.0.weight"])


def test_what_is_not_taken_over_is_named(make_run: MakeRun) -> None:
    def build(**options: Any) -> Any:
        run = make_run(**options)
        return run.method.build(run.method_options)

    before = build(tail="direct", blocks=2)
    assert take_over(build(tail="direct", blocks=2), before.state_dict()) == f"took over {len(before.state_dict())} of {len(before.state_dict())} tensors"
    generator = "generators.source_to_target"
    assert take_over(build(scale=4, tail="direct", blocks=1), before.state_dict()) == (
        f"took over 6 of 8 tensors (of another shape there: {generator}.tail.0.weight, {generator}.tail.0.bias; left out, as this network has none: "
        f"{generator}.body.1.layers.0.weight, {generator}.body.1.layers.0.bias, {generator}.body.1.layers.2.weight and 1 more)"
    )
    said = take_over(build(scale=4, tail="staged", blocks=3), before.state_dict())
    assert f"not there: {generator}.body.2.layers.0.weight" in said and f"left out, as this network has none: {generator}.tail.0.weight" in said


@pytest.mark.parametrize("inside", [[], ["notes.txt"], ["checkpoints/notes.txt"]], ids=str)
def test_a_folder_without_weights_does_not_hide_a_ready_model(inside: list[str], make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gan = make_run().method.build(make_run().method_options)
    expected = weights_to_start_from("upscale-x2", gan)
    for path in map(Path, ["upscale-x2/none", *(f"upscale-x2/{name}" for name in inside)]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = weights_to_start_from("upscale-x2", gan)
    assert found.keys() == expected.keys()


def test_a_run_that_is_called_like_a_ready_model_is_the_run(make_run: MakeRun, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fit(make_run(steps=1), Path("upscale-x2"))
    gan = make_run().method.build(make_run().method_options)
    assert weights_to_start_from("upscale-x2", gan).keys() == load_checkpoint(Path("upscale-x2")).average.keys()


@pytest.mark.parametrize(
    ("start", "advice"),
    [
        ("upscale-x3", "did you mean upscale-x"),
        ("Upscale-X2", "did you mean upscale-x2"),
        ("photo-x@1", "did you mean photo-x4"),
        ("qqqqqq", "check its path, or see `pixlate models`"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_near(start: str, advice: str, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gan = make_run().method.build(make_run().method_options)
    with pytest.raises(PixlateError, match=f"expected a run, a checkpoint, a ready model or a file of weights .* got '{start}', which is not there; {advice}"):
        weights_to_start_from(start, gan)


def test_starting_from_weights_of_another_network_is_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    gan = make_run().method.build(make_run().method_options)
    with pytest.raises(PixlateError, match="no tensor has a matching name and shape; check --start-from"):
        take_over(gan, {"generators.source_to_target.head.0.weight": torch.zeros(1), "other": torch.zeros(3)})
    with pytest.raises(PixlateError, match=r"expected a run or a checkpoint with weights, got .*/missing; name the folder given to --out"):
        fit(make_run(start_from=str(tmp_path / "missing")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
