"""Checkpoints: there and back, whole or not at all, opened without running code."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from pixlate.errors import PixlateError
from pixlate.training.checkpoint import Checkpoint, best, keep_newest, load_newest, mark_best, newest, optimizer_state

FILES = ["average.safetensors", "checksums.json", "optimizers.safetensors", "pool.safetensors", "state.json", "weights.safetensors"]


def some_checkpoint(step: int) -> Checkpoint:
    torch.manual_seed(step)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters(), 1e-3, (0.5, 0.999))
    network(torch.rand(2, 3, 5, 5)).square().sum().backward()
    adam.step()
    weights = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    average = {name: value * 2 for name, value in weights.items()}
    return Checkpoint(step, weights, average, {"generators": optimizer_state(adam)}, {"pair": torch.rand(2, 6, 4, 4)}, {"monitor": {"step": step}})


def test_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    saved = some_checkpoint(3)
    path = saved.save(tmp_path)
    loaded = Checkpoint.load(path)
    assert path == tmp_path / "step-00000003" and loaded.step == 3
    assert loaded.state == {"monitor": {"step": 3}}
    for first, second in ((saved.weights, loaded.weights), (saved.average, loaded.average), (saved.pool, loaded.pool)):
        assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    (group,) = loaded.optimizers["generators"]["param_groups"]
    assert group | {"betas": tuple(group["betas"])} == saved.optimizers["generators"]["param_groups"][0]
    for index, values in saved.optimizers["generators"]["state"].items():
        assert all(torch.equal(value, loaded.optimizers["generators"]["state"][index][name]) for name, value in values.items())


def test_checkpoint_is_safetensors_and_json_alone(tmp_path: Path) -> None:
    path = some_checkpoint(1).save(tmp_path)
    assert sorted(file.name for file in path.iterdir()) == FILES
    for file in path.glob("*.json"):
        json.loads(file.read_text())
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


def test_best_checkpoint_is_kept_whatever_its_age(tmp_path: Path) -> None:
    assert best(tmp_path) is None
    for step in range(1, 6):
        some_checkpoint(step).save(tmp_path)
        if step in (1, 2):
            mark_best(tmp_path, {"step": step, "metric": "psnr_luma", "value": 20.0 + step})
        keep_newest(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.json", "step-00000002", "step-00000005"]
    assert best(tmp_path) == tmp_path / "step-00000002"
    assert json.loads((tmp_path / "best.json").read_text()) == {"step": 2, "metric": "psnr_luma", "value": 22.0}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise", "other", "bit"])
def test_damaged_checkpoint_is_refused_with_its_folder(name: str, damage: str, tmp_path: Path) -> None:
    path = some_checkpoint(1).save(tmp_path)
    damage_file(path / name, damage)
    with pytest.raises(PixlateError, match=r"expected a checkpoint in .*step-00000001, but it cannot be read \(.*\); name another one"):
        Checkpoint.load(path)


@pytest.mark.parametrize("place", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
@pytest.mark.parametrize("name", FILES)
def test_single_bit_that_was_flipped_is_found(name: str, place: float, tmp_path: Path) -> None:
    path = some_checkpoint(1).save(tmp_path)
    content = bytearray((path / name).read_bytes())
    content[int(place * len(content))] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(PixlateError, match="cannot be read"):
        Checkpoint.load(path)


def test_damaged_checkpoints_are_put_aside_and_the_newest_whole_one_is_loaded(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        path = some_checkpoint(step).save(tmp_path)
        if step > 1:
            damage_file(path / "weights.safetensors", "bit")
    checkpoint, sentences = load_newest(tmp_path)
    assert checkpoint.step == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged-step-00000002", "damaged-step-00000003", "step-00000001"]
    for step, sentence in zip((3, 2), sentences, strict=True):
        assert re.fullmatch(
            rf"weights.safetensors does not have its checksum: .*step-{step:08} is damaged and was put aside as damaged-step-{step:08}; "
            "the checkpoint before it is used",
            sentence,
        )


def test_only_damaged_checkpoints_count_as_no_checkpoint(tmp_path: Path) -> None:
    damage_file(some_checkpoint(1).save(tmp_path) / "state.json", "cut")
    with pytest.raises(PixlateError, match=r"expected a checkpoint in .*, found none but damaged ones \(.*step-00000001 is damaged"):
        load_newest(tmp_path)


def damage_file(path: Path, damage: str) -> None:
    content = path.read_bytes()
    flipped = content[:-3] + bytes([content[-3] ^ 4]) + content[-2:]
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": content[:-20], "noise": b"\xff" * len(content), "other": b"[1, 2]", "bit": flipped}[damage])


def test_full_disk_leaves_the_checkpoint_before_and_says_so_in_a_sentence(tmp_path: Path) -> None:
    """A file may not grow past some size, which is what a full disk does to a write."""
    script = """
        import resource, signal, sys
        from pathlib import Path
        import torch
        from pixlate.errors import PixlateError
        from pixlate.training.checkpoint import Checkpoint, load_newest

        folder = Path(sys.argv[1])
        small, large = ({"weight": torch.rand(size)} for size in (10, 100_000))
        Checkpoint(1, small, small, {}).save(folder)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            Checkpoint(2, large, large, {}).save(folder)
        except PixlateError as error:
            print(error)
        print(load_newest(folder)[0].step, sorted(path.name for path in folder.iterdir()))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    sentence, left = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.splitlines()
    assert re.fullmatch(
        r"the checkpoint .*step-00000002 cannot be written \(.*\); those before are kept: make room, then `pixlate train --resume .*`, or begin again where there is none yet",
        sentence,
    )
    assert left == "1 ['step-00000001']"
