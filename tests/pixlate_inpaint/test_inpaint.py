"""Inpainting against its paper (Yu et al. 2019), and that it learns to fill."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import pixlate_inpaint
import pixlate_inpaint.model
from pixlate.data.check import check
from pixlate.data.strokes import draw_mask
from pixlate.errors import PixlateError
from pixlate.networks.hed import HED
from pixlate.plugin.testing import check_method, make_photographs, random_batch, small_options
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate_inpaint.options import MaskedOptions

(METHOD,) = pixlate_inpaint.pixlate_methods()
SMALL: dict[str, Any] = {"channels": 4, "discriminator_channels": 4, "patch": 32, "resize": 36, "hold_out": 1, "steps": 2, "batch": 2}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small for more


def options(*folders: Path, **values: Any) -> RunOptions:
    values = {"device": "cpu", "workers": 1, **values}
    parts: list[Any] = [
        replace(owner(), **{item.name: values[item.name] for item in fields(owner) if item.name in values})
        for owner in (METHOD.options, METHOD.data.options, METHOD.training)
    ]
    return RunOptions(METHOD, parts[0], folders, parts[1], parts[2])


def fit(chosen: RunOptions, run: Path) -> Any:
    assert train(chosen, run, lambda progress: None, print)
    gan = METHOD.build(chosen.method_options)
    gan.load_state_dict(load_checkpoint(run).average)
    return gan.eval()


def test_defaults_are_those_of_the_paper_and_its_code() -> None:
    chosen, training = METHOD.options(), METHOD.training()
    assert (chosen.pixel_weight, chosen.adversarial_weight, chosen.contextual_weight) == (1, 1, 0)
    assert (training.batch, training.learning_rate, training.betas, training.average_decay) == (16, 1e-4, (0.5, 0.999), 0)
    assert METHOD.data.options().patch == 256


def test_a_step_minimises_the_published_losses() -> None:
    torch.manual_seed(0)
    chosen = METHOD.options(channels=4, discriminator_channels=4, pixel_weight=3.0, adversarial_weight=0.5)
    gan: Any = METHOD.build(chosen).double()
    batch = {name: values.double() for name, values in random_batch(METHOD.data.roles, gan.spec()).items()}
    batch["source"] = batch["target"] * (1 - batch["mask"])
    images = gan.generate(batch)
    with torch.no_grad():
        made = (gan.generators["source_to_target"].network(torch.cat([(2 * batch["target"] - 1) * (1 - batch["mask"]), batch["mask"]], 1)) + 1) / 2
        filled = torch.where(batch["mask"] == 1, made, batch["target"])
        network = gan.discriminators["target"].network
        real, fake = (network(torch.cat([2 * shown - 1, batch["mask"]], 1)) for shown in (batch["target"], filled))
    torch.testing.assert_close(images["target"], filled)
    expected = {"pixel": 3 * (2 * (made - batch["target"])).abs().mean(), "adversarial": -0.5 * fake.mean()}
    losses = gan.eval().generator_losses(batch, images)
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, msg=name)
    shown = {name: image.detach() for name, image in gan.judged(batch, images).items()}
    by_hand = (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()
    torch.testing.assert_close(gan.discriminator_losses(batch, shown)["discriminator"], by_hand, rtol=1e-4, atol=1e-4)


def test_contextual_loss_is_added_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixlate_inpaint.model, "load_hed", HED)
    check_method(METHOD, METHOD.options(channels=4, discriminator_channels=4, contextual_weight=2.0, perceptual_layers=("conv1_1", "conv2_1")))


def test_drawn_masks_cover_something_and_leave_something_at_any_size() -> None:
    shares = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        height, width = generator.integers(8, 300, 2)
        mask = draw_mask((int(height), int(width)), 3, 0.5, generator)
        assert mask.shape == (height, width, 1) and set(np.unique(mask)) == {0, 255}
        shares.append(float((mask > 0).mean()))
    assert 0.2 < np.mean(shares) < 0.6 and max(shares) < 0.95


def test_a_box_alone_has_three_quarters_to_all_of_the_side_that_is_asked_for() -> None:
    sides = np.array(
        [[mask.any(axis=axis).sum() for axis in (0, 1)] for seed in range(100) for mask in [draw_mask((64, 64), 0, 0.5, np.random.default_rng(seed))]]
    )
    assert sides.min() == 24 and sides.max() == 32


COLOURS = np.array([[230, 80, 30], [30, 100, 200]], np.uint8)


def halves(folder: Path, count: int, seed: int, side: int = 32) -> Path:
    """Write pictures of two colours, one beside the other or above it: whoever sees what is around a hole can fill it."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for index in range(count):
        pixels = np.empty((side, side, 3), np.uint8)
        pixels[:], pixels[:, int(generator.integers(8, side - 8)) :] = generator.permutation(COLOURS)
        Image.fromarray(pixels if index % 2 else pixels.swapaxes(0, 1)).save(folder / f"{index:02}.png")
    return folder


