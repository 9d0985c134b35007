"""Style transfer against its paper (Johnson et al. 2016), and that it learns."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import pixlate
import pixlate_style
import pixlate_style.model
from pixlate.convert import ConvertOptions, convert
from pixlate.errors import PixlateError
from pixlate.losses import load_hed
from pixlate.networks.hed import HED
from pixlate.plugin.testing import make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate_export.exporter import export_run
from pixlate_export.options import ExportOptions

pytestmark = pytest.mark.usefixtures("operators_read_once")

(METHOD,) = pixlate_style.pixlate_methods()
SMALL: dict[str, Any] = {"channels": 4, "blocks": 1, "style_size": 32, "patch": 32, "resize": 32, "hold_out": 1, "epochs": 0, "steps": 2, "batch": 2}


def random_network() -> HED:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = HED()
        for convolution in (each for stage in network.stages for each in stage.children()):
            assert isinstance(convolution, torch.nn.Conv2d)
            torch.nn.init.kaiming_normal_(convolution.weight)
    return network.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def random_hed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights, scaled so that features keep their size, in place of those of a package; and one thread, since the networks are too small for more."""
    torch.set_num_threads(1)

    monkeypatch.setattr(pixlate_style.model, "load_hed", random_network)


def options(*folders: Path, **values: Any) -> RunOptions:
    values = {"device": "cpu", "workers": 1, **values}
    parts: list[Any] = [
        replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values})
        for owner in (METHOD.options, METHOD.data.options, METHOD.training)
    ]
    return RunOptions(METHOD, parts[0], folders, parts[1], parts[2])


