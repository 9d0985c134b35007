"""ResNets of pytorch-CycleGAN-and-pix2pix and contrastive-unpaired-translation run as they do there."""

import re
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import pixlate
from pixlate import ForeignGenerator, ImportOptions
from pixlate.networks.resnet import ResNet
from pixlate.networks.symmetric import Symmetric
from pixlate.plugin.manager import installed
from pixlate_cyclegan.foreign import import_resnet

Padding = Literal["reflect", "replicate", "zero"]


class Halve(nn.Module):
    """Every second pixel of a blur of 1, 2, 1 over reflected borders, as one strided convolution of each channel with its kernel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("filt", row.outer(row).expand(channels, 1, 3, 3).clone())

    def forward(self, features: Tensor) -> Tensor:
        return functional.conv2d(functional.pad(features, (1, 1, 1, 1), "reflect"), self.get_buffer("filt"), stride=2, groups=features.shape[1])


class Double(nn.Module):
    """Pixels with zeros between them under a blur of 1, 3, 3, 1 over repeated borders, as one transposed convolution, cut to twice the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("filt", row.outer(row).expand(channels, 1, 4, 4).clone())

    def forward(self, features: Tensor) -> Tensor:
        padded = functional.pad(features, (1, 1, 1, 1), "replicate")
        wide = functional.conv_transpose2d(padded, self.get_buffer("filt"), stride=2, groups=features.shape[1])
        return wide[:, :, 3:-3, 3:-3]


class Block(nn.Module):
    """The published residual block."""

    def __init__(self, channels: int, norm: str, padding: Padding, dropout: bool) -> None:
        super().__init__()
        pads: dict[str, Callable[[], list[nn.Module]]] = {
            "reflect": lambda: [nn.ReflectionPad2d(1)],
            "replicate": lambda: [nn.ReplicationPad2d(1)],
            "zero": list,
        }

        def convolution() -> list[nn.Module]:
            layer = nn.Conv2d(channels, channels, 3, padding=int(padding == "zero"), bias=norm == "instance")
            return [*pads[padding](), layer, normalisation(norm, channels)]

        between: list[nn.Module] = [nn.ReLU(), nn.Dropout(0.5)] if dropout else [nn.ReLU()]
        self.conv_block = nn.Sequential(*convolution(), *between, *convolution())

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.conv_block(features)
        return features + change


class Published(nn.Module):
    """The published ResNet, one sequence of layers, from which its names of weights arise."""

    def __init__(
        self,
        blocks: int = 2,
        channels: int = 4,
        norm: str = "instance",
        padding: Padding = "reflect",
        dropout: bool = False,
        blurs: tuple[bool, bool] = (False, False),
        halvings: int = 2,
        ends: tuple[int, int] = (3, 3),
    ) -> None:
        super().__init__()
        bias = norm == "instance"

        def finish(width: int) -> list[nn.Module]:
            return [normalisation(norm, width), nn.ReLU()]

        layers = [nn.ReflectionPad2d(3), nn.Conv2d(ends[0], channels, 7, bias=bias), *finish(channels)]
        for width in (channels * 2**stage for stage in range(halvings)):
            stride = 1 if blurs[0] else 2
            layers += [nn.Conv2d(width, 2 * width, 3, stride, 1, bias=bias), *finish(2 * width), *([Halve(2 * width)] if blurs[0] else [])]
        layers += [Block(channels * 2**halvings, norm, padding, dropout) for _ in range(blocks)]
        for width in (channels * 2**stage for stage in reversed(range(halvings))):
            if blurs[1]:
                layers += [Double(2 * width), nn.Conv2d(2 * width, width, 3, 1, 1, bias=bias), *finish(width)]
            else:
                layers += [nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1, bias=bias), *finish(width)]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(channels, ends[1], 7), nn.Tanh())

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
        if name.endswith("filt"):
            continue
        if value.ndim == 4:
            value.normal_(0, 0.8 / value[0].numel() ** 0.5, generator=generator)
        elif value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=generator) if name.endswith(("weight", "var")) else value.normal_(0, 0.2, generator=generator)
    return network.eval()


