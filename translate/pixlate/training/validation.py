"""Validation of the averaged generator on held-out images: metrics and sample sheets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixlate.errors import PixlateError
from pixlate.evaluation.metrics import luma_correlation, psnr, psnr_luma, sliced_wasserstein
from pixlate.images import Pixels
from pixlate.plugin.data import TrainingData
from pixlate.plugin.gan import GAN
from pixlate.plugin.metric import Metric, Sample
from pixlate.plugin.spec import ModelSpec

EXACT = 100.0
"""What counts for the infinite PSNR of equal images, in dB."""
MEANINGS = {
    "psnr_luma": "How near outputs are to their targets in brightness, in dB, pixel by pixel: larger is better, and one dB more can be seen. It prefers blur to wrong detail.",
    "psnr": "How near outputs are to their targets, in dB, pixel by pixel: larger is better, and one dB more can be seen. It prefers blur to wrong detail.",
    "sliced_wasserstein": "How far outputs are from real targets as a set, in small patches: smaller is better, 0 where they cannot be told apart.",
    "luma_correlation": (
        "Whether outputs keep light and dark where their sources have them: 1 is exactly, 0 not at all. It should stay high, unless the translation is to change light."
    ),
    "history_generators": "How far the generators' weights are from their mean over the run (--historical-averaging): it grows while they learn and falls as they settle.",
    "history_discriminators": "The same of the discriminators.",
    "learning_rate": "Size of the updates, as the schedule has it.",
    "steps_per_second": "Mean since training was begun or resumed.",
}
"""A sentence for each number that every method logs."""
SHOWN = 4
"""Held-out images on the sample sheets: the same ones each time."""


@dataclass(frozen=True)
class Validation:
    """What a validation gave; empty where no images are held out."""

    figures: dict[str, float] = field(default_factory=dict)
    """Means over the held-out images, by metric."""
    samples: list[Sample] = field(default_factory=list)
    """The first few of the images."""
    views: dict[str, list[dict[str, Pixels]]] = field(default_factory=dict)
    """Of the same images what the method shows besides: by view, the pictures of each image by caption."""


def meanings(gan: GAN, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Return a sentence for each number of the log that has one: of training, of validation, and those of the method and of the plugins' metrics."""
    measured = {name: each.meaning or f"A {'larger' if each.higher_is_better else 'smaller'} number is better." for name, each in metrics.items()}
    return {**MEANINGS, **measured, **gan.explained()}


def directions(spec: ModelSpec, data: TrainingData, metrics: Mapping[str, Metric]) -> dict[str, bool]:
    """Return the names of what :func:`validate` measures, the one that matters most first, and whether a larger number is better."""
    if data.validated:
        return {_ratio(spec): True, **{name: metric.higher_is_better for name, metric in metrics.items()}}
    return {"sliced_wasserstein": False, **({"luma_correlation": True} if spec.takes_image else {})}


@torch.no_grad()
def validate(gan: GAN, data: TrainingData, device: torch.device, metrics: Mapping[str, Metric]) -> Validation:
    """Translate the held-out images with the first of the method's exports, as a model file would, and measure them.

    Where sources have targets: ``psnr_luma`` (of images that are not RGB ``psnr``) in dB, with ``scale`` pixels of border left out, and the
    plugins' metrics. Where they have none:
    ``sliced_wasserstein``, how far outputs are from held-out targets as a set, and ``luma_correlation`` of each output with its own source;
    a model without an image input has no source, and sheets show the target in its place. Beside them what ``GAN.measured`` returns.
    """
    export = next(iter(gan.exports().values()))
    export.module.eval()
    spec = export.spec
    name_of_ratio = _ratio(spec)
    ratio = {"psnr_luma": psnr_luma, "psnr": psnr}[name_of_ratio]
    values: dict[str, list[float]] = {}
    samples: list[Sample] = []
    views: dict[str, list[dict[str, Pixels]]] = {}
    outputs: list[NDArray[np.uint8]] = []
    targets: list[NDArray[np.uint8]] = []
    for batch in data.validation():
        target = _pixels(batch["target"])
        source = _pixels(batch["source"]) if spec.takes_image else None
        given = {name: values.to(device) for name, values in batch.items()}
        translated = export(given)
        if not bool(torch.isfinite(translated).all()):
            raise PixlateError("not finite: the pictures of the averaged generator; the last checkpoint is kept: start a new run with a lower --learning-rate")
        output = _pixels(translated)
        if data.validated:
            figures = {name_of_ratio: min(EXACT, ratio(output, target, spec.scale))}
            figures |= {name: metric.compute(output, target) for name, metric in metrics.items()}
        else:
            figures = {} if source is None else {"luma_correlation": luma_correlation(output, source)}
            outputs.append(output)
            targets.append(target)
        figures |= gan.measured(given, translated)
        for name, value in figures.items():
            values.setdefault(name, []).append(float(value))
        if len(samples) < SHOWN:
            samples.append(Sample(source, output, target))
            for view, images in gan.views(given, translated).items():
                views.setdefault(view, []).append({caption: _pixels(image) for caption, image in images.items()})
    means = {name: float(np.mean(each)) for name, each in values.items()}
    if outputs:
        means = {"sliced_wasserstein": sliced_wasserstein(outputs, targets)} | means
    return Validation(means, samples, views)


def _ratio(spec: ModelSpec) -> str:
    return "psnr_luma" if spec.channels_out == 3 else "psnr"


def _pixels(images: Tensor) -> NDArray[np.uint8]:
    """Return the first of a batch as uint8 (height, width, channels)."""
    levels: NDArray[np.uint8] = images[0].float().clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return levels
