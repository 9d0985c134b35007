"""Every option of every method, of its data and of training does something."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import pixlate.data.edges
import pixlate_inpaint.model
import pixlate_pix2pix.model
import pixlate_srgan.model
import pixlate_style.model
from pixlate.networks.hed import HED
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.run import RunOptions

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
Changes = dict[str, Any]
ALWAYS: Changes = {"steps": 4, "checkpoint_every": 2, "keep": 2}
SMALL: Changes = {"patch": 16, "resize": 24, "discriminator_layers": 1}
"""Where there are discriminators from the start."""
SMALLER: dict[str, Changes] = {
    "srgan": {},
    "stargan": {},
    "dcgan": {"resize": 20},
    "inpaint": {"patch": 16, "resize": 24},
    "style": {"patch": 16, "resize": 24},
}
"""In place of SMALL, for methods without its options."""
PLATEAU: Changes = {"schedule": "plateau", "validate_every": 1, "learning_rate": 0.05}
GROUPS: Changes = {"discriminator_norm": "group"}
DROPPED: Changes = {"generator": "unet", "blocks": None, "depth": 6, "patch": 64, "resize": 64, "channels": 2, "dropout": 0.5}
RESNET: Changes = {"generator": "resnet", "depth": None, "blocks": 1}
VIT: Changes = {"generator": "unet-vit", "depth": 2, "blocks": 1, "features": 8, "heads": 2}
WINDOWS: Changes = {"generator": "swin", "depth": None, "blocks": 1, "groups": 1, "heads": 2}
PENALISED: Changes = {"discriminator_norm": "group", "gradient_penalty": 1.0}

TRAINING: dict[str, Changes | tuple[Changes, Changes]] = {
    "steps": {"steps": 5},
    "decay_epochs": ({"steps": 0, "epochs": 2, "schedule": "linear"}, {"steps": 0, "epochs": 2, "schedule": "linear", "decay_epochs": 2}),
    "epochs": ({"steps": 0, "epochs": 1}, {"steps": 0, "epochs": 2}),
    "batch": {"batch": 3},
    "accumulate": {"accumulate": 2},
    "optimizer": {"optimizer": "lion"},
    "weight_decay": {"weight_decay": 0.1},
    "learning_rate": {"learning_rate": 1e-3},
    "discriminator_learning_rate": {"discriminator_learning_rate": 1e-3},
    "generator_every": {"generator_every": 2},
    "betas": {"betas": (0.3, 0.9)},
    "beta_end": {"beta_end": 0.5},
    "schedule": {"schedule": "constant"},
    "schedule_end": ({"schedule": "cosine"}, {"schedule": "cosine", "schedule_end": 0.5}),
    "periods": ({"schedule": "cosine"}, {"schedule": "cosine", "periods": 2}),
    "milestones": ({"schedule": "step", "milestones": (0.5,)}, {"schedule": "step", "milestones": (0.25,)}),
    "decay": ({"schedule": "step", "milestones": (0.5,)}, {"schedule": "step", "milestones": (0.5,), "decay": 0.5}),
    "patience": ({**PLATEAU, "patience": 1}, {**PLATEAU, "patience": 4}),
    "warm_up": {"warm_up": 3},
    "average_decay": {"average_decay": 0.9},
    "gradient_clip": {"gradient_clip": 1e-6},
    "pool": {"pool": 1},
    "augment": {"augment": ("color",)},
    "instance_noise": {"instance_noise": 0.1},
    "unroll": ({"pool": 0}, {"pool": 0, "unroll": 1}),
    "historical_averaging": {"historical_averaging": 1.0},
    "grow_from": {"grow_from": 8},
    "precision": {"precision": "bf16-mixed"},
    "channels_last": {"channels_last": True},
    "seed": {"seed": 1},
    "validate_every": {"validate_every": 2},
    "best": {},
    "checkpoint_every": {"checkpoint_every": 1},
    "keep": {"keep": 1},
    "log_every": {"log_every": 2},
    "start_from": {},
}
ELSEWHERE = {
    "weights": "test_resume",
    "compile": "test_trainer",
    "device": "test_devices",
    "devices": "test_devices",
    "workers": "test_loader",
    "cache": "test_loader",
    "damaged": "test_engine",
}
"""Options that change no result, and where they are tested."""
FOLDERS: dict[str, Changes | tuple[Changes, Changes]] = {
    "patch": {"patch": 24},
    "hold_out": {"hold_out": 2},
    "transforms": {"transforms": "pipeline"},
    "resize": {"resize": 40},
    "keep_aspect": {"keep_aspect": True},
    "resampling": {"resampling": "bicubic"},
    "mirror": {"mirror": False},
}
PAIRED: dict[str, Changes | tuple[Changes, Changes]] = FOLDERS | {
    "reverse": {"reverse": True},
    "grey": {"grey": True},
    "lines": {"lines": 1.0},
    "hidden": {"hidden": 0.5},
    "paper": {"paper": 1.0},
    "line_drawer": ({"lines": 1.0}, {"lines": 1.0, "line_drawer": "hed"}),
}
ATTENTION: dict[str, tuple[Changes, Changes]] = {
    "features": (VIT, {**VIT, "features": 10}),
    "heads": (VIT, {**VIT, "heads": 4}),
    "groups": (WINDOWS, {**WINDOWS, "groups": 2}),
    "window": (WINDOWS, {**WINDOWS, "window": 4}),
}
ADVERSARIAL: dict[str, Changes | tuple[Changes, Changes]] = {
    **ATTENTION,
    "channels_in": {"channels_in": 1},
    "channels_out": {"channels_out": 1},
    "generator": RESNET,
    "channels": {"channels": 9},
    "depth": {"depth": 4},
    "blocks": (RESNET, {**RESNET, "blocks": 2}),
    "downsamplings": (RESNET, {**RESNET, "downsamplings": 1}),
    "skip": (RESNET, {**RESNET, "skip": True}),
    "pointwise": ({**RESNET, "norm": "none", "downsamplings": 0}, {**RESNET, "norm": "none", "downsamplings": 0, "pointwise": True}),
    "norm": {"norm": "group"},
    "dropout": (RESNET, {**RESNET, "dropout": 0.3}),
    "dropout_blocks": (DROPPED, {**DROPPED, "dropout_blocks": "code"}),
    "upsampling": {"upsampling": "resize"},
    "antialias": (RESNET, {**RESNET, "antialias": True}),
    "attention": {"attention": True},
    "discriminator": {"discriminator": ("patch", "pixel")},
    "discriminator_channels": {"discriminator_channels": 9},
    "discriminator_layers": {"discriminator_layers": 2},
    "discriminator_scales": {"discriminator_scales": 2},
    "discriminator_norm": {"discriminator_norm": "none"},
    "spectral_norm": {"spectral_norm": True},
    "minibatch": ({"pool": 0}, {"pool": 0, "minibatch": "deviation"}),
    "initialisation": {"initialisation": "orthogonal"},
    "initial_gain": {"initial_gain": 0.03},
    "objective": {"objective": "hinge"},
    "adversarial_weight": {"adversarial_weight": 2.0},
    "smoothing": {"smoothing": 0.1},
    "gradient_penalty": (GROUPS, {**GROUPS, "gradient_penalty": 1.0}),
    "gradient_norm": (PENALISED, {**PENALISED, "gradient_norm": 2.0}),
    "r1": (GROUPS, {**GROUPS, "r1": 1.0}),
    "r2": (GROUPS, {**GROUPS, "r2": 1.0}),
    "penalty_end": ({**GROUPS, "r1": 1.0}, {**GROUPS, "r1": 1.0, "penalty_end": 0.1}),
    "penalty_range": ({**GROUPS, "r1": 1.0}, {**GROUPS, "r1": 1.0, "penalty_range": "unit"}),
    "feature_matching": {"feature_matching": 1.0},
    "total_variation": {"total_variation": 1.0},
}
OF_UNET: Changes = {"generator": "unet", "depth": 3, "blocks": None, "nce_layers": (0, 2)}
CUT_DROPPED: Changes = {**DROPPED, "nce_layers": (0, 2)}
SECOND: Changes = {"stages": "both", "pixel_share": 0.5, "patch": 10, "perceptual_weight": 0.0, "second_pixel_weight": 1.0, "discriminator_channels": 4}
SEEN: Changes = {**SECOND, "perceptual_weight": 0.1, "perceptual_layer": "conv1_1", "perceptual_weights": "vgg"}
OF_HED: Changes = {**SECOND, "perceptual_weight": 0.1, "perceptual": "hed", "perceptual_layers": ("conv1_1",)}
LIKE_HED: Changes = {"perceptual_weight": 1.0, "perceptual_layers": ("conv1_1",)}
RESTORED: Changes = {"scale": 1, "noise": 20.0, "tail": "direct"}
UNET: Changes = {"scale": 1, "noise": 20.0, "network": "unet", "blocks": None, "depth": 2}
SWIN: Changes = {"network": "swin", "groups": 1, "heads": 2, "patch": 8}
DARK: Changes = {"darken": 4.0}
TWICE: Changes = {"degradation": "second-order"}
SRGAN: dict[str, Changes | tuple[Changes, Changes]] = {
    "scale": {"scale": 3},
    "network": {"network": "srresnet"},
    "channels": {"channels": 9},
    "blocks": {"blocks": 2},
    "tail": {"tail": "direct"},
    "groups": (SWIN, {**SWIN, "groups": 2}),
    "heads": (SWIN, {**SWIN, "heads": 4}),
    "window": (SWIN, {**SWIN, "window": 4}),
    "stages": SECOND,
    "pixel_share": (SECOND, {**SECOND, "pixel_share": 0.25}),
    "pixel": {"pixel": "l1"},
    "pixel_weight": {"pixel_weight": 2.0},
    "second_pixel_weight": (SECOND, {**SECOND, "second_pixel_weight": 2.0}),
    "perceptual_weight": (SEEN, {**SEEN, "perceptual_weight": 0.2}),
    "perceptual": (SEEN, OF_HED),
    "perceptual_layers": (OF_HED, {**OF_HED, "perceptual_layers": ("conv1_1", "conv1_2")}),
    "perceptual_layer": (SEEN, {**SEEN, "perceptual_layer": "conv1_2"}),
    "perceptual_weights": (SECOND, SEEN),
    "adversarial_weight": (SECOND, {**SECOND, "adversarial_weight": 0.1}),
    "objective": (SECOND, {**SECOND, "objective": "hinge"}),
    "discriminator": ({**SECOND, "patch": 12}, {**SECOND, "patch": 12, "discriminator": "patch"}),
    "discriminator_channels": (SECOND, {**SECOND, "discriminator_channels": 5}),
    "spectral_norm": (SECOND, {**SECOND, "spectral_norm": True}),
    "patch": {"patch": 9},
    "hold_out": {"hold_out": 2},
    "transforms": {"transforms": "pipeline"},
    "rescale": {"rescale": (1.0, 0.5)},
    "blur": {"blur": 2.0},
    "noise": {"noise": 20.0},
    "jpeg": {"jpeg": 20},
    "depth": (UNET, {**UNET, "depth": 3}),
    "shrink": (RESTORED, {**RESTORED, "shrink": 2}),
    "degradation": TWICE,
    "blur_before": {"blur_before": 2.0},
    "darken": DARK,
    "darken_least": (DARK, {**DARK, "darken_least": 3.0}),
    "shot_noise": (DARK, {**DARK, "shot_noise": 0.1}),
    "read_noise": (DARK, {**DARK, "read_noise": 0.1}),
    "noise_share": ({"noise": 20.0}, {"noise": 20.0, "noise_share": 0.0}),
    "grey_noise": ({"noise": 20.0}, {"noise": 20.0, "grey_noise": 1.0}),
    "relight": ({"darken": 4.0}, {"darken": 4.0, "relight": True}),
    "jpeg_most": ({"jpeg": 20}, {"jpeg": 20, "jpeg_most": 30}),
    "jpeg_share": ({"jpeg": 20}, {"jpeg": 20, "jpeg_share": 0.0}),
    "degrade_validation": ({"noise": 20.0}, {"noise": 20.0, "degrade_validation": True}),
    "blurs": (TWICE, {**TWICE, "blurs": (1.0, 1.0)}),
    "blur_shares": (TWICE, {**TWICE, "blur_shares": (0.0, 0.0)}),
    "sinc_shares": (TWICE, {**TWICE, "sinc_shares": (0.0, 0.0, 0.0)}),
    "resizes": (TWICE, {**TWICE, "resizes": (0.5, 1.5, 0.5, 1.2)}),
    "resize_shares": (TWICE, {**TWICE, "resize_shares": (0.0, 0.0, 1.0, 0.0, 0.0, 1.0)}),
    "noises": (TWICE, {**TWICE, "noises": (5.0, 5.0)}),
    "photons": (TWICE, {**TWICE, "photons": (0.1, 0.1)}),
    "gaussian_share": (TWICE, {**TWICE, "gaussian_share": 1.0}),
    "grey_noise_share": (TWICE, {**TWICE, "grey_noise_share": 1.0}),
    "jpegs": (TWICE, {**TWICE, "jpegs": (90, 95)}),
    "start_from": {},
}
STYLE: dict[str, Changes | tuple[Changes, Changes]] = FOLDERS | {
    "mirror": {"mirror": True},
    "style": {"style": "another"},
    "style_size": {"style_size": 24},
    "channels": {"channels": 5},
    "blocks": {"blocks": 2},
    "skip": {"skip": True},
    "content_weight": {"content_weight": 2.0},
    "content_layer": {"content_layer": "conv3_3"},
    "style_weight": {"style_weight": 10.0},
    "smoothness_weight": {"smoothness_weight": 1e-3},
}
CONTEXT: Changes = {"contextual_weight": 1.0, "perceptual_layers": ("conv1_1",)}
INPAINT: dict[str, Changes | tuple[Changes, Changes]] = FOLDERS | {
    "channels": {"channels": 5},
    "discriminator_channels": {"discriminator_channels": 5},
    "pixel_weight": {"pixel_weight": 2.0},
    "adversarial_weight": {"adversarial_weight": 2.0},
    "contextual_weight": CONTEXT,
    "perceptual_layers": (CONTEXT, {**CONTEXT, "perceptual_layers": ("conv1_2",)}),
    "holes": {"holes": "alpha"},
    "strokes": {"strokes": 0},
    "box": {"box": 0.25},
}


def with_layers(changes: Changes) -> Changes:
    """Return changes with the layers that CUT compares, which it needs of other generators than a ResNet."""
    return {**changes, "nce_layers": (1,)}


JUDGED = {"discriminator_learning_rate", "generator_every", "pool", "augment"}
CASES: dict[str, dict[str, Changes | tuple[Changes, Changes]]] = {
    "pix2pix": TRAINING
    | PAIRED
    | ADVERSARIAL
    | {
        "whole": {"whole": 16},
        "lab": ({"grey": True}, {"grey": True, "lab": True}),
        "l1_weight": {"l1_weight": 50.0},
        "perceptual_weight": LIKE_HED,
        "perceptual_layers": (LIKE_HED, {**LIKE_HED, "perceptual_layers": ("conv1_2",)}),
    },
    "cyclegan": FOLDERS
    | ADVERSARIAL
    | {
        "generator": {"generator": "unet", "depth": 3, "blocks": None},
        "depth": ({"generator": "unet", "depth": 3, "blocks": None}, {"generator": "unet", "depth": 4, "blocks": None}),
        "channels_in": ({"identity_weight": 0.0}, {"identity_weight": 0.0, "channels_in": 1}),
        "channels_out": ({"identity_weight": 0.0}, {"identity_weight": 0.0, "channels_out": 1}),
        "cycle_weight": {"cycle_weight": 5.0},
        "cycle_weight_target": {"cycle_weight_target": 5.0},
        "identity_weight": {"identity_weight": 0.0},
        "order": {"order": "discriminators-first"},
    },
    "cut": FOLDERS
    | ADVERSARIAL
    | {name: (with_layers(before), with_layers(after)) for name, (before, after) in ATTENTION.items()}
    | {
        "generator": ({"nce_layers": (0, 2)}, {"generator": "unet", "depth": 3, "blocks": None, "nce_layers": (0, 2)}),
        "depth": (OF_UNET, {**OF_UNET, "depth": 4}),
        "dropout_blocks": (CUT_DROPPED, {**CUT_DROPPED, "dropout_blocks": "code"}),
        "antialias": {"antialias": False},
        "upsampling": ({"antialias": False}, {"antialias": False, "upsampling": "resize"}),
        "channels_in": {"channels_in": 1, "channels_out": 1},
        "channels_out": {"channels_in": 1, "channels_out": 1},
        "nce_weight": {"nce_weight": 2.0},
        "identity_nce": {"identity_nce": False},
        "flip_equivariance": {"flip_equivariance": True},
        "nce_layers": {"nce_layers": (0, 4)},
        "nce_patches": {"nce_patches": 8},
        "projection_channels": {"projection_channels": 9},
        "temperature": {"temperature": 0.1},
    },
    "inpaint": INPAINT,
    "style": STYLE,
    "dcgan": FOLDERS
    | {
        "patch": {"patch": 8},
        "keep_aspect": {"keep_aspect": False},
        "mirror": {"mirror": True},
        "channels_out": {"channels_out": 1},
        "latent": {"latent": 7},
        "channels": {"channels": 5},
        "discriminator_channels": {"discriminator_channels": 5},
        "discriminator_norm": {"discriminator_norm": "none"},
        "objective": {"objective": "hinge"},
        "smoothing": {"smoothing": 0.1},
        "gradient_penalty": (GROUPS, {**GROUPS, "gradient_penalty": 1.0}),
        "r1": (GROUPS, {**GROUPS, "r1": 1.0}),
        "r2": (GROUPS, {**GROUPS, "r2": 1.0}),
    },
    "srgan": SRGAN,
    "stargan": {
        "patch": {"patch": 32},
        "hold_out": {"hold_out": 2},
        "transforms": {"transforms": "pipeline"},
        "crop": {"crop": 1.0},
        "mirror": {"mirror": False},
        "channels": {"channels": 5},
        "most_channels": {"most_channels": 6},
        "downsamplings": {"downsamplings": 2},
        "style_length": {"style_length": 7},
        "latent_length": {"latent_length": 6},
        "mapping_channels": {"mapping_channels": 9},
        "mapping_learning_rate": {"mapping_learning_rate": 1e-3},
        "r1": {"r1": 0.5},
        "style_weight": {"style_weight": 2.0},
        "diversity_weight": {"diversity_weight": 2.0},
        "diversity_steps": {"diversity_steps": 2},
        "cycle_weight": {"cycle_weight": 2.0},
    },
}


def erased(photographs: Path, folder: Path) -> Path:
    """Write photographs with a hole."""
    for path in photographs.iterdir():
        picture = Image.open(path).convert("RGBA")
        picture.paste((0, 0, 0, 0), (20, 12, 40, 30))
        picture.save(folder / path.name)
    return folder


def outcome(run: Path) -> tuple[Any, ...]:
    """Return all that a run has done, but its options and speed: log, weights, and which checkpoints are left."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    checkpoint = load_checkpoint(run)
    weights = [{name: value.numpy().tobytes() for name, value in state.items()} for state in (checkpoint.weights, checkpoint.average)]
    best = (run / "checkpoints" / "best.json").read_text()
    return [{**line, "steps_per_second": 0} for line in lines], sorted(path.name for path in (run / "checkpoints").iterdir()), weights, best


