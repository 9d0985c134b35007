"""U-Nets of pytorch-CycleGAN-and-pix2pix run as they do there."""

import pytest
import torch
from torch import Tensor, nn

from pixlate import ForeignGenerator, ImportOptions
from pixlate.networks.symmetric import Symmetric
from pixlate.networks.unet import UNet
from pixlate.plugin.manager import installed
from pixlate_pix2pix.foreign import import_unet


class Level(nn.Module):
    """One level of the published U-Net with all deeper ones inside, its layers in one sequence, from which its names of weights arise."""

    def __init__(self, outer: int, inner: int, norm: str, deeper: "Level | None", ends: tuple[int, int] | None = None, dropout: bool = False) -> None:
        super().__init__()
        self.outermost = ends is not None
        channels_in, channels_out = ends or (outer, outer)
        bias = norm == "instance"
        down = nn.Conv2d(channels_in, inner, 4, 2, 1, bias=bias)
        up = nn.ConvTranspose2d(inner if deeper is None else 2 * inner, channels_out, 4, 2, 1, bias=bias or self.outermost)
        if self.outermost:
            assert deeper is not None
            layers: list[nn.Module] = [down, deeper, nn.ReLU(inplace=True), up, nn.Tanh()]
        elif deeper is None:
            layers = [nn.LeakyReLU(0.2, inplace=True), down, nn.ReLU(inplace=True), up, normalisation(norm, outer)]
        else:
            layers = [nn.LeakyReLU(0.2, inplace=True), down, normalisation(norm, inner), deeper, nn.ReLU(inplace=True), up, normalisation(norm, outer)]
            layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.model(features)
        return output if self.outermost else torch.cat([features, output], 1)


class Published(nn.Module):
    """The published U-Net: eight times the width from the fourth level on, dropout in the levels between that and the innermost."""

    def __init__(self, depth: int, channels: int, norm: str, channels_in: int = 3, channels_out: int = 3, dropout: bool = False) -> None:
        super().__init__()
        level = Level(8 * channels, 8 * channels, norm, None)
        for _ in range(depth - 5):
            level = Level(8 * channels, 8 * channels, norm, level, dropout=dropout)
        for factor in (4, 2, 1):
            level = Level(factor * channels, 2 * factor * channels, norm, level)
        self.model = Level(channels_out, channels, norm, level, (channels_in, channels_out))

    def forward(self, images: Tensor) -> Tensor:
        """Take and give [0, 1], as our generators do."""
        output: Tensor = self.model(images * 2 - 1)
        return output / 2 + 0.5


