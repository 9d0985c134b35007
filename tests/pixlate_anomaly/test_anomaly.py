"""Pictures are scored as the formulas say, folders are written whole or not at all, and scratches on textures are found by runs that have seen none."""

import csv
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy.stats import mannwhitneyu
from tests.commands import run_modules
from torch.nn import functional

from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate_anomaly.command import anomaly
from pixlate_anomaly.figures import HIGHEST, Level, area_under_curve, score_of, threshold_of
from pixlate_anomaly.folder import score_folder
from pixlate_anomaly.options import SCORES, AnomalyOptions
from pixlate_anomaly.scorer import Scorer

SIDE = 64
TINY: Mapping[str, Any] = {"channels": 4, "blocks": 1, "patch": 32, "resize": SIDE, "batch": 2, "hold_out": 1}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


def texture(generator: np.random.Generator) -> Image.Image:
    """Return a weave of threads, turned and shifted a little, with the noise of a camera."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle, *shifts = generator.uniform((-0.15, 0, 0), (0.15, 6.3, 6.3))
    across, down = (np.sin((columns * x + rows * y) * np.pi / 4 + shift) for (x, y), shift in zip(_axes(angle), shifts, strict=True))
    light = 0.12 * across * down + generator.normal(0, 0.02, (SIDE, SIDE))
    return Image.fromarray(((np.array([0.45, 0.35, 0.25]) + light[:, :, None]).clip(0, 1) * 255).round().astype(np.uint8))


def _axes(angle: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))


def scratched(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Return the picture with one scratch, lighter or darker than the threads."""
    middle, angle = generator.uniform(16, SIDE - 16, 2), generator.uniform(0, 2 * np.pi)
    reach = generator.uniform(7, 13) * np.array([np.cos(angle), np.sin(angle)])
    colour = tuple(int(level * generator.choice([0.55, 1.5])) for level in (115, 89, 64))
    ImageDraw.Draw(picture).line([tuple(middle - reach), tuple(middle + reach)], colour, int(generator.integers(1, 4)))
    return picture


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of textures: train, target (other colours), held, and test with the sub-folders good and bad."""
    root, generator = tmp_path_factory.mktemp("toy"), np.random.default_rng(0)
    for name, count in (("train", 32), ("target", 32), ("held", 20), ("test/good", 20), ("test/bad", 20)):
        (root / name).mkdir(parents=True)
        for index in range(count):
            picture = texture(generator)
            picture = scratched(picture, generator) if name == "test/bad" else picture
            (Image.eval(picture, lambda level: 255 - level) if name == "target" else picture).save(root / name / f"{index:03}.png")
    return root


def fit(name: str, run: Path, *folders: Path, **values: Any) -> Path:
    method = installed().offered(Method)[name]
    chosen = {**TINY, "device": "cpu", "workers": 1, "epochs": 0, **values}
    owners: list[Any] = [method.options, method.data.options, method.training]
    parts = [owner(**{item.name: chosen[item.name] for item in fields(owner) if item.name in chosen}) for owner in owners]
    assert train(RunOptions(method, parts[0], folders, parts[1], parts[2]), run, lambda progress: None, print)
    return run


@pytest.fixture(scope="module")
def cycle(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of CycleGAN of one step."""
    return fit("cyclegan", tmp_path_factory.mktemp("runs") / "cycle", toy / "train", toy / "target", steps=1, discriminator_channels=4)


def options(**values: Any) -> AnomalyOptions:
    return AnomalyOptions(device="cpu", **values)


