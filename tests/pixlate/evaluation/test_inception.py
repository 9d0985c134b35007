"""Metrics of sets against closed forms, and the network with random weights in a local file."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity
from torch import Tensor
from torch_fidelity import feature_extractor_inceptionv3

from pixlate.errors import PixlateError
from pixlate.evaluation.inception import InceptionMeter, frechet_distance, inception_score, kernel_distance, precision_and_recall
from pixlate.evaluation.meters import KINDS


def normal(count: int, length: int, seed: int) -> Tensor:
    return torch.randn(count, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def white(count: int, length: int, seed: int) -> Tensor:
    """Return vectors whose mean is 0 and whose covariance is the unit matrix, exactly."""
    centred = normal(count, length, seed)
    centred = centred - centred.mean(dim=0)
    whitened: Tensor = torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(centred.T)), centred.T, upper=False)
    return whitened.T


def test_frechet_distance_of_normal_distributions_is_the_closed_form() -> None:
    deviations, shift = torch.tensor([[1.0, 2.0, 0.5], [3.0, 2.0, 1.0]], dtype=torch.float64), torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64)
    first, second = white(50, 3, 0) * deviations[0], white(40, 3, 1) * deviations[1] + shift
    expected = float((shift**2).sum() + ((deviations[0] - deviations[1]) ** 2).sum())
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_kernel_distance_is_the_unbiased_estimate() -> None:
    first, second = normal(6, 4, 0).numpy(), normal(6, 4, 1).numpy() + 0.5

    def kernel(one: np.ndarray, other: np.ndarray) -> float:
        return float((one @ other / 4 + 1) ** 3)

    within = sum(np.mean([kernel(one, other) for one, other in combinations(features, 2)]) for features in (first, second))
    expected = within - 2 * np.mean([kernel(one, other) for one in first for other in second])
    value, deviation = kernel_distance(torch.from_numpy(first), torch.from_numpy(second), 6)
    assert value == pytest.approx(expected)
    assert deviation == pytest.approx(0, abs=1e-9)


def test_inception_score_spans_one_to_the_number_of_classes() -> None:
    assert list(inception_score(torch.zeros(20, 5))) == pytest.approx([1, 0])
    sure = 100 * torch.nn.functional.one_hot(torch.arange(8000) % 4, 4)
    assert inception_score(sure)[0] == pytest.approx(4, rel=0.01)


def test_precision_measures_quality_and_recall_variety() -> None:
    one, other = normal(40, 3, 0), normal(40, 3, 1) + 100
    both = torch.cat([one, other])
    assert precision_and_recall(both, both) == (1, 1)
    assert precision_and_recall(one, both) == (1, 0.5)
    assert precision_and_recall(both, one) == (0.5, 1)
    assert precision_and_recall(one, other) == (0, 0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as torch-fidelity publishes it, of random weights."""
    network = torch_fidelity.FeatureExtractorInceptionV3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_extractor_inceptionv3, "load_state_dict_from_url", lambda *arguments, **options: {})
        patch.setattr(network, "load_state_dict", lambda self, state: None)
        torch.manual_seed(0)
        state = network("untrained", ["2048"]).state_dict()
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(state, path)
    return path


def test_a_set_has_full_precision_and_recall_against_itself_through_the_network(weights: Path) -> None:
    random = np.random.default_rng(0)
    meter = InceptionMeter([KINDS[name] for name in ("kid", "precision", "recall")], weights, "cpu")
    for number in range(4):
        image = random.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
        meter.add_output(image, image, None)
        meter.add_target(image)
    assert [(pooled.shape, logits.shape) for pooled, logits in meter.outputs] == [((1, 2048), (1, 1008))] * 4
    kid, precision, recall = meter.figures()
    assert kid.value <= 0  # unbiased: the distance of an image to itself is in the mixed term only
    assert (precision.value, recall.value) == (1, 1)
    assert [figure.metric for figure in (kid, precision, recall)] == ["kid", "precision", "recall"]
    assert kid.implementation.startswith(f"torch-fidelity {torch_fidelity.__version__}, Inception ")
    assert kid.implementation.endswith("100 subsets of 4")


def test_figures_are_made_of_the_features_and_logits_collected(weights: Path) -> None:
    meter = InceptionMeter([KINDS[name] for name in ("is", "fid")], weights, "cpu")
    meter.outputs = [(row[None], torch.zeros(1, 5)) for row in white(50, 3, 0)]
    meter.targets = [(row[None] + 2, torch.zeros(1, 5)) for row in white(40, 3, 1)]
    score, distance = meter.figures()
    assert (score.metric, distance.metric) == ("is", "fid")
    assert (score.value, score.deviation) == (1, 0)
    assert distance.value == pytest.approx(3 * 2**2)
    assert distance.deviation is None


def test_missing_weights_are_named_with_their_address_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    with pytest.raises(PixlateError, match=f"fid needs the weights of Inception.*download https://github.com/toshas.*to {place}, or.*--inception"):
        InceptionMeter([KINDS["fid"]], None, "cpu")


@pytest.mark.parametrize(
    ("content", "reason"), [({"weight": torch.zeros(1)}, "another network"), ([1], "something else than tensors"), (Path("code"), "damaged or would run code")]
)
def test_other_files_are_refused(tmp_path: Path, content: object, reason: str) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(PixlateError, match=reason):
        InceptionMeter([KINDS["fid"]], tmp_path / "other.pth", "cpu")


class Malicious:
    """Unpickles by making a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.made,)


def test_code_in_a_weights_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"fc.weight": Malicious(tmp_path / "made")}, tmp_path / "bad.pth")
    with pytest.raises(PixlateError, match="damaged or would run code"):
        InceptionMeter([KINDS["fid"]], tmp_path / "bad.pth", "cpu")
    assert not (tmp_path / "made").exists()
