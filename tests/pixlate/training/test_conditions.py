"""Methods of more than an image: domains of sub-folders with a label, masks, noise, and players that are neither generator nor discriminator."""

import dataclasses
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import pixlate
from pixlate.data.folders import list_images, split_held_out
from pixlate.data.patches import cut, epoch_indices, resized, sample_seed, to_tensor
from pixlate.data.pixels import read_pixels
from pixlate.options import DataOptions
from pixlate.plugin.data import Batch, DataKind, Draw, Role, TrainingData
from pixlate.plugin.gan import GAN, Export, Images, Losses, Player
from pixlate.plugin.method import Method
from pixlate.plugin.spec import ModelInput
from pixlate.plugin.testing import check_method, make_photographs
from pixlate.training.checkpoint import Checkpoint, load_checkpoint, newest
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer

MakeRun = Callable[..., RunOptions]
Fit = Callable[..., Any]
Digests = Callable[[Path], dict[str, str]]


@dataclasses.dataclass(frozen=True)
class Nothing:
    """No options."""


@dataclasses.dataclass(frozen=True)
class SmallData(DataOptions):
    """Patches of the images below."""

    patch: int = 16


class Photographs:
    """Patches of photographs, each with what a subclass adds."""

    validated = True

    def __init__(self, folders: Sequence[Path], options: SmallData) -> None:
        self.options = options
        self.training, self.held_out = split_held_out(list_images(folders), options.hold_out)
        self.images = len(self.training)

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        return [Draw((index,), sample_seed(start + place, seed)) for place, index in enumerate(epoch_indices(self.images, start, count, seed))]

    def load(self, draw: Draw, side: int) -> Batch:
        path, generator = self.training[draw.indices[0]], np.random.default_rng(draw.seed)
        (patch,) = cut([read_pixels(path, 3)], self.options.patch, True, generator)
        return self.sample(to_tensor(resized(patch, side, side)), path, generator)

    def finish(self, batch: Batch) -> Batch:
        return batch

    def validation(self) -> Iterator[Batch]:
        for path in self.held_out:
            sample = self.sample(to_tensor(read_pixels(path, 3)[:32, :40]), path, np.random.default_rng(0))
            yield {name: values[None] for name, values in sample.items()}

    def sample(self, image: Tensor, path: Path, generator: np.random.Generator) -> Batch:
        raise NotImplementedError


class Domains(Photographs):
    """Photographs of sub-folders, each with the label of another domain to go to."""

    validated = False

    def __init__(self, folders: Sequence[Path], options: SmallData, spec: pixlate.ModelSpec) -> None:
        super().__init__(folders, options)
        self.names = spec.inputs[1].choices

    def sample(self, image: Tensor, path: Path, generator: np.random.Generator) -> Batch:
        return {"source": image, "target": 1 - image, "domain": torch.tensor(generator.integers(len(self.names)))}


def listed(folders: Sequence[Path], options: SmallData) -> dict[str, Any]:
    """Return the names of the domains."""
    return {"domains": sorted(path.name for folder in folders for path in folder.iterdir())}


DOMAINS = DataKind(
    name="domains",
    summary="A folder with a folder of images for each domain",
    example="photos/",
    options=SmallData,
    open=Domains,
    roles={"source": "image", "target": "image", "domain": "label"},
    facts=listed,
)


class Painter(nn.Module):
    """Multiplies the colours of an image with numbers learnt for a label."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.colours = nn.Embedding(labels, 3)
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        painted: Tensor = self.last(image * self.colours(label)[:, :, None, None])
        return painted


class Fixed(nn.Module):
    """A painter whose label is baked in."""

    def __init__(self, painter: nn.Module, label: int) -> None:
        super().__init__()
        self.painter, self.label = painter, label

    def forward(self, image: Tensor) -> Tensor:
        painted: Tensor = self.painter(image, torch.full((image.shape[0],), self.label, device=image.device)).clamp(0, 1)
        return painted


class MultiDomain(GAN):
    """One generator for all domains, and a discriminator that is shown the label."""

    def __init__(self, options: Nothing, facts: Mapping[str, Any]) -> None:
        self.names = tuple(facts["domains"])
        super().__init__({"any": Painter(len(self.names))}, {"target": Painter(len(self.names))})

    def spec(self, generator: str = "any") -> pixlate.ModelSpec:
        inputs = (ModelInput("image", "image"), ModelInput("domain", "label", choices=self.names))
        return pixlate.ModelSpec(method="domains", tiling_exact=True, halo=0, inputs=inputs)

    def exports(self) -> Mapping[str, Export]:
        alone = dataclasses.replace(self.spec(), inputs=())
        return {**super().exports(), **{name: Export(Fixed(self.generators["any"], label), alone) for label, name in enumerate(self.names)}}

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["any"](batch["source"], batch["domain"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"pixel": (images["target"] - batch["target"]).abs().mean(), "fool": -self.judge("target", images["target"], batch["domain"]).mean()}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"judge": (self.judge("target", images["target"], batch["domain"]) - self.judge("target", batch["target"], batch["domain"])).mean()}


MULTI = Method("domains", "for tests", DOMAINS, Nothing, MultiDomain)


class Holes(Photographs):
    """Photographs with a square to fill."""

    def __init__(self, folders: Sequence[Path], options: SmallData, spec: pixlate.ModelSpec) -> None:
        super().__init__(folders, options)

    def sample(self, image: Tensor, path: Path, generator: np.random.Generator) -> Batch:
        mask = torch.zeros(1, *image.shape[1:])
        mask[:, 4:8, 4:8] = 1
        return {"source": image * (1 - mask), "target": image, "mask": mask}


class Filling(nn.Module):
    """Fills where the mask is."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        filled: Tensor = image * (1 - mask) + self.layer(torch.cat([image, mask], dim=1)) * mask
        return filled


