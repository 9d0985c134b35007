"""Several discriminators, each at half the size of the one before."""

from collections.abc import Sequence

from torch import Tensor, nn

from pixlate.networks.discriminator import Discriminator


class MultiScale(nn.Module):
    """Shows images to the first discriminator as they are, and to each further one at half the sides of the one before (Wang et al. 2018, pix2pixHD, 3.2).

    Takes (batch, channels_in, height, width) and returns a list of logits, finest scale first.

    Args:
        discriminators: One a scale.

    Attributes:
        minimum: Least height and width that leave each scale enough.

    Raises:
        ValueError: There is no discriminator.
    """

    def __init__(self, discriminators: Sequence[Discriminator]) -> None:
        super().__init__()
        if not discriminators:
            raise ValueError("expected at least one discriminator, got none; pass one a scale")
        self.discriminators = nn.ModuleList(discriminators)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.minimum = max((discriminator.minimum - 1) * 2**scale + 1 for scale, discriminator in enumerate(discriminators))  # halves are rounded up

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the logits of each scale, higher for images that look real."""
        return [features[-1] for features in self.features(images)]

    def features(self, images: Tensor) -> list[list[Tensor]]:
        """Return the features of each scale, as :meth:`Discriminator.features` does."""
        found: list[list[Tensor]] = []
        for scale, discriminator in enumerate(self.discriminators):
            images = self.pool(images) if scale > 0 else images
            assert isinstance(discriminator, Discriminator)
            found.append(discriminator.features(images))
        return found
