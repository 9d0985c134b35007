"""One step of training: the published losses and Adam on the same weights, and what every switch of the step does."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

import pixlate
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import GAN, Images, Losses, Player
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer

MakeRun = Callable[..., RunOptions]
State = dict[str, Tensor]
SECOND = {"stages": None, "patch": 10, "discriminator_channels": 4, "pixel_share": 0.5, "network": "srresnet", "batch": 3}
PLAIN = {"norm": "none", "discriminator_norm": "none", "dropout": 0.0}


def trainer_of(options: RunOptions) -> Trainer:
    return Trainer(options, Fabric(accelerator="cpu", devices=1))


def state(trainer: Trainer) -> State:
    return {name: value.detach().clone() for name, value in trainer.gan.state_dict().items()}


def largest_difference(first: State, second: State, part: str = "") -> float:
    return max(float((value.float() - second[name].float()).abs().max()) for name, value in first.items() if name.startswith(part))


def require_moved_alike(gan: GAN, trainer: Trainer, part: str = "") -> None:
    """Compare weights after an update that moves each by its rate; a few have so little gradient that rounding turns it round."""
    after = state(trainer)
    differences = [(value - after[name]).abs().flatten() for name, value in gan.named_parameters() if name.startswith(part) and name.endswith("weight")]
    assert float((torch.cat(differences) < 1e-5).float().mean()) > 0.99


def binary(logits: Tensor, wanted: float) -> Tensor:
    """Binary cross entropy as the formula has it."""
    probability = torch.sigmoid(logits.double())
    return -(wanted * probability.log() + (1 - wanted) * (1 - probability).log()).mean()


def update(module: nn.Module, loss: Tensor, rate: float, betas: tuple[float, float]) -> None:
    """Make one step of PyTorch's own Adam."""
    optimizer = torch.optim.Adam(module.parameters(), rate, betas)
    module.zero_grad()
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    optimizer.step()


def test_pix2pix_steps_as_published(make_run: MakeRun) -> None:
    trainer = trainer_of(make_run("pix2pix"))
    gan: Any = copy.deepcopy(trainer.gan)
    source, target = (trainer._batch(0)[name] * 2 - 1 for name in ("source", "target"))
    generator, discriminator = gan.generators["source_to_target"].network, gan.discriminators["pair"].network
    fake = generator(source)
    real_pair, fake_pair = torch.cat([source, target], 1), torch.cat([source, fake], 1)
    (real_logits,), (fake_logits,) = discriminator(real_pair), discriminator(fake_pair.detach())
    judged = 0.5 * (binary(real_logits, 1) + binary(fake_logits, 0))
    update(discriminator, judged, 2e-4, (0.5, 0.999))
    (logits,) = discriminator(fake_pair)
    expected = {"discriminator_pair": judged, "adversarial_pair": binary(logits, 1), "l1": 100 * (fake - target).abs().mean()}
    update(generator, expected["adversarial_pair"] + expected["l1"], 2e-4, (0.5, 0.999))
    assert numbers(trainer.step(0)) == pytest.approx(numbers(expected), rel=1e-4)
    require_moved_alike(gan, trainer)