@pytest.fixture(scope="module", autouse=True)
def small_hed() -> Iterator[None]:
    """Random weights instead of those of a package that may not be installed."""

    def load_hed() -> HED:
        torch.manual_seed(0)
        return HED()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixlate_srgan.model, "load_hed", load_hed)
        patch.setattr(pixlate_pix2pix.model, "load_hed", load_hed)
        patch.setattr(pixlate_inpaint.model, "load_hed", load_hed)
        patch.setattr(pixlate_style.model, "load_hed", load_hed)
        patch.setattr(pixlate.data.edges, "_hed", lambda: lambda images: images.mean(dim=1, keepdim=True))
        yield


@pytest.fixture(scope="module")
def carry_out(
    make_run: MakeRun, fit: Fit, vgg: Path, photographs: Path, negatives: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Changes], tuple[Any, ...]]:
    """Return a function that makes a run once and returns its results."""
    made: dict[str, tuple[Any, ...]] = {}
    pipeline = tmp_path_factory.mktemp("transforms") / "pipeline.json"
    pipeline.write_text(json.dumps({"__version__": "2.0.8", "transform": {"__class_fullname__": "VerticalFlip", "p": 1.0}}))

    def carry_out(method: str, changes: Changes) -> tuple[Any, ...]:
        key = f"{method} {sorted(changes.items(), key=str)}"
        if key not in made:
            run = tmp_path_factory.mktemp("run")
            paths = {"perceptual_weights": str(vgg), "transforms": str(pipeline), "style": str(max(photographs.iterdir()))}
            changes = {**ALWAYS, **SMALLER.get(method, SMALL), **changes, **{name: path for name, path in paths.items() if name in changes}}
            folders = (negatives,) if changes.get("grey") or changes.get("hidden") or changes.get("lines") else None
            if changes.get("holes") == "alpha":
                folders = (erased(photographs, tmp_path_factory.mktemp("erased")),)
            fit(make_run(method, folders, **changes), run)
            made[key] = outcome(run)
        return made[key]

    return carry_out


