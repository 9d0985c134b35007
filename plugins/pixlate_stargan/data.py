"""A data kind: a folder with a folder of images for each domain. PyTorch is imported lazily."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pixlate
from pixlate.plugin.data import Batch, DataReport, Track, TrainingData
from pixlate_stargan.options import DomainOptions

if TYPE_CHECKING:
    from pixlate.options import DataOptions

EXAMPLE = {"domains": ["summer", "winter"], "side": 32}


def domains_of(folders: Sequence[Path]) -> list[str]:
    """Return the names of the domains, from listings alone.

    Raises:
        pixlate.PixlateError: There is not one folder with at least two in it.
    """
    below = [path.name for path in folders[0].iterdir() if path.is_dir() and not path.name.startswith(".")] if folders[0].is_dir() else []
    if len(folders) != 1 or len(below) < 2:
        found = f"{len(folders)} folders" if len(folders) != 1 else f"{folders[0]} with {len(below)} of them"
        raise pixlate.PixlateError(
            f"expected one folder with a folder of images for each domain, at least two, got {found}; write seasons/, with seasons/winter/"
        )
    return sorted(below)


def facts(folders: Sequence[Path], options: DomainOptions) -> Mapping[str, Any]:
    """Return the names of the domains, those of the first of several sets, and the side of what style encoder and discriminator see."""
    return {"domains": domains_of(folders[:1] if options.weights else folders), "side": options.patch}


def check(folders: Sequence[Path], options: "DataOptions", patch: int, track: Track) -> DataReport:
    """Look at each image, domain by domain, for ``pixlate data check``."""
    from pixlate.data.check import check_images

    names = domains_of(folders)
    report = check_images([folders[0] / name for name in names], options, patch, track)
    report.layout = f"domains {', '.join(names)}"
    return report


def open_domains(folders: Sequence[Path], options: DomainOptions, spec: pixlate.ModelSpec) -> TrainingData:
    """Return the images, of the domains that the model knows."""
    from pixlate_stargan.images import DomainImages

    latent, domain = spec.conditions
    domains_of(folders)
    return DomainImages([folders[0] / name for name in domain.choices], options, latent.length)


def sample(spec: pixlate.ModelSpec) -> Batch:
    """Return a random batch of two, of the side of :data:`EXAMPLE`, since discriminators take that one alone."""
    import torch

    latent, domain = spec.conditions
    side = EXAMPLE["side"]
    images: Batch = {name: torch.rand(2, 3, side, side) for name in ("source", "target", "target_other")}  # type: ignore[call-overload]
    labels = {name: torch.randint(len(domain.choices), (2,)) for name in ("origin", "domain")}
    return images | labels | {name: torch.randn(2, latent.length) for name in ("latent", "latent_other")}


DOMAINS = pixlate.DataKind(
    name="domains",
    summary="A folder with a folder of images for each domain",
    example="seasons/",
    options=DomainOptions,
    open=open_domains,
    roles={
        **dict.fromkeys(("source", "target", "target_other"), "image"),
        **dict.fromkeys(("origin", "domain"), "label"),
        **dict.fromkeys(("latent", "latent_other"), "noise"),
    },
    facts=facts,
    example_facts=EXAMPLE,
    sample=sample,
    check=check,
)
"""An image and its domain, two of another domain, which may be the same one, and noise for two styles of it."""
