"""Runs that were interrupted end as if they had not been."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pixlate.errors import PixlateError
from pixlate.training.checkpoint import Checkpoint, best, load_checkpoint, newest
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
Digests = Callable[[Path], dict[str, str]]
Lines = Callable[..., list[dict[str, Any]]]
TWO_STAGES = {"stages": None, "patch": 10, "perceptual_weight": 0.0, "second_pixel_weight": 1.0, "discriminator_channels": 4, "pixel_share": 0.4}
RUNS: list[tuple[str, dict[str, Any]]] = [
    ("srgan", {}),
    ("srgan", {"network": "srresnet", "average_decay": 0.9}),
    ("srgan", {"tail": "direct", "precision": "bf16-mixed", "gradient_clip": 0.01, "blocks": 2}),
    ("srgan", {"optimizer": "adamw", "weight_decay": 0.1}),
    ("srgan", {"optimizer": "lion", "weight_decay": 0.1}),
    ("srgan", {"blur": 1.0, "noise": 5.0, "jpeg": 50, "rescale": (1.0, 0.7), "patch": 8}),
    ("srgan", {**TWO_STAGES, "spectral_norm": True, "generator_every": 2, "precision": "16-mixed"}),
    ("srgan", {**TWO_STAGES, "pool": 3, "augment": ("color", "translation"), "grow_from": None, "accumulate": 2}),
    ("pix2pix", {"pool": 3, "depth": 5, "dropout": 0.5, "average_decay": 0.9}),
    ("pix2pix", {"augment": ("color", "translation", "cutout"), "accumulate": 2, "pool": 2}),
    ("pix2pix", {"schedule": "plateau", "patience": 1, "decay": 0.5, "learning_rate": 1e-2, "validate_every": 2}),
    ("pix2pix", {"grow_from": 16, "pool": 2, "discriminator_layers": 1}),
    ("pix2pix", {"spectral_norm": True, "discriminator_norm": "none", "objective": "hinge", "discriminator_learning_rate": 1e-3}),
    ("pix2pix", {"precision": "16-mixed", "schedule": "cosine", "periods": 3, "warm_up": 3}),
    ("cyclegan", {"pool": 3, "dropout": 0.4, "average_decay": 0.9, "generator_every": 2}),
    ("cyclegan", {"objective": "wasserstein", "gradient_penalty": 10.0, "pool": None}),
    ("cut", {"accumulate": 2}),
    ("stargan", {"pool": 3, "augment": ("color",), "accumulate": 2}),
    ("stargan", {"precision": "16-mixed", "optimizer": "lion", "generator_every": 2}),
    ("cut", {"nce_weight": 10.0, "identity_nce": False, "flip_equivariance": True}),
    ("inpaint", {"pool": 3, "augment": ("translation",), "average_decay": 0.9}),
    ("dcgan", {"average_decay": 0.9, "pool": 2}),
    ("dcgan", {"grow_from": 8, "patch": 32, "resize": 40, "precision": "bf16-mixed", "augment": ("color", "translation")}),
    ("dcgan", {"objective": "wasserstein", "gradient_penalty": 10.0, "discriminator_norm": "none", "generator_every": 2, "accumulate": 2}),
    ("pix2pix", {"historical_averaging": 1.0, "instance_noise": 0.2, "beta_end": 0.5, "schedule": "cosine", "schedule_end": 0.2}),
    ("cyclegan", {"pool": 0, "unroll": 2, "minibatch": "discrimination"}),
    (
        "cyclegan",
        {"generator": "r3gan", "discriminator": ("r3gan",), "objective": "relativistic", "r1": 1.0, "r2": 1.0, "penalty_end": 0.1, "pool": 0},
    ),
    ("cyclegan", {"r1": 1.0, "r2": 1.0, "objective": "relativistic", "precision": "bf16-mixed"}),
]


@pytest.mark.parametrize(("method", "changes"), RUNS, ids=[f"{method}-{'-'.join(changes)}" for method, changes in RUNS])
def test_run_that_crashed_and_was_resumed_ends_bit_equal(
    method: str, changes: dict[str, Any], make_run: MakeRun, fit: Fit, digests: Digests, lines: Lines, tmp_path: Path
) -> None:
    options = make_run(method, steps=9, **{"validate_every": 4, "checkpoint_every": 2, "log_every": 3, **changes})
    assert fit(options, tmp_path / "undisturbed").finished
    first = random.randint(2, 8)
    second = random.randint(first, 9)
    fit(options, tmp_path / "crashed", crash=first)
    torch.rand(17)  # the state of the global generator is another one
    if second < 9:
        fit(options, tmp_path / "crashed", crash=second if second > first // 2 * 2 else first + 1, resume=True)
    assert fit(options, tmp_path / "crashed", resume=True).finished
    assert digests(tmp_path / "crashed") == digests(tmp_path / "undisturbed"), f"crashed at {first} and {second}"
    logs = [[line | {"steps_per_second": 0} for line in lines(tmp_path / name)] for name in ("crashed", "undisturbed")]
    assert logs[0] == logs[1]


def test_finished_run_resumed_has_nothing_to_do(make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path) -> None:
    fit(make_run(), tmp_path)
    before = digests(tmp_path)
    resumed = fit(make_run(), tmp_path, resume=True)
    assert resumed.finished and resumed.progress == [] and digests(tmp_path) == before


def test_partly_written_checkpoint_is_ignored(make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path) -> None:
    options = make_run(checkpoint_every=2)
    fit(options, tmp_path / "undisturbed")
    fit(options, tmp_path / "crashed", crash=2)
    part = tmp_path / "crashed" / "checkpoints" / ".step-00000004.part"
    part.mkdir()
    (part / "weights.safetensors").write_bytes(b"half")
    fit(options, tmp_path / "crashed", resume=True)
    assert digests(tmp_path / "crashed") == digests(tmp_path / "undisturbed") and not part.exists()


@pytest.fixture(scope="module")
def undisturbed(make_run: MakeRun, fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of eight steps with checkpoints at 4, 6 and 8, of which the one of step 6 and what is older can be taken."""
    run = tmp_path_factory.mktemp("undisturbed")
    fit(make_run("pix2pix", steps=8, checkpoint_every=2, keep=3, pool=2), run)
    return run


