"""What every installed method must keep; a new plugin is tested at once."""

import dataclasses
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pixlate
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import GAN, Images, Losses
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.testing import check_method, random_batch, small_options

METHODS = installed().offered(Method)


@pytest.mark.parametrize("name", METHODS)
def test_method_keeps_the_contract(name: str) -> None:
    check_method(METHODS[name])


@pytest.mark.parametrize("name", METHODS)
def test_published_defaults_build(name: str) -> None:
    method = METHODS[name]
    assert sum(parameter.numel() for parameter in method.gan(method.options(), method.data.example_facts).parameters()) > 1e5


@pytest.mark.parametrize("name", METHODS)
def test_every_option_has_a_help_text(name: str) -> None:
    import ast
    import inspect
    import textwrap

    for owner in (METHODS[name].options, METHODS[name].data.options, METHODS[name].training):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(definition, ast.ClassDef)
        for field, after in zip(definition.body, [*definition.body[1:], None], strict=True):
            inherited = (
                isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and any(hasattr(base, field.target.id) for base in owner.__mro__[1:])
            )
            if isinstance(field, ast.AnnAssign) and not inherited and not ast.unparse(field.annotation).startswith("ClassVar"):
                assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant), f"{owner.__name__}: no text under line {field.lineno}"


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the methods below."""

    channels: int = 64
    """Feature maps."""


class Adversarial(GAN):
    """A right method with two players, of scale 2."""

    def __init__(self, channels: int) -> None:
        generator = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, 12, 1), nn.PixelShuffle(2))
        super().__init__({"source_to_target": generator}, {"target": nn.Conv2d(3, 1, 3)})

    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="toy", scale=2, tiling_exact=True, halo=1)

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["source_to_target"](batch["source"])}

    def verdict(self, image: Tensor) -> Tensor:
        return self.discriminators["target"](image).mean()  # type: ignore[no-any-return]

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"adversarial": -self.verdict(images["target"]), "pixel": (images["target"] - batch["target"]).abs().mean()}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"real": -self.verdict(batch["target"]), "false": self.verdict(images["target"])}


def method(gan: type[Adversarial]) -> pixlate.Method:
    return pixlate.Method("toy", "for tests", pixlate.degraded, Options, lambda options: gan(options.channels))


def test_contract_accepts_a_valid_method_with_two_players() -> None:
    check_method(method(Adversarial))
    assert small_options(method(Adversarial)).channels == 8


class WrongScale(Adversarial):
    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="toy", scale=3)


class WrongName(Adversarial):
    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="other", scale=2)


class WrongHalo(Adversarial):
    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="toy", scale=2, tiling_exact=True, halo=0)


class NoTarget(Adversarial):
    def generate(self, batch: Batch) -> Images:
        return {"fake": super().generate(batch)["target"]}


class NotFinite(Adversarial):
    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"pixel": images["target"].mean() / 0}


class NotScalar(Adversarial):
    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"pixel": (images["target"] - batch["target"]).abs()}


class SameNames(Adversarial):
    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"real": -self.verdict(images["target"])}


class NotClamped(Adversarial):
    def exported(self, generator: str = "source_to_target") -> nn.Module:
        return self.generators[generator]


class Unused(Adversarial):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.generators["other"] = nn.Conv2d(3, 3, 1)


class NoDiscriminatorLosses(Adversarial):
    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        return {}


class MovesTheOther(Adversarial):
    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"false": self.verdict(self.generate(batch)["target"])}


class NamesChange(Adversarial):
    made = 0

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        NamesChange.made += 1
        self.generators[f"number_{NamesChange.made}"] = nn.BatchNorm2d(3)


class OwnRandomness(Adversarial):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.register_buffer("noise", torch.rand(3, generator=torch.Generator().manual_seed(id(self) % 2**30)))


@pytest.mark.parametrize(
    ("gan", "sentence"),
    [
        (WrongScale, "as spec() says"),
        (WrongName, "spec().method to be 'toy'"),
        (WrongHalo, "with 0 pixels of context"),
        (NoTarget, "return a 'target', got ['fake']"),
        (NotFinite, "the loss pixel to be one finite number"),
        (NotScalar, "the loss pixel to be one finite number"),
        (SameNames, "losses of different names"),
        (NotClamped, "to give [0, 1]"),
        (Unused, "a gradient for every weight"),
        (NoDiscriminatorLosses, "if and only if there are any"),
        (MovesTheOther, "move no other player"),
        (NamesChange, "the same tensor names"),
        (OwnRandomness, "the same weights of the same seed"),
    ],
)
def test_contract_refuses_an_invalid_method_with_a_sentence(gan: type[Adversarial], sentence: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(sentence)):
        check_method(method(gan))


def test_contract_refuses_a_class_that_is_not_a_gan() -> None:
    with pytest.raises(AssertionError, match=r"a pixlate\.GAN, got Conv2d"):
        check_method(pixlate.Method("toy", "for tests", pixlate.degraded, Options, lambda options: nn.Conv2d(3, 3, 1)))  # type: ignore[arg-type,return-value]


def option_types(first: str, **more: Any) -> type[Any]:
    return dataclasses.make_dataclass("Strange", [(first, int, *more.values())], frozen=True)


@pytest.mark.parametrize(
    ("name", "other"),
    [("batch", "TrainingOptions"), ("patch", "DegradedOptions"), ("out", "pixlate train"), ("folders", "pixlate train"), ("resume", "pixlate train")],
)
def test_option_named_like_a_shared_one_is_refused_with_the_plugins_option(name: str, other: str) -> None:
    with pytest.raises(pixlate.PixlateError, match=f"method 'toy': the option '{name}' of Strange is also one of {other}, .*rename it in the plugin"):
        pixlate.Method("toy", "for tests", pixlate.degraded, option_types(name, field=dataclasses.field(default=1)), lambda options: Adversarial(1))


def test_option_without_a_default_is_refused() -> None:
    with pytest.raises(pixlate.PixlateError, match="the option 'depth' of Strange has no default"):
        pixlate.Method("toy", "for tests", pixlate.degraded, option_types("depth"), lambda options: Adversarial(1))


def test_options_that_are_no_dataclass_are_refused() -> None:
    with pytest.raises(pixlate.PixlateError, match="expected options that are a dataclass"):
        pixlate.Method("toy", "for tests", pixlate.degraded, dict, lambda options: Adversarial(1))


@dataclasses.dataclass(frozen=True)
class Pairs(pixlate.PairedOptions):
    """Data of a method of 0.1."""

    lines: float = 0.5


def test_word_and_class_of_a_plugin_of_0_1_make_a_data_kind_with_a_warning_that_says_what_to_write() -> None:
    sentence = r"method 'toy': pairing='paired' is of the plugin API 1; write data=dataclasses.replace\(pixlate.paired, options=Pairs\)"
    with pytest.warns(DeprecationWarning, match=sentence) as warned:
        old = pixlate.Method(name="toy", summary="for tests", pairing="paired", options=Options, build=lambda options: Adversarial(1), data=Pairs)
    assert warned[0].filename == __file__, "the plugin's line"
    assert old.data == dataclasses.replace(pixlate.paired, options=Pairs) and dataclasses.replace(old, name="other").data == old.data
    with pytest.warns(DeprecationWarning, match="method 'toy': pairing='degraded' is of the plugin API 1; write data=pixlate.degraded"):
        assert pixlate.Method("toy", "for tests", "degraded", Options, lambda options: Adversarial(1)).data == pixlate.degraded


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "expected data= with a data kind such as pixlate.paired, pixlate.unpaired, pixlate.degraded, got None"),
        ({"pairing": "pairs"}, "expected data= with a data kind such as .*, got 'pairs'"),
        ({"pairing": "degraded", "data": Pairs}, "expected Pairs to be made from DegradedOptions"),
        ({"data": dataclasses.replace(pixlate.paired, options=Options)}, "data kind 'paired': expected options made from DataOptions, got .*Options"),
        ({"data": dataclasses.replace(pixlate.paired, roles={"x": "label"})}, "data kind 'paired': expected a role of image, got {'x': 'label'}"),
    ],
)
def test_method_without_a_data_kind_that_can_be_used_is_refused(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(pixlate.PixlateError, match=sentence):
        pixlate.Method(name="toy", summary="for tests", options=Options, build=lambda options: Adversarial(1), **data)


def test_build_receives_the_facts_when_it_takes_two_arguments() -> None:
    seen: list[Any] = []

    def with_facts(options: Options, facts: dict[str, Any]) -> Adversarial:
        seen.append(facts)
        return Adversarial(1)

    def of_0_1(options: Options, pretrained: bool = False) -> Adversarial:
        seen.append(pretrained)
        return Adversarial(1)

    for build in (with_facts, of_0_1):
        pixlate.Method("toy", "for tests", pixlate.degraded, Options, build).gan(Options(), {"domains": ["a"]})
    assert seen == [{"domains": ["a"]}, False]


class ViewOfAnOddName(Adversarial):
    def views(self, batch: Batch, output: Tensor) -> dict[str, dict[str, Tensor]]:
        return {"../Round": {"source": batch["source"]}}


class ViewBeyondItsRange(Adversarial):
    def views(self, batch: Batch, output: Tensor) -> dict[str, dict[str, Tensor]]:
        return {"round": {"source": batch["source"] + 1}}


@pytest.mark.parametrize(
    ("gan", "message"),
    [
        (ViewOfAnOddName, r"names of small letters, digits and hyphens, got '../Round'"),
        (ViewBeyondItsRange, r"round, source: expected views\(\) to give \[0, 1\]"),
    ],
)
def test_contract_refuses_views_that_could_not_be_drawn(gan: type[Adversarial], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_method(method(gan))


PENALISED = {"feature_matching": 10.0, "r1": 1.0, "r2": 1.0, "total_variation": 0.1, "discriminator_norm": "instance"}
WASSERSTEIN = {"objective": "wasserstein", "gradient_penalty": 10.0, "discriminator_norm": "instance"}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {}) for name in ("cyclegan", "dcgan", "distill", "inpaint", "pix2pix", "srgan", "style")),
        ("dcgan", {"gradient_penalty": 10.0, "r1": 1.0, "r2": 1.0, "discriminator_norm": "none"}),
        *((name, {"objective": "hinge"}) for name in ("cyclegan", "pix2pix", "srgan")),
        *((name, changes) for name in ("cyclegan", "pix2pix") for changes in (WASSERSTEIN, PENALISED)),
        ("distill", {"truth_weight": 1.0, "adversarial_weight": 1.0}),
    ],
)
def test_each_loss_of_our_methods_has_a_sentence(name: str, changes: dict[str, Any]) -> None:
    gan = METHODS[name].gan(dataclasses.replace(small_options(METHODS[name]), **changes), METHODS[name].data.example_facts)
    gan.begin_step(9, 10)
    spec = next(iter(gan.exports().values())).spec
    kind = METHODS[name].data
    batch = kind.sample(spec) if kind.sample else random_batch(kind.roles, spec)
    images = gan.generate(batch)
    losses = gan.generator_losses(batch, images) | gan.discriminator_losses(batch, gan.judged(batch, images))
    sentences = gan.explained()
    assert losses and losses.keys() <= sentences.keys()
    assert all(sentence.endswith(".") and len(sentence) < 200 for sentence in sentences.values())


@pytest.mark.parametrize("objective", ["vanilla", "least-squares", "relativistic", "hinge", "wasserstein"])
def test_loss_that_a_sentence_calls_undecided_is_that_of_a_discriminator_that_cannot_decide(objective: Any) -> None:
    from pixlate.losses import discriminator_loss, explain_discriminator_loss, explain_generator_loss, generator_loss

    undecided = torch.full((2, 1, 3, 3), 0.5 if objective == "least-squares" else 0.0)
    players = {explain_generator_loss(objective, 3.0, "it"): 3 * float(generator_loss(objective, undecided, undecided))}
    players[explain_discriminator_loss(objective, 0.5, "it")] = 0.5 * float(discriminator_loss(objective, undecided, undecided))
    for sentence, loss in players.items():
        if named := re.search(r"about ([\d.]+)", sentence):
            assert float(named[1]) == pytest.approx(loss, rel=0.05)
        else:
            assert loss == 0, "it has no number of its own"
