"""Training options are refused early, with what was expected and what came."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from pixlate.errors import PixlateError
from pixlate.options import AdversarialOptions, DataOptions, DegradedOptions, PairedOptions, TrainingOptions, UnpairedOptions, check_types


@pytest.mark.parametrize(
    ("owner", "values", "sentence"),
    [
        (DataOptions, {"patch": 0}, "--patch of at least 1, got 0"),
        (DataOptions, {"hold_out": -1}, "--hold-out of at least 0, got -1"),
        (DegradedOptions, {"rescale": ()}, "--rescale of fractions above 0 and up to 1, got ()"),
        (DegradedOptions, {"rescale": (1.0, 0.0)}, "--rescale of fractions above 0"),
        (DegradedOptions, {"rescale": (2.0,)}, "--rescale of fractions above 0"),
        (DegradedOptions, {"rescale": ("1",)}, "--rescale to be a list of numbers, got ('1',)"),
        (DegradedOptions, {"jpeg": 0}, "--jpeg of at least 1, got 0"),
        (DegradedOptions, {"jpeg": 101}, "--jpeg of at most 100, got 101"),
        (DegradedOptions, {"blur": -1.0}, "--blur of at least 0"),
        (DataOptions, {"damaged": "ignore"}, "--damaged to be one of stop, skip, got 'ignore'"),
        (DataOptions, {"workers": -1}, "--workers of at least 0"),
        (DataOptions, {"cache": -1}, "--cache of at least 0"),
        (PairedOptions, {"patch": 300}, "--resize of at least --patch, 300, got 286"),
        (PairedOptions, {"resize": 0, "keep_aspect": True}, "--keep-aspect with --resize only, got True without it"),
        (PairedOptions, {"lines": 1.5}, "--lines of at most 1"),
        (PairedOptions, {"paper": 1.5}, "--paper of at most 1"),
        (PairedOptions, {"grey": True, "paper": 0.5}, "--paper with sources that are drawings, got it with --grey"),
        (PairedOptions, {"grey": True, "lines": 0.5}, "--grey or --lines, got both"),
        (PairedOptions, {"grey": True, "reverse": True}, "--reverse with sources in files, got it with --grey"),
        (PairedOptions, {"lines": 1.0, "reverse": True}, "--reverse with sources in files, got it with --lines 1"),
        (UnpairedOptions, {"mirror": 1}, "--mirror to be true or false, got 1"),
        (TrainingOptions, {"batch": 10**9}, "--batch of at most 65536, got 1000000000"),
        (TrainingOptions, {"steps": 2**63}, "--steps of at most"),
        (TrainingOptions, {"decay_epochs": 3}, "--decay-epochs of at most --epochs, 0, of which they are the last, got 3"),
        (TrainingOptions, {"epochs": 4, "decay_epochs": 3, "steps": 0}, "--decay-epochs with --schedule linear and --epochs only, got 3 without it"),
        (DegradedOptions, {"blur": 1e300}, "--blur of at most 64"),
        (PairedOptions, {"resize": 10**9}, "--resize of at most 32768"),
        (PairedOptions, {"resize": 0, "resampling": "bicubic"}, "--resampling with --resize only, got 'bicubic' without it"),
        (AdversarialOptions, {"channels": 10**9}, "--channels of at most 4096"),
        (AdversarialOptions, {"discriminator_scales": 10**9}, "--discriminator-scales of at most 8"),
        (AdversarialOptions, {"dropout_blocks": "code", "depth": 5}, "--dropout-blocks with --generator unet, --dropout above 0 and --depth above 5 only"),
        (AdversarialOptions, {"dropout_blocks": "code", "dropout": 0.0}, "--dropout-blocks with --generator unet, --dropout above 0 and --depth above 5 only"),
        (TrainingOptions, {"steps": 0}, "--steps or --epochs above 0, got 0 for both"),
        (TrainingOptions, {"steps": -1}, "--steps of at least 0, got -1"),
        (TrainingOptions, {"steps": 5, "epochs": 5}, "--steps or --epochs, got 5 steps and 5 epochs; add --steps 0"),
        (TrainingOptions, {"accumulate": 3}, "--batch to be a multiple of --accumulate times --devices, 3, got 16"),
        (TrainingOptions, {"accumulate": 4, "devices": 8}, "--batch to be a multiple of --accumulate times --devices, 32, got 16"),
        (TrainingOptions, {"devices": 2, "device": "cuda:1"}, "--device cpu or cuda with --devices 2, got cuda:1"),
        (TrainingOptions, {"discriminator_learning_rate": -1.0}, "--discriminator-learning-rate of at least 0"),
        (TrainingOptions, {"generator_every": 0}, "--generator-every of at least 1"),
        (TrainingOptions, {"milestones": (0.5, 0.2), "schedule": "step"}, "--milestones of rising fractions between 0 and 1, got (0.5, 0.2)"),
        (TrainingOptions, {"milestones": (1.0,), "schedule": "step"}, "--milestones of rising fractions between 0 and 1"),
        (TrainingOptions, {"decay": 1.0, "schedule": "step"}, "--decay of at least 0 and below 1"),
        (TrainingOptions, {"milestones": (0.2,)}, "--milestones with --schedule step only, got (0.2,) without it"),
        (TrainingOptions, {"periods": 2, "schedule": "linear"}, "--periods with --schedule cosine only, got 2 without it"),
        (TrainingOptions, {"schedule_end": 0.1, "schedule": "linear"}, "--schedule-end with --schedule cosine only, got 0.1 without it"),
        (TrainingOptions, {"schedule_end": 1.5}, "--schedule-end of at most 1, got 1.5"),
        (TrainingOptions, {"beta_end": 1.0}, "--beta-end of at least 0 and below 1, got 1.0"),
        (TrainingOptions, {"instance_noise": -0.1}, "--instance-noise of at least 0"),
        (TrainingOptions, {"historical_averaging": -1.0}, "--historical-averaging of at least 0"),
        (TrainingOptions, {"unroll": -1}, "--unroll of at least 0"),
        (TrainingOptions, {"unroll": 5, "pool": 50}, "--unroll with --pool 0, for images of the past do not change with the generators, got 50"),
        (TrainingOptions, {"unroll": 5, "accumulate": 2}, "--unroll with --accumulate 1"),
        (TrainingOptions, {"unroll": 5, "devices": 2}, "--unroll with --devices 1"),
        (TrainingOptions, {"unroll": 5, "optimizer": "lion"}, "--unroll with --optimizer adam, whose steps it looks ahead by, got lion"),
        (TrainingOptions, {"unroll": 5, "precision": "16-mixed"}, "--unroll with --precision 32-true or bf16-mixed"),
        (TrainingOptions, {"unroll": 5, "compile": True}, "--unroll with networks that are not compiled"),
        (TrainingOptions, {"patience": 2}, "--patience with --schedule plateau only, got 2 without it"),
        (TrainingOptions, {"decay": 0.5}, "--decay with --schedule step or plateau only, got 0.5 without it"),
        (TrainingOptions, {"augment": ("blur",)}, "--augment to be a list, got ('blur',)"),
        (TrainingOptions, {"pool": -1}, "--pool of at least 0"),
        (TrainingOptions, {"grow_from": -1}, "--grow-from of at least 0"),
        (AdversarialOptions, {"channels_in": 17}, "--channels-in of at most 16, got 17"),
        (AdversarialOptions, {"depth": 1}, "--depth of at least 2, got 1"),
        (AdversarialOptions, {"generator": "resnet", "depth": 7}, "--depth with --generator unet or unet-vit only, got 7 without it"),
        (AdversarialOptions, {"blocks": 6}, "--blocks with --generator resnet or unet-vit or swin or r3gan only, got 6 without it"),
        (AdversarialOptions, {"generator": "unet-vit", "depth": 1}, "--depth of at least 2, got 1"),
        (AdversarialOptions, {"generator": "swin", "depth": 4}, "--depth with --generator unet or unet-vit only, got 4 without it"),
        (AdversarialOptions, {"generator": "swin", "channels": 64}, "--channels to be a multiple of --heads, 6, got 64"),
        (AdversarialOptions, {"generator": "unet-vit", "heads": 7}, "--features to be a multiple of --heads, 7, got 384"),
        (AdversarialOptions, {"generator": "swin", "window": 7}, "--window of an even number of pixels"),
        (AdversarialOptions, {"heads": 4}, "--heads with --generator unet-vit or swin only, got 4 without it"),
        (AdversarialOptions, {"groups": 6}, "--groups with --generator swin only"),
        (AdversarialOptions, {"features": 96}, "--features with --generator unet-vit only"),
        (AdversarialOptions, {"generator": "swin", "norm": "none"}, "--norm with --generator unet or resnet or unet-vit only"),
        (AdversarialOptions, {"generator": "swin", "attention": True, "discriminator": ("pixel",)}, "--attention with --generator unet or resnet, or"),
        (AdversarialOptions, {"gradient_norm": 2.0}, "--gradient-norm with --gradient-penalty only"),
        (AdversarialOptions, {"gradient_norm": 0.0, "gradient_penalty": 1.0, "discriminator_norm": "none"}, "--gradient-norm above 0, got 0.0"),
        (PairedOptions, {"hidden": 0.4, "grey": True}, "--grey or --hidden, got both (--hidden 0.4)"),
        (PairedOptions, {"hidden": 0.4, "lines": 0.5}, "--hidden or --lines, got both (--lines 0.5)"),
        (PairedOptions, {"hidden": 0.4, "paper": 0.5}, "--paper with sources that are drawings, got it with --hidden"),
        (PairedOptions, {"hidden": 0.4, "reverse": True}, "--reverse with sources in files, got it with --hidden"),
        (PairedOptions, {"hidden": 1.0}, "--hidden of at most 0.9"),
        (AdversarialOptions, {"downsamplings": 3}, "--downsamplings with --generator resnet or r3gan only"),
        (AdversarialOptions, {"skip": True}, "--skip with --generator resnet or swin only"),
        (AdversarialOptions, {"generator": "resnet", "skip": True, "channels_in": 1}, "--channels-in and --channels-out to be equal with --skip, got 1 and 3"),
        (AdversarialOptions, {"generator": "resnet", "pointwise": True}, "--downsamplings 0 with --pointwise, got 2"),
        (AdversarialOptions, {"discriminator": ()}, "--discriminator patch, pixel, r3gan or several of them, got ()"),
        (AdversarialOptions, {"discriminator": ("patch", "patch")}, "--discriminator patch, pixel, r3gan or several of them, got ('patch', 'patch')"),
        (AdversarialOptions, {"discriminator": ("pixel",), "discriminator_layers": 2}, "--discriminator-layers with --discriminator patch or r3gan only"),
        (AdversarialOptions, {"generator": "r3gan", "norm": "none"}, "--norm with --generator unet or resnet or unet-vit only, got 'none' without it"),
        (AdversarialOptions, {"discriminator": ("r3gan",), "spectral_norm": True}, "--spectral-norm with --discriminator patch or pixel only"),
        (
            AdversarialOptions,
            {"generator": "r3gan", "discriminator": ("r3gan",), "initial_gain": 0.1},
            "--initial-gain with --generator or --discriminator other than r3gan only",
        ),
        (AdversarialOptions, {"penalty_end": 0.1}, "--penalty-end with --r1 or --r2 only, got 0.1 without it"),
        (AdversarialOptions, {"minibatch": "mean"}, "--minibatch to be one of none, deviation, discrimination, got 'mean'"),
        (AdversarialOptions, {"smoothing": 0.1, "objective": "hinge"}, "--smoothing with --objective vanilla or least-squares, got it with hinge"),
        (AdversarialOptions, {"penalty_range": "unit"}, "--penalty-range with --gradient-penalty, --r1 or --r2 only, got 'unit' without it"),
        (AdversarialOptions, {"objective": "wasserstein"}, "--gradient-penalty or --spectral-norm with --objective wasserstein, got neither"),
        (AdversarialOptions, {"initialisation": "kaiming", "initial_gain": 0.1}, "--initial-gain with --initialisation normal, xavier or orthogonal only"),
        (TrainingOptions, {"steps": 2.5}, "--steps to be a whole number, got 2.5"),
        (TrainingOptions, {"steps": True}, "--steps to be a whole number, got True"),
        (TrainingOptions, {"batch": 0}, "--batch of at least 1"),
        (TrainingOptions, {"learning_rate": 0.0}, "--learning-rate above 0, got 0.0"),
        (TrainingOptions, {"learning_rate": float("nan")}, "--learning-rate to be a finite number, got nan"),
        (TrainingOptions, {"betas": (0.9, 1.0)}, "--betas of at least 0 and below 1, got 1.0"),
        (TrainingOptions, {"betas": (0.9,)}, "--betas to be 2 numbers, got (0.9,)"),
        (TrainingOptions, {"schedule": "exponential"}, "--schedule to be one of constant, cosine, linear, step, plateau, got 'exponential'"),
        (TrainingOptions, {"warm_up": -1}, "--warm-up of at least 0"),
        (TrainingOptions, {"average_decay": 1.0}, "--average-decay of at least 0 and below 1, got 1.0"),
        (TrainingOptions, {"gradient_clip": -0.5}, "--gradient-clip of at least 0, got -0.5"),
        (TrainingOptions, {"precision": "16-true"}, "--precision to be one of 32-true, bf16-mixed, 16-mixed, auto, got '16-true'"),
        (TrainingOptions, {"device": "gpu"}, "--device auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        (TrainingOptions, {"device": "cuda:"}, "--device auto, cpu, cuda, cuda:N or mps, got 'cuda:'"),
        (TrainingOptions, {"device": "cpu:0"}, "--device auto, cpu, cuda, cuda:N or mps, got 'cpu:0'"),
        (TrainingOptions, {"seed": 2**32}, "--seed below 4294967296"),
        (TrainingOptions, {"seed": -1}, "--seed of at least 0"),
        (TrainingOptions, {"validate_every": 0}, "--validate-every of at least 1"),
        (TrainingOptions, {"checkpoint_every": 0}, "--checkpoint-every of at least 1"),
        (TrainingOptions, {"keep": 0}, "--keep of at least 1"),
        (TrainingOptions, {"log_every": 0}, "--log-every of at least 1"),
        (TrainingOptions, {"start_from": 3}, "--start-from to be a text, got 3"),
    ],
)
def test_option_out_of_its_range_is_refused(owner: type[Any], values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(f"expected {sentence}")):
        owner(**values)


@dataclass(frozen=True)
class Optional:
    depth: int | None = None
    names: tuple[str, ...] = ()
    size: Literal[1, "all"] = 1
    mirror: bool = True


@pytest.mark.parametrize("options", [Optional(), Optional(3, ("a", "b"), "all", False)])
def test_right_types_of_a_plugins_options_pass(options: Optional) -> None:
    check_types(options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (Optional(depth="3"), "--depth to be a whole number or nothing, got '3'"),  # type: ignore[arg-type]
        (Optional(size=True), "--size to be one of 1, all, got True"),  # type: ignore[arg-type]
        (Optional(mirror=1), "--mirror to be true or false, got 1"),  # type: ignore[arg-type]
        (Optional(names=["a"]), "--names to be a list of texts, in Python as a tuple, got ['a']"),  # type: ignore[arg-type]
    ],
)
def test_wrong_types_of_a_plugins_options_are_refused(options: Optional, sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(sentence)):
        check_types(options)


@pytest.mark.parametrize(("images", "batch", "steps"), [(400, 1, 80_000), (10, 4, 500), (1, 16, 13), (7, 3, 467)])
def test_epochs_are_passes_over_all_images_rounded_up(images: int, batch: int, steps: int) -> None:
    assert TrainingOptions(steps=0, epochs=200, batch=batch).total_steps(images) == steps
    assert TrainingOptions(steps=12, batch=batch).total_steps(images) == 12