@pytest.mark.parametrize(("method", "name"), [(method, name) for method, cases in CASES.items() for name in cases if name not in ("best", "start_from")])
def test_option_has_an_effect(method: str, name: str, carry_out: Callable[[str, Changes], tuple[Any, ...]]) -> None:
    case = CASES[method][name]
    before, after = case if isinstance(case, tuple) else ({}, case)
    assert name in after or name in before
    assert carry_out(method, before) != carry_out(method, after)


def test_same_options_do_the_same(make_run: MakeRun, fit: Fit, carry_out: Callable[[str, Changes], tuple[Any, ...]], tmp_path: Path) -> None:
    for method in CASES:
        fit(make_run(method, **ALWAYS, **SMALLER.get(method, SMALL)), tmp_path / method)
        assert outcome(tmp_path / method) == carry_out(method, {})


def test_run_starts_from_the_weights_of_another(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    for method in CASES:
        fit(make_run(method, average_decay=0.5, learning_rate=1e-2), tmp_path / method)
        still = {"learning_rate": 1e-30, **({"mapping_learning_rate": 1e-30} if method == "stargan" else {})}
        fit(make_run(method, steps=1, **still, start_from=str(tmp_path / method)), tmp_path / f"{method}-next")
        first, second = load_checkpoint(tmp_path / method).average, load_checkpoint(tmp_path / f"{method}-next").weights
        moving = ("num_batches_tracked", "running_mean", "running_var", "._u", "._v")  # statistics of norms, and vectors of spectral norms
        different = [name for name, value in first.items() if not name.endswith(moving) and not torch.equal(value, second[name])]
        assert not different, f"{method}: {different}"


@pytest.mark.parametrize("method", CASES)
def test_no_option_is_left_untested(method: str) -> None:
    """The best metric is chosen in test_resume; what every method shares is varied once."""
    found = installed().offered(Method)[method]
    names = {item.name for owner in (found.options, found.data.options, found.training) for item in fields(owner)}
    assert names == {*TRAINING, *CASES[method], *ELSEWHERE}