def test_maps_are_those_of_the_formulas(cycle: Path) -> None:
    scorer = Scorer(cycle, options())
    assert scorer.scores == SCORES
    pictures = np.random.default_rng(0).random((2, 3, 32, 48), np.float32)
    again, maps = scorer(pictures)
    source, gan = torch.from_numpy(pictures), scorer.gan
    networks: list[Any] = [gan.generators["source_to_target"], gan.generators["target_to_source"], gan.discriminators["source"]]
    there, back, judge = (each.network for each in networks)
    with torch.no_grad():
        target = ((there(2 * source - 1) + 1) / 2).clamp(0, 1)
        cycled = ((back(2 * target - 1) + 1) / 2).clamp(0, 1)
        (logits,) = judge(2 * source - 1)
        layers = sorted({there.layers // 4, there.layers // 2})
        distances = []
        for one, other in zip(there.features(2 * source - 1, layers), there.features(2 * cycled - 1, layers), strict=True):
            distances.append(functional.interpolate((one - other).pow(2).mean(1)[:, None], (32, 48), mode="bilinear"))
    np.testing.assert_allclose(again, cycled, atol=1e-5)
    np.testing.assert_allclose(maps["reconstruction"], (source - cycled).abs().mean(1), atol=1e-5)
    np.testing.assert_allclose(maps["discriminator"], -functional.interpolate(logits, (32, 48), mode="bilinear")[:, 0], atol=1e-5)
    np.testing.assert_allclose(maps["features"], torch.stack(distances).mean(0)[:, 0], atol=1e-4)


def test_tiles_add_up_to_the_whole_picture(cycle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(cycle, options(score=("reconstruction",), tile=1))
    shown: list[int] = []

    def square(source: torch.Tensor) -> torch.Tensor:
        shown.extend(source.shape[2:])
        return source**2

    monkeypatch.setattr(scorer.gan, "reconstruct", square)
    pictures = np.random.default_rng(0).random((1, 3, 2 * scorer.tile + 5, scorer.tile + 3), np.float32)
    again, maps = scorer(pictures)
    assert len(shown) > 6 and max(shown) <= scorer.tile
    np.testing.assert_allclose(again, pictures**2, atol=1e-5)
    np.testing.assert_allclose(maps["reconstruction"], (pictures - pictures**2).mean(1), atol=1e-5)


def test_inpainting_gives_each_square_back_from_those_around_it() -> None:
    torch.manual_seed(0)
    method = installed().offered(Method)["inpaint"]
    gan = method.gan(method.options(channels=4, discriminator_channels=4), {})
    source = torch.rand(1, 3, 32, 40, requires_grad=True)
    again: Any = gan.reconstruct(source)
    (slope,) = torch.autograd.grad(again[:, :, 8:16, 24:32].sum(), source)
    inside = slope[:, :, 8:16, 24:32].abs().max()
    assert again.shape == source.shape and inside == 0 and slope[:, :, 4:20, 20:36].abs().max() > 0


def test_score_is_the_mean_of_the_highest_hundredth() -> None:
    values = np.random.default_rng(0).random((40, 50), np.float32)
    assert HIGHEST == 0.01 and score_of(values) == pytest.approx(np.sort(values.ravel())[-20:].mean())
    assert score_of(values[:2, :2]) == values[:2, :2].max()


def test_area_under_the_curve_is_the_statistic_of_mann_and_whitney() -> None:
    generator = np.random.default_rng(0)
    good, bad = generator.integers(0, 9, 31).tolist(), generator.integers(3, 12, 17).tolist()  # with ties
    assert area_under_curve(good, bad) == pytest.approx(mannwhitneyu(bad, good).statistic / (31 * 17))
    assert area_under_curve([1, 2], [3]) == 1 and area_under_curve([1, 2], [0]) == 0


def test_threshold_is_a_quantile_or_a_mean_plus_deviations() -> None:
    assert threshold_of([0, 1, 2, 3, 4], 0.75, 0) == 3
    assert threshold_of([1, 2, 3], 0.99, 2) == 4
    assert Level.of([1, 2, 3], [0, 1, 2]) == Level(mean=2, deviation=1, high=3, low=1)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_folder_gets_a_row_and_a_heat_map_for_each_picture(cycle: Path, toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    findings = score_folder(Scorer(cycle, options()), toy / "test", out, options(good=toy / "held"))
    found = rows(out)
    assert list(found[0]) == ["name", *SCORES, "combined", "above", "label"] and len(found) == 40
    names = {f"{label}/{index:03}" for label in ("good", "bad") for index in range(20)}
    assert {row["name"] for row in found} == names == {path.relative_to(out).with_suffix("").as_posix() for path in out.rglob("*.png")}
    sizes = set()
    for row in found:
        steps = [(float(row[score]) - findings.levels[score].mean) / findings.levels[score].deviation for score in SCORES]
        assert float(row["combined"]) == pytest.approx(np.mean(steps), abs=1e-2) and row["label"] == row["name"].partition("/")[0]
        assert row["above"] == ("yes" if findings.pictures[row["name"]]["combined"] > (findings.threshold or 0) else "no")
        with Image.open(out / f"{row['name']}.png") as heat:
            sizes.add(heat.height)
    assert len(sizes) == 1 and findings.compared == 20
    combined = [float(row["combined"]) for row in found]
    assert combined == sorted(combined, reverse=True)
    for score in (*SCORES, "combined"):
        good, bad = ([float(row[score]) for row in found if row["label"] == label] for label in ("good", "bad"))
        assert findings.areas[score] == pytest.approx(mannwhitneyu(bad, good).statistic / 400, abs=0.01)  # of rounded numbers


def test_scores_do_not_depend_on_the_batch_and_need_no_good_ones(cycle: Path, toy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for index, size in enumerate([(64, 64), (64, 64), (50, 37), (64, 64), (1, 1)]):
        Image.open(toy / "held" / f"{index:03}.png").resize(size).save(folder / f"{index}.png")
    Image.open(toy / "held" / "009.png").convert("LA").save(folder / "grey.png")
    results = [score_folder(Scorer(cycle, options()), folder, tmp_path / str(batch), options(batch=batch)) for batch in (1, 8)]
    first, second = ({name: found.pictures[name] for name in sorted(found.pictures)} for found in results)
    assert list(first) == ["0", "1", "2", "3", "4", "grey"]
    for name in first:
        assert first[name] == pytest.approx(second[name], rel=1e-3, abs=1e-3)
    assert results[0].threshold is None and results[0].areas == {} and {row["above"] for row in rows(tmp_path / "1")} == {""}


def test_files_that_cannot_be_read_are_named_and_the_others_scored(cycle: Path, toy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.open(toy / "held" / "000.png").save(folder / "fine.png")
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    done, again, onnx, nothing = run_modules(
        ("pixlate", "anomaly", cycle, folder, "--out", tmp_path / "out", "--device", "cpu", "--score", "reconstruction"),
        ("pixlate", "anomaly", cycle, folder, "--out", tmp_path / "out", "--device", "cpu"),
        ("pixlate", "anomaly", folder / "bad.png", folder, "--out", tmp_path / "more"),
        ("pixlate", "anomaly", cycle, folder, "--out", tmp_path / "more", "--good", tmp_path / "out", "--device", "gpu"),
    )
    assert done.code == 1 and "bad.png was passed over" in done.err and "1 pictures" in done.out, done
    assert [row["name"] for row in rows(tmp_path / "out")] == ["fine"] and "discriminator" not in rows(tmp_path / "out")[0]
    assert again.code == 2 and "expected a new folder for --out" in again.err
    assert onnx.code == 2 and "one generator alone and no discriminator" in onnx.err
    assert nothing.code == 2 and "--device" in nothing.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "pictures"]


def test_an_interrupted_command_leaves_nothing(cycle: Path, toy: Path, tmp_path: Path) -> None:
    done: list[int] = []

    def interrupt() -> None:
        done.append(1)
        if len(done) == 25:  # in the second pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_folder(Scorer(cycle, options(score=("reconstruction",))), toy / "held", tmp_path / "out", options(), interrupt)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_scored_is_refused_in_a_sentence(cycle: Path, toy: Path, tmp_path: Path) -> None:
    enlarging = fit("srgan", tmp_path / "srgan", toy / "train", steps=1, patch=16, scale=2, stages="pixel")
    filling = fit("inpaint", tmp_path / "inpaint", toy / "train", steps=1, discriminator_channels=4)
    cleaning = fit("srgan", tmp_path / "cleaning", toy / "train", steps=1, patch=16, scale=1, network="compact", noise=25.0, stages="pixel")
    with pytest.raises(PixlateError, match=r"expected a run that gives pictures back.*what srgan makes"):
        Scorer(enlarging, options())
    with pytest.raises(PixlateError, match=r"expected a run for --score discriminator.*no discriminator"):
        Scorer(filling, options(score=("discriminator",)))
    assert Scorer(filling, options()).scores == ("reconstruction",)
    assert Scorer(cleaning, options()).scores == ("reconstruction", "features")
    paired: dict[str, Any] = {"generator": "unet", "depth": 3, "blocks": 0, "discriminator_channels": 4, "discriminator_layers": 2, "steps": 1}
    assert Scorer(fit("pix2pix", tmp_path / "paired", toy / "train", toy / "target", **paired), options()).scores == SCORES
    with pytest.raises(PixlateError, match="outside of"):
        anomaly(cycle, toy / "held", out=toy / "held" / "out")
    with pytest.raises(PixlateError, match="at least 2"):
        (tmp_path / "one").mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / "one" / "a.png")
        score_folder(Scorer(cycle, options()), toy / "held", tmp_path / "out", options(good=tmp_path / "one"))
    for values in ({"quantile": 0.5}, {"good": toy, "quantile": 1.5}, {"good": toy, "quantile": 0.5, "deviations": 3.0}, {"score": ("features", "features")}):
        with pytest.raises(PixlateError, match="expected"):
            options(**values)


def areas(run: Path, toy: Path, out: Path) -> dict[str, float]:
    findings = score_folder(Scorer(run, options()), toy / "test", out, options(good=toy / "held"))
    print({name: round(area, 4) for name, area in findings.areas.items()})
    return findings.areas


def test_scratches_are_found_by_a_small_cyclegan_of_other_colours(toy: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {"channels": 4, "discriminator_channels": 4, "discriminator_layers": 2, "batch": 4, "learning_rate": 2e-3}
    learned = areas(fit("cyclegan", tmp_path / "run", toy / "train", toy / "target", steps=50, **values), toy, tmp_path / "learned")
    assert max(learned[score] for score in SCORES) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cyclegan", "inpaint"])
def test_scratches_are_found_by_networks_that_have_learned_the_textures(method: str, toy: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {"channels": 8, "discriminator_channels": 8, "batch": 8, "patch": 48, "learning_rate": 2e-3, "discriminator_layers": 2}
    folders = [toy / "train", *([toy / "target"] if method == "cyclegan" else [])]
    learned = areas(fit(method, tmp_path / "run", *folders, steps=300 if method == "inpaint" else 150, **values), toy, tmp_path / "learned")
    assert learned["reconstruction"] > 0.95
