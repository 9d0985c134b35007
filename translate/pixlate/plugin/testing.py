"""Checks that a plugin's author can call from tests of any kind: they need no pytest, and raise AssertionError with a sentence.

For a package that offers methods, this is a whole test file::

    import pixlate.plugin.testing
    from my_package import my_method


    def test_method_keeps_the_contract():
        pixlate.plugin.testing.check_method(my_method)
"""

import contextlib
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pixlate.errors import PixlateError
from pixlate.inference.sizes import allowed_side
from pixlate.plugin.data import Batch, DataKind, Role
from pixlate.plugin.method import Method
from pixlate.plugin.spec import InputKind, ModelSpec
from pixlate.runs.samples import is_view

if TYPE_CHECKING:
    from torch import Tensor

    from pixlate.plugin.gan import GAN, Export

_SMALL = {"channels": 8, "blocks": 1, "depth": 3, "discriminator_channels": 8, "second_pixel_weight": 1.0, "perceptual_weight": 0.0}

_STEPS = 100
"""Length of the run that a method receives."""


def small_options(method: Method) -> Any:
    """Return the method's options with few ``channels``, ``blocks`` and the like, and no weights from elsewhere, where it has these."""
    names = {item.name for item in fields(method.options)}
    options = method.options()
    for name, value in _SMALL.items():
        with contextlib.suppress(PixlateError):  # such as the depth of another network than the default one
            options = replace(options, **{name: value}) if name in names else options
    return options


