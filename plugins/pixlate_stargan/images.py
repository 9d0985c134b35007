"""The training images of several domains."""

from collections.abc import Iterator, Sequence
from math import exp, log, sqrt
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pixlate.data.folders import list_images, split_held_out
from pixlate.data.patches import PixelCache, resized, sample_seed, to_tensor
from pixlate.data.pixels import passing_over, read_pixels
from pixlate.data.transforms import Transforms
from pixlate.images import Pixels
from pixlate.plugin.data import Batch, Draw
from pixlate_stargan.options import DomainOptions

LEAST_AREA, WIDEST = 0.8, 1.1
"""Of a random part of an image: its area over that of the image, and how much wider or narrower it may be."""
KEPT = 1.25
"""Largest side of an image that is kept in memory, over that of a patch."""


class DomainImages:
    """Images of domains chosen with equal chances, each with two images of a domain and noise for two styles.

    Args:
        folders: One for each domain, in the order of their labels.
        options: Side, cropping, mirroring, and how many images of each domain validation gets.
        latent_length: Numbers of the noise.
    """

    validated = False

    def __init__(self, folders: Sequence[Path], options: DomainOptions, latent_length: int) -> None:
        split = [split_held_out(list_images([folder]), options.hold_out) for folder in folders]
        self.counts = [len(paths) for paths, _ in split]
        self.training = [path for paths, _ in split for path in paths]
        self.labels = [label for label, count in enumerate(self.counts) for _ in range(count)]
        self.held_out = [held for _, held in split]
        self.images = len(self.training)
        self.options, self.latent_length = options, latent_length
        self._cache = PixelCache(options.cache)
        self._transforms = Transforms(options.transforms) if options.transforms else None

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        """Choose a source of any domain, and two images of any domain, with equal chances of each domain however many images it has."""
        draws = []
        for number in range(start, start + count):
            own = sample_seed(number, seed)
            generator = np.random.default_rng(own)
            origin, domain = (int(label) for label in generator.integers(len(self.counts), size=2))
            chosen = (sum(self.counts[:label]) + int(generator.integers(self.counts[label])) for label in (origin, domain, domain))
            draws.append(Draw(tuple(chosen), own))
        return draws

    def load(self, draw: Draw, side: int) -> Batch:
        """Read three images, (channels, side, side) each, and draw the noise."""
        sample: Batch = {}
        for place, (index, name) in enumerate(zip(draw.indices, ("source", "target", "target_other"), strict=True)):
            generator = np.random.default_rng((draw.seed, place))
            (pixels,) = self._cache.get(index, lambda index=index: (self._kept(self.training[index]),))  # type: ignore[misc]
            sample[name] = to_tensor(self._patch(pixels, side, generator))
        noise = _noise(draw.seed, self.latent_length)
        return sample | {"origin": torch.tensor(self.labels[draw.indices[0]]), "domain": torch.tensor(self.labels[draw.indices[1]])} | noise

    def finish(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def validation(self) -> Iterator[Batch]:
        """Yield the held-out images of each domain, with those of the next one."""
        side = self.options.patch
        for origin, sources in enumerate(self.held_out):
            domain = (origin + 1) % len(self.held_out)
            for number, files in enumerate(zip(sources, self.held_out[domain], strict=True)):
                with passing_over(self.options.damaged):
                    source, target = (to_tensor(resized(read_pixels(path, 3), side, side))[None] for path in files)
                    images = {"source": source, "target": target, "origin": torch.tensor([origin]), "domain": torch.tensor([domain])}
                    yield images | {name: values[None] for name, values in _noise(number, self.latent_length).items()}

    def _kept(self, path: Path) -> Pixels:
        """Return an image, smaller where it is much larger than a patch."""
        pixels, most = read_pixels(path, 3), int(KEPT * self.options.patch)
        return resized(pixels, min(most, pixels.shape[0]), min(most, pixels.shape[1]))

    def _patch(self, pixels: Pixels, side: int, generator: np.random.Generator) -> Pixels:
        """Return an image, or a random part of it, at (side, side)."""
        if generator.random() < self.options.crop:
            height, width = pixels.shape[:2]
            shape = exp(generator.uniform(-log(WIDEST), log(WIDEST)))
            share = sqrt(generator.uniform(LEAST_AREA, 1))
            rows, columns = min(height, round(height * share / sqrt(shape))), min(width, round(width * share * sqrt(shape)))
            top, left = (int(generator.integers(whole - part + 1)) for whole, part in ((height, rows), (width, columns)))
            pixels = pixels[top : top + rows, left : left + columns]
        if generator.random() < 0.5 and self.options.mirror:
            pixels = pixels[:, ::-1]
        patch = resized(np.ascontiguousarray(pixels), side, side)
        return self._transforms([patch], int(generator.integers(2**32)))[0] if self._transforms else patch


def _noise(seed: int, length: int) -> dict[str, Tensor]:
    """Return standard normal noise for two styles."""
    both = np.random.default_rng((seed, 3)).standard_normal((2, length), np.float32)
    return {name: torch.from_numpy(values) for name, values in zip(("latent", "latent_other"), both, strict=True)}
