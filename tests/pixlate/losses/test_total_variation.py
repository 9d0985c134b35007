"""The smoothing loss."""

import kornia
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixlate.losses import total_variation


@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
def test_total_variation_is_kornias(batch: int, channels: int, height: int, width: int, seed: int) -> None:
    images = torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))
    assert torch.isclose(total_variation(images), kornia.losses.total_variation(images, reduction="mean").mean(), atol=1e-6)


def test_total_variation_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(5.0) * 0.25 + torch.arange(4.0).unsqueeze(1) * 0.5
    assert total_variation(ramp.expand(2, 3, 4, 5)).item() == pytest.approx(0.25 + 0.5)


@pytest.mark.parametrize("shape", [(1, 3, 1, 4), (1, 3, 4, 1), (3, 4, 4)])
def test_images_without_neighbours_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="of at least 2x2 pixels, got"):
        total_variation(torch.zeros(shape))
