"""Weights of BasicSR and leftthomas/SRGAN run as they do there."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate import ForeignGenerator, ImportOptions
from pixlate.networks.srresnet import MSRResNet, SRResNet
from pixlate.plugin.manager import installed
from pixlate_srgan.foreign import import_basicsr, import_leftthomas

CHANNELS, BLOCKS = 8, 2


def basicsr_weights(upsamplings: int) -> dict[str, Tensor]:
    """Random weights under BasicSR's names."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"conv_first": (CHANNELS, 3), "conv_hr": (CHANNELS, CHANNELS), "conv_last": (3, CHANNELS)}
    sizes |= {f"body.{block}.conv{number}": (CHANNELS, CHANNELS) for block in range(BLOCKS) for number in (1, 2)}
    sizes |= {f"upconv{number + 1}": (4 * CHANNELS, CHANNELS) for number in range(upsamplings)}
    state = {}
    for name, (out, into) in sizes.items():
        state[f"{name}.weight"] = torch.randn(out, into, 3, 3, generator=generator) * 0.2
        state[f"{name}.bias"] = torch.randn(out, generator=generator) * 0.2
    return state


def basicsr_forward(image: Tensor, state: dict[str, Tensor], upsamplings: int) -> Tensor:
    """BasicSR's MSRResNet as its publication describes it."""

    def convolve(name: str, features: Tensor) -> Tensor:
        return functional.conv2d(features, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    features = functional.leaky_relu(convolve("conv_first", image), 0.1)
    for block in range(BLOCKS):
        features = features + convolve(f"body.{block}.conv2", functional.relu(convolve(f"body.{block}.conv1", features)))
    for number in range(upsamplings):
        features = functional.leaky_relu(functional.pixel_shuffle(convolve(f"upconv{number + 1}", features), 2), 0.1)
    learned = convolve("conv_last", functional.leaky_relu(convolve("conv_hr", features), 0.1))
    return learned + functional.interpolate(image, scale_factor=2**upsamplings, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("upsamplings", [1, 2])
def test_msrresnet_of_basicsr_gives_its_own_pictures(upsamplings: int) -> None:
    state = basicsr_weights(upsamplings)
    foreign = installed().manager.hook.pixlate_import_checkpoint(state=state, options=ImportOptions())
    assert isinstance(foreign, ForeignGenerator) and isinstance(foreign.network, MSRResNet)
    assert foreign.spec.scale == 2**upsamplings
    image = torch.rand(1, 3, 7, 9)
    torch.testing.assert_close(foreign.network(image), basicsr_forward(image, state, upsamplings))


def test_msrresnet_of_basicsr_at_scale_3_is_recognised_by_its_one_shuffle() -> None:
    state = basicsr_weights(1) | {"upconv1.weight": torch.rand(9 * CHANNELS, CHANNELS, 3, 3), "upconv1.bias": torch.rand(9 * CHANNELS)}
    foreign = import_basicsr(state)
    assert foreign is not None and foreign.spec.scale == 3
    assert foreign.network(torch.rand(1, 3, 7, 9)).shape == (1, 3, 21, 27)


class Residual(nn.Module):
    """The residual block of leftthomas/SRGAN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(features)))))
        return features + change


class Enlarge(nn.Module):
    """Its doubling."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.prelu = nn.PReLU()

    def forward(self, features: Tensor) -> Tensor:
        enlarged: Tensor = self.prelu(functional.pixel_shuffle(self.conv(features), 2))
        return enlarged


class Leftthomas(nn.Module):
    """Its generator: blocks numbered from 1 to 8, five of them residual."""

    def __init__(self, doublings: int, channels: int = CHANNELS, normed: bool = True) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), nn.PReLU())
        for number in range(2, 7):
            self.add_module(f"block{number}", Residual(channels))
        self.block7 = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels) if normed else nn.PReLU())
        self.block8 = nn.Sequential(*(Enlarge(channels) for _ in range(doublings)), nn.Conv2d(channels, 3, 9, padding=4))

    def forward(self, images: Tensor) -> Tensor:
        first: Tensor = self.block1(images)
        features = first
        for number in range(2, 8):
            features = self.get_submodule(f"block{number}")(features)
        return (torch.tanh(self.block8(first + features)) + 1) / 2


