"""Which metrics there are, what each requires, and which of them apply to a set of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pixlate.errors import PixlateError
from pixlate.evaluation.folders import ImageSets
from pixlate.plugin.manager import installed

NEIGHBOURS = 3
"""Nearest neighbours that span the manifold of precision and recall (Kynkäänniemi et al. 2019)."""
SPLITS = 10
"""Parts the inception score is averaged over (Salimans et al. 2016)."""


@dataclass(frozen=True)
class Kind:
    """A metric before it is computed."""

    name: str
    """Name for ``--metrics``."""
    compares: Literal["pairs", "sources", "sets"]
    """Each output with its target, each output with its source, or all outputs with all targets."""
    higher_is_better: bool = True
    """Whether a larger number is better."""
    least_side: int = 1
    """Least height and width it can be computed on, in pixels of the output."""
    least_images: int = 1
    """Fewest images of each set."""
    weights: bool = False
    """Whether it needs the weights of a network that Pixlate does not ship."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("psnr", "pairs"),
        Kind("ssim", "pairs", least_side=11),
        Kind("ms-ssim", "pairs", least_side=176),
        Kind("psnr-luma", "pairs"),
        Kind("lpips", "pairs", higher_is_better=False, least_side=31, weights=True),
        Kind("fid", "sets", higher_is_better=False, least_images=2, weights=True),
        Kind("kid", "sets", higher_is_better=False, least_images=2, weights=True),
        Kind("is", "sets", least_images=SPLITS, weights=True),
        Kind("precision", "sets", least_images=NEIGHBOURS + 1, weights=True),
        Kind("recall", "sets", least_images=NEIGHBOURS + 1, weights=True),
        Kind("sliced-wasserstein", "sets", higher_is_better=False, least_side=7),
        Kind("luma-correlation", "sources"),
    )
}


def choose(names: Sequence[str], kinds: Mapping[str, Kind], sets: ImageSets) -> tuple[list[Kind], list[str]]:
    """Return the metrics to compute, and a note for each that was left out.

    Args:
        names: Those asked for, each of which must fit; without any, those that need no weights and fit.
        kinds: The metrics there are.
        sets: The images.

    Raises:
        PixlateError: A metric is not known or does not fit the images, or none does.
    """
    if names:
        for name in names:
            if name not in kinds:
                reason = installed().why("metric", name) or "name them with commas between: --metrics psnr,ssim"
                raise PixlateError(f"expected metrics among {', '.join(kinds)}, got {name!r}; {reason}")
            if reason := _misfit(kinds[name], sets):
                raise PixlateError(reason)
        return [kinds[name] for name in dict.fromkeys(names)], []
    wanted = [kind for kind in kinds.values() if not kind.weights and (kind.compares == "pairs") == sets.paired]
    reasons = {kind.name: _misfit(kind, sets) for kind in wanted}
    chosen = [kind for kind in wanted if not reasons[kind.name]]
    notes = [reason for reason in reasons.values() if reason]
    if not chosen:
        raise PixlateError(notes[0])
    return chosen, [f"left out: {note}" for note in notes]


def _misfit(kind: Kind, sets: ImageSets) -> str:
    """Return why a metric cannot be computed on a set of images, or nothing."""
    if kind.compares == "pairs" and not sets.paired:
        return f"{kind.name} compares each output with its target, but these sets are unpaired; choose another metric, such as sliced-wasserstein"
    if kind.compares == "sources" and sets.scale != 1:
        return f"{kind.name} compares output and source, but this model enlarges by {sets.scale}; choose another metric"
    least = 2 * sets.scale + 1 if kind.name == "psnr-luma" else kind.least_side
    if sets.smallest_side < least:
        return f"{kind.name} needs images of at least {least} pixels on each side, but {sets.smallest} has {sets.smallest_side}; take small images out"
    count = min(len(sets.sources), len(sets.targets))
    if count < kind.least_images:
        return f"{kind.name} needs at least {kind.least_images} images in each set, got {count}; add images or choose another metric"
    return ""
