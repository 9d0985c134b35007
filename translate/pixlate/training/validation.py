"""What the averaged generator makes of held-out images, in numbers and to look at."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixlate.contracts import Metric, Sample
from pixlate.data import TrainingData
from pixlate.evaluation.metrics import psnr_luma
from pixlate.gan import GAN

SHOWN = 4
"""Held-out images handed to plugins after each validation: the same ones each time."""


@torch.no_grad()
def validate(gan: GAN, data: TrainingData, device: torch.device, metrics: Mapping[str, Metric]) -> tuple[dict[str, float], list[Sample]]:
    """Return the mean of each metric over the held-out images, and the first few of them; both are empty where none are held out.

    ``psnr_luma`` is always among them, in dB, with ``scale`` pixels of border left out.
    """
    border = gan.spec().scale
    values: dict[str, list[float]] = {}
    samples: list[Sample] = []
    for batch in data.validation():
        images = gan.generate({name: image.to(device) for name, image in batch.items()})
        output, target = _pixels(images["target"]), _pixels(batch["target"])
        figures = {"psnr_luma": psnr_luma(output, target, border)}
        figures |= {name: metric.compute(output, target) for name, metric in metrics.items()}
        for name, value in figures.items():
            values.setdefault(name, []).append(float(value))
        if len(samples) < SHOWN:
            samples.append(Sample(_pixels(batch["source"]), output, target))
    return {name: float(np.mean(each)) for name, each in values.items()}, samples


def _pixels(images: Tensor) -> NDArray[np.uint8]:
    """Return the first of a batch as uint8 (height, width, channels)."""
    levels: NDArray[np.uint8] = images[0].float().clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return levels