def striped(path: Path) -> Path:
    """Write a picture of red and yellow stripes."""
    pixels = np.zeros((40, 50, 3), np.uint8)
    pixels[:, :, 0] = 220
    pixels[:, (np.arange(50) // 3) % 2 == 0, 1] = 200
    Image.fromarray(pixels).save(path)
    return path


def test_defaults_are_those_of_the_paper_and_its_code_but_the_weight_of_the_style() -> None:
    chosen, training, data = METHOD.options(), METHOD.training(), METHOD.data.options()
    assert (training.batch, training.learning_rate, training.epochs, training.steps, training.schedule) == (4, 1e-3, 2, 0, "constant")
    assert (chosen.content_weight, chosen.style_weight, chosen.smoothness_weight, chosen.content_layer) == (
        1,
        1,
        1e-6,
        "conv2_2",
    )  # ours: the paper has 5 for VGG16
    assert (data.patch, data.resize) == (256, 256)
    network: Any = METHOD.build(chosen).generators["source_to_target"].network
    kernels = [module.kernel_size[0] for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert kernels == [9, 3, 3, *[3] * 10, 3, 3, 9]
    sizes = [(3, 32, 9), (32, 64, 3), (64, 128, 3), *[(128, 128, 3)] * 10, (128, 64, 3), (64, 32, 3), (32, 3, 9)]
    assert sum(parameter.numel() for parameter in network.parameters()) == sum(first * second * side**2 + second for first, second, side in sizes)


def test_a_step_minimises_the_published_losses() -> None:
    torch.manual_seed(0)
    gan = METHOD.build(METHOD.options(channels=4, blocks=1, style="given below", style_size=24, content_weight=2.0, style_weight=3.0, smoothness_weight=1e-3))
    gan.prepare(torch.device("cpu"))
    picture = torch.randint(0, 256, (3, 24, 24), dtype=torch.uint8)
    gan.style.copy_(picture)  # type: ignore[operator]
    batch = {"source": torch.rand(2, 3, 16, 20)}
    images = {"target": torch.rand(2, 3, 16, 20)}
    network = random_network()
    seen = {}
    for name, shown in (("output", images["target"]), ("source", batch["source"]), ("style", picture[None] / 255)):
        seen[name] = dict(network.activations(shown))
    style = 0.0
    for layer in ("conv1_2", "conv2_2", "conv3_3", "conv4_3"):
        matrices = {}
        for name in ("output", "style"):
            features = seen[name][layer]
            _, channels, height, width = features.shape
            matrices[name] = torch.einsum("bihw,bjhw->bij", features, features) / (channels * height * width)
        style += sum(float((own - matrices["style"][0]).square().mean()) for own in matrices["output"]) / 2
    rough = sum(
        float((image[:, 1:] - image[:, :-1]).square().sum() + (image[:, :, 1:] - image[:, :, :-1]).square().sum()) for image in 255 * images["target"]
    ) / (2 * 2)
    content = float((seen["output"]["conv2_2"] - seen["source"]["conv2_2"]).square().mean())
    losses = gan.generator_losses(batch, images)
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(
        {"content": 2 * content, "style": 3 * style, "smoothness": 1e-3 * rough}, rel=1e-4
    )


def test_training_comes_near_the_style(tmp_path: Path) -> None:
    style, photographs = striped(tmp_path / "style.png"), make_photographs(tmp_path / "photographs", 9, 32, 32)
    length = {"steps": 80, "learning_rate": 5e-3, "checkpoint_every": 1000, "log_every": 1, "batch": 2, "content_weight": 0.02, "style_weight": 1.0}
    seen: dict[int, dict[str, float]] = {}
    chosen = options(photographs, **{**SMALL, **length, "channels": 8}, style=str(style))

    def watch(progress: Any) -> None:
        seen[progress.step] = progress.losses

    assert train(chosen, tmp_path / "run", watch, print)
    first, last = (np.mean([seen[step]["style"] for step in steps]) for steps in (range(1, 4), range(76, 81)))
    assert last < 0.3 * first, (first, last)


@pytest.mark.slow
def test_default_weights_bring_the_style_and_keep_light_and_dark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With HED's own weights: photographs are hills under a sky, the style is discs of warm colours."""
    monkeypatch.setattr(pixlate_style.model, "load_hed", load_hed)
    style, photographs = tmp_path / "style.png", tmp_path / "photographs"
    photographs.mkdir()
    draw_from = np.random.default_rng(0)
    for index in range(13):
        hills(draw_from).save(photographs / f"{index:02}.png")
    discs(draw_from).save(style)
    length = {"steps": 140, "learning_rate": 3e-3, "checkpoint_every": 1000, "log_every": 1, "batch": 2}
    chosen = options(photographs, **{**SMALL, **length, "channels": 12, "blocks": 2, "skip": True, "style_size": 64, "resize": 0}, style=str(style))
    seen: dict[int, float] = {}

    def watch(progress: Any) -> None:
        seen[progress.step] = progress.losses["style"]

    assert train(chosen, tmp_path / "run", watch, print)
    gan = METHOD.build(chosen.method_options)
    gan.load_state_dict(load_checkpoint(tmp_path / "run").average)
    module, luma, correlations = gan.exported().eval(), torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1), []
    for _ in range(4):
        source = torch.from_numpy(np.array(hills(draw_from)) / 255).float().permute(2, 0, 1)
        with torch.no_grad():
            output = module(source[None])[0]
        correlations.append(np.corrcoef((source * luma).sum(0).flatten(), (output * luma).sum(0).flatten())[0, 1])
    first, last = (np.mean([seen[step] for step in steps]) for steps in (range(1, 4), range(121, 141)))
    assert last < 0.5 * first, (first, last)
    assert np.mean(correlations) > 0.6, correlations


def hills(draw_from: np.random.Generator) -> Image.Image:
    """Return a sky, and green and brown hills before it, with a house."""
    image = Image.new("RGB", (64, 64), (150, 190, 240))
    draw = ImageDraw.Draw(image)
    for base, colour in ((24, (110, 130, 140)), (38, (110, 160, 80)), (50, (150, 120, 60))):
        phase = draw_from.uniform(0, 6)
        draw.polygon(
            [(0, 64), *((x, base + 5 * np.sin(phase + x / 9)) for x in range(65)), (64, 64)], tuple(int(c + draw_from.uniform(-25, 25)) for c in colour)
        )
    x, y = draw_from.uniform(5, 45), draw_from.uniform(34, 44)
    draw.rectangle((x, y, x + 12, y + 9), (230, 220, 200))
    return image


def discs(draw_from: np.random.Generator) -> Image.Image:
    """Return discs of warm colours."""
    image = Image.new("RGB", (256, 256), (225, 150, 40))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        (x, y), radius = draw_from.uniform(0, 256, 2), draw_from.uniform(15, 40)
        colour = ((200, 40, 30), (250, 215, 90), (110, 20, 50), (235, 120, 40))[draw_from.integers(4)]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return image


def test_run_keeps_the_style_picture_so_that_resuming_and_exporting_need_no_file(tmp_path: Path) -> None:
    style, photographs = striped(tmp_path / "style.png"), make_photographs(tmp_path / "photographs", 4, 36, 40)

    def stop(progress: Any) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    chosen = options(photographs, **{**SMALL, "steps": 4, "checkpoint_every": 1}, style=str(style))
    assert train(chosen, tmp_path / "whole", lambda progress: None, print)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, tmp_path / "run", stop, print)
    style.unlink()
    assert train(chosen, tmp_path / "run", lambda progress: None, print, resume=True)
    states = [load_checkpoint(tmp_path / name).weights for name in ("whole", "run")]
    assert states[0].keys() == states[1].keys() and all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert states[1]["style"].float().std() > 50, "the picture is there"
    model = export_run(tmp_path / "run", tmp_path / "model.onnx", ExportOptions("float")).path
    assert convert(photographs, tmp_path / "out", model, ConvertOptions(threads=2, device="cpu")).converted == 4
    gan = METHOD.build(chosen.method_options)
    gan.load_state_dict(load_checkpoint(tmp_path / "run").average)
    module, translator = gan.exported().eval(), pixlate.load(model, "cpu")
    for height, width in ((8, 8), (12, 40), (36, 44), (64, 20), (100, 8)):
        pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
        with torch.no_grad():
            expected = module(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).permute(0, 2, 3, 1).numpy() * 255
        assert np.abs(translator(pixels) - expected).max() <= 1, (height, width)


def test_run_that_starts_from_another_has_the_style_of_its_own(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path / "photographs", 4, 36, 40)
    Image.new("RGB", (40, 40), (10, 20, 30)).save(tmp_path / "plain.png")
    assert train(options(photographs, **SMALL, style=str(striped(tmp_path / "style.png"))), tmp_path / "first", lambda progress: None, print)
    second = options(photographs, **SMALL, style=str(tmp_path / "plain.png"), start_from=str(tmp_path / "first"))
    assert train(second, tmp_path / "second", lambda progress: None, print)
    assert load_checkpoint(tmp_path / "second").weights["style"][:, 0, 0].tolist() == [10, 20, 30]


def test_missing_pictures_are_refused_in_a_sentence(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path / "photographs", 3, 36, 40)
    with pytest.raises(PixlateError, match="expected --style with the picture whose style is to be learned, got none; name a file"):
        train(options(photographs, **SMALL), tmp_path / "run", lambda progress: None, print)
    with pytest.raises(PixlateError, match=r"nowhere\.png"):
        train(options(photographs, **SMALL, style=str(tmp_path / "nowhere.png")), tmp_path / "run", lambda progress: None, print)
    assert not (tmp_path / "run").exists()
