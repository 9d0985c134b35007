"""Published weights that training goes on from."""

import re
from importlib import import_module
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import pixlate_srgan
from pixlate.errors import PixlateError
from pixlate.plugin.gan import MAIN_GENERATOR
from pixlate.training.starting import take_over, weights_to_start_from
from pixlate_srgan.options import SRGANOptions


@pytest.mark.parametrize("network", ["compact", "span"])
def test_training_starts_from_published_weights_whole(network: str, tmp_path: Path) -> None:
    if network == "compact":
        published = import_module("spandrel.architectures.Compact.__arch.SRVGG").SRVGGNetCompact(num_feat=8, num_conv=6, upscale=2)
    else:
        published = import_module("spandrel.architectures.SPAN").SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2, norm=False)
    published.eval()
    images = torch.rand(1, 3, 8, 9)
    with torch.no_grad():
        expected = published(images)
    save_file({name: value.contiguous() for name, value in published.state_dict().items()}, tmp_path / "published.safetensors")
    gan = pixlate_srgan.build(SRGANOptions(scale=2, network=network, channels=8, blocks=6, stages="pixel"))  # type: ignore[arg-type]
    said = take_over(gan, weights_to_start_from(str(tmp_path / "published.safetensors"), gan))
    assert re.match(r"took over (\d+) of \1 tensors", said) and "there:" not in said
    assert "left out" not in said or (network == "span" and "eval_conv" in said), "which are the product of the others"
    with torch.no_grad():
        assert torch.allclose(gan.generators[MAIN_GENERATOR](images), expected, atol=1e-5)


def test_weights_of_span_that_normalises_its_images_are_refused(tmp_path: Path) -> None:
    """As its authors publish it: the tensors have the names and shapes of ours, and another meaning."""
    published = import_module("spandrel.architectures.SPAN").SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2, norm=True)
    save_file({name: value.contiguous() for name, value in published.state_dict().items()}, tmp_path / "published.safetensors")
    gan = pixlate_srgan.build(SRGANOptions(scale=2, network="span", channels=8, blocks=6, stages="pixel"))
    before = {name: value.clone() for name, value in gan.state_dict().items()}
    with pytest.raises(PixlateError, match="got those of one that subtracts a mean from images, as its authors' does; use others, or leave out --start-from"):
        take_over(gan, weights_to_start_from(str(tmp_path / "published.safetensors"), gan))
    assert all(torch.equal(value, before[name]) for name, value in gan.state_dict().items())