def lively(network: nn.Module) -> nn.Module:
    """Return the network in eval mode with weights and statistics under which every layer matters."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if value.ndim == 4:
            value.normal_(0, 1 / value[0].numel() ** 0.5, generator=generator)
        elif value.is_floating_point():
            value.uniform_(0.2, 1.5, generator=generator) if name.endswith(("weight", "var")) else value.normal_(0, 0.2, generator=generator)
    return network.eval()


@pytest.mark.parametrize("normed", [True, False], ids=["batch norm", "early version"])
@pytest.mark.parametrize("doublings", [1, 2, 3])
def test_generator_of_leftthomas_gives_its_own_pictures(doublings: int, normed: bool) -> None:
    network = lively(Leftthomas(doublings, normed=normed))
    foreign = installed().manager.hook.pixlate_import_checkpoint(state=network.state_dict(), options=ImportOptions())
    assert isinstance(foreign, ForeignGenerator) and isinstance(foreign.network, SRResNet)
    assert (foreign.spec.scale, foreign.spec.norm, foreign.norm) == (2**doublings, "running", "running")
    assert foreign.name == f"SRResNet of 5 blocks at scale {2**doublings}, leftthomas/SRGAN"
    images = torch.rand(2, 3, 7, 9)
    with torch.no_grad():
        expected, found = network(images), foreign.network(images)
    assert expected.std() > 0.05
    assert (found - expected).abs().max() < 1e-5


def test_names_of_leftthomas_are_those_of_a_generator_under_training() -> None:
    foreign = import_leftthomas(Leftthomas(2).state_dict())
    assert foreign is not None
    assert foreign.network.state_dict().keys() == SRResNet(4, CHANNELS, 5).state_dict().keys()


def test_other_weights_are_left_to_other_plugins() -> None:
    for importer in (import_basicsr, import_leftthomas):
        assert importer({"model.1.weight": torch.zeros(1)}) is None
        assert importer({}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"conv_first.weight": torch.zeros(())},
        {"conv_first.weight": torch.zeros(100_000, 3, 3, 3)},
        {"upconv1.weight": torch.zeros(3)},
        {"upconv2.weight": torch.zeros(4, 4, 3, 3)},
        {"body.1000000000.conv1.weight": torch.zeros(1)},
        {"conv_body.weight": torch.zeros(CHANNELS, CHANNELS, 3, 3), "body.0.rdb1.conv1.weight": torch.zeros(1)},
    ],
    ids=str,
)
def test_weights_much_like_those_of_basicsr_are_left_to_other_plugins(change: dict[str, Tensor]) -> None:
    assert import_basicsr(basicsr_weights(1) | change) is None


@pytest.mark.parametrize(
    "change",
    [
        {"block1.0.weight": torch.zeros(3)},
        {"block1.0.weight": torch.zeros(100_000, 3, 9, 9)},
        {"block8.3.conv.weight": torch.zeros(1)},
        {"block8.2.conv.weight": torch.zeros(1)},
        {"block9.weight": torch.zeros(1)},
        {"block2.prelu.weight": torch.zeros(CHANNELS)},
    ],
    ids=str,
)
def test_weights_much_like_those_of_leftthomas_are_left_to_other_plugins(change: dict[str, Tensor]) -> None:
    assert import_leftthomas(Leftthomas(2).state_dict() | change) is None


def test_incomplete_weights_are_left_to_other_plugins() -> None:
    for importer, state in ((import_basicsr, basicsr_weights(2)), (import_leftthomas, Leftthomas(1).state_dict())):
        for key in state:
            if not key.endswith("num_batches_tracked"):
                assert importer({name: value for name, value in state.items() if name != key}) is None