def hole_errors(gan: Any, folder: Path) -> tuple[float, float]:
    """Return the mean absolute error inside of a box, of a range of 1: of what the generator fills, and of the mean colour around."""
    pictures = torch.stack([torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) / 255 for path in sorted(folder.iterdir())])
    mask = torch.zeros(len(pictures), 1, *pictures.shape[2:])
    mask[:, :, 11:21, 11:21] = 1
    with torch.no_grad():
        filled = gan.exports()["source_to_target"].module(pictures * (1 - mask), mask)
    mean = (pictures * (1 - mask)).sum((2, 3), keepdim=True) / (1 - mask).sum((2, 3), keepdim=True)
    inside = mask.expand_as(pictures) == 1
    return float((filled - pictures)[inside].abs().mean()), float((mean - pictures)[inside].abs().mean())


TOY: dict[str, Any] = {
    "channels": 8, "discriminator_channels": 4, "adversarial_weight": 0.01, "patch": 32, "resize": 0, "hold_out": 0, "strokes": 0, "box": 0.35, "batch": 8,
    "steps": 250, "learning_rate": 3e-3, "schedule": "cosine", "average_decay": 0.9, "checkpoint_every": 1000, "log_every": 100,
}  # fmt: skip


def test_training_learns_to_continue_an_edge_across_a_hole(tmp_path: Path) -> None:
    chosen = options(halves(tmp_path / "halves", 64, 0), **TOY)
    unseen = halves(tmp_path / "unseen", 16, 1)
    torch.manual_seed(0)
    untrained, mean = hole_errors(METHOD.build(chosen.method_options).eval(), unseen)
    learnt, _ = hole_errors(fit(chosen, tmp_path / "run"), unseen)
    assert learnt < 0.05 < 0.1 < min(mean, untrained)


def with_masks(folder: Path, masks: Path, paint: NDArray[np.uint8] | None = None) -> Path:
    """Write a mask for each photograph; return their folder."""
    masks.mkdir()
    for path in folder.iterdir():
        mask = np.zeros((40, 44), np.uint8)
        mask[8:24, 10:30] = 255
        Image.fromarray(mask if paint is None else paint).save(masks / path.name)
    return masks


def test_masks_of_a_folder_and_of_transparency_are_those_that_training_sees(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path / "photographs", 3, 40, 44)
    masks = with_masks(photographs, tmp_path / "masks")
    (tmp_path / "erased").mkdir()
    for path in photographs.iterdir():
        alpha = 255 - np.array(Image.open(masks / path.name))
        Image.fromarray(np.dstack([np.array(Image.open(path)), alpha])).save(tmp_path / "erased" / path.name)
    small: dict[str, Any] = {"patch": 32, "resize": 0, "hold_out": 1}
    spec = METHOD.build(small_options(METHOD)).spec()
    held = [
        next(iter(METHOD.data.open(folders, chosen, spec).validation()))
        for folders, chosen in (((photographs, masks), MaskedOptions(**small)), ((tmp_path / "erased",), MaskedOptions(**small, holes="alpha")))
    ]
    for name in ("source", "target", "mask"):
        assert torch.equal(held[0][name], held[1][name]), name
    assert held[0]["mask"].sum() == 16 * 20


@pytest.mark.parametrize(("level", "shown"), [(0, "black"), (255, "white")])
def test_masks_of_one_colour_are_refused_in_training_and_found_by_the_check(level: int, shown: str, tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path / "photographs", 3, 40, 44)
    masks = with_masks(photographs, tmp_path / "masks", np.full((40, 44), level, np.uint8))
    sentence = f"expected a mask with something to fill and something to stay, got {masks / '001.png'}, all {shown}; paint it again, or take it out"
    with pytest.raises(PixlateError, match="something to stay"):
        fit(options(photographs, masks, **SMALL), tmp_path / "run")
    assert sentence in check((photographs, masks), METHOD.data, 32).problems


def test_wrong_folders_are_refused_in_a_sentence(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path / "photographs", 3, 40, 44)
    masks = with_masks(photographs, tmp_path / "masks")
    for folders, changes, sentence in (
        ((photographs,) * 3, {}, "expected one folder of photographs, or two, PHOTOGRAPHS MASKS, got 3; name one or two"),
        ((photographs, masks), {"box": 0.4}, "expected --holes, --strokes and --box with a folder of photographs alone, got a folder of masks too"),
        ((photographs,), {"holes": "alpha"}, "expected a picture that is transparent where the model is to fill it, got an opaque one"),
    ):
        with pytest.raises(PixlateError, match=sentence):
            fit(options(*folders, **SMALL, **changes), tmp_path / "run")
    (masks / "001.png").unlink()
    Image.new("L", (44, 41)).save(masks / "002.png")
    with pytest.raises(PixlateError, match=r"expected a mask for every photograph, got 1 without a partner: .*001.png; add or remove them"):
        fit(options(photographs, masks, **SMALL), tmp_path / "run")
    problems = check((photographs, masks), METHOD.data, 32).problems
    assert any("expected masks of the size of their photographs" in problem and "002.png (44 x 41)" in problem for problem in problems)


def test_options_that_leave_nothing_to_do_are_refused() -> None:
    with pytest.raises(PixlateError, match="expected --strokes or --box above 0, got 0 for both"):
        MaskedOptions(strokes=0, box=0.0)
    with pytest.raises(PixlateError, match="expected --pixel-weight or --contextual-weight above 0"):
        METHOD.options(pixel_weight=0.0)
    with pytest.raises(PixlateError, match="expected --box with --holes drawn only"):
        MaskedOptions(holes="alpha", box=0.4)