class Judge(nn.Module):
    """A discriminator that sees the mask."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 1, 3)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self.layer(torch.cat([image, mask], dim=1))
        return logits


class Inpainting(GAN):
    """A generator and a discriminator that take a mask."""

    def __init__(self, options: Nothing) -> None:
        super().__init__({"source_to_target": Filling()}, {"target": Judge()})

    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="filling", tiling_exact=True, halo=1, inputs=(ModelInput("image", "image"), ModelInput("mask", "mask")))

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["source_to_target"](batch["source"], batch["mask"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"pixel": (images["target"] - batch["target"]).abs().mean(), "fool": -self.judge("target", images["target"], batch["mask"]).mean()}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"judge": (self.judge("target", images["target"], batch["mask"]) - self.judge("target", batch["target"], batch["mask"])).mean()}


MASKED: dict[str, Role] = {"source": "image", "target": "image", "mask": "mask"}
FILLING = Method("filling", "for tests", DataKind("holes", "Photographs", "photos/", SmallData, open=Holes, roles=MASKED), Nothing, Inpainting)


class Drawn(Photographs):
    """Photographs with noise."""

    validated = False

    def __init__(self, folders: Sequence[Path], options: SmallData, spec: pixlate.ModelSpec) -> None:
        super().__init__(folders, options)

    def sample(self, image: Tensor, path: Path, generator: np.random.Generator) -> Batch:
        return {"target": image[:, :16, :16], "noise": torch.from_numpy(generator.standard_normal(6).astype(np.float32))}


class Sampler(GAN):
    """Makes images of noise alone."""

    def __init__(self, options: Nothing) -> None:
        super().__init__({"source_to_target": nn.Sequential(nn.Linear(6, 3 * 16 * 16), nn.Unflatten(1, (3, 16, 16)))})

    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="sampler", inputs=(ModelInput("noise", "noise", length=6),))

    def generate(self, batch: Batch) -> Images:
        return {"target": self.generators["source_to_target"](batch["noise"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        return {"mean": (images["target"].mean() - batch["target"].mean()).square()}


NOISY: dict[str, Role] = {"target": "image", "noise": "noise"}
SAMPLER = Method("sampler", "for tests", DataKind("drawn", "Photographs", "photos/", SmallData, open=Drawn, roles=NOISY), Nothing, Sampler)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two domains."""
    root = tmp_path_factory.mktemp("domains")
    for seed, name in enumerate(("day", "night")):
        make_photographs(root / name, 3, 48, 48, seed)
    return root


METHODS = {"domains": MULTI, "filling": FILLING, "sampler": SAMPLER}


def test_methods_of_labels_masks_and_noise_keep_the_contract() -> None:
    check_method(MULTI, facts={"domains": ["day", "night", "dusk"]})
    check_method(FILLING)
    check_method(SAMPLER)


