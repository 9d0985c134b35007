"""The transformer at the bottom of a U-Net."""

import pytest
import torch
from torch import nn

from pixlate.networks.unet_vit import PixelTransformer, TransformerBlock, UNetViT


def test_transformer_block_starts_as_the_identity() -> None:
    tokens = torch.randn(2, 5, 12)
    assert torch.equal(TransformerBlock(12, 3)(tokens), tokens)


def test_attention_is_that_of_pytorch() -> None:
    """nn.MultiheadAttention with the same weights, and the two weighted sums of ReZero."""
    torch.manual_seed(0)
    block = TransformerBlock(12, 3)
    nn.init.constant_(block.alpha, 0.7)
    attention = nn.MultiheadAttention(12, 3, batch_first=True)
    state = {
        "in_proj_weight": block.inputs.weight,
        "in_proj_bias": block.inputs.bias,
        "out_proj.weight": block.output.weight,
        "out_proj.bias": block.output.bias,
    }
    attention.load_state_dict(state)
    tokens = torch.randn(2, 5, 12)
    with torch.no_grad():
        given = nn.functional.layer_norm(tokens, (12,))
        between = tokens + 0.7 * attention(given, given, given, need_weights=False)[0]
        expected = between + 0.7 * block.dense(nn.functional.layer_norm(between, (12,)))
        assert torch.allclose(block(tokens), expected, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 5)])
def test_places_span_the_image_whatever_its_size(height: int, width: int) -> None:
    """Without content and without change by the blocks, a pixel becomes the dense layers of the sine of its place."""
    torch.manual_seed(0)
    transformer = PixelTransformer(4, 8, 2, 1)
    with torch.no_grad():
        found = transformer(torch.zeros(1, 4, height, width))
        for row in range(height):
            for column in range(width):
                place = torch.tensor([2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1])
                token = transformer.inputs(torch.cat([transformer.places(place).sin(), torch.zeros(4)]))
                assert torch.allclose(found[0, :, row, column], transformer.output(token), atol=1e-6)


def test_every_pixel_sees_every_other_once_attention_has_weight() -> None:
    torch.manual_seed(0)
    network = UNetViT(depth=2, channels=4, blocks=1, features=8, heads=2, norm="none").eval()
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    seen = {}
    for alpha in (0.0, 1.0):
        nn.init.constant_(network.bottom.blocks[0].alpha, alpha)  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(network(images)[0, :, 0, 0].sum(), images)
        seen[alpha] = bool(gradient[..., -1, -1].any())
    assert seen == {0.0: False, 1.0: True}