@pytest.mark.parametrize("order", ["generators-first", "discriminators-first"])
def test_cyclegan_steps_as_published_and_as_0_1_did(order: str, make_run: MakeRun) -> None:
    trainer = trainer_of(make_run("cyclegan", order=order))
    gan: Any = copy.deepcopy(trainer.gan)
    source, target = (trainer._batch(0)[name] * 2 - 1 for name in ("source", "target"))
    there, back = (gan.generators[name].network for name in ("source_to_target", "target_to_source"))
    judges = {name: gan.discriminators[name].network for name in ("target", "source")}
    fake = {"target": there(source), "source": back(target)}
    before = {name: image.detach().clone() for name, image in fake.items()}
    expected = {}

    def judge() -> None:
        judged = {}
        for name, real in (("target", target), ("source", source)):
            (real_logits,), (fake_logits,) = judges[name](real), judges[name](before[name])
            judged[f"discriminator_{name}"] = 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())
        update(gan.discriminators, judged["discriminator_target"] + judged["discriminator_source"], 2e-4, (0.5, 0.999))
        expected.update(judged)

    def generate() -> None:
        made = {}
        for name, real, round_trip, same in (
            ("target", target, there(fake["source"]), there(target)),
            ("source", source, back(fake["target"]), back(source)),
        ):
            (logits,) = judges[name](fake[name])
            made[f"adversarial_{name}"] = (logits - 1).square().mean()
            made[f"cycle_{name}"] = 10 * (round_trip - real).abs().mean()
            made[f"identity_{name}"] = 5 * (same - real).abs().mean()
        update(gan.generators, torch.stack([*made.values()]).sum(), 2e-4, (0.5, 0.999))
        expected.update(made)

    for move in (generate, judge) if order == "generators-first" else (judge, generate):
        move()
    assert numbers(trainer.step(0)) == pytest.approx(numbers(expected), rel=1e-4)
    require_moved_alike(gan, trainer)


def test_second_stage_alone_is_refused_without_a_first_to_start_from(make_run: MakeRun, fit: Callable[..., Any], tmp_path: Path) -> None:
    second = {"stages": "adversarial", "patch": 10, "perceptual_weight": 0.0, "second_pixel_weight": 1.0, "discriminator_channels": 4}
    with pytest.raises(
        pixlate.PixlateError, match=r"expected --start-from with --stages adversarial, which continues a first stage, got none; name a run of --stages"
    ):
        fit(make_run(**second), tmp_path / "second")
    assert not (tmp_path / "second").exists()
    fit(make_run(), tmp_path / "first")
    assert fit(make_run(**second, start_from=str(tmp_path / "first")), tmp_path / "second").finished


def test_second_stage_without_a_first_is_refused_before_weights_of_its_losses_are_fetched(make_run: MakeRun, fit: Callable[..., Any], tmp_path: Path) -> None:
    second = make_run(stages="adversarial", patch=10, discriminator_channels=4, perceptual_weights=str(tmp_path / "missing.pth"))
    with pytest.raises(pixlate.PixlateError, match="expected --start-from with --stages adversarial"):
        fit(second, tmp_path / "second")


def test_srgan_steps_as_published_in_both_stages(make_run: MakeRun, vgg: Path) -> None:
    options = make_run(**SECOND, steps=10, perceptual_weight=0.006, perceptual_layer="conv1_2", perceptual_weights=str(vgg))
    trainer = trainer_of(options)
    rates = 1e-4, (0.9, 0.999)
    gan: Any = copy.deepcopy(trainer.gan)
    batch = trainer._batch(0)
    pixel = ((gan.generators["source_to_target"](batch["source"]) - batch["target"]) * 2).square().mean()
    update(gan.generators, pixel, *rates)
    before = state(trainer)
    assert numbers(trainer.step(0)) == pytest.approx({"pixel": pixel.item()}, rel=1e-4)
    require_moved_alike(gan, trainer, "generators")
    assert largest_difference(before, state(trainer), "discriminators") == 0, "nobody judges in the first stage"

    trainer = trainer_of(options)
    gan, batch, weights = copy.deepcopy(trainer.gan), trainer._batch(5), load_file(vgg)
    fake, discriminator = gan.generators["source_to_target"](batch["source"]), gan.discriminators["target"].network
    real_logits, fake_logits = discriminator(batch["target"] * 2 - 1), discriminator(fake.detach() * 2 - 1)
    judged = binary(real_logits, 1) + binary(fake_logits, 0)
    update(discriminator, judged, *rates)

    def see(images: Tensor) -> Tensor:
        images = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        first = functional.conv2d(images, weights["features.0.weight"], weights["features.0.bias"], padding=1)
        return functional.conv2d(first.relu(), weights["features.2.weight"], weights["features.2.bias"], padding=1)

    content, adversarial = 0.006 * (see(fake) - see(batch["target"])).square().mean(), 1e-3 * binary(discriminator(fake * 2 - 1), 1)
    update(gan.generators, content + adversarial, *rates)
    expected = {"discriminator": judged, "perceptual": content, "adversarial": adversarial}
    assert numbers(trainer.step(5)) == pytest.approx(numbers(expected), rel=1e-4)
    require_moved_alike(gan, trainer)


