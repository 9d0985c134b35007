"""Metrics of two sets of images on features of the Inception network, through torch-fidelity."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
import torch_fidelity
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from pixlate.errors import PixlateError
from pixlate.evaluation.meters import NEIGHBOURS, SPLITS, Figure, Kind
from pixlate.evaluation.weights import hub_file, read_weights
from pixlate.images import Pixels

POOLED, LOGITS = "2048", "logits_unbiased"
SUBSETS, SUBSET_SIZE = 100, 1000
"""Subsets KID is averaged over, and most images of one (Bińkowski et al. 2018)."""


class InceptionMeter:
    """FID, KID, inception score, precision and recall on one set of features; ``file`` as in :func:`load_inception`."""

    def __init__(self, kinds: Sequence[Kind], file: Path | None, device: str) -> None:
        self.kinds, self.device = kinds, device
        self.network, digest = load_inception(file, kinds[0].name)
        self.network.to(device)
        self.library = f"torch-fidelity {torch_fidelity.__version__}, Inception {digest}"
        self.outputs: list[tuple[Tensor, Tensor]] = []
        self.targets: list[tuple[Tensor, Tensor]] = []

    def add_output(self, output: Pixels, source: Pixels, target: Pixels | None) -> None:
        """Keep the features of an output."""
        self.outputs.append(self._features(output))

    def add_target(self, target: Pixels) -> None:
        """Keep the features of a target."""
        self.targets.append(self._features(target))

    def figures(self) -> list[Figure]:
        """Return the figures asked for."""
        outputs, targets = (torch.cat([pooled for pooled, _ in features]) for features in (self.outputs, self.targets))
        logits = torch.cat([each for _, each in self.outputs])
        return [self._figure(kind, outputs, targets, logits) for kind in self.kinds]

    def _figure(self, kind: Kind, outputs: Tensor, targets: Tensor, logits: Tensor) -> Figure:
        deviation = None
        if kind.name == "fid":
            value, constants = frechet_distance(outputs, targets), "2048 pooled features"
        elif kind.name == "kid":
            size = min(SUBSET_SIZE, len(outputs), len(targets))
            value, deviation = kernel_distance(outputs, targets, size)
            constants = f"unbiased, cubic kernel, {SUBSETS} subsets of {size}"
        elif kind.name == "is":
            value, deviation = inception_score(logits)
            constants = f"{SPLITS} splits"
        else:
            precision, recall = precision_and_recall(outputs, targets)
            value, constants = precision if kind.name == "precision" else recall, f"{NEIGHBOURS} neighbours"
        return Figure(kind.name, value, deviation, kind.higher_is_better, f"{self.library}, {constants}")

    def _features(self, image: Pixels) -> tuple[Tensor, Tensor]:
        pooled, logits = self.network(torch.tensor(image, device=self.device).permute(2, 0, 1)[None])
        return pooled.cpu(), logits.cpu()


def load_inception(file: Path | None, metric: str) -> tuple[torch_fidelity.FeatureExtractorInceptionV3, str]:
    """Return the Inception network of the FID's authors with its weights, and the first digits of their SHA-256.

    ``file`` holds the weights as torch-fidelity publishes them; None takes them from the folder of ``torch.hub``.

    Raises:
        PixlateError: The weights are missing or those of another network.
    """
    path = file or hub_file(URL_INCEPTION_V3)
    state, digest = read_weights(path, metric, "Inception", URL_INCEPTION_V3, "--inception")
    plain = BytesIO()  # torch-fidelity unpickles whatever a file holds; these are tensors only
    torch.save(state, plain)
    plain.seek(0)
    try:
        network = torch_fidelity.FeatureExtractorInceptionV3("inception-v3-compat", [POOLED, LOGITS], feature_extractor_weights_path=plain)
    except RuntimeError as error:
        raise PixlateError(f"expected the weights of Inception in {path}, got those of another network; download {URL_INCEPTION_V3}") from error
    return network, digest


def frechet_distance(outputs: Tensor, targets: Tensor) -> float:
    """Return the Fréchet distance of two sets of features (count, length) taken as normal distributions (Heusel et al. 2017)."""
    statistics = (fid_features_to_statistics(features) for features in (outputs, targets))
    return float(fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"])


def kernel_distance(outputs: Tensor, targets: Tensor, size: int) -> tuple[float, float]:
    """Return mean and deviation, over random subsets of a size, of the unbiased squared kernel distance of two sets of features."""
    found = kid_features_to_metric(outputs, targets, kid_subsets=SUBSETS, kid_subset_size=size, verbose=False)
    return float(found["kernel_inception_distance_mean"]), float(found["kernel_inception_distance_std"])


def inception_score(logits: Tensor) -> tuple[float, float]:
    """Return mean and deviation, over the splits, of the inception score of logits (count, classes) (Salimans et al. 2016)."""
    found = isc_features_to_metric(logits, splits=SPLITS)
    return float(found["inception_score_mean"]), float(found["inception_score_std"])


def precision_and_recall(outputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """Return which share of the outputs is among the targets, and of the targets among the outputs (Kynkäänniemi et al. 2019)."""
    found = prc_features_to_metric(outputs, targets, prc_neighborhood=NEIGHBOURS, verbose=False)
    return float(found["precision"]), float(found["recall"])
