"""Maps of how much each pixel of a picture is unlike what a run has learned."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pixlate.errors import PixlateError
from pixlate.inference.sizes import allowed_side, least_tile, pad, ramps, spans
from pixlate.losses import load_hed
from pixlate.losses.hed import DEFAULT_LAYERS
from pixlate.options import TrainingOptions
from pixlate.plugin.gan import GAN
from pixlate.training.devices import open_fabric
from pixlate.training.trained import Trained
from pixlate_anomaly.options import SCORES, AnomalyOptions, Score

Floats = NDArray[np.float32]
Features = Callable[[Tensor], Sequence[Tensor]]
PROBES = (32, 64, 128, 256, 512)
"""Sides of pictures by which it is found out what a run can give, and from which size on, in pixels."""


class Scorer:
    """Measures pictures with the networks of a run.

    Args:
        run: Folder that training wrote, or one of its checkpoints.
        options: What is measured, and where.

    Raises:
        PixlateError: It is no run, it cannot give pictures back, or it lacks what a score needs.
    """

    def __init__(self, run: Path, options: AnomalyOptions) -> None:
        trained = Trained.load(run, options.best, options.plugin)
        self.device = open_fabric(TrainingOptions(device=options.device)).device
        self.gan: GAN = trained.gan.eval().to(self.device)
        self.spec = replace(next(iter(self.gan.exports().values())).spec, padding=trained.padding)
        self.name = f"{trained.options.method.name} at step {trained.checkpoint.step:,}"
        self._features = self._choose_features(options.features)
        self.least, lacking = self._probe()
        tile = max(options.tile, least_tile(self.spec), self.least)
        self.tile = 0 if self.spec.whole or not options.tile else allowed_side(tile, self.spec)
        if "reconstruction" in lacking:
            raise PixlateError(f"expected a run that gives pictures back, got {run}: {lacking['reconstruction']}; docs/anomaly.md says which to train")
        for score in options.score:
            if score in lacking:
                raise PixlateError(f"expected a run for --score {score}, got {run}: {lacking[score]}; leave it out")
        self.scores = options.score or tuple(score for score in SCORES if score not in lacking)
        """Names of the maps."""

    @torch.no_grad()
    def __call__(self, pictures: Floats) -> tuple[Floats, dict[str, Floats]]:
        """Return pictures of one size, (batch, channels, height, width) in [0, 1], as they are given back, and a map (batch, height, width) for each score.

        A picture with a side above ``tile`` is cut into tiles that overlap, whose maps are blended.
        """
        height, width = pictures.shape[2:]
        sides = [allowed_side(max(side, self.least), self.spec) for side in (height, width)]
        padded = pad(pictures.transpose(0, 2, 3, 1), sides[0], sides[1], self.spec.padding).transpose(0, 3, 1, 2)
        rows, columns = (spans(side, self.tile or side, self.spec.halo, self.spec.multiple) for side in sides)
        total = np.zeros((len(pictures), pictures.shape[1] + len(self.scores), *sides), np.float32)
        for (row, down), (column, across) in product(
            *(zip(parts, ramps(parts, side), strict=True) for parts, side in zip((rows, columns), sides, strict=True))
        ):
            place = np.s_[:, :, row.start : row.stop, column.start : column.stop]
            total[place] += self._tile(torch.from_numpy(padded[place].copy()).to(self.device)) * (down[:, None] * across)
        if not np.isfinite(total).all():
            raise PixlateError("not finite: what the networks of the run make of it; train it with a lower --learning-rate, or name an earlier checkpoint")
        total, channels = total[..., :height, :width], pictures.shape[1]
        return total[:, :channels], {score: total[:, channels + number] for number, score in enumerate(self.scores)}

    def _tile(self, source: Tensor) -> Floats:
        """Return the reconstruction, and the maps after its channels, (batch, channels + scores, height, width)."""
        again = self.gan.reconstruct(source)
        assert again is not None
        measures: dict[Score, Callable[[], Tensor]] = {
            "reconstruction": lambda: (source - again).abs().mean(1, keepdim=True),
            "discriminator": lambda: self._unreal(source),
            "features": lambda: self._distance(source, again),
        }
        made: Floats = torch.cat([again, *(measures[score]() for score in self.scores)], dim=1).float().cpu().numpy()
        return made

    def _unreal(self, source: Tensor) -> Tensor:
        """Return minus the discriminator's logits, enlarged; each picture alone, since some discriminators compare those of a batch."""
        found = []
        for picture in torch.split(source, 1):
            logits = [each if each.ndim == 4 else each.reshape(1, -1, 1, 1) for each in self.gan.judge_sources(picture)]
            found.append(_mean_of([-each.mean(1, keepdim=True) for each in logits], source))
        return torch.cat(found)

    def _distance(self, source: Tensor, again: Tensor) -> Tensor:
        """Return the mean squared difference of features over the channels, enlarged, as a mean over the layers (Akcay et al. 2018, equation 3, at each position)."""
        assert self._features is not None
        pairs = zip(self._features(source), self._features(again), strict=True)
        return _mean_of([(one.float() - other.float()).square().mean(1, keepdim=True) for one, other in pairs], source)

    def _choose_features(self, features: str) -> Features | None:
        """Return what gives the features that are compared, or None where the generator gives none."""
        if features == "hed":
            if self.spec.channels_in != 3:
                raise PixlateError(f"expected a run of pictures of 3 channels for --features hed, got one of {self.spec.channels_in}; leave it out")
            return partial(load_hed().to(self.device).features, layers=DEFAULT_LAYERS)
        generator: Any = next(iter(self.gan.generators.values()))
        layers = getattr(getattr(generator, "network", generator), "layers", None)
        if not hasattr(generator, "features") or not isinstance(layers, int):
            return None
        return partial(generator.features, layers=sorted({max(1, layers // 4), max(1, layers // 2)}))

    def _probe(self) -> tuple[int, dict[str, str]]:
        """Return the least side of pictures that every network takes, others are padded to it, and why there is none of a score, by its name."""
        again, side = None, 1
        logits: Sequence[Tensor] = ()
        for probe in PROBES if self.spec.takes_image else ():
            side = allowed_side(probe, self.spec)
            source = torch.zeros(1, self.spec.channels_in, side, side, device=self.device)
            with torch.no_grad(), suppress(ValueError):  # which says that the sides are too short for the discriminator
                again = self.gan.reconstruct(source)
                logits = self.gan.judge_sources(source) if again is not None else ()
                break
        why = {
            "reconstruction": (again is not None, f"what {self.spec.method} makes of a picture, as it was trained, is not that picture again"),
            "discriminator": (len(logits) > 0, "it has no discriminator that knows such pictures"),
            "features": (
                self._features is not None,
                "its generator does not give the features of its layers, while --features hed takes those of another network",
            ),
        }
        return side, {score: reason for score, (there, reason) in why.items() if not there}


def _mean_of(maps: Sequence[Tensor], images: Tensor) -> Tensor:
    """Return the mean of maps (batch, 1, any, any), each enlarged to the size of images."""
    enlarged = [functional.interpolate(each.float(), images.shape[2:], mode="bilinear", align_corners=False) for each in maps]
    return torch.stack(enlarged).mean(0)