def make_photographs(folder: Path, count: int, height: int = 96, width: int = 96, seed: int = 0) -> Path:
    """Write PNG pictures with smooth shades and sharp edges into a folder, for training in tests; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    for index in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        pixels = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))
        for _ in range(6):  # half planes of other shades
            angle, offset = generator.uniform(0, 2 * np.pi), generator.uniform(-0.4, 0.4) * min(height, width)
            beyond = np.cos(angle) * (across - width / 2) + np.sin(angle) * (down - height / 2) > offset
            pixels[beyond] = pixels[beyond] // 2 + generator.integers(0, 128, 3, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03}.png")
    return folder


def check_method(method: Method, options: Any = None, side: int = 32, facts: Mapping[str, Any] | None = None) -> None:
    """Check that a method keeps the contract with engine, exporter and converter.

    Its networks are built again with the same names and weights; the data kind's sample has the roles it names; it makes a ``target`` of the size its
    spec says; all losses are finite scalars of different names that move their own player and no other; the exported modules take the image and the
    conditions of their specs and give [0, 1] at the sizes the spec allows; where tiling is called exact, a tile with the halo of context gives
    exactly the pixels of the whole picture; its further views, and what it gives back, are pictures in [0, 1]; and its presets hold options that it has, of values that go together.

    Args:
        method: What the plugin's ``pixlate_methods`` yields.
        options: An instance of its options; small ones by default, see :func:`small_options`.
        side: Height and width of the source images, in pixels, raised to what the spec asks for; a data kind with a ``sample`` of its own ignores it.
        facts: What the data kind would find in folders, where ``build`` takes facts; left out, its ``example_facts``.

    Raises:
        AssertionError: With what was expected and what was received.
    """
    import torch

    from pixlate.plugin.gan import GAN

    check_presets(method)
    chosen = small_options(method) if options is None else options
    torch.manual_seed(0)
    found = method.data.example_facts if facts is None else facts
    gan = method.gan(chosen, found)
    assert isinstance(gan, GAN), f"expected build() to return a pixlate.GAN, got {type(gan).__name__}"
    gan.prepare(torch.device("cpu"))
    gan.begin_step(_STEPS - 1, _STEPS)  # the last one, in which every player of a method of several stages takes part
    torch.manual_seed(0)
    again = method.gan(chosen, found).state_dict()
    state = gan.state_dict()
    assert state.keys() == again.keys(), "expected build() to give the same tensor names each time; a run could not be resumed"
    assert all(torch.equal(value, again[name]) for name, value in state.items()), "expected the same weights of the same seed; draw them with torch"
    exports = gan.exports()
    for name, export in exports.items():
        assert export.spec.method == method.name, f"{name}: expected spec().method to be {method.name!r}, got {export.spec.method!r}"
    spec = next(iter(exports.values())).spec
    batch = method.data.sample(spec) if method.data.sample else random_batch(method.data.roles, spec, side)
    _check_roles(method.data, batch)
    images = gan.train().generate(batch)
    assert "target" in images, f"expected generate() to return a 'target', got {sorted(images)}"
    if "source" in batch:
        height, width = batch["source"].shape[2:]
        expected = (len(batch["source"]), spec.channels_out, height * spec.scale, width * spec.scale)
        assert images["target"].shape == expected, f"expected a target of {expected}, as spec() says, got {tuple(images['target'].shape)}"
    if spec.output_size:
        assert images["target"].shape[2:] == spec.output_size, f"expected a target of {spec.output_size}, as spec() says, got {tuple(images['target'].shape)}"
    names = _check_losses(gan, batch)
    assert len(names) == len(set(names)), f"expected losses of different names, got {names}; the log would lose one"
    for name, export in exports.items():
        export.module.eval()
        if export.spec.takes_image:
            _check_sizes(name, export)
    name, first = next(iter(exports.items()))
    with torch.no_grad():
        given = _checked(name, first(batch))  # as validation calls it
        assert given.ndim == 4, f"{name}: expected images of (batch, channels, height, width), got {tuple(given.shape)}"
        if spec.takes_image:
            _check_reconstruction(gan.eval(), batch["source"])
        _check_views(gan.eval().views({key: values[:1] for key, values in batch.items()}, given[:1]))


def check_presets(method: Method) -> None:
    """Check that the presets of a method hold options that it has, of values that are allowed and go together.

    Raises:
        AssertionError: With what was expected and what was received.
    """
    owners: tuple[type[Any], ...] = (method.options, method.data.options, method.training)
    for name, path in method.presets.items():
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), f"preset {name!r}: expected a first line such as '# for old photographs', got {text[:40]!r}"
        (table,) = tomllib.loads(text)["train"].values()
        known = {item.name for owner in owners for item in fields(owner)}
        assert table.keys() <= known, f"preset {name!r}: expected options of {method.name}, got also {sorted(table.keys() - known)}"
        values = {option: tuple(value) if isinstance(value, list) else value for option, value in table.items()}
        for owner in owners:
            owner(**{item.name: values[item.name] for item in fields(owner) if item.name in values})


def random_batch(roles: Mapping[str, Role], spec: ModelSpec, side: int = 32) -> Batch:
    """Return a random batch of two, whose source images have a height of at least ``side`` pixels, and another width.

    ``source`` has the size and channels of the model's input, every other image those of its output, which a sampler's spec says, and masks the size of ``source``; labels, vectors and
    noise are as the spec's input of that name, else of that kind, says.
    """
    height = allowed_side(side, spec)
    return {name: _random(spec, name, role, 2, height, height + spec.multiple) for name, role in roles.items()}


def _random(spec: ModelSpec, name: str, role: InputKind, count: int, height: int, width: int) -> "Tensor":
    """Return random values of a role for ``count`` samples of a source of that size."""
    import torch

    named = sorted((item for item in spec.inputs if item.kind == role), key=lambda item: item.name != name)
    match role:
        case "image":
            channels, scale = (spec.channels_in, 1) if name == "source" else (spec.channels_out, spec.scale)
            height, width = spec.output_size or (height, width)
            return torch.rand(count, channels, height * scale, width * scale)
        case "mask":
            return torch.rand(count, 1, height, width).round()
        case "reference":
            return torch.rand(count, named[0].channels, named[0].side, named[0].side)
        case "label":
            return torch.randint(len(named[0].choices) if named else 2, (count,))
        case _:
            return torch.randn(count, named[0].length if named else 8)


def _check_roles(kind: DataKind, batch: Batch) -> None:
    """Check a batch against the roles that its data kind names."""
    import torch

    kind.require_roles(batch)
    for name, values in batch.items():
        match kind.roles[name]:
            case "image" | "mask":
                right = values.ndim == 4 and values.is_floating_point() and bool((values >= 0).all() and (values <= 1).all())
            case "label":
                right = values.ndim == 1 and values.dtype == torch.int64
            case _:
                right = values.ndim == 2 and values.dtype == torch.float32
        assert right, f"expected {name!r} to be a batch of the role {kind.roles[name]}, got {tuple(values.shape)} of {values.dtype}"


def _check_losses(gan: Any, batch: Any) -> list[str]:
    """Check that each player's losses are finite scalars and move only that player; return their names."""
    import torch

    names: list[str] = []
    players = gan.players()
    for name, player in players.items():
        own = list(player.module.named_parameters())
        ids = {id(parameter) for _, parameter in own}  # several players may update the same weights
        others = [(other, [each for each in other.module.parameters() if id(each) not in ids]) for other in players.values()]
        strangers = [each for other, weights in others if player.adversary or other.adversary for each in weights]
        gan.requires_grad_(True).zero_grad()
        for other, weights in others:
            for parameter in weights if other.adversary else ():
                parameter.requires_grad_(False)
        images = gan.generate(batch)
        shown = {key: image.detach() for key, image in gan.judged(batch, images).items()} if player.adversary else images
        losses = player.losses(batch, shown)
        assert bool(losses) == bool(own), f"expected losses of the {name} if and only if there are any, got {sorted(losses)} for {len(own)} tensors"
        for loss_name, loss in losses.items():
            assert loss.ndim == 0 and bool(torch.isfinite(loss)), f"expected the loss {loss_name} to be one finite number, got {loss}"
        if losses:
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            still = [key for key, parameter in own if parameter.requires_grad and parameter.grad is None]
            assert not still, f"expected a gradient for every weight of the {name}, got none for {still}; freeze or remove them"
            moved = [parameter for parameter in strangers if parameter.grad is not None]
            assert not moved, f"expected the losses of the {name} to move no other player"
        names += losses
    gan.requires_grad_(True)
    return names


