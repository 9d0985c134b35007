"""The contract between networks and engine: what a plugin gets without writing it, and what it is told when it forgets."""

import pytest
import torch
from torch import nn

from pixlate.plugin.gan import GAN


def test_generator_of_the_main_direction_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"expected a generator named 'source_to_target', got \['there'\]; name it so"):
        GAN({"there": nn.Identity()})


@pytest.mark.parametrize(
    ("name", "sentence"), [("spec", "define spec()"), ("generate", "define generate()"), ("generator_losses", "define generator_losses()")]
)
def test_method_that_was_forgotten_is_named(name: str, sentence: str) -> None:
    class Forgetful(GAN):
        """Defines nothing."""

    gan = Forgetful({"source_to_target": nn.Identity()})
    arguments: tuple[object, ...] = {"spec": (), "generate": ({},), "generator_losses": ({}, {})}[name]
    with pytest.raises(NotImplementedError, match=rf"Forgetful must .*: {sentence[:-2]}\(\)"):
        getattr(gan, name)(*arguments)


def test_method_without_adversary_has_generators_alone_to_move() -> None:
    gan = GAN({"source_to_target": nn.Conv2d(3, 3, 1)})
    players = gan.players()
    assert list(players) == ["discriminators", "generators"] and [player.adversary for player in players.values()] == [True, False]
    assert list(players["discriminators"].module.parameters()) == []
    assert gan.discriminator_losses({}, {}) == {} and gan.verdicts({}, {}) == {}
    gan.begin_step(0, 1)
    gan.prepare(torch.device("cpu"))


def test_judge_shows_the_discriminator_augmented_images() -> None:
    class Half(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images / 2

    gan = GAN({"source_to_target": nn.Identity()}, {"target": nn.Identity()})
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(gan.judge("target", images), images)
    gan.augment = Half()
    assert torch.equal(gan.judge("target", images), images / 2)


def test_exported_module_is_clamped() -> None:
    gan = GAN({"source_to_target": nn.Identity(), "back": nn.Hardtanh(-3.0, 0.5)})
    images = torch.tensor([-1.0, 0.3, 2.0]).view(1, 1, 1, 3)
    assert gan.exported()(images).flatten().tolist() == pytest.approx([0, 0.3, 1])
    assert gan.exported("back")(images).flatten().tolist() == pytest.approx([0, 0.3, 0.5])
    assert [*gan.compiled()] == [gan.generators["source_to_target"], gan.generators["back"]]
