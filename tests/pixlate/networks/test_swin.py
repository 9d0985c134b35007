"""Attention in shifted windows."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pixlate.networks.swin import Block, Swin, WindowAttention


def naive(layer: WindowAttention, features: Tensor) -> Tensor:
    """Equation 4 of Swin for each position alone: which others are in its window, by the windows' borders in the image, and how far each is."""
    _, height, width, channels = features.shape
    window, heads, head = layer.window, layer.heads, channels // layer.heads

    def part(place: int) -> int:
        return (place - layer.shift) // window  # the first and the last part are cut off by the border

    query, key, value = layer.inputs(features[0]).split(channels, dim=2)
    found = torch.zeros_like(features[0])
    for row in range(height):
        for column in range(width):
            others = [(y, x) for y in range(height) for x in range(width) if (part(y), part(x)) == (part(row), part(column))]
            for number in range(heads):
                own = slice(number * head, (number + 1) * head)
                scores = [
                    query[row, column, own] @ key[y, x, own] / head**0.5
                    + layer.bias[(row - y + window - 1) * (2 * window - 1) + column - x + window - 1, number]
                    for y, x in others
                ]
                shares = torch.stack(scores).softmax(0)
                found[row, column, own] = sum((share * value[y, x, own] for share, (y, x) in zip(shares, others, strict=True)), torch.zeros(head))
    return layer.output(found)[None]  # type: ignore[no-any-return]


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("size", [(4, 4), (8, 12)], ids=str)
def test_attention_is_that_of_each_position_with_its_window(shift: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = WindowAttention(6, heads=2, window=4, shift=shift)
    torch.nn.init.normal_(layer.bias)
    features = torch.randn(1, *size, 6)
    with torch.no_grad():
        assert torch.allclose(layer(features), naive(layer, features), atol=1e-6)


def test_every_second_block_is_shifted_by_half_a_window() -> None:
    blocks = [module for module in Swin(channels=6, groups=2, blocks=3).modules() if isinstance(module, Block)]
    assert [block.attention.shift for block in blocks] == [0, 4, 0, 0, 4, 0]


def test_more_blocks_are_passed_over_towards_the_end_and_in_training_alone() -> None:
    torch.manual_seed(0)
    network = Swin(channels=6, groups=2, blocks=2, window=4, drop_path=0.3)
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    assert [round(block.drop, 6) for block in blocks] == [0.0, 0.1, 0.2, 0.3]
    features, block, images = torch.randn(1, 4, 4, 6), Block(6, 2, 4, 0, drop=0.9), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        passed_over = [torch.equal(block(features), features) for _ in range(200)]
        assert sum(passed_over) / 200 == pytest.approx(0.9**2, abs=0.1), "attention and dense layers each"
        network.eval()
        assert torch.equal(network(images), network(images))


def test_swin_that_learns_a_residual_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    assert (Swin(channels=12, groups=1, blocks=2, skip=True)(images) - images).abs().max() < 1 / 255


class Counted(torch.overrides.TorchFunctionMode):
    """Notes how many numbers the largest tensor has."""

    largest = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function and look at what it returns."""
        result = function(*args, **(kwargs or {}))
        self.largest = max(self.largest, result.numel() if isinstance(result, Tensor) else 0)
        return result


def test_memory_grows_with_pixels_and_not_faster() -> None:
    """The largest tensor holds the scores of each position with those of its window, for each head."""
    network = Swin(channels=12, groups=1, blocks=2, heads=3).eval()
    for side in (16, 32):
        with torch.no_grad(), Counted() as counted:
            network(torch.rand(1, 3, side, side))
        assert counted.largest == side**2 * 64 * 3