def _check_views(views: "Mapping[str, Mapping[str, Tensor]]") -> None:
    """Check that further sheets have names that can be those of files, and pictures as validation draws them."""
    for view, images in views.items():
        assert is_view(view), f"expected views() to have names of small letters, digits and hyphens, got {view!r}"
        assert images, f"{view}: expected pictures by caption, got none"
        for caption, image in images.items():
            assert image.ndim == 4 and len(image) == 1, f"{view}: expected {caption} to be images of (1, channels, height, width), got {tuple(image.shape)}"
            _checked(f"{view}, {caption}", image, "views()")


def _check_reconstruction(gan: "GAN", source: "Tensor") -> None:
    """Check that what is given back can be compared with its source, where a method has that, and that there is a judgement of each source."""
    again = gan.reconstruct(source)
    if again is None:
        return
    assert again.shape == source.shape, f"expected reconstruct() to return {tuple(source.shape)} or None, got {tuple(again.shape)}"
    _checked("what is given back", again, "reconstruct()")
    logits = [len(each) for each in gan.judge_sources(source)]
    assert all(count == len(source) for count in logits), f"expected judge_sources() to return maps of {len(source)} sources, got {logits}"


def _check_sizes(name: str, export: "Export") -> None:
    """Check size, range and tiling of what a model file would hold, at several sizes."""
    import torch

    spec = export.spec

    def inputs(count: int, height: int, width: int) -> list[torch.Tensor]:
        conditions = (_random(spec, item.name, item.kind, count, height, width) for item in spec.conditions)
        return [4 * torch.rand(count, spec.channels_in, height, width) - 1.5, *conditions]

    for side in (1, 7, 16):
        height, width = allowed_side(side, spec), allowed_side(side + 3, spec)
        with torch.no_grad():
            output = _checked(name, export.module(*inputs(3, height, width)))
        expected = (3, spec.channels_out, height * spec.scale, width * spec.scale)
        assert output.shape == expected, f"{name}: expected {expected}, as spec() says, got {tuple(output.shape)}"
    if spec.tiling_exact:
        step = allowed_side(max(spec.halo, 1), spec)
        given = inputs(1, 2 * step, 4 * step)
        cut = [values[..., : 3 * step] if values.ndim == 4 and values.shape[-1] == 4 * step else values for values in given]
        with torch.no_grad():
            whole, tile = export.module(*given), export.module(*cut)
        width = (3 * step - spec.halo) * spec.scale
        difference = float((whole[..., :width] - tile[..., :width]).abs().max())
        assert difference < 1e-5, f"{name}: expected a tile with {spec.halo} pixels of context to be as the whole, got a difference of {difference:.2g}"


def _checked(name: str, output: "Tensor", made_by: str = "exports()") -> "Tensor":
    """Return images of a module, checked against their range."""
    assert float(output.min()) >= 0 and float(output.max()) <= 1, f"{name}: expected {made_by} to give [0, 1], got {output.aminmax()}"
    return output
