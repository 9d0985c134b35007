"""Every generator as an ONNX graph with free batch, height and width."""

from collections.abc import Callable

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pixlate.networks.initialisation import initialise
from pixlate.networks.r3gan import R3Generator
from pixlate.networks.resnet import ResNet
from pixlate.networks.swin import Swin
from pixlate.networks.unet import UNet
from pixlate.networks.unet_vit import UNetViT

pytestmark = pytest.mark.usefixtures("operators_read_once")

Network = UNet | ResNet | R3Generator | Swin | UNetViT
MAKERS: dict[str, Callable[[], Network]] = {
    "unet": lambda: UNet(1, 2, depth=3, channels=4, attention=True),
    "resnet": lambda: ResNet(blocks=2, channels=4),
    "resnet that blurs": lambda: ResNet(blocks=1, channels=4, upsampling="bilinear", halve="blurred", padding="replicate"),
    "r3gan": lambda: R3Generator(1, 2, blocks=1, channels=4),
    "resnet with options": lambda: ResNet(blocks=1, channels=4, norm="group", dropout=0.5, upsampling="resize", attention=True, skip=True),
    "unet-vit": lambda: UNetViT(1, 2, depth=2, channels=4, blocks=2, features=12, heads=3),
    "swin": lambda: Swin(1, 2, channels=12, groups=1, blocks=2, heads=3),
    "swin that learns a residual": lambda: Swin(channels=8, groups=1, blocks=3, heads=2, window=4, skip=True),
}


def lively(network: Network) -> Network:
    """Return the network in eval mode with weights that make its output spread over its range."""
    torch.manual_seed(0)
    initialise(network, "kaiming")
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.5, 0.2)  # biases, scales and the share of attention
        elif not parameter.any():
            nn.init.normal_(parameter, 0.0, 0.2)  # of blocks that are not there at the start
    return network.eval()


@pytest.mark.parametrize("name", MAKERS)
def test_exported_generator_gives_the_same_picture_at_another_size(name: str) -> None:
    network = lively(MAKERS[name]())
    free = torch.export.Dim.AUTO
    example = torch.rand(2, network.channels_in, 16, 24)
    program = torch.onnx.export(network, (example,), dynamo=True, verbose=False, opset_version=18, dynamic_shapes=({0: free, 2: free, 3: free},))
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in [(1, 40, 32), (3, network.minimum, 48)]:
        images = torch.rand(shape[0], network.channels_in, *shape[1:]) * 2 - 1
        with torch.no_grad():
            expected: Tensor = network(images)
        (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert expected.std() > 0.1
        assert (torch.from_numpy(found) - expected).abs().max() < 1e-4
