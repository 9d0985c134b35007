"""One generator for many domains, which takes the one to go to (after Choi et al. 2018, "StarGAN")."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pixlate
from pixlate.options import check_least
from pixlate_domains.data import DOMAINS

if TYPE_CHECKING:
    from pixlate_domains.model import MultiDomain

PIXLATE_API = 2


@dataclass(frozen=True)
class DomainsOptions:
    """Options of ``pixlate train domains``: the published ones are the defaults."""

    channels: int = 64
    """Feature maps of the generator after the first convolution."""
    blocks: int = 6
    """Residual blocks of the generator."""
    discriminator_channels: int = 64
    """Feature maps of the discriminator after the first convolution."""
    cycle_weight: float = 10.0
    """Weight of the difference of an image from its translation to another domain and back."""

    def __post_init__(self) -> None:
        check_least(self, channels=1, blocks=1, discriminator_channels=1, cycle_weight=0)


def build(options: DomainsOptions, facts: Mapping[str, Any]) -> "MultiDomain":
    """Return untrained networks for the domains found in the folder; PyTorch is imported only here."""
    from pixlate_domains.model import MultiDomain

    return MultiDomain(options, tuple(facts["domains"]))


@pixlate.hookimpl
def pixlate_methods() -> Iterable[pixlate.Method]:
    """Offer ``domains``."""
    yield pixlate.Method(name="domains", summary="One generator for many domains", data=DOMAINS, options=DomainsOptions, build=build)
