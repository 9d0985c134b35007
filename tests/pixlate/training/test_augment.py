"""Differentiable changes of what discriminators see."""

import pytest
import torch
from torch import Tensor

from pixlate.training.augment import KINDS, DiffAugment, InstanceNoise, Kind


def seeded_images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_no_augmentation_kinds_return_the_images_unchanged() -> None:
    images = seeded_images(2, 3, 8, 8)
    assert DiffAugment(())(images) is images


def test_masks_are_augmented_with_their_images_and_keep_their_values() -> None:
    images = seeded_images(8, 3, 16, 16)
    images[:, :, 4:8, 4:8] = 1.0
    masks = torch.zeros(8, 1, 16, 16)
    masks[:, :, 4:8, 4:8] = 1.0
    torch.manual_seed(0)
    changed, moved = DiffAugment(("translation", "cutout"))(images, masks)
    assert set(moved.unique().tolist()) == {0.0, 1.0} and not torch.equal(moved, masks)
    assert bool((changed[moved.expand(-1, 3, -1, -1) == 1] == 1).all()), "where the mask is, the square of the image is"
    torch.manual_seed(0)
    _, kept = DiffAugment(("color",))(images, masks)
    assert torch.equal(kept, masks)


def test_instance_noise_has_its_deviation_on_the_symmetric_range_and_leaves_masks() -> None:
    torch.manual_seed(0)
    noise, images = InstanceNoise((), 0.2), torch.full((2, 3, 64, 64), 0.5)
    for share in (1.0, 0.25):
        noise.share = share
        shown, masks = noise(images, torch.ones(2, 1, 64, 64))
        assert (2 * (shown - images)).std().item() == pytest.approx(0.2 * share, rel=0.05)
        assert torch.equal(masks, torch.ones(2, 1, 64, 64))
    noise.share = 0.0
    assert torch.equal(noise(images), images)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected kinds of color, translation, cutout, got colour; choose among these"):
        DiffAugment(("colour",))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_shape_and_type_are_kept_and_each_image_is_changed_by_itself(kind: Kind, channels: int) -> None:
    torch.manual_seed(0)
    image = seeded_images(1, channels, 16, 24)
    changed = DiffAugment((kind,))(image.expand(6, -1, -1, -1))
    assert changed.shape == (6, channels, 16, 24) and changed.dtype == image.dtype
    assert len({each.numpy().tobytes() for each in changed}) > 3


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_changes(kind: Kind) -> None:
    results = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        results.append(DiffAugment((kind,))(seeded_images(4, 3, 16, 16)))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


@pytest.mark.parametrize("kinds", [(kind,) for kind in KINDS] + [KINDS])
def test_gradients_are_those_of_finite_differences(kinds: tuple[Kind, ...]) -> None:
    augment = DiffAugment(kinds)

    def seeded(images: Tensor) -> Tensor:
        torch.manual_seed(5)
        result: Tensor = augment(images)
        return result

    images = seeded_images(2, 2, 4, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(seeded, (images,))
    assert torch.autograd.gradgradcheck(seeded, (images,))  # a gradient penalty differentiates twice


def test_color_has_the_strengths_of_the_paper() -> None:
    """On [-1, 1]: brightness within 0.5 either way, saturation by 0 to 2, contrast by 0.5 to 1.5."""
    torch.manual_seed(0)
    flat = torch.full((4000, 3, 2, 2), 0.5)
    levels = 2 * DiffAugment(("color",))(flat)[:, 0, 0, 0] - 1  # neither saturation nor contrast changes a flat grey image
    assert levels.min() == pytest.approx(-0.5, abs=0.01) and levels.max() == pytest.approx(0.5, abs=0.01)
    striped = torch.tensor([0.25, 0.75]).repeat(4000, 3, 2, 1)
    grey = DiffAugment(("color",))(striped)
    contrast = (grey[:, 0, 0, 1] - grey[:, 0, 0, 0]) / 0.5
    assert contrast.min() == pytest.approx(0.5, abs=0.01) and contrast.max() == pytest.approx(1.5, abs=0.01)
    red = torch.tensor([0.8, 0.2, 0.2])[None, :, None, None].expand(4000, 3, 2, 2)
    coloured = DiffAugment(("color",))(red)
    both = (coloured[:, 0, 0, 0] - coloured[:, 1, 0, 0]) / 0.6  # saturation times contrast
    assert both.min() < 0.02 and 2.7 < both.max() < 3 and both.mean() == pytest.approx(1, abs=0.05)


def test_translation_moves_by_up_to_an_eighth_and_fills_with_middle_grey() -> None:
    torch.manual_seed(0)
    image = seeded_images(1, 2, 16, 24)
    framed = torch.full((2, 16 + 4, 24 + 6), 0.5)
    framed[:, 2:18, 3:27] = image
    moves = {(down, right): framed[:, down : down + 16, right : right + 24] for down in range(5) for right in range(7)}
    seen = set()
    for changed in DiffAugment(("translation",))(image.expand(600, -1, -1, -1)):
        (place,) = [place for place, moved in moves.items() if torch.allclose(changed, moved)]
        seen.add(place)
    assert seen == set(moves)


def test_cutout_fills_a_rectangle_of_half_the_sides_which_may_lie_beyond_the_border() -> None:
    torch.manual_seed(0)
    cut = DiffAugment(("cutout",))(torch.ones(2000, 3, 16, 24)) == 0.5
    assert torch.equal(cut, cut[:, :1].expand(-1, 3, -1, -1))
    rows, columns = cut[:, 0].any(dim=2), cut[:, 0].any(dim=1)
    assert torch.equal(cut[:, 0], rows[:, :, None] & columns[:, None, :])
    heights, widths = rows.sum(dim=1), columns.sum(dim=1)
    assert {int(height) for height in heights} == {4, 5, 6, 7, 8} and {int(width) for width in widths} == set(range(6, 13))  # centres are on 0 to 16, 0 to 24


def test_each_pixel_is_cut_out_about_as_often_as_the_papers_code_does() -> None:
    """The share of a pixel is how many of the length + 1 centres reach it, over length + 1, along each axis."""
    torch.manual_seed(0)
    share = (DiffAugment(("cutout",))(torch.ones(6000, 1, 8, 8)) == 0.5).float().mean(dim=(0, 1))
    along = torch.tensor([sum(centre - 2 <= place < centre + 2 for centre in range(9)) / 9 for place in range(8)])
    assert (share - along[:, None] * along[None, :]).abs().max() < 0.03
