"""Style transfer's network and losses."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

import pixlate
from pixlate.errors import PixlateError
from pixlate.inference.sizes import spec_sizes
from pixlate.losses import load_hed, mse
from pixlate.networks.hed import HED
from pixlate.networks.resnet import ResNet
from pixlate.networks.symmetric import Symmetric
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import MAIN_GENERATOR, Images, Losses
from pixlate_style.images import read_style
from pixlate_style.options import StyleOptions

LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3")
"""Layers of HED's trunk, which is VGG16 trained further, whose Gram matrices are the style: relu1_2, relu2_2, relu3_3 and relu4_3 of the paper."""


class Style(pixlate.GAN):
    """A generator without an adversary, which keeps the content of photographs and takes the style of one picture (Johnson et al. 2016, 3)."""

    style: Tensor

    def __init__(self, options: StyleOptions) -> None:
        network = ResNet(3, 3, options.blocks, options.channels, norm="instance", upsampling="resize", skip=options.skip, kernel=9)
        super().__init__({MAIN_GENERATOR: Symmetric(network)})
        self.register_buffer("style", torch.zeros(3, options.style_size, options.style_size, dtype=torch.uint8))
        self.options, self.sizes = options, spec_sizes(network)
        self._picture: Tensor | None = None
        self._features: list[HED] = []  # in a list, since it is no part of the model and its checkpoints
        self._wanted: list[Tensor] = []

    def spec(self, generator: str = MAIN_GENERATOR) -> pixlate.ModelSpec:
        """Return sizes, tiling and norm mode."""
        return pixlate.ModelSpec(method="style", norm="per-image", padding="reflect", **self.sizes)

    def begin_run(self, start_from: str) -> None:
        """Read the style picture, which a run that starts from another has of its own."""
        if not self.options.style:
            raise PixlateError("expected --style with the picture whose style is to be learned, got none; name a file")
        self._picture = read_style(Path(self.options.style), self.options.style_size)

    def prepare(self, device: torch.device) -> None:
        """Load HED, where there is a style picture to compare with."""
        if self.options.style:
            self._features = [load_hed().to(device)]

    def begin_step(self, step: int, steps: int) -> None:
        """Keep the style picture with the weights, from the first step on."""
        if self._picture is not None:
            self.style.copy_(self._picture)
            self._picture, self._wanted = None, []

    def generate(self, batch: Batch) -> Images:
        """Return ``target``, the source in the style."""
        return {"target": self.generators[MAIN_GENERATOR](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return the distances of content (equation 2) and style (equation 4), and how rough the picture is."""
        options, output = self.options, images["target"]
        losses = {"smoothness": options.smoothness_weight * roughness(255 * output.float())}
        for network in self._features:
            with torch.no_grad():
                (content,) = network.features(batch["source"], [options.content_layer])
                self._wanted = self._wanted or grams(network.features(self.style[None].float() / 255, LAYERS))
            found = network.features(output, LAYERS)
            losses["content"] = options.content_weight * mse(found[LAYERS.index(options.content_layer)].float(), content.float())
            pairs = zip(grams(found), self._wanted, strict=True)
            losses["style"] = options.style_weight * torch.stack([mse(gram, wanted.expand_as(gram)) for gram, wanted in pairs]).sum()
        return losses

    def explained(self) -> Mapping[str, str]:
        """Return a sentence for each loss, and for what validation measures against the photographs, as which outputs should not look."""
        return {
            "content": "How far outputs are from the photographs in features that know shapes: smaller keeps more of them; it ends far from 0.",
            "style": "How far the textures and colours of outputs are from those of the style picture: smaller is better.",
            "smoothness": "How much neighbouring pixels of outputs differ: smaller is smoother.",
            "sliced_wasserstein": "How far outputs are from the photographs as a set: how much the style changes; neither larger nor smaller is better.",
        }


def grams(features: Sequence[Tensor]) -> list[Tensor]:
    """Return the Gram matrix (batch, channels, channels) of each layer's features over all their numbers, in 32 bits (equation 3)."""
    flat = [layer.float().flatten(2) for layer in features]
    with torch.autocast(flat[0].device.type, enabled=False):
        return [layer @ layer.mT / (layer.shape[1] * layer.shape[2]) for layer in flat]


def roughness(images: Tensor) -> Tensor:
    """Return half the sum of the squared differences of neighbours, for each image."""
    down, across = images.diff(dim=2), images.diff(dim=3)
    return (down.square().sum() + across.square().sum()) / (2 * len(images))
