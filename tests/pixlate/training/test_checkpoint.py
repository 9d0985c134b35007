"""Checkpoints: there and back, whole or not at all, opened without running code."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from pixlate.errors import PixlateError
from pixlate.training.checkpoint import Checkpoint, keep_newest, newest, optimizer_state


def some_checkpoint(step: int) -> Checkpoint:
    torch.manual_seed(step)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters(), 1e-3, (0.5, 0.999))
    network(torch.rand(2, 3, 5, 5)).square().sum().backward()
    adam.step()
    weights = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    return Checkpoint(step, weights, {name: value * 2 for name, value in weights.items()}, {"generators": optimizer_state(adam)})


def test_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    saved = some_checkpoint(3)
    path = saved.save(tmp_path)
    loaded = Checkpoint.load(path)
    assert path == tmp_path / "step-00000003" and loaded.step == 3
    for first, second in ((saved.weights, loaded.weights), (saved.average, loaded.average)):
        assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    (group,) = loaded.optimizers["generators"]["param_groups"]
    assert group | {"betas": tuple(group["betas"])} == saved.optimizers["generators"]["param_groups"][0]
    for index, values in saved.optimizers["generators"]["state"].items():
        assert all(torch.equal(value, loaded.optimizers["generators"]["state"][index][name]) for name, value in values.items())


def test_checkpoint_is_safetensors_and_json_alone(tmp_path: Path) -> None:
    path = some_checkpoint(1).save(tmp_path)
    assert sorted(file.name for file in path.iterdir()) == ["average.safetensors", "optimizers.safetensors", "state.json", "weights.safetensors"]
    json.loads((path / "state.json").read_text())
    for file in path.glob("*.safetensors"):  # its header is JSON behind eight bytes of length
        content = file.read_bytes()
        json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def test_checkpoint_killed_while_it_was_written_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = some_checkpoint(1).save(tmp_path)

    def killed(*arguments: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("pixlate.training.checkpoint.os.fsync", killed)
        with pytest.raises(SystemExit):
            some_checkpoint(2).save(tmp_path)
    assert (tmp_path / ".step-00000002.part").is_dir()
    assert newest(tmp_path) == first
    third = some_checkpoint(3).save(tmp_path)
    assert sorted(tmp_path.iterdir()) == [first, third], "the leftover is swept away by the next checkpoint"


def test_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    some_checkpoint(5).save(tmp_path)
    other = some_checkpoint(6)
    path = Checkpoint(5, other.weights, other.average, other.optimizers).save(tmp_path)
    assert torch.equal(Checkpoint.load(path).weights["0.weight"], other.weights["0.weight"])


def test_newest_is_the_one_of_most_steps_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    assert newest(tmp_path / "missing") is None
    for step in (900, 99_999, 100_000):
        some_checkpoint(step).save(tmp_path)
    assert newest(tmp_path) == tmp_path / "step-00100000"
    keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00099999", "step-00100000"]


@pytest.mark.parametrize("name", ["average.safetensors", "optimizers.safetensors", "state.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise", "other"])
def test_damaged_checkpoint_is_refused_with_its_folder(name: str, damage: str, tmp_path: Path) -> None:
    path = some_checkpoint(1).save(tmp_path)
    content = (path / name).read_bytes()
    if damage == "missing":
        (path / name).unlink()
    else:
        (path / name).write_bytes({"empty": b"", "cut": content[:-20], "noise": b"\xff" * len(content), "other": b"[1, 2]"}[damage])
    with pytest.raises(PixlateError, match=r"step-00000001, but it cannot be read \(.*\); remove that folder to use the one before"):
        Checkpoint.load(path)