@pytest.mark.parametrize("file", ["weights.safetensors", "average.safetensors", "optimizers.safetensors", "pool.safetensors", "state.json", "checksums.json"])
def test_damaged_newest_checkpoint_is_reported_and_the_run_resumes_from_the_one_before(
    file: str, undisturbed: Path, make_run: MakeRun, fit: Fit, digests: Digests, lines: Lines, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    path = run / "checkpoints" / "step-00000008" / file
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    resumed = fit(make_run("pix2pix", steps=8, checkpoint_every=2, keep=3, pool=2), run, resume=True)
    assert [progress.step for progress in resumed.progress] == [7, 8]
    (message,) = resumed.warnings
    assert "step-00000008 is damaged and was put aside as damaged-step-00000008; the checkpoint before it is used" in message
    assert {line["message"] for line in lines(run, "warning")} == {message}
    assert digests(run) == digests(undisturbed)
    assert (run / "checkpoints" / "damaged-step-00000008").is_dir()


def test_run_that_keeps_one_checkpoint_has_none_left_when_it_is_damaged(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    options = make_run(keep=1, checkpoint_every=1, hold_out=0)
    fit(options, tmp_path)
    folder = newest(tmp_path / "checkpoints")
    assert folder is not None and [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000004"]
    (folder / "average.safetensors").write_bytes(b"damaged")
    with pytest.raises(PixlateError, match=r"expected a checkpoint in .*checkpoints, found none but damaged ones .*; start the run again with another --out"):
        fit(options, tmp_path, resume=True)


def test_run_without_checkpoint_cannot_be_resumed(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected a checkpoint in .*, found none; start the run again"):
        fit(make_run(), tmp_path, resume=True)


def test_resuming_with_other_options_is_refused_and_lists_them(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(), tmp_path)
    with pytest.raises(PixlateError, match=r"expected the options that .* was trained with, but channels was 8 and is 5; learning_rate was 0.0001 and is 0.5"):
        fit(make_run(channels=5, learning_rate=0.5), tmp_path, resume=True)
    with pytest.raises(PixlateError, match="method was 'srgan' and is 'pix2pix'"):
        fit(make_run("pix2pix"), tmp_path, resume=True)


def test_weights_of_another_network_are_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(), tmp_path)
    folder = newest(tmp_path / "checkpoints")
    assert folder is not None
    checkpoint = Checkpoint.load(folder)
    replace(checkpoint, weights={f"{name}.other": value for name, value in checkpoint.weights.items()}).save(folder.parent)
    with pytest.raises(PixlateError, match="holds those of another network; undo the change of its options"):
        fit(make_run(), tmp_path, resume=True)


def test_options_that_change_no_weight_may_be_changed(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(steps=6), tmp_path / "undisturbed")
    fit(make_run(steps=6, checkpoint_every=2), tmp_path / "run", crash=3)
    changed = make_run(steps=6, checkpoint_every=1, keep=3, log_every=2, workers=2, cache=0, hold_out=1)
    assert fit(changed, tmp_path / "run", resume=True).finished
    states = [load_checkpoint(tmp_path / name).weights for name in ("undisturbed", "run")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_loss_scale_is_kept(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run("pix2pix", precision="16-mixed"), tmp_path)
    scaler = load_checkpoint(tmp_path).state["scaler"]
    assert scaler["scale"] > 1 and scaler["_growth_tracker"] <= 4


def test_best_checkpoint_is_kept_by_the_chosen_metric(make_run: MakeRun, fit: Fit, lines: Lines, tmp_path: Path) -> None:
    for metric, choose in (("sliced_wasserstein", min), ("luma_correlation", max)):
        run = tmp_path / metric
        fit(make_run("cyclegan", steps=8, validate_every=1, keep=1, best=metric, learning_rate=3e-3), run)
        values = {line["step"]: line[metric] for line in lines(run, "validation")}
        marked = json.loads((run / "checkpoints" / "best.json").read_text())
        assert marked["metric"] == metric and values[marked["step"]] == choose(values.values())
        names = sorted(path.name for path in (run / "checkpoints").glob("step-*"))
        assert names == sorted({f"step-{marked['step']:08}", "step-00000008"})
        assert load_checkpoint(run, of_best=True).step == marked["step"] and load_checkpoint(run).step == 8


def test_best_survives_a_crash(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    options = make_run("pix2pix", steps=8, validate_every=1, keep=1, checkpoint_every=2, learning_rate=2e-2)
    fit(options, tmp_path / "undisturbed")
    fit(options, tmp_path / "crashed", crash=5)
    fit(options, tmp_path / "crashed", resume=True)
    marks = [(tmp_path / name / "checkpoints" / "best.json").read_text() for name in ("undisturbed", "crashed")]
    assert marks[0] == marks[1]
    folders = [best(tmp_path / name / "checkpoints") for name in ("undisturbed", "crashed")]
    assert all(folder is not None and folder.is_dir() for folder in folders)


def test_best_of_a_run_that_never_validated_is_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(hold_out=0), tmp_path)
    with pytest.raises(PixlateError, match="has no best checkpoint; leave out --best"):
        load_checkpoint(tmp_path, of_best=True)


def test_full_disk_stops_the_run_and_keeps_the_checkpoint_before(make_run: MakeRun, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = Checkpoint._write, []

    def full(self: Checkpoint, part: Path) -> None:
        calls.append(part)
        if len(calls) == 2:
            (part / "weights.safetensors").write_bytes(b"half")
            raise OSError(28, "No space left on device")
        write(self, part)

    options = make_run(steps=6, checkpoint_every=2, hold_out=0)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "_write", full)
        with pytest.raises(PixlateError, match=r"step-00000004 cannot be written .*No space left.*; those before are kept: make room"):
            fit(options, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full" / "checkpoints").iterdir()] == ["step-00000002"]
    assert fit(options, tmp_path / "full", resume=True).finished
    fit(options, tmp_path / "undisturbed")
    states = [load_checkpoint(tmp_path / name).weights for name in ("undisturbed", "full")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_run_is_not_resumed_on_other_images(make_run: MakeRun, fit: Fit, photographs: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    shutil.copytree(photographs, images)
    options = make_run(folders=(images,), checkpoint_every=2)
    fit(options, tmp_path / "run", crash=2)
    shutil.copyfile(next(images.iterdir()), images / "zzz.png")
    with pytest.raises(PixlateError, match=r"expected the same images as before in .*images, but files were added, removed or renamed"):
        fit(options, tmp_path / "run", resume=True)


def test_images_may_have_moved_when_a_run_is_resumed(make_run: MakeRun, fit: Fit, digests: Digests, photographs: Path, tmp_path: Path) -> None:
    fit(make_run(checkpoint_every=2), tmp_path / "undisturbed")
    shutil.copytree(photographs, tmp_path / "before")
    fit(make_run(folders=(tmp_path / "before",), checkpoint_every=2), tmp_path / "run", crash=3)
    (tmp_path / "before").rename(tmp_path / "after")
    fit(make_run(folders=(tmp_path / "after",), checkpoint_every=2), tmp_path / "run", resume=True)
    ours, theirs = digests(tmp_path / "run"), digests(tmp_path / "undisturbed")
    assert ours["weights.safetensors"] == theirs["weights.safetensors"] and ours["optimizers.safetensors"] == theirs["optimizers.safetensors"]


def test_best_checkpoint_is_known_after_a_crash_before_it_was_noted(make_run: MakeRun, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = make_run(steps=8, validate_every=2, checkpoint_every=100, keep=1, learning_rate=1e-2)
    fit(options, tmp_path / "undisturbed")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pixlate.training.engine.mark_best", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(options, tmp_path / "run")
    fit(options, tmp_path / "run", resume=True)
    noted = [json.loads((tmp_path / name / "checkpoints" / "best.json").read_text()) for name in ("run", "undisturbed")]
    assert noted[0] == noted[1] and best(tmp_path / "run" / "checkpoints") is not None


def test_folder_that_another_process_trains_into_is_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    from pixlate.training.run import hold

    fit(make_run(checkpoint_every=2), tmp_path, crash=2)
    with hold(tmp_path), pytest.raises(PixlateError, match=r"another process is training into .*; wait for it, or stop it first"):
        fit(make_run(checkpoint_every=2), tmp_path, resume=True)
    assert fit(make_run(checkpoint_every=2), tmp_path, resume=True).finished


def test_full_disk_under_the_log_is_one_sentence(make_run: MakeRun, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixlate.training.run import Log

    def full(*_: object, **values: object) -> None:
        raise OSError(28, "No space left on device")

    fit(make_run(checkpoint_every=2), tmp_path, crash=2)
    with monkeypatch.context() as patch:
        patch.setattr(Log, "write", full)
        with pytest.raises(PixlateError, match=r"cannot be written \(No space left on device\); its checkpoints are kept: make room"):
            fit(make_run(checkpoint_every=2), tmp_path, resume=True)
    assert fit(make_run(checkpoint_every=2), tmp_path, resume=True).finished


@pytest.mark.parametrize("state", [{}, {"options": [], "names": "", "best": None}, {"options": {}, "names": "", "best": 3}])
def test_invalid_optimiser_state_is_refused_in_one_sentence(state: dict[str, Any], make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    fit(make_run(checkpoint_every=2), tmp_path, crash=2)
    whole = load_checkpoint(tmp_path)
    replace(whole, state=state).save(tmp_path / "checkpoints")
    with pytest.raises(PixlateError, match=r"expected the (state|options)"):
        fit(make_run(checkpoint_every=2), tmp_path, resume=True)


def test_pools_of_two_processes_are_both_kept(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    from lightning_fabric import Fabric

    from pixlate.training.trainer import Trainer

    options = make_run("cyclegan", steps=3, pool=2)
    trainer = Trainer(options, Fabric(accelerator="cpu", devices=1))
    for step in range(2):
        trainer.step(step)
    other = {name: 1 - images for name, images in trainer.pool.state().items()}
    checkpoint = trainer.checkpoint(2, [trainer.pool.state(), other], {})
    again = Trainer(options, Fabric(accelerator="cpu", devices=1))
    again.restore(checkpoint, tmp_path)
    assert checkpoint.pool.keys() == {"0/source", "0/target", "1/source", "1/target"}
    assert all(torch.equal(again.pool.state()[name], images) for name, images in trainer.pool.state().items())
    for both in (trainer, again):
        both.loader.close()


def test_statistics_of_a_norm_that_are_not_finite_are_no_checkpoint(make_run: MakeRun, tmp_path: Path) -> None:
    from lightning_fabric import Fabric

    from pixlate.training.trainer import Trainer

    trainer = Trainer(make_run("pix2pix"), Fabric(accelerator="cpu", devices=1))
    name, statistics = next((name, buffer) for name, buffer in trainer.gan.named_buffers() if name.endswith("running_var"))
    statistics.fill_(float("nan"))
    with pytest.raises(PixlateError, match=f"not finite at step 1: {name}"):
        trainer.checkpoint(1, [], {})
    trainer.loader.close()


@pytest.mark.parametrize("name", ["samples", "checkpoints", "log.jsonl", "options.toml", "tensorboard"])
def test_a_link_in_a_run_folder_is_refused_by_name(name: str, make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    fit(make_run(checkpoint_every=2), run, crash=2)
    if (run / name).exists():
        (run / name).rename(elsewhere)
    (run / name).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    with pytest.raises(PixlateError, match=f"{run / name} is a link, and Pixlate follows none"):
        fit(make_run(checkpoint_every=2), run, resume=True)
    assert sorted(elsewhere.rglob("*")) == before


def test_run_on_mixed_sets_that_crashed_ends_bit_equal(
    make_run: MakeRun, fit: Fit, digests: Digests, photographs: Path, negatives: Path, tmp_path: Path
) -> None:
    folders = (photographs, negatives)
    options = make_run("srgan", folders, weights=(1.0, 3.0), steps=5, checkpoint_every=2)
    assert fit(options, tmp_path / "undisturbed").finished
    fit(options, tmp_path / "crashed", crash=3)
    assert fit(options, tmp_path / "crashed", resume=True).finished
    assert digests(tmp_path / "crashed") == digests(tmp_path / "undisturbed")
    fit(make_run("srgan", folders, steps=5, checkpoint_every=2), tmp_path / "not mixed")
    assert digests(tmp_path / "not mixed") != digests(tmp_path / "undisturbed")