def numbers(losses: Losses) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in losses.items()}


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
def test_batch_in_parts_gives_the_weights_and_losses_of_the_whole(method: str, parts: int, make_run: MakeRun) -> None:
    whole, split = (trainer_of(make_run(method, batch=4, accumulate=count, **PLAIN)) for count in (1, parts))
    for step in range(2):
        first, second = whole.step(step), split.step(step)
        assert numbers(second) == pytest.approx(numbers(first), rel=1e-3)
    assert largest_difference(state(whole), state(split)) < 1e-5


def test_generators_are_updated_every_third_step_only(make_run: MakeRun) -> None:
    trainer = trainer_of(make_run("pix2pix", steps=9, generator_every=3))
    moved = []
    for step in range(6):
        before = {name: value.detach().clone() for name, value in trainer.gan.named_parameters()}
        losses = trainer.step(step)
        assert ("l1" in losses) == (step in (2, 5))
        moved.append([largest_difference(before, state(trainer), part) > 0 for part in ("generators", "discriminators")])
    assert moved == [[False, True], [False, True], [True, True]] * 2


@pytest.mark.parametrize(("own", "expected"), [(0.0, 1e-3), (4e-3, 4e-3)])
def test_players_use_their_own_learning_rates(own: float, expected: float, make_run: MakeRun) -> None:
    trainer = trainer_of(make_run("pix2pix", learning_rate=1e-3, discriminator_learning_rate=own))
    before = {name: value.detach().clone() for name, value in trainer.gan.named_parameters()}
    trainer.step(0)
    steps = {part: largest_difference(before, state(trainer), part) for part in ("generators", "discriminators")}
    assert steps == pytest.approx({"generators": 1e-3, "discriminators": expected}, rel=1e-2), "Adam's first step is the rate, whatever the gradient"


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_gradient_is_clipped_player_by_player(precision: str, make_run: MakeRun) -> None:
    trainer = trainer_of(make_run("pix2pix", gradient_clip=1e-3, precision=precision))
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=16.0, enabled=precision == "16-mixed")  # the first one is sought from above
    trainer.step(0)
    for turn in trainer.turns.values():
        norm = torch.stack([values.grad.square().sum() for values in turn.parameters if values.grad is not None]).sum().sqrt()
        assert float(norm) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16-mixed", 0.05), ("16-mixed", 0.01)])
def test_mixed_precision_gives_nearly_the_same_losses_and_keeps_weights_in_32_bits(precision: str, tolerance: float, make_run: MakeRun) -> None:
    exact, mixed = (trainer_of(make_run("pix2pix", precision=kind)) for kind in ("32-true", precision))
    first, second = exact.step(0), mixed.step(0)
    assert numbers(second) == pytest.approx(numbers(first), rel=tolerance) and numbers(second) != numbers(first)
    assert {value.dtype for value in mixed.gan.parameters()} == {torch.float32}
    assert mixed.scaler.is_enabled() == (precision == "16-mixed")


def test_gradient_that_overflows_16_bits_lowers_the_loss_scale_and_skips_the_update(make_run: MakeRun) -> None:
    trainer = trainer_of(make_run("pix2pix", precision="16-mixed", l1_weight=3e38))
    before = {name: value.detach().clone() for name, value in trainer.gan.generators.named_parameters()}
    scale = trainer.scaler.get_scale()
    trainer.step(0)
    assert trainer.scaler.get_scale() < scale
    assert all(torch.equal(value, before[name]) for name, value in trainer.gan.generators.named_parameters())


