"""The contract between networks and engine: what a plugin inherits, and the error when it forgets a method."""

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from pixlate.plugin.gan import GAN, Export
from pixlate.plugin.spec import ModelInput, ModelSpec


def test_main_direction_names_the_generator_to_export() -> None:
    with pytest.raises(ValueError, match=r"expected a generator named 'source_to_target', got \['there'\]; name it so"):
        GAN({"there": nn.Identity()})


@pytest.mark.parametrize(
    ("name", "sentence"), [("spec", "define spec()"), ("generate", "define generate()"), ("generator_losses", "define generator_losses()")]
)
def test_unimplemented_method_of_a_subclass_is_named(name: str, sentence: str) -> None:
    class Forgetful(GAN):
        """Defines nothing."""

    gan = Forgetful({"source_to_target": nn.Identity()})
    arguments: tuple[object, ...] = {"spec": (), "generate": ({},), "generator_losses": ({}, {})}[name]
    with pytest.raises(NotImplementedError, match=rf"Forgetful must .*: {sentence[:-2]}\(\)"):
        getattr(gan, name)(*arguments)


def test_method_without_discriminators_has_one_player_of_its_generators() -> None:
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


class Two(GAN):
    """Two generators, of which the main one is named last."""

    def __init__(self) -> None:
        super().__init__({"back": nn.Hardtanh(-3.0, 0.5), "source_to_target": nn.Identity()})

    def spec(self, generator: str = "source_to_target") -> ModelSpec:
        return ModelSpec(direction=generator)


def test_exports_are_the_generators_with_their_specs_the_main_one_first() -> None:
    exports = Two().exports()
    assert [(name, export.spec.direction) for name, export in exports.items()] == [("source_to_target", "source_to_target"), ("back", "back")]
    images = torch.tensor([-1.0, 0.3, 2.0]).view(1, 1, 1, 3)
    assert exports["source_to_target"]({"source": images}).flatten().tolist() == pytest.approx([0, 0.3, 1])


def test_exported_module_of_a_plugin_of_0_1_is_what_is_exported() -> None:
    class Old(Two):
        def exported(self, generator: str = "source_to_target") -> nn.Module:
            return nn.Hardtanh(0.0, 0.25)

    assert float(Old().exports()["back"]({"source": torch.ones(1, 1, 1, 1)})) == 0.25


class Sum(nn.Module):
    def forward(self, image: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return image + first[:, None, None, None] + second.sum(1)[:, None, None, None]


class Conditional(GAN):
    """A generator of an image, a label and noise, under a name of its own."""

    def __init__(self) -> None:
        super().__init__({"any": Sum()})

    def exports(self) -> Mapping[str, Export]:
        return super().exports()

    def spec(self, generator: str = "any") -> ModelSpec:
        return ModelSpec(inputs=(ModelInput("image", "image"), ModelInput("level", "label", choices=("a", "b")), ModelInput("noise", "noise", length=2)))


def test_conditions_reach_the_module_in_the_order_of_the_spec_and_missing_noise_is_drawn_the_same_each_time() -> None:
    gan = Conditional()
    (export,) = gan.exports().values()
    batch = {"level": torch.tensor([0, 1]), "source": torch.zeros(2, 1, 1, 1), "noise": torch.tensor([[0.25, 0.25], [0.5, 0.25]])}
    assert export(batch).flatten().tolist() == [0.5, 1], "clamped"
    assert gan.generators["any"](batch["source"], batch["level"], batch["noise"]).flatten().tolist() == [0.5, 1.75], "which the generator itself is not"
    del batch["noise"]
    assert torch.equal(export(batch), export(batch))


def test_masks_are_augmented_with_the_images_and_labels_are_passed_on() -> None:
    class Shift(nn.Module):
        def forward(self, images: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images.roll(1, 3), masks.roll(1, 3)

    class Seen(nn.Module):
        def forward(self, images: torch.Tensor, first: torch.Tensor, label: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return torch.cat([images, first, second], dim=1) + label[:, None, None, None]

    gan = GAN({"source_to_target": nn.Identity()}, {"target": Seen()})
    images, first, second, label = torch.rand(2, 3, 2, 4), torch.rand(2, 1, 2, 4), torch.rand(2, 2, 2, 4), torch.tensor([1, 2])
    gan.augment = Shift()
    expected = torch.cat([images, first, second], dim=1).roll(1, 3) + label[:, None, None, None]
    assert torch.equal(gan.judge("target", images, first, label, second), expected)
