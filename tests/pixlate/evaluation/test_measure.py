"""Models whose outputs are known are measured right, and what does not fit is refused before the model runs."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import Nearest, nearest, noise, save

from pixlate import hookimpl
from pixlate.errors import PixlateError
from pixlate.evaluation import psnr_luma, sliced_wasserstein
from pixlate.evaluation.measure import Evaluation, evaluate
from pixlate.images.picture import Pixels, luma
from pixlate.inference import models
from pixlate.plugin.manager import installed
from pixlate.plugin.metric import Metric
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate.system import extras

PLAIN = ModelSpec(method="plain", scale=1)
Measure = Callable[..., Evaluation]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Translator], Measure]:
    """Return a function that evaluates a translator of this process."""

    def install(translator: Translator) -> Measure:
        monkeypatch.setattr(models, "load", lambda model, device, *_, **__: translator)
        return lambda *folders, **options: evaluate("stand-in", folders, **options)

    return install


def save_pair(root: Path, name: str, height: int = 20, width: int = 24) -> tuple[Pixels, Pixels]:
    """Write a source and a target of one name that differ; return both."""
    source, target = (noise(height, width, seed=len(name) + offset).astype(np.uint8) for offset in (0, 50))
    for folder, image in (("source", source), ("target", target)):
        (root / folder).mkdir(exist_ok=True)
        Image.fromarray(image).save(root / folder / f"{name}.png")
    return source, target


def values(found: Evaluation) -> dict[str, float]:
    return {figure.metric: figure.value for figure in found.figures}


def test_figures_are_means_over_the_images(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    pairs = [save_pair(tmp_path, name) for name in ("a", "bb", "ccc")]
    found = use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "target")
    assert (found.layout, found.images, found.targets, found.device, found.metrics_device) == ("folders", 3, 3, "cpu", "cpu")
    assert list(values(found)) == ["psnr", "ssim", "psnr-luma"]
    assert values(found)["psnr-luma"] == pytest.approx(np.mean([psnr_luma(*pair, 1) for pair in pairs]))
    errors = [np.mean((first.astype(float) - second) ** 2) for first, second in pairs]
    assert values(found)["psnr"] == pytest.approx(np.mean([10 * np.log10(255**2 / error) for error in errors]), abs=1e-4)
    assert found.notes == (f"left out: ms-ssim needs images of at least 176 pixels on each side, but {tmp_path}/target/a.png has 20; take small images out",)


def test_metrics_come_in_the_order_asked_for_and_once(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    save_pair(tmp_path, "a")
    found = use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "target", metrics=["ssim", "luma-correlation", "psnr", "ssim"])
    assert list(values(found)) == ["ssim", "luma-correlation", "psnr"]
    assert values(found)["luma-correlation"] == pytest.approx(1)
    assert found.notes == ()


def test_unpaired_sets_are_compared_as_sets(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    source, _ = save_pair(tmp_path, "a")
    targets = [noise(9, 30, seed=number).astype(np.uint8) for number in range(2)]
    (tmp_path / "others").mkdir()
    for number, target in enumerate(targets):
        Image.fromarray(target).save(tmp_path / "others" / f"{number}.png")
    found = use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "others", layout="unpaired")
    assert (found.images, found.targets) == (1, 2)
    assert values(found) == pytest.approx({"sliced-wasserstein": sliced_wasserstein([source], targets), "luma-correlation": 1})


def test_reduced_images_are_enlarged_again(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    Image.fromarray(nearest(noise(8, 8)[None], 2)[0]).save(tmp_path / "a.png")
    translator = Nearest()
    found = use(translator)(tmp_path, metrics=["psnr-luma"])
    assert found.layout == "degraded"
    assert translator.shapes == [(1, 8, 8, 3)]


def test_grey_images_are_measured_through_a_model_of_colour(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    Image.fromarray(np.full((24, 24), 90, np.uint8)).save(tmp_path / "a.png")
    assert values(use(Nearest())(tmp_path, metrics=["psnr", "ssim"])) == {"psnr": float("inf"), "ssim": pytest.approx(1)}


@pytest.mark.parametrize("spec", [ModelSpec(channels_in=1), ModelSpec(channels_out=1), ModelSpec(channels_in=1, channels_out=1)])
def test_colour_is_turned_to_grey_for_a_model_of_grey_images_as_in_training(tmp_path: Path, use: Callable[[Translator], Measure], spec: ModelSpec) -> None:
    save_pair(tmp_path, "a")

    class Grey(Nearest):
        def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
            assert pixels is not None
            return luma(pixels[0])[None] if (pixels.shape[3], spec.channels_out) == (3, 1) else pixels.repeat(spec.channels_out // pixels.shape[3], axis=3)

    found = use(Grey(spec))(tmp_path / "source", tmp_path / "source", metrics=["psnr"])
    noted = ["the model takes grey pictures, so the colours were turned to grey (luma of ITU-R BT.601)"] if spec.channels_in == 1 else []
    assert list(found.notes) == noted
    if spec.channels_out == 1:
        assert values(found) == {"psnr": float("inf")}


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        (["ssim", "beauty"], "expected metrics among psnr, .*, got 'beauty'"),
        (["ms-ssim"], r"ms-ssim needs images of at least 176 pixels on each side, but .*a\.png has 20"),
        (["fid"], "fid needs at least 2 images in each set, got 1"),
        (["fid", "kid"], "needs at least 2 images"),
        (["is"], "is needs at least 10 images"),
        (["precision"], "precision needs at least 4 images"),
    ],
)
def test_metrics_that_do_not_fit_are_refused_before_the_model_runs(
    tmp_path: Path, use: Callable[[Translator], Measure], metrics: list[str], reason: str
) -> None:
    save_pair(tmp_path, "a")
    translator = Nearest(PLAIN)
    with pytest.raises(PixlateError, match=reason):
        use(translator)(tmp_path / "source", tmp_path / "target", metrics=metrics)
    assert translator.shapes == []


def test_pairs_metrics_on_unpaired_sets_are_refused(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    save_pair(tmp_path, "a")
    with pytest.raises(PixlateError, match="psnr compares each output with its target, but these sets are unpaired"):
        use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "target", layout="unpaired", metrics=["psnr"])


def test_sets_that_no_metric_fits_are_refused(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    save(tmp_path / "source" / "a.png", 3, 3)
    save(tmp_path / "target" / "b.png", 3, 3)
    with pytest.raises(PixlateError, match="sliced-wasserstein needs images of at least 7 pixels"):
        use(Nearest())(tmp_path / "source", tmp_path / "target", layout="unpaired")


def test_missing_weights_are_reported_before_the_model_runs(tmp_path: Path, use: Callable[[Translator], Measure], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("a", "bb"):
        save_pair(tmp_path, name)
    translator = Nearest(PLAIN)
    with pytest.raises(PixlateError, match="kid needs the weights of Inception"):
        use(translator)(tmp_path / "source", tmp_path / "target", metrics=["kid", "fid"])
    assert translator.shapes == []


def test_inception_weights_without_a_use_are_refused(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    save_pair(tmp_path, "a")
    with pytest.raises(PixlateError, match=r"--inception names weights for fid, .* none of them is asked for"):
        use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "target", inception=tmp_path / "inception.pth")


def test_what_the_model_refuses_names_the_image(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    save_pair(tmp_path, "a")

    def fail(pixels: Pixels) -> None:
        raise PixlateError("no memory; free some")

    with pytest.raises(PixlateError, match=r"source/a\.png: no memory"):
        use(Nearest(PLAIN, before=fail))(tmp_path / "source", tmp_path / "target")


def test_progress_counts_sources_and_unpaired_targets(tmp_path: Path, use: Callable[[Translator], Measure]) -> None:
    save_pair(tmp_path, "a")
    seen: list[tuple[int, int]] = []
    use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "target", layout="unpaired", watch=lambda done, planned: seen.append((done, planned)))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_missing_pytorch_is_reported_with_the_command_that_installs_it(
    tmp_path: Path, use: Callable[[Translator], Measure], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pair(tmp_path, "a")

    def fail(name: str) -> object:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(extras, "import_module", fail)
    translator = Nearest(PLAIN)
    with pytest.raises(PixlateError, match=r"evaluating needs PyTorch and more, and torch is missing; run: pip install 'pixlate\[train\]'"):
        use(translator)(tmp_path / "source", tmp_path / "target")
    assert translator.shapes == []
    assert list(values(use(translator)(tmp_path / "source", tmp_path / "target", metrics=["psnr-luma"]))) == ["psnr-luma"]


class Brightness:
    """A plugin with a metric."""

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl
    def pixlate_metrics(self) -> Iterable[Metric]:
        yield Metric(self.name, lambda output, target: float(output.mean() - target.mean()), higher_is_better=False)


@pytest.fixture
def plugin() -> Iterable[Callable[[str], None]]:
    """Return a function that registers the plugin under a metric's name."""
    added: list[object] = []

    def add(name: str) -> None:
        added.append(Brightness(name))
        installed().manager.register(added[-1])

    yield add
    for each in added:
        installed().manager.unregister(each)


def test_metrics_of_plugins_are_computed_too(tmp_path: Path, use: Callable[[Translator], Measure], plugin: Callable[[str], None]) -> None:
    plugin("brightness")
    source, target = save_pair(tmp_path, "a")
    found = use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "target", metrics=["brightness"])
    assert values(found) == {"brightness": pytest.approx(source.mean() - target.mean())}
    assert not found.figures[0].higher_is_better
    assert found.figures[0].implementation.startswith("plugin ")
    assert "brightness" in values(use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "target"))


def test_a_plugin_metric_named_like_a_built_in_one_is_left_out_with_a_note(
    tmp_path: Path, use: Callable[[Translator], Measure], plugin: Callable[[str], None]
) -> None:
    plugin("psnr")
    source, target = save_pair(tmp_path, "a")
    found = use(Nearest(PLAIN))(tmp_path / "source", tmp_path / "target", metrics=["psnr"])
    assert values(found)["psnr"] > 1 > abs(source.mean() - target.mean()) / 255
    assert not found.figures[0].implementation.startswith("plugin ")
    assert "a plugin offers a metric named 'psnr'" in found.notes[0]
