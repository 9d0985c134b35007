"""Initial weights."""

from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from pixlate.networks.initialisation import QUIET, Initialisation, QuietConv2d, initialise
from pixlate.networks.patchgan import PatchGAN
from pixlate.networks.resnet import ResNet
from pixlate.networks.srgan_discriminator import SRGANDiscriminator
from pixlate.networks.unet import UNet


@pytest.mark.parametrize("make", [lambda: UNet(depth=4, channels=16), lambda: PatchGAN(channels=16), lambda: SRGANDiscriminator(channels=8)])
def test_published_weights_are_normal_around_zero_and_batch_norms_around_one(make: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = make()
    initialise(network)
    drawn = 0
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            count = layer.weight.numel()
            assert layer.weight.std().item() == pytest.approx(0.02, rel=4 / (2 * count) ** 0.5)
            assert abs(layer.weight.mean().item()) < 4 * 0.02 / count**0.5
            assert layer.bias is None or not layer.bias.any()
            drawn += 1
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=4 * 0.02 / layer.num_features**0.5)
            assert 0 < layer.weight.std() < 0.05
            assert not layer.bias.any()
    assert drawn > 4


@pytest.mark.parametrize(
    ("kind", "gain", "deviation"),
    [
        ("normal", 0.5, 0.5),
        ("xavier", 0.5, 0.5 * (2 / (9 * (64 + 32))) ** 0.5),
        ("kaiming", 0.5, (2 / (9 * 64)) ** 0.5),
        ("orthogonal", 0.5, 0.5 / (9 * 64) ** 0.5),
    ],
)
def test_distributions_have_the_deviation_of_their_papers(kind: Initialisation, gain: float, deviation: float) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 32, 3)
    initialise(layer, kind, gain)
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.03)


def test_orthogonal_weights_are_orthogonal_rows_of_the_length_of_the_gain() -> None:
    layer = nn.Conv2d(8, 16, 3)
    initialise(layer, "orthogonal", 0.5)
    rows = layer.weight.flatten(1)
    assert torch.allclose(rows @ rows.T, 0.25 * torch.eye(16), atol=1e-5)


@pytest.mark.parametrize("kind", get_args(Initialisation))
def test_spectral_norm_still_applies_after_new_weights(kind: Initialisation) -> None:
    """In eval mode at once, without a training step: the estimate follows the weights."""
    torch.manual_seed(0)
    network = PatchGAN(channels=8, norm="none", spectral=True).eval()
    before = [parameter.clone() for parameter in network.parameters()]
    initialise(network, kind)
    assert not any(layer.training for layer in network.modules())
    assert all(not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
    for layer in network.modules():
        if parametrize.is_parametrized(layer):
            assert isinstance(layer, nn.Conv2d)
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.15)


def test_spectral_norm_is_trained_on_the_drawn_weights() -> None:
    torch.manual_seed(0)
    network = PatchGAN(channels=16, norm="none", spectral=True)
    initialise(network, gain=0.3)
    originals = [parameter for name, parameter in network.named_parameters() if name.endswith("original")]
    assert len(originals) == 5
    assert all(original.std().item() == pytest.approx(0.3, rel=0.1) for original in originals)


@pytest.mark.parametrize("kind", get_args(Initialisation))
def test_resnet_with_skip_is_still_the_identity_after_new_weights(kind: Initialisation) -> None:
    torch.manual_seed(0)
    network = ResNet(blocks=2, channels=16, skip=True)
    initialise(network, kind)
    images = torch.rand(1, 3, 16, 16)
    assert (network(images) - images).abs().max() < 1 / 255


def test_quiet_convolution_starts_small_but_not_at_zero() -> None:
    torch.manual_seed(0)
    quiet, plain = QuietConv2d(16, 16, 3), nn.Conv2d(16, 16, 3)
    assert quiet.weight.std().item() == pytest.approx(plain.weight.std().item() * QUIET, rel=0.1)


def test_layers_that_are_not_drawn_keep_what_they_have() -> None:
    network = nn.Sequential(nn.PReLU(), nn.GroupNorm(2, 4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    initialise(network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_unknown_distribution_is_refused() -> None:
    with pytest.raises(ValueError, match="an initialisation of normal, xavier, kaiming or orthogonal, got 'uniform'"):
        initialise(nn.Conv2d(1, 1, 1), "uniform")  # type: ignore[arg-type]
