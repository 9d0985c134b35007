"""What all discriminators share."""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pixlate.networks.blocks import require_images


class Discriminator(nn.Module):
    """Stages that run one after another; the last one returns logits, not probabilities.

    Takes (batch, channels_in, height, width).

    Args:
        channels_in: Channels of the input.
        stages: Each ends with its activation, the last one with logits.
        minimum: Least height and width, kept as an attribute.
    """

    def __init__(self, channels_in: int, stages: list[nn.Module], minimum: int) -> None:
        super().__init__()
        self.channels_in, self.minimum = channels_in, minimum
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, higher for images that look real."""
        return self.features(images)[-1]

    def features(self, images: Tensor) -> list[Tensor]:
        """Return what each stage makes of the images; the logits are last."""
        require_images(images, self.channels_in, self.minimum)
        features, output = [], images
        for stage in self.stages:
            output = stage(output)
            features.append(output)
        return features


def constrained(layer: nn.Module, spectral: bool) -> nn.Module:
    """Return the layer, under spectral norm if asked for (Miyato et al. 2018)."""
    return spectral_norm(layer) if spectral else layer
