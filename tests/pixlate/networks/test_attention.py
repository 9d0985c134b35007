"""Self-attention."""

import torch
from torch.nn import functional

from pixlate.networks.attention import SelfAttention


def test_attention_starts_as_the_identity() -> None:
    features = torch.rand(2, 16, 5, 7)
    assert torch.equal(SelfAttention(16)(features), features)


def test_attention_is_the_weighted_sum_of_the_paper() -> None:
    """Equations 1 to 3 written out position by position."""
    torch.manual_seed(0)
    layer = SelfAttention(16)
    torch.nn.init.constant_(layer.gamma, 0.7)
    features = torch.randn(1, 16, 3, 4)
    matrices = [convolution.weight[:, :, 0, 0] for convolution in (layer.query, layer.key, layer.value, layer.output)]
    query, key, value, output = matrices
    positions = features[0].flatten(1).T
    expected = []
    for position in positions:
        scores = torch.stack([torch.dot(query @ position, key @ other) for other in positions])
        shares = functional.softmax(scores, 0)
        gathered = sum((share * (value @ other) for share, other in zip(shares, positions, strict=True)), torch.zeros(2))
        expected.append(position + 0.7 * (output @ gathered))
    assert torch.allclose(layer(features)[0].flatten(1).T, torch.stack(expected), atol=1e-5)


def test_attention_of_few_channels_keeps_one() -> None:
    assert SelfAttention(4).query.out_channels == 1


def test_attention_can_be_differentiated_twice() -> None:
    layer = SelfAttention(8)
    torch.nn.init.ones_(layer.gamma)
    features = torch.randn(1, 8, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(features).square().sum(), features, create_graph=True)
    gradient.square().sum().backward()  # type: ignore[no-untyped-call]
    assert layer.query.weight.grad is not None and layer.query.weight.grad.any()
