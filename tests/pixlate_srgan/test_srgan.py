"""SRGAN against its paper (Ledig et al. 2017): defaults, losses of both stages, options."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

import pixlate_srgan
import pixlate_srgan.model
from pixlate.errors import PixlateError
from pixlate.losses import HEDDistance
from pixlate.networks.hed import HED, LAYERS
from pixlate.networks.srresnet import MSRResNet, SRResNet
from pixlate.plugin.testing import check_method
from pixlate.training.schedules import Schedule
from pixlate_srgan.options import SRGANOptions

(METHOD,) = pixlate_srgan.pixlate_methods()
SMALL = SRGANOptions(scale=2, channels=8, blocks=1, discriminator_channels=4, perceptual_weight=0.0, second_pixel_weight=1.0)
PIXEL = SRGANOptions(scale=2, channels=8, blocks=1, stages="pixel")


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize(
    ("network", "tail"), [("srresnet", "staged"), ("msrresnet", "staged"), ("msrresnet", "direct"), ("compact", "staged"), ("span", "staged")]
)
def test_contract_is_kept_by_every_network_and_scale(scale: Any, network: Any, tail: Any) -> None:
    check_method(METHOD, replace(PIXEL, scale=scale, network=network, tail=tail), side=6)


@pytest.mark.parametrize(("scale", "tail"), [(2, "staged"), (3, "direct"), (4, "direct")])
def test_contract_is_kept_by_swin_at_every_kind_of_scale(scale: Any, tail: Any) -> None:
    check_method(METHOD, replace(PIXEL, scale=scale, network="swin", tail=tail, heads=2, groups=1), side=8)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "msrresnet"},
        {"network": "msrresnet", "tail": "direct", "shrink": 2},
        {"network": "compact"},
        {"network": "compact", "shrink": 2},
        {"network": "span"},
        {"network": "span", "shrink": 2},
        {"network": "unet", "depth": 2, "blocks": 16},
        {"network": "swin", "heads": 2, "groups": 1},
    ],
    ids=str,
)
def test_contract_is_kept_by_restoration_at_the_same_size(changes: dict[str, Any]) -> None:
    check_method(METHOD, replace(PIXEL, scale=1, **changes), side=8)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"discriminator": "patch"},
        {"discriminator": "multi-scale", "objective": "relativistic"},
        {"discriminator": "unet"},
        {"spectral_norm": True},
        {"objective": "relativistic"},
        {"stages": "adversarial"},
    ],
)
def test_contract_is_kept_with_a_second_stage(changes: dict[str, Any]) -> None:
    check_method(METHOD, replace(SMALL, **changes), side=24)


def test_defaults_are_those_of_the_paper() -> None:
    gan, training = pixlate_srgan.build(SRGANOptions()), METHOD.training()
    generator = gan.generators["source_to_target"]
    assert isinstance(generator, SRResNet) and sum(parameter.numel() for parameter in generator.parameters()) == 1_549_462
    assert (training.learning_rate, training.betas, training.batch, training.steps) == (1e-4, (0.9, 0.999), 16, 1_200_000)
    rates = Schedule(training, training.steps)
    assert [rates.factor(step) for step in (0, 999_999, 1_000_000, 1_099_999, 1_100_000, 1_199_999)] == pytest.approx([1, 1, 1, 1, 0.1, 0.1])
    assert METHOD.data.options().patch * METHOD.options().scale == 96
    gan.begin_step(999_999, training.steps)
    assert not gan.adversarial
    gan.begin_step(1_000_000, training.steps)
    assert gan.adversarial
    discriminator = sum(parameter.numel() for parameter in gan.discriminators.parameters())
    widths = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    convolutions = sum(9 * first * second for first, second in widths) + 64 + sum(2 * second for _, second in widths[1:])
    assert discriminator == convolutions + (512 * 36 + 1) * 1024 + 1025


def test_modern_variant_has_the_published_size() -> None:
    generator = pixlate_srgan.build(SRGANOptions(network="msrresnet")).generators["source_to_target"]
    assert isinstance(generator, MSRResNet) and sum(parameter.numel() for parameter in generator.parameters()) == 1_517_571


def test_paper_network_has_running_statistics_and_the_modern_one_none() -> None:
    paper = pixlate_srgan.build(SMALL)
    assert isinstance(paper.generators["source_to_target"], SRResNet) and paper.spec().norm == "running"
    assert pixlate_srgan.build(replace(SMALL, network="msrresnet")).spec().norm == "none"


def batch_of(side: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {"source": torch.rand(2, 3, side, side, generator=generator), "target": torch.rand(2, 3, 2 * side, 2 * side, generator=generator)}


@pytest.mark.parametrize(("pixel", "power"), [("mse", 2), ("l1", 1)])
def test_first_stage_minimises_the_pixel_loss_alone_on_images_from_minus_one_to_one(pixel: Any, power: int) -> None:
    gan = pixlate_srgan.build(replace(SMALL, pixel=pixel, pixel_weight=2.5))
    batch = batch_of(9)
    images = gan.generate(batch)
    losses = gan.generator_losses(batch, images)
    assert losses.keys() == {"pixel"} and gan.discriminator_losses(batch, images) == {} == gan.verdicts(batch, images)
    difference = (images["target"] * 2 - 1) - (batch["target"] * 2 - 1)
    assert losses["pixel"].item() == pytest.approx(2.5 * difference.abs().pow(power).mean().item())


def test_second_stage_minimises_equation_3_of_the_paper(tmp_path: Path) -> None:
    first, second = nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1)
    path = tmp_path / "vgg19.safetensors"
    save_file({f"features.{place}.{name}": value.detach() for place, layer in ((0, first), (2, second)) for name, value in layer.named_parameters()}, path)
    options = replace(SMALL, second_pixel_weight=0.0, perceptual_weight=0.006, perceptual_layer="conv1_2", perceptual_weights=str(path))
    torch.manual_seed(0)
    gan = pixlate_srgan.build(options)
    gan.prepare(torch.device("cpu"))
    gan.begin_step(99, 100)
    batch = batch_of(12)
    images = gan.generate(batch)
    losses, judged = gan.generator_losses(batch, images), gan.discriminator_losses(batch, {"target": images["target"].detach()})

    def features(image: torch.Tensor) -> torch.Tensor:
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        return second(torch.relu(first((image - mean) / deviation)))  # type: ignore[no-any-return]

    discriminator: Any = gan.discriminators["target"].network  # of images from -1 to 1
    probability = {name: torch.sigmoid(discriminator(image * 2 - 1)) for name, image in (("real", batch["target"]), ("fake", images["target"]))}
    content = functional.mse_loss(features(images["target"]), features(batch["target"]))
    assert losses.keys() == {"perceptual", "adversarial"}
    assert losses["perceptual"].item() == pytest.approx(0.006 * content.item(), rel=1e-4)
    assert losses["adversarial"].item() == pytest.approx(-1e-3 * probability["fake"].log().mean().item(), rel=1e-4)
    expected = -probability["real"].log().mean() - (1 - probability["fake"]).log().mean()
    assert judged["discriminator"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    "values", [{"scale": 5}, {"network": "rrdb"}, {"tail": "none"}, {"channels": 0}, {"blocks": 0}, {"pixel_weight": -1.0}, {"pixel_share": -0.1}]
)
def test_wrong_option_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(PixlateError, match=f"expected --{next(iter(values)).replace('_', '-')} (to be one of|of at least)"):
        SRGANOptions(**values)


@pytest.mark.parametrize(
    ("values", "name", "where"),
    [
        ({"network": "srresnet", "tail": "direct"}, "tail", "--network msrresnet or swin"),
        ({"perceptual": "hed", "perceptual_layer": "conv1_2"}, "perceptual-layer", "--perceptual vgg19"),
        ({"perceptual_layers": ("conv1_2",)}, "perceptual-layers", "--perceptual hed"),
        ({"network": "msrresnet", "shrink": 2}, "shrink", "--network compact, span, or msrresnet and --tail direct"),
        ({"depth": 4}, "depth", "--network unet"),
        ({"scale": 1, "network": "unet", "blocks": 4}, "blocks", "--network srresnet, msrresnet, compact, span or swin"),
        ({"discriminator": "unet", "spectral_norm": True}, "spectral-norm", "--discriminator srgan, patch or multi-scale"),
        ({"stages": "pixel", "pixel_share": 0.5}, "pixel-share", "--stages both"),
        ({"stages": "pixel", "adversarial_weight": 1.0}, "adversarial-weight", "--stages both or adversarial"),
        ({"stages": "pixel", "spectral_norm": True}, "spectral-norm", "--stages both or adversarial"),
        ({"stages": "adversarial", "pixel_weight": 2.0}, "pixel-weight", "--stages both or pixel"),
        ({"perceptual_weight": 0.0, "second_pixel_weight": 1.0, "perceptual_layer": "conv1_2"}, "perceptual-layer", "--perceptual-weight above 0"),
    ],
)
def test_option_without_effect_is_refused(values: dict[str, Any], name: str, where: str) -> None:
    with pytest.raises(PixlateError, match=f"expected --{name} with {where} only, got .* without it"):
        SRGANOptions(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": 1}, "expected --network msrresnet, compact, span, unet or swin with --scale 1, got srresnet"),
        ({"scale": 4, "network": "unet"}, "expected --scale 1 with --network unet, got 4"),
    ],
)
def test_network_of_another_scale_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(PixlateError, match=message):
        SRGANOptions(**values)


def test_second_stage_without_a_loss_on_the_targets_is_refused() -> None:
    with pytest.raises(PixlateError, match="expected --perceptual-weight or --second-pixel-weight above 0, got 0 for both"):
        SRGANOptions(perceptual_weight=0.0)


def test_layers_that_hed_has_not_are_refused() -> None:
    for layers in (("conv6_1",), (), ("conv1_1", "conv1_1")):
        with pytest.raises(PixlateError, match=r"expected --perceptual-layers among conv1_1, .*conv5_3, each once, got"):
            SRGANOptions(perceptual="hed", perceptual_layers=layers)
    assert SRGANOptions(perceptual="hed", perceptual_layers=LAYERS)


def test_distance_of_heds_features_is_part_of_the_second_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = HED()
    monkeypatch.setattr(pixlate_srgan.model, "load_hed", lambda: network)
    gan = pixlate_srgan.build(replace(SMALL, stages="adversarial", perceptual="hed", perceptual_weight=3.0, perceptual_layers=("conv1_2",)))
    gan.prepare(torch.device("cpu"))
    batch = {"source": torch.rand(1, 3, 24, 24), "target": torch.rand(1, 3, 48, 48)}
    images = gan.generate(batch)
    expected = 3.0 * HEDDistance(network, ("conv1_2",))(images["target"], batch["target"])
    torch.testing.assert_close(gan.generator_losses(batch, images)["perceptual"], expected)
