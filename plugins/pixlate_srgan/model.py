"""SRGAN's networks and losses (Ledig et al. 2017)."""

from pixlate.data import Batch
from pixlate.gan import GAN, MAIN_GENERATOR, Images, Losses
from pixlate.losses import l1
from pixlate.networks.srresnet import MSRResNet, SRResNet
from pixlate.spec import ModelSpec
from pixlate_srgan.options import SRGANOptions


class SRGAN(GAN):
    """The first stage: a generator trained on pixel loss alone, called SRResNet in the paper (section 3.2)."""

    def __init__(self, options: SRGANOptions) -> None:
        generator = (
            SRResNet(options.scale, options.channels, options.blocks)
            if options.network == "srresnet"
            else MSRResNet(options.scale, options.channels, options.blocks, options.tail)
        )
        super().__init__({MAIN_GENERATOR: generator})
        self.scale, self.halo = options.scale, generator.halo
        self.normalised = options.network == "srresnet"
        self.pixel_weight = options.pixel_weight

    def spec(self, generator: str = MAIN_GENERATOR) -> ModelSpec:
        """Return scale and halo; convolutions alone make tiling exact."""
        return ModelSpec(method="srgan", scale=self.scale, tiling_exact=True, halo=self.halo, norm="running" if self.normalised else "none")

    def generate(self, batch: Batch) -> Images:
        """Return ``target``, the enlarged source."""
        return {"target": self.generators[MAIN_GENERATOR](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        """Return ``pixel``: the mean absolute difference, weighted."""
        return {"pixel": self.pixel_weight * l1(images["target"], batch["target"])}