def normalisation(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def lively(network: nn.Module) -> nn.Module:
    """Return the network in eval mode with weights and statistics under which every layer matters."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if value.ndim == 4:
            value.normal_(0, 1.4 / value[0].numel() ** 0.5, generator=generator)
        elif value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=generator) if name.endswith(("weight", "var")) else value.normal_(0, 0.2, generator=generator)
    return network.eval()


def recognised(state: dict[str, Tensor], options: ImportOptions | None = None) -> ForeignGenerator:
    foreign = installed().manager.hook.pixlate_import_checkpoint(state=state, options=options or ImportOptions())
    assert isinstance(foreign, ForeignGenerator)
    return foreign


@pytest.mark.parametrize("dropout", [False, True], ids=["plain", "dropout"])
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("depth", [5, 6, 7, 8])
def test_unet_gives_its_own_pictures(depth: int, norm: str, dropout: bool) -> None:
    network = lively(Published(depth, 4, norm, dropout=dropout))
    foreign = recognised(network.state_dict())
    images = torch.rand(2, 3, 2**depth, 2 ** (depth + 1))
    with torch.no_grad():
        expected, found = network(images), foreign.network(images)
    assert expected.std() > 0.05
    assert (found - expected).abs().max() < 1e-5
    assert foreign.name == f"U-Net of {depth} halvings {'without norm' if norm == 'none' else f'with {norm} norm'}, pytorch-CycleGAN-and-pix2pix"
    assert (foreign.spec.method, foreign.spec.multiple, foreign.spec.minimum) == ("pix2pix", 2**depth, 2**depth)
    assert foreign.spec.norm == {"batch": "running", "instance": "per-image", "none": "none"}[norm]
    assert foreign.spec.tiling_exact == (norm != "instance")


@pytest.mark.parametrize(("norm", "keys"), [("batch", 82), ("instance", 32)])
def test_published_unet_of_256_has_as_many_keys_as_its_files(norm: str, keys: int) -> None:
    with torch.device("meta"):
        state = Published(8, 64, norm).state_dict()
    assert len(state) == keys
    assert state["model.model.0.weight"].shape == (64, 3, 4, 4)


def test_batch_norm_with_the_statistics_of_each_image_is_what_its_own_code_shows() -> None:
    """Its test script leaves networks in training mode with batches of one."""
    network = lively(Published(5, 4, "batch"))
    foreign = recognised(network.state_dict())
    assert foreign.norm == "per-image" and any("--norm running" in sentence for sentence in foreign.assumed)
    image = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        running = foreign.network(image)
        for layer in [*network.modules(), *foreign.network.modules()]:
            layer.train(isinstance(layer, nn.BatchNorm2d))
        expected, found = network(image), foreign.network(image)
    assert (found - expected).abs().max() < 1e-5 < 0.01 < (running - expected).abs().max()


def test_old_running_statistics_of_instance_norm_are_left_out_and_reported() -> None:
    network = lively(Published(5, 4, "instance"))
    state = network.state_dict()
    for name, layer in network.named_modules():
        if isinstance(layer, nn.InstanceNorm2d):
            state |= {f"{name}.running_mean": torch.rand(layer.num_features), f"{name}.running_var": torch.rand(layer.num_features)}
    foreign = recognised(state)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert (foreign.network(image) - network(image)).abs().max() < 1e-5
    assert any("the 14 running statistics" in sentence for sentence in foreign.assumed)  # of 4 halvings but the last and 4 doublings


def test_counters_that_old_files_lack_are_filled_in() -> None:
    state = {name: value for name, value in lively(Published(5, 4, "batch")).state_dict().items() if not name.endswith("num_batches_tracked")}
    assert recognised(state).name == "U-Net of 5 halvings with batch norm, pytorch-CycleGAN-and-pix2pix"


def test_grey_and_many_channels_and_the_direction_are_kept() -> None:
    state = lively(Published(5, 4, "batch", channels_in=1, channels_out=4)).state_dict()
    spec = recognised(state, ImportOptions(direction="target-to-source")).spec
    assert (spec.channels_in, spec.channels_out, spec.direction) == (1, 4, "target-to-source")


def test_names_are_those_of_a_generator_under_training() -> None:
    network = recognised(lively(Published(5, 4, "batch")).state_dict()).network
    assert isinstance(network, Symmetric) and isinstance(network.network, UNet)
    assert network.state_dict().keys() == Symmetric(UNet(depth=5, channels=4, norm="batch")).state_dict().keys()


@pytest.mark.parametrize(
    "change",
    [
        {"model.model.1.model.1.weight": torch.zeros(8, 4, 3, 3)},
        {"model.model.1.model.1.weight": torch.zeros(3)},
        {"model.model.0.weight": torch.zeros(4)},
        {"model.model.0.weight": torch.zeros(100_000, 1, 1, 1)},
        {"model.model.3.weight": torch.zeros(())},
        {"something.more": torch.zeros(1)},
        {"encoder.0.0.weight": torch.zeros(4, 3, 4, 4)},
    ],
    ids=str,
)
def test_other_shapes_and_keys_are_left_to_other_plugins(change: dict[str, Tensor]) -> None:
    assert import_unet(Published(5, 4, "batch").state_dict() | change, ImportOptions()) is None


def test_incomplete_weights_are_left_to_other_plugins() -> None:
    state = Published(5, 4, "instance").state_dict()
    for key in state:
        assert import_unet({name: value for name, value in state.items() if name != key}, ImportOptions()) is None
    assert import_unet({}, ImportOptions()) is None
