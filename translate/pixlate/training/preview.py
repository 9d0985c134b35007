"""A sheet of what training sees: the first samples of a run, each tensor of a batch in a row of its own."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pixlate.data.folders import listed_as
from pixlate.data.kinds import open_data
from pixlate.data.loader import Loader
from pixlate.images.contact_sheet import contact_sheet
from pixlate.plugin.data import Role
from pixlate.plugin.spec import ModelSpec
from pixlate.training.run import RunOptions


@dataclass(frozen=True)
class PreviewSheet:
    """A sheet and what is on it."""

    image: Image.Image
    images: int
    """Samples of an epoch."""
    sizes: str
    """Height and width of each image of a batch, in words."""


def preview(options: RunOptions, samples: int) -> PreviewSheet:
    """Return a sheet of the first samples that a run with these options would see.

    Images of one sample stand below each other, a source that is smaller than its target with its pixels repeated; masks are white where they are 1; labels,
    vectors and noise are written in words.

    Raises:
        PixlateError: Images and options do not fit together, or a file cannot be read.
    """
    options = options.with_facts()
    kind, seed = options.method.data, options.training.seed
    torch.manual_seed(seed)
    with listed_as(options.listing):
        spec = next(iter(options.build().exports().values())).spec
        data = open_data(kind, options.folders, options.data, spec)
    loader = Loader(data, options.data, lambda message: None)
    try:
        batch = data.finish(loader.batch(data.draw(0, samples, seed), options.data.patch))
    finally:
        loader.close()
    kind.require_roles(batch)
    shown = {name: [_picture(image) for image in values] for name, values in batch.items() if kind.roles[name] in ("image", "mask")}
    words = {name: [_words(name, value, kind.roles[name], spec) for value in values] for name, values in batch.items() if name not in shown}
    sizes = ", ".join(f"{name} {values.shape[3]}x{values.shape[2]}" for name, values in batch.items() if name in shown)
    return PreviewSheet(contact_sheet(shown, words), data.images, sizes)


def _picture(image: Tensor) -> Image.Image:
    """Return (channels, height, width) in [0, 1] as 8-bit RGB; of two channels the first is shown, of more than three the first three."""
    levels = (image.float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(levels[:, :, :3] if levels.shape[2] >= 3 else np.repeat(levels[:, :, :1], 3, axis=2)))


def _words(name: str, value: Tensor, role: Role, spec: ModelSpec) -> str:
    """Return what is no image in words: a label by its name where the model knows it."""
    if role == "label":
        choices = next((each.choices for each in spec.inputs if each.name == name), ())
        return choices[int(value)] if int(value) < len(choices) else str(int(value))
    numbers = value.flatten().tolist()
    return " ".join(f"{number:.2g}" for number in numbers[:4]) + (f" and {len(numbers) - 4} more" if len(numbers) > 4 else "")