def recognised(state: dict[str, Tensor], options: ImportOptions | None = None) -> ForeignGenerator:
    foreign = installed().manager.hook.pixlate_import_checkpoint(state=state, options=options or ImportOptions())
    assert isinstance(foreign, ForeignGenerator)
    return foreign


def assert_same_pictures(network: nn.Module, foreign: ForeignGenerator, ends: int = 3) -> None:
    images = torch.rand(2, ends, 20, 28, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = network(images), foreign.network(images)
    assert expected.shape == found.shape and expected.std() > 0.03
    assert (found - expected).abs().max() < 1e-5


@pytest.mark.parametrize("blurs", [(False, False), (True, True), (True, False), (False, True)], ids=["strided", "cut", "blurred down", "blurred up"])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("blocks", [6, 9])
def test_resnet_gives_its_own_pictures(blocks: int, norm: str, blurs: tuple[bool, bool]) -> None:
    network = lively(Published(blocks, 4, norm, blurs=blurs))
    foreign = recognised(network.state_dict())
    assert_same_pictures(network, foreign)
    project = "contrastive-unpaired-translation" if any(blurs) else "pytorch-CycleGAN-and-pix2pix"
    assert foreign.name == f"ResNet of {blocks} blocks {'without norm' if norm == 'none' else f'with {norm} norm'}, {project}"
    assert (foreign.spec.method, foreign.spec.multiple, foreign.spec.scale) == ("cut" if any(blurs) else "cyclegan", 4, 1)
    assert foreign.spec.norm == {"batch": "running", "instance": "per-image", "none": "none"}[norm]
    assert foreign.norm == ("per-image" if norm == "batch" else "running")


@settings(max_examples=40, deadline=None)
@given(
    blocks=st.integers(1, 10),
    channels=st.integers(1, 5),
    norm=st.sampled_from(["instance", "batch", "none"]),
    padding=st.sampled_from(["reflect", "replicate", "zero"]),
    dropout=st.booleans(),
    blurs=st.tuples(st.booleans(), st.booleans()),
    halvings=st.integers(1, 3),
    ends=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_any_resnet_is_recognised_by_its_keys_and_shapes(
    blocks: int, channels: int, norm: str, padding: Padding, dropout: bool, blurs: tuple[bool, bool], halvings: int, ends: tuple[int, int]
) -> None:
    network = lively(Published(blocks, channels, norm, padding, dropout, blurs, halvings, ends))
    foreign = recognised(network.state_dict(), ImportOptions(padding=padding))
    images = torch.rand(1, ends[0], 24, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (foreign.network(images) - network(images)).abs().max() < 1e-5
    assert (foreign.spec.channels_in, foreign.spec.channels_out, foreign.spec.multiple) == (*ends, 2**halvings)
    told = [sentence.partition(":")[0] for sentence in foreign.assumed]
    expected = ["direction", *(["padding"] if padding != "zero" else []), *(["dropout"] if dropout else []), *(["norm"] if norm == "batch" else [])]
    assert told == expected


@pytest.mark.parametrize(
    ("network", "keys"),
    [
        (lambda: Published(9, 64), {"model.1.weight", "model.4.weight", "model.7.weight", "model.18.conv_block.5.weight", "model.19.weight", "model.26.bias"}),
        (lambda: Published(6, 64, dropout=True), {"model.10.conv_block.6.weight", "model.15.conv_block.1.weight", "model.16.weight", "model.23.weight"}),
        (lambda: Published(9, 64, blurs=(True, True)), {"model.7.filt", "model.12.conv_block.1.weight", "model.20.conv_block.5.bias", "model.30.weight"}),
    ],
    ids=["nine blocks", "six blocks with dropout", "cut"],
)
def test_keys_are_those_of_published_files(network: Callable[[], nn.Module], keys: set[str]) -> None:
    with torch.device("meta"):
        assert keys <= network().state_dict().keys()


@pytest.mark.parametrize("blurs", [(False, False), (True, True)], ids=["strided", "cut"])
def test_batch_norm_with_the_statistics_of_each_image_is_what_its_own_code_shows(blurs: tuple[bool, bool]) -> None:
    """Its test script leaves networks in training mode with batches of one."""
    network = lively(Published(2, 4, "batch", blurs=blurs))
    foreign = recognised(network.state_dict())
    image = torch.rand(1, 3, 20, 28)
    with torch.no_grad():
        running = foreign.network(image)
        for layer in [*network.modules(), *foreign.network.modules()]:
            layer.train(isinstance(layer, nn.BatchNorm2d))
        expected, found = network(image), foreign.network(image)
    assert (found - expected).abs().max() < 1e-5 < 0.01 < (running - expected).abs().max()


def test_old_running_statistics_of_instance_norm_are_left_out_and_reported() -> None:
    network = lively(Published(1, 4, "instance"))
    state = network.state_dict()
    for name, layer in network.named_modules():
        if isinstance(layer, nn.InstanceNorm2d):
            state |= {f"{name}.running_mean": torch.rand(layer.num_features), f"{name}.running_var": torch.rand(layer.num_features)}
    foreign = recognised(state)
    assert_same_pictures(network, foreign)
    assert any("the 14 running statistics" in sentence for sentence in foreign.assumed)  # of 5 norms and the block's 2


def test_names_are_those_of_a_generator_under_training() -> None:
    network = recognised(lively(Published(2, 4)).state_dict()).network
    assert isinstance(network, Symmetric) and isinstance(network.network, ResNet)
    assert network.state_dict().keys() == Symmetric(ResNet(blocks=2, channels=4)).state_dict().keys()


def test_padding_that_the_file_contradicts_is_refused() -> None:
    with pytest.raises(pixlate.PixlateError, match=r"expected --padding reflect or replicate: its blocks have padding layers, got zero; leave it out"):
        import_resnet(Published().state_dict(), ImportOptions(padding="zero"))
    with pytest.raises(pixlate.PixlateError, match=r"expected --padding zero: its blocks have no padding layers, got replicate; leave it out"):
        import_resnet(Published(padding="zero").state_dict(), ImportOptions(padding="replicate"))


@pytest.mark.parametrize(
    "change", [{"model.7.filt": torch.ones(8, 1, 3, 3)}, {"model.7.filt": torch.ones(8, 1, 2, 2)}, {"model.9.filt": torch.ones(1)}], ids=str
)
def test_blurs_other_than_the_published_are_refused(change: dict[str, Tensor]) -> None:
    state = Published(blurs=(True, True)).state_dict() | change
    with pytest.raises(pixlate.PixlateError, match=re.escape(f"but {next(iter(change))} is another one; export it from the code that trained it")):
        import_resnet(state, ImportOptions())


@pytest.mark.parametrize(
    "change",
    [
        {"model.4.weight": torch.zeros(8, 4, 4, 4)},
        {"model.4.weight": torch.zeros(3)},
        {"model.1.weight": torch.zeros(100_000, 1, 1, 1)},
        {"model.1.weight": torch.zeros(())},
        {"model.1000000.conv_block.1.weight": torch.zeros(1)},
        {"model.99999999999999999999.weight": torch.zeros(1)},
        {"something.more": torch.zeros(1)},
        {"": torch.zeros(1)},
    ],
    ids=str,
)
def test_other_shapes_and_keys_are_left_to_other_plugins(change: dict[str, Tensor]) -> None:
    assert import_resnet(Published().state_dict() | change, ImportOptions()) is None


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_incomplete_weights_are_left_to_other_plugins(norm: str) -> None:
    state = {name: value for name, value in Published(norm=norm).state_dict().items() if not name.endswith("num_batches_tracked")}
    for key in state:
        assert import_resnet({name: value for name, value in state.items() if name != key}, ImportOptions()) is None
    assert import_resnet({}, ImportOptions()) is None


@pytest.mark.parametrize("far", ["400000000", "300000004", "9" * 5000])
def test_names_of_millions_of_layers_cost_neither_memory_nor_time(far: str) -> None:
    weight = torch.zeros(1, 1, 1, 1)
    for names in (("model.10", f"model.{far}"), (f"model.{far}",)):
        assert import_resnet({"model.1.weight": weight, **{f"{name}.conv_block.1.weight": weight for name in names}}, ImportOptions()) is None
