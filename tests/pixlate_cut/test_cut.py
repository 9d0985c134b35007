"""CUT against its paper (Park et al. 2020): defaults, refusals, and the weights of its authors' code."""

import tomllib
from dataclasses import replace
from importlib import import_module
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.pixlate_cyclegan.test_foreign import Published, lively

import pixlate_cut
from pixlate.errors import PixlateError
from pixlate.plugin.testing import check_method
from pixlate.training.schedules import Schedule
from pixlate.training.starting import take_over, weights_to_start_from
from pixlate_cut.contrast import Projection, patch_nce

(METHOD,) = pixlate_cut.pixlate_methods()
SMALL: dict[str, Any] = {"channels": 4, "blocks": 1, "discriminator_channels": 4, "discriminator_layers": 2, "nce_patches": 16, "projection_channels": 8}


def test_defaults_are_those_of_the_paper_and_its_code() -> None:
    chosen, data, training = METHOD.options(), METHOD.data.options(), METHOD.training()
    gan: Any = METHOD.build(chosen)
    (generator,), (discriminator,) = gan.generators.values(), gan.discriminators.values()
    assert sum(parameter.numel() for parameter in generator.parameters()) == 11_378_179, "a ResNet-9, whose blurs have no weights"
    assert not any(module.stride != (1, 1) for network in (generator, discriminator) for module in network.modules() if isinstance(module, torch.nn.Conv2d))
    assert not any(isinstance(module, torch.nn.ConvTranspose2d) for module in generator.modules())
    with torch.no_grad():
        compared = generator.network.eval().features(torch.zeros(1, 3, 256, 256), gan.layers)
        assert discriminator.eval()(torch.zeros(1, 3, 256, 256))[0].shape[2:] == (30, 30)
    # pixels, the convolutions of the halvings before their blurs, the first block and the fifth: layers 0, 4, 8, 12 and 16 of the authors' code
    assert [tuple(features.shape[1:]) for features in compared] == [(3, 256, 256), (128, 256, 256), (256, 128, 128), (256, 64, 64), (256, 64, 64)]
    assert [[layer.weight.shape for layer in projection.layers[::2]] for projection in gan.projections] == [
        [(256, width), (256, 256)] for width in (3, 128, 256, 256, 256)
    ]
    assert (chosen.nce_weight, chosen.identity_nce, chosen.flip_equivariance, chosen.nce_patches, chosen.temperature) == (1, True, False, 256, 0.07)
    assert (chosen.objective, chosen.initialisation, chosen.initial_gain) == ("least-squares", "xavier", 0.02)
    assert (chosen.norm, chosen.discriminator_norm, chosen.dropout) == ("instance", "instance", 0)
    assert (data.resize, data.patch, data.mirror) == (286, 256, True)
    assert (training.batch, training.learning_rate, training.betas, training.pool, training.average_decay) == (1, 2e-4, (0.5, 0.999), 0, 0.0)
    assert training.total_steps(1000) == 400 * 1000
    rates = Schedule(training, 400)
    assert [rates.factor(epoch) for epoch in (0, 199, 300, 399)] == pytest.approx([1, 1, 0.5, 0.005])


@pytest.mark.parametrize(
    "changes",
    [
        {"identity_nce": False, "flip_equivariance": True, "nce_weight": 10.0},
        {"channels_in": 1, "channels_out": 1, "norm": "batch"},
        {"antialias": False, "downsamplings": 0, "norm": "none"},
        {"generator": "unet", "blocks": 9, "depth": 3, "nce_layers": (0, 1, 2)},
        {"generator": "unet-vit", "depth": 2, "features": 8, "heads": 2, "nce_layers": (0, 1, 2)},
        {"generator": "swin", "groups": 1, "heads": 2, "nce_layers": (0, 1, 2)},
    ],
)
def test_contract_is_kept_by_every_variant(changes: dict[str, Any]) -> None:
    check_method(METHOD, METHOD.options(**{**SMALL, **changes}), side=32)


