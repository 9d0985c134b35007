"""Warnings when training goes wrong in a way that its losses do not show."""

import base64
from collections import deque
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PATIENCE = 20
"""Observations in a row before a warning; with a line of the log every 50 steps these are 1000 steps, past the first upheavals of a training."""
WON = 0.98
"""Accuracy of a discriminator that has won. A balanced one has 0.5 to 0.9; near 1 its gradient is of little use to the generator."""
COMPARED = 200
"""Least logits of real images behind a verdict: where a step judges only one image with one logit, 20 right answers in a row are luck."""
REMEMBERED = 16
"""Newest images compared with one another: enough for a mean over 120 pairs, few enough to be quick and to be kept in a checkpoint."""
ENOUGH = 8
"""Images to have seen before their diversity says anything."""
COLLAPSED = 0.25
"""Diversity of outputs over that of targets, below which they have collapsed; blur hardly lowers it, since what is compared is averaged already."""
VARIED = 0.02
"""Least diversity of targets, on a scale of black 0 to white 1: five levels of 255; where the targets hardly differ, outputs need not."""
THUMBNAIL = 16
"""Height and width to which images are averaged before they are compared: what is left is the composition, not the noise."""
MOVED = 1e-7
"""Least change of weights relative to their norm: about the last bit of a 32-bit float (2**-23), so below it next to nothing was stored."""


class Monitor:
    """Monitors discriminators, the diversity of outputs and the change of weights; warns of each once a run, after ``patience`` wrong observations in a row."""

    def __init__(self, patience: int = PATIENCE) -> None:
        if patience < 1:
            raise ValueError(f"expected a patience of at least 1, got {patience}; {PATIENCE} is usual")
        self.patience = patience
        self._outputs, self._targets = _Thumbnails(), _Thumbnails()
        self._streaks: dict[str, int] = {}
        self._compared: dict[str, int] = {}
        self._warned: set[str] = set()

    def observe(
        self, step: int, verdicts: Mapping[str, tuple[Tensor, Tensor]], outputs: Tensor | None, targets: Tensor | None, movement: Mapping[str, float]
    ) -> list[str]:
        """Record one observation and return new warnings, a sentence each.

        Args:
            step: Steps made.
            verdicts: Logits of real and of generated images, of any shapes, by discriminator.
            outputs: Generated images (batch, channels, height, width) in [0, 1]; None if there are none.
            targets: Real images of the same domain, likewise.
            movement: Norm of the change of a player's weights since the last observation over the norm of the weights, by player.
        """
        return [*self._won(step, verdicts), *self._collapsed(step, outputs, targets), *self._unmoved(step, movement)]

    def state(self) -> dict[str, Any]:
        """Return all that is remembered, for JSON."""
        return {
            "streaks": dict(self._streaks),
            "compared": dict(self._compared),
            "warned": sorted(self._warned),
            "outputs": self._outputs.state(),
            "targets": self._targets.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        self._streaks, self._compared, self._warned = dict(state["streaks"]), dict(state["compared"]), set(state["warned"])
        self._outputs, self._targets = _Thumbnails(state["outputs"]), _Thumbnails(state["targets"])

    def _won(self, step: int, verdicts: Mapping[str, tuple[Tensor, Tensor]]) -> list[str]:
        warnings = []
        for name, (real, fake) in verdicts.items():
            if not real.numel():
                continue  # it has no say
            accuracy = ranking_accuracy(real, fake)
            self._compared[name] = self._compared.get(name, 0) + real.numel() if accuracy >= WON else 0
            if self._persists(f"discriminator {name}", accuracy >= WON, self._compared[name] >= COMPARED):
                warnings.append(
                    f"discriminator {name} distinguishes real from generated images almost always (accuracy {accuracy:.2f} {self._span(step)}), so the "
                    "generator learns little from it; lower --discriminator-learning-rate, add --augment color --augment translation or --smoothing 0.1"
                )
        return warnings

    def _collapsed(self, step: int, outputs: Tensor | None, targets: Tensor | None) -> list[str]:
        if outputs is None or targets is None:
            return []
        self._outputs.add(outputs)
        self._targets.add(targets)
        made, wanted = self._outputs.diversity(), self._targets.diversity()
        known = min(len(self._outputs), len(self._targets)) >= ENOUGH
        if self._persists("collapse", known and wanted >= VARIED and made < COLLAPSED * wanted):
            return [
                f"outputs hardly differ from one another (mean difference {made:.3f}, that of the targets {wanted:.3f}, {self._span(step)}), so the generator "
                "may have collapsed to one picture; look at the newest samples, and lower --learning-rate or weigh the losses that compare with images more"
            ]
        return []

    def _unmoved(self, step: int, movement: Mapping[str, float]) -> list[str]:
        return [
            f"the weights of the {name} do not move (relative change below {MOVED:g} {self._span(step)}), so they learn nothing; raise --learning-rate"
            for name, change in movement.items()
            if self._persists(f"movement {name}", change < MOVED)
        ]

    def _persists(self, kind: str, wrong: bool, certain: bool = True) -> bool:
        """Count observations in a row; return True once, when there are enough."""
        self._streaks[kind] = self._streaks.get(kind, 0) + 1 if wrong else 0
        if kind in self._warned or self._streaks[kind] < self.patience or not certain:
            return False
        self._warned.add(kind)
        return True

    def _span(self, step: int) -> str:
        return f"for {self.patience} observations up to step {step}"


def ranking_accuracy(real: Tensor, fake: Tensor) -> float:
    """Return how often the logit of a real image is above that of a generated one, over all pairs of any shapes, finite; ties count half.

    This is the area under the ROC curve, which needs no threshold and so holds for every adversarial objective.
    """
    above, ranked = real.detach().float().flatten(), fake.detach().float().flatten().sort().values
    below = torch.searchsorted(ranked, above) + torch.searchsorted(ranked, above, right=True)
    return float(below.sum()) / (2 * above.numel() * ranked.numel())


class _Thumbnails:
    """The newest images in small, 8 bits a channel: flat, of one length."""

    def __init__(self, state: list[str] | None = None) -> None:
        self._images = deque((torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8) for text in state or ()), maxlen=REMEMBERED)

    def __len__(self) -> int:
        return len(self._images)

    def add(self, images: Tensor) -> None:
        """Add (batch, channels, height, width) in [0, 1]."""
        small = functional.adaptive_avg_pool2d(images.detach()[-REMEMBERED:].float(), THUMBNAIL)
        self._images.extend(small.clamp(0, 1).mul(255).round().to(torch.uint8).flatten(1).cpu())

    def diversity(self) -> float:
        """Return the mean absolute difference of two of the images, in [0, 1]; 0 where there are no two."""
        levels = [image.float() / 255 for image in self._images]
        differences = [float((one - other).abs().mean()) for one, other in combinations(levels, 2)]
        return sum(differences) / max(1, len(differences))

    def state(self) -> list[str]:
        """Return the images as text."""
        return [base64.b64encode(image.numpy().tobytes()).decode() for image in self._images]
