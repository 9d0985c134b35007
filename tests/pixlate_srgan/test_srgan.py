"""SRGAN's options and what its networks say of themselves."""

from dataclasses import replace
from typing import Any

import pytest
import torch

import pixlate_srgan
from pixlate.errors import PixlateError
from pixlate.losses import l1
from pixlate.networks.srresnet import MSRResNet, SRResNet
from pixlate.testing import check_method
from pixlate_srgan.options import SRGANOptions, SRGANTraining

(METHOD,) = pixlate_srgan.pixlate_methods()
SMALL = SRGANOptions(channels=8, blocks=1)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize(("network", "tail"), [("srresnet", "staged"), ("msrresnet", "staged"), ("msrresnet", "direct")])
def test_contract_is_kept_by_every_network_and_scale(scale: Any, network: Any, tail: Any) -> None:
    check_method(METHOD, replace(SMALL, scale=scale, network=network, tail=tail), side=6)


def test_defaults_are_msrresnets_published_ones() -> None:
    generator = pixlate_srgan.build(SRGANOptions()).generators["source_to_target"]
    assert isinstance(generator, MSRResNet) and sum(parameter.numel() for parameter in generator.parameters()) == 1_517_571
    training = SRGANTraining()
    assert (training.learning_rate, training.betas, training.average_decay, training.batch, training.schedule) == (2e-4, (0.9, 0.99), 0.999, 16, "cosine")
    assert METHOD.data().patch == 32


def test_paper_network_has_running_statistics_and_the_modern_one_none() -> None:
    paper = pixlate_srgan.build(replace(SMALL, network="srresnet"))
    assert isinstance(paper.generators["source_to_target"], SRResNet) and paper.spec().norm == "running"
    assert pixlate_srgan.build(SMALL).spec().norm == "none"


def test_loss_is_l1_times_its_weight() -> None:
    torch.manual_seed(0)
    gan = pixlate_srgan.build(replace(SMALL, pixel_weight=2.5, scale=2))
    batch = {"source": torch.rand(2, 3, 5, 5), "target": torch.rand(2, 3, 10, 10)}
    images = gan.generate(batch)
    losses = gan.generator_losses(batch, images)
    assert losses.keys() == {"pixel"}
    assert losses["pixel"].item() == pytest.approx(2.5 * l1(images["target"], batch["target"]).item())


@pytest.mark.parametrize("values", [{"scale": 5}, {"network": "rrdb"}, {"tail": "none"}, {"channels": 0}, {"blocks": 0}, {"pixel_weight": -1.0}])
def test_wrong_option_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(PixlateError, match=f"expected --{next(iter(values)).replace('_', '-')} (to be one of|of at least)"):
        SRGANOptions(**values)


def test_tail_that_the_paper_network_does_not_have_is_refused() -> None:
    with pytest.raises(PixlateError, match="expected --tail direct with --network msrresnet, got it with srresnet"):
        SRGANOptions(network="srresnet", tail="direct")