def test_patches_that_are_all_alike_cost_the_logarithm_of_their_number() -> None:
    vectors = torch.ones(2, 10, 4) / 2
    assert float(patch_nce(vectors, vectors, 0.07)) == pytest.approx(log(10), rel=1e-5)
    known = torch.eye(10).expand(2, 10, 10)
    assert float(patch_nce(known, known, 0.01)) < 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_projection_has_unit_length_from_the_first_step_on_in_16_bits(dtype: torch.dtype) -> None:
    gan: Any = METHOD.build(METHOD.options(**SMALL))
    projection = gan.projections[0]
    assert isinstance(projection, Projection)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        lengths = projection(torch.rand(1, 5, 3)).norm(dim=-1)
    with torch.no_grad():
        in_half = projection.to(dtype)(torch.rand(1, 5, 3, dtype=dtype)).norm(dim=-1)
    torch.testing.assert_close(torch.cat([lengths, in_half]), torch.ones(2, 5), atol=0.02, rtol=0)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "channels": ({"channels_in": 1}, "expected --channels-in and --channels-out to be equal, .* got 1 and 3; use cyclegan"),
    "weight": ({"nce_weight": 0.0}, r"expected --nce-weight above 0, since nothing else ties outputs to their sources, got 0\.0; 1 is usual"),
    "layers of another generator": ({"generator": "unet"}, "expected --nce-layers with --generator unet, since those published are of a ResNet"),
    "layers twice": ({"nce_layers": (0, 2, 2)}, "expected --nce-layers of at least 0, each once, got 0 2 2; change them"),
    "negative layer": ({"nce_layers": (-1, 2)}, "expected --nce-layers of at least 0, each once, got -1 2"),
    "one patch": ({"nce_patches": 1}, "expected --nce-patches of at least 2, got 1"),
    "upsampling": ({"upsampling": "resize"}, "expected --upsampling with --no-antialias only, got 'resize' without it"),
}


@pytest.mark.parametrize(("changes", "sentence"), REFUSED.values(), ids=REFUSED)
def test_options_that_cannot_work_are_refused_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=sentence):
        METHOD.options(**changes)


def test_layer_that_the_generator_lacks_is_refused() -> None:
    with pytest.raises(PixlateError, match=r"expected --nce-layers from 0, the images, to 7, the output, got 8; choose among these"):
        METHOD.build(METHOD.options(**SMALL, nce_layers=(0, 8)))


def test_preset_is_fastcut() -> None:
    recipe = tomllib.loads(METHOD.presets["fastcut"].read_text())["train"]["cut"]
    training = replace(METHOD.training(), epochs=recipe.pop("epochs"), decay_epochs=recipe.pop("decay_epochs"))
    options = replace(METHOD.options(), **recipe)
    assert (options.nce_weight, options.identity_nce, options.flip_equivariance) == (10, False, True)
    rates = Schedule(training, training.total_steps(10), 10)
    assert [rates.factor(step) for step in (0, 1499)] == [1, 1] and 0 < rates.factor(1999) < 0.03 and training.total_steps(10) == 2000


def test_training_goes_on_from_weights_of_the_authors_code(tmp_path: Path) -> None:
    published = lively(Published(blocks=2, channels=4, blurs=(True, True)))
    torch.save(published.state_dict(), tmp_path / "latest_net_G.pth")
    gan = METHOD.build(METHOD.options(**{**SMALL, "blocks": 2}))
    take_over(gan, weights_to_start_from(str(tmp_path / "latest_net_G.pth"), gan))
    images = torch.rand(1, 3, 20, 28)
    with torch.no_grad():
        torch.testing.assert_close(gan.generators["source_to_target"].eval()(images), published(images), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_training_learns_a_grade_from_two_sets_of_landscapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    toys: Any = import_module("bench_toys")
    torch.set_num_threads(1)
    found, _ = toys.learnt("cut", toys.TOYS["cut"], tmp_path)
    assert found["untrained"] > 0.2 and found["reached"] < toys.TOYS["cut"].required, found["curve"]