@pytest.mark.parametrize("name", METHODS)
def test_method_with_conditions_trains_validates_and_resumes_bit_equal_without_listing_its_folders_again(
    name: str, folder: Path, make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {} if name == "sampler" else {"augment": ("color", "translation", "cutout")}
    options = make_run(METHODS[name], (folder,), patch=16, steps=5, accumulate=2, batch=4, checkpoint_every=2, validate_every=5, channels_last=True, **changes)
    whole = fit(options, tmp_path / "undisturbed")
    assert whole.finished
    measured = {"domains": {"sliced_wasserstein", "luma_correlation"}, "filling": {"psnr_luma"}, "sampler": {"sliced_wasserstein"}}
    assert whole.progress[-1].figures.keys() == measured[name]
    assert (tmp_path / "undisturbed" / "samples" / "step-00000005.png").is_file()
    fit(options, tmp_path / "run", crash=3)

    def refuse(*_: object) -> Mapping[str, Any]:
        raise AssertionError("the run knows its facts")

    kind = dataclasses.replace(METHODS[name].data, facts=refuse) if name == "domains" else METHODS[name].data
    again = RunOptions.load(tmp_path / "run", {name: dataclasses.replace(METHODS[name], data=kind)})
    assert fit(again, tmp_path / "run", resume=True).finished
    assert digests(tmp_path / "run") == digests(tmp_path / "undisturbed")


def test_facts_are_kept_in_the_options_and_the_checkpoint_and_give_the_networks_without_the_folders(
    folder: Path, make_run: MakeRun, fit: Fit, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "photos")
    fit(make_run(MULTI, (tmp_path / "photos",), patch=16, steps=1), tmp_path / "run")
    shutil.rmtree(tmp_path / "photos")
    facts = {"domains": ["day", "night"]}
    assert tomllib.loads((tmp_path / "run" / "options.toml").read_text())["facts"] == facts
    assert load_checkpoint(tmp_path / "run").state["options"]["facts"] == facts
    gan = RunOptions.load(tmp_path / "run", {"domains": MULTI}).build()
    gan.load_state_dict(load_checkpoint(tmp_path / "run").average)
    assert list(gan.exports()) == ["any", "day", "night"]
    exports = gan.exports()
    batch = {"source": torch.rand(2, 3, 8, 8), "domain": torch.tensor([1, 0])}
    with torch.no_grad():
        painted = exports["any"](batch)
        for index, name in enumerate(("night", "day")):
            torch.testing.assert_close(exports[name](batch)[index], painted[index])


def test_only_images_are_stored_channels_last(folder: Path, make_run: MakeRun) -> None:
    trainer = Trainer(make_run(FILLING, (folder,), patch=16, channels_last=True), Fabric(accelerator="cpu", devices=1))
    batch = trainer._batch(0)
    trainer.loader.close()
    assert batch["source"].is_contiguous(memory_format=torch.channels_last) and batch["mask"].is_contiguous()
    assert not batch["source"].is_contiguous()


def test_tensor_without_a_role_is_refused(folder: Path, make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    unnamed = dataclasses.replace(FILLING, data=dataclasses.replace(FILLING.data, roles={"source": "image", "target": "image"}))
    with pytest.raises(pixlate.PixlateError, match="data kind 'holes': expected batches of source, target, got also mask; give their roles"):
        fit(make_run(unnamed, (folder,), patch=16), tmp_path / "run")


def test_model_whose_condition_no_batch_holds_is_named() -> None:
    export = Inpainting(Nothing()).exports()["source_to_target"]
    with pytest.raises(pixlate.PixlateError, match="expected batches that hold 'mask', which the model takes, got source; add it to those of the data kind"):
        export({"source": torch.rand(1, 3, 8, 8)})


class Contrast(GAN):
    """A generator, a discriminator, and a network that is neither and projects what the generator makes."""

    generated = 0

    def __init__(self, order: Sequence[str]) -> None:
        super().__init__({"source_to_target": nn.Conv2d(3, 3, 1)}, {"target": nn.Conv2d(3, 1, 1)})
        self.projection = nn.Conv2d(3, 2, 1)
        self.order = order
        self.seen: list[tuple[str, Tensor]] = []

    def spec(self, generator: str = "source_to_target") -> pixlate.ModelSpec:
        return pixlate.ModelSpec(method="contrast")

    def generate(self, batch: Batch) -> Images:
        self.generated += 1
        return {"target": self.generators["source_to_target"](batch["source"])}

    def generator_losses(self, batch: Batch, images: Images) -> Losses:
        self.seen.append(("generators", images["target"].detach()))
        return {"pixel": (images["target"] - batch["target"]).square().mean(), "fool": -self.judge("target", images["target"]).mean()}

    def discriminator_losses(self, batch: Batch, images: Images) -> Losses:
        assert not images["target"].requires_grad
        self.seen.append(("discriminators", images["target"]))
        return {"judge": self.judge("target", images["target"]).mean() - self.judge("target", batch["target"]).mean()}

    def projection_losses(self, batch: Batch, images: Images) -> Losses:
        self.seen.append(("projection", images["target"].detach()))
        return {"contrast": (self.projection(images["target"]) - self.projection(batch["source"]) - 1).square().mean()}

    def players(self) -> dict[str, Player]:
        def sgd(weights: list[nn.Parameter], rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
            return torch.optim.SGD(weights, rate, momentum=betas[0])

        own = Player(self.projection, self.projection_losses, optimizer=sgd, learning_rate=0.5, betas=(0.25, 0.5))
        players = {**super().players(), "projection": own}
        return {name: players[name] for name in self.order}


def contrast(*order: str) -> Method:
    return Method("contrast", "for tests", pixlate.paired, Nothing, lambda options: Contrast(order))


@pytest.mark.parametrize(
    ("order", "accumulate", "generated"),
    [
        (("discriminators", "projection", "generators"), 1, 1),
        (("projection", "discriminators", "generators"), 1, 1),
        (("generators", "discriminators", "projection"), 1, 2),
        (("generators", "projection", "discriminators"), 1, 2),
        (("generators", "discriminators", "projection"), 2, 4),
        (("discriminators", "projection", "generators"), 2, 6),
    ],
)
def test_images_are_made_once_a_step_and_again_only_after_what_makes_them_has_been_updated(
    order: tuple[str, ...], accumulate: int, generated: int, make_run: MakeRun
) -> None:
    trainer = Trainer(make_run(contrast(*order), patch=16, resize=20, accumulate=accumulate, learning_rate=0.1), Fabric(accelerator="cpu", devices=1))
    gan = cast("Contrast", trainer.gan)
    assert list(trainer.turns) == list(order)
    trainer.step(0)
    trainer.loader.close()
    assert gan.generated == generated, "parts of a batch are made again with their graph, which would not fit into memory"
    shown = {name: [image for player, image in gan.seen if player == name] for name in order}
    assert [player for player, _ in gan.seen] == [name for name in order for _ in range(accumulate)]
    moved = order.index("projection") > order.index("generators")
    for part in range(accumulate):
        assert torch.equal(shown["discriminators"][part], shown["generators"][part]), "images made before any update"
        assert torch.equal(shown["projection"][part], shown["generators"][part]) != moved


def test_player_has_its_own_optimiser_rate_and_betas_which_resume(make_run: MakeRun, fit: Fit, digests: Digests, tmp_path: Path) -> None:
    method = contrast("discriminators", "projection", "generators")
    options = make_run(method, patch=16, resize=20, steps=4, checkpoint_every=1, schedule="linear", learning_rate=1e-3)
    trainer = Trainer(options, Fabric(accelerator="cpu", devices=1))
    turn = trainer.turns["projection"]
    assert isinstance(turn.optimizer, torch.optim.SGD) and turn.optimizer.param_groups[0]["momentum"] == 0.25
    trainer.loader.close()
    fit(options, tmp_path / "undisturbed")
    fit(options, tmp_path / "run", crash=2)
    assert fit(options, tmp_path / "run", resume=True).finished
    assert digests(tmp_path / "run") == digests(tmp_path / "undisturbed")
    folder = newest(tmp_path / "run" / "checkpoints")
    assert folder is not None
    groups = Checkpoint.load(folder).optimizers
    assert (groups["projection"]["param_groups"][0]["lr"], groups["generators"]["param_groups"][0]["lr"]) == pytest.approx((0.25, 0.5e-3)), "both fall"


def test_optimiser_whose_state_no_checkpoint_can_hold_is_refused(make_run: MakeRun, fit: Fit, tmp_path: Path) -> None:
    class Counting(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for weight in group["params"]:
                    self.state[weight]["count"] = 1
            return super().step(closure)

    class Own(Contrast):
        def players(self) -> dict[str, Player]:
            return {"generators": Player(self.generators, self.generator_losses, optimizer=lambda weights, rate, betas: Counting(weights, rate))}

    method = Method("contrast", "for tests", pixlate.paired, Nothing, lambda options: Own(()))
    with pytest.raises(pixlate.PixlateError, match="expected an optimiser whose state is tensors, got Counting with count; use another one"):
        fit(make_run(method, patch=16, resize=20, steps=1), tmp_path / "run")


def test_kind_is_checked_by_name_and_a_kind_without_a_check_looks_at_each_image(folder: Path) -> None:
    from pixlate.data.check import check

    (folder / "day" / "broken.png").write_bytes(b"")
    report = check([folder], DOMAINS, 0)
    (folder / "day" / "broken.png").unlink()
    assert (report.kind, report.folders[0].images) == ("domains", 7)
    assert "broken.png: the file is empty" in report.problems[0]
    json.dumps(dataclasses.asdict(report))


def test_training_data_of_a_kind_is_what_the_engine_asks_for(folder: Path) -> None:
    data: TrainingData = Holes([folder], SmallData(hold_out=1), pixlate.ModelSpec())
    assert data.images == 5
