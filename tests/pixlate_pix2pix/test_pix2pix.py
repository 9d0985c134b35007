"""Pix2Pix against its paper (Isola et al. 2017), on all kinds of images, and that it learns."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

import pixlate
import pixlate_pix2pix
from pixlate.plugin.testing import check_method, make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import Progress, train
from pixlate.training.run import RunOptions
from pixlate.training.schedules import Schedule
from pixlate_export.exporter import export_run
from pixlate_export.options import ExportOptions

pytestmark = pytest.mark.usefixtures("operators_read_once")

(METHOD,) = pixlate_pix2pix.pixlate_methods()
SMALL: dict[str, Any] = {
    "depth": 3,
    "channels": 8,
    "discriminator_channels": 8,
    "discriminator_layers": 2,
    "patch": 32,
    "resize": 36,
    "hold_out": 1,
    "steps": 3,
    "batch": 2,
    "device": "cpu",
    "workers": 1,
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


def options(*folders: Path, **changes: Any) -> RunOptions:
    values = {**SMALL, **changes}
    parts: list[Any] = [
        replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values})
        for owner in (METHOD.options, METHOD.data.options, METHOD.training)
    ]
    return RunOptions(METHOD, parts[0], folders, parts[1], parts[2])


def fit(chosen: RunOptions, run: Path) -> list[Progress]:
    seen: list[Progress] = []
    assert train(chosen, run, seen.append, print)
    return seen


def test_defaults_are_those_of_the_paper() -> None:
    gan, data, training = METHOD.build(METHOD.options()), METHOD.data.options(), METHOD.training()
    assert sum(parameter.numel() for parameter in gan.generators.parameters()) == 54_413_955
    assert sum(parameter.numel() for parameter in gan.discriminators.parameters()) == 2_768_705
    assert (data.resize, data.patch, data.mirror) == (286, 256, True)
    assert (training.batch, training.learning_rate, training.betas, training.pool, training.average_decay) == (1, 2e-4, (0.5, 0.999), 0, 0.0)
    steps = training.total_steps(400)
    rates = Schedule(training, steps)
    assert steps == 200 * 400
    assert [rates.factor(epoch * 400) for epoch in (0, 50, 100, 150, 199)] == pytest.approx([1, 1, 1, 0.5, 0.01])
    chosen = METHOD.options()
    assert (chosen.l1_weight, chosen.adversarial_weight, chosen.objective, chosen.dropout) == (100, 1, "vanilla", 0.5)
    weights = torch.cat([value.detach().flatten() for name, value in gan.named_parameters() if name.endswith("weight") and value.ndim == 4])
    assert float(weights.mean()) == pytest.approx(0, abs=1e-4) and float(weights.std()) == pytest.approx(0.02, rel=1e-2)
    assert sum(isinstance(module, torch.nn.Dropout) and module.p == 0.5 for module in gan.modules()) == 3


def test_dropout_of_the_code_is_recorded_and_off_in_the_exported_file(tmp_path: Path) -> None:
    folders = [make_photographs(tmp_path / name, 3, 64, 64, seed) for seed, name in enumerate(("source", "target"))]
    small = {"channels": 2, "depth": 6, "discriminator_channels": 2, "discriminator_layers": 1, "patch": 64, "resize": 64, "hold_out": 1, "steps": 1}
    fit(options(*folders, dropout_blocks="code", **small), tmp_path / "run")
    assert 'dropout_blocks = "code"' in (tmp_path / "run" / "options.toml").read_text()
    export_run(tmp_path / "run", tmp_path / "model.onnx")  # which compares the file with PyTorch
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    model = pixlate.load(tmp_path / "model.onnx", "cpu")
    assert (model(image) == model(image)).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"generator": "resnet", "blocks": 1},
        {"generator": "resnet", "blocks": 1, "norm": "none", "downsamplings": 0, "skip": True},
        {"depth": 4, "norm": "batch", "upsampling": "resize", "attention": True},
        {"depth": 3, "norm": "none", "discriminator": ("patch", "pixel"), "discriminator_scales": 2},
        {"depth": 3, "channels_in": 1, "channels_out": 4},
        {"generator": "unet-vit", "depth": 2, "blocks": 1, "features": 8, "heads": 2, "norm": "instance"},
        {"generator": "swin", "blocks": 2, "groups": 1, "heads": 2, "channels_in": 1, "channels_out": 2},
        {"generator": "swin", "blocks": 2, "groups": 1, "heads": 2, "skip": True},
        {"depth": 3, "adversarial_weight": 0.0},
    ],
)
def test_contract_is_kept_by_every_network(changes: dict[str, Any]) -> None:
    check_method(METHOD, METHOD.options(**{"channels": 8, "discriminator_channels": 4, "discriminator_layers": 2, "dropout": 0.0, **changes}), side=48)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return make_photographs(tmp_path / "photographs", 4, 40, 48)


def test_colorization_takes_the_grey_of_its_targets(photographs: Path, tmp_path: Path) -> None:
    chosen = options(photographs, grey=True, channels_in=1)
    assert "psnr_luma" in fit(chosen, tmp_path / "run")[-1].figures
    exported = export_run(tmp_path / "run", tmp_path / "model.onnx")
    assert (exported.spec.channels_in, exported.spec.channels_out) == (1, 3)


def array(generator: np.random.Generator, channels: int) -> NDArray[np.uint16]:
    return generator.integers(0, 2**16, (40, 44, channels), dtype=np.uint16)


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_images_of_any_channels_and_16_bits_are_trained_on_and_exported(suffix: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name, channels in (("source", 4), ("target", 2)):
        (tmp_path / name).mkdir()
        for index in range(4):
            path = tmp_path / name / f"{index}{suffix}"
            if suffix == ".npy":
                np.save(path, array(generator, channels))
            else:
                tifffile.imwrite(path, array(generator, channels), photometric="minisblack", planarconfig="contig")
    chosen = options(tmp_path / "source", tmp_path / "target", channels_in=4, channels_out=2)
    assert fit(chosen, tmp_path / "run")[-1].figures.keys() == {"psnr"}
    export_run(tmp_path / "run", tmp_path / "model.onnx", ExportOptions("float"))
    image = torch.rand(1, 4, 24, 32)
    gan = METHOD.build(chosen.method_options)
    gan.load_state_dict(load_checkpoint(tmp_path / "run").average)
    with torch.no_grad():
        expected = gan.exported().eval()(image).numpy()
    (actual,) = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"]).run(None, {"image": image.numpy()})
    assert actual.shape == (1, 2, 24, 32) and np.abs(actual - expected).max() < 1e-4


def test_16_bit_targets_keep_their_depth(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    for path in photographs.iterdir():
        tifffile.imwrite(tmp_path / "deep" / f"{path.stem}.tif", np.array(Image.open(path)).astype(np.uint16) * 256 + 77)
    seen: list[torch.Tensor] = []

    def watched(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(target)
        return (output - target).abs().mean()

    monkeypatch.setattr("pixlate_pix2pix.model.l1", watched)
    fit(options(photographs, tmp_path / "deep", resize=0, precision="32-true"), tmp_path / "run")
    levels = (seen[0] + 1) / 2 * 65535
    assert torch.allclose((levels - 77) / 256, ((levels - 77) / 256).round(), atol=0.01), "no level was rounded to 8 bits"


@pytest.fixture(scope="module")
def loss_of() -> Callable[[RunOptions, Path], float]:
    """Return a function that gives the mean absolute error, on [0, 1], of a run's images of its own training pairs."""

    def of(chosen: RunOptions, run: Path) -> float:
        gan = METHOD.build(chosen.method_options)
        gan.load_state_dict(load_checkpoint(run).average)
        translate, errors = gan.exported().eval(), []
        for path in sorted(chosen.folders[0].iterdir()):
            source, target = (torch.from_numpy(np.array(Image.open(folder / path.name))).permute(2, 0, 1)[None] / 255 for folder in chosen.folders)
            with torch.no_grad():
                errors.append(float((translate(source) - target).abs().mean()))
        return float(np.mean(errors))

    return of


@pytest.mark.slow
def test_training_learns_eight_pairs(loss_of: Callable[[RunOptions, Path], float], tmp_path: Path) -> None:
    """Targets have red and blue swapped, are negative and half as bright: mean absolute error on [0, 1] starts above 0.1."""
    photographs = make_photographs(tmp_path / "source", 8, 64, 64)
    (tmp_path / "target").mkdir()
    for path in photographs.iterdir():
        Image.fromarray(255 - np.array(Image.open(path))[:, :, ::-1] // 2).save(tmp_path / "target" / path.name)
    learning: dict[str, Any] = {"depth": 4, "channels": 16, "dropout": 0.0, "norm": "instance", "discriminator_norm": "none", "hold_out": 0, "batch": 4}
    chosen = options(photographs, tmp_path / "target", patch=64, resize=64, learning_rate=2e-3, **{**learning, "steps": 1})
    fit(chosen, tmp_path / "before")
    assert loss_of(chosen, tmp_path / "before") > 0.1
    longer = replace(chosen, training=replace(chosen.training, steps=150))
    fit(longer, tmp_path / "after")
    assert loss_of(longer, tmp_path / "after") < 0.05