def test_images_and_weights_are_channels_last_when_requested(make_run: MakeRun) -> None:
    last, first = (trainer_of(make_run("pix2pix", channels_last=chosen)) for chosen in (True, False))
    for trainer, chosen in ((last, True), (first, False)):
        weight: Any = trainer.gan.generators["source_to_target"].network.encoder[1][1].weight  # type: ignore[union-attr,index]
        assert weight.is_contiguous(memory_format=torch.channels_last) == chosen
        assert trainer._batch(0)["source"].is_contiguous(memory_format=torch.channels_last) == chosen
    assert numbers(last.step(0)) == pytest.approx(numbers(first.step(0)), rel=1e-4)


def test_compiled_networks_give_the_same_losses(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs are traced and differentiated as ever; what makes C++ of them would take a minute."""
    traced: list[nn.Module] = []
    compile_module = nn.Module.compile

    def trace(self: nn.Module) -> None:
        traced.append(self)
        compile_module(self, backend="aot_eager")

    monkeypatch.setattr(nn.Module, "compile", trace)
    plain, compiled = (trainer_of(make_run(tail="direct", channels=4, compile=chosen, channels_last=False)) for chosen in (False, True))
    for step in range(2):
        assert numbers(compiled.step(step)) == pytest.approx(numbers(plain.step(step)), rel=1e-3)
    assert traced == [compiled.gan.generators["source_to_target"]]
    assert compiled.gan.state_dict().keys() == plain.gan.state_dict().keys()


@dataclass(frozen=True)
class Nothing:
    """No options."""


class Three(GAN):
    """A generator, a discriminator and an encoder, each with an optimiser of its own; the encoder rests in the first step."""

    def __init__(self) -> None:
        super().__init__({"source_to_target": nn.Conv2d(3, 3, 1)}, {"target": nn.Conv2d(3, 1, 1)})
        self.encoder = nn.Conv2d(3, 3, 1)
        self.frozen = nn.Conv2d(3, 3, 1).requires_grad_(False)
        self.now = 0

    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="three")

    def begin_step(self, step: int, steps: int) -> None:
        assert steps == 4
        self.now = step

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["source_to_target"](self.encoder(batch["source"]))}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"pixel": (images["target"] - batch["target"]).square().mean() - self.judge("target", images["target"]).mean()}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"judge": (self.judge("target", images["target"]) - self.judge("target", batch["target"])).mean()}

    def encoder_losses(self, batch: Batch, images: Images) -> Losses:
        return {"code": (self.encoder(batch["source"]) - batch["source"]).square().mean()} if self.now else {}

    def players(self) -> dict[str, Player]:
        return super().players() | {"encoder": Player(self.encoder, self.encoder_losses), "frozen": Player(self.frozen, self.encoder_losses)}


def test_method_may_have_any_number_of_players_updated_one_at_a_time(make_run: MakeRun) -> None:
    method = pixlate.Method("three", "for tests", pixlate.paired, Nothing, lambda options: Three())
    trainer = trainer_of(make_run(method, resize=20, patch=16, learning_rate=1e-3, discriminator_learning_rate=2e-3, schedule="constant"))
    assert list(trainer.turns) == ["discriminators", "generators", "encoder"], "what is frozen plays no part"
    assert len({id(turn.optimizer) for turn in trainer.turns.values()}) == 3
    first = state(trainer)
    assert trainer.step(0).keys() == {"judge", "pixel"}
    second = state(trainer)
    assert largest_difference(first, second, "encoder") == largest_difference(first, second, "frozen") == 0
    assert largest_difference(first, second, "generators") == pytest.approx(1e-3, rel=1e-3)
    assert largest_difference(first, second, "discriminators") == pytest.approx(2e-3, rel=1e-3)
    assert trainer.step(1).keys() == {"judge", "pixel", "code"}
    assert largest_difference(second, state(trainer), "encoder") == pytest.approx(1e-3, rel=1e-3)
    assert largest_difference(first, state(trainer), "frozen") == 0
