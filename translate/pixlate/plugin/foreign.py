"""Generators of other code bases, as a plugin recognises them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pixlate.plugin.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ImportOptions:
    """What a file of foreign weights does not contain."""

    direction: Literal["source-to-target", "target-to-source"] = "source-to-target"
    """Which way the generator translates, for the file's metadata."""
    padding: Literal["reflect", "replicate", "zero"] = "reflect"
    """How a ResNet's convolutions see beyond the border."""


@dataclass(frozen=True, eq=False)
class ForeignGenerator:
    """A generator of another code base, recognised by the keys and shapes of its weights."""

    name: str
    """What it is, such as ``ResNet of 9 blocks, pytorch-CycleGAN-and-pix2pix``."""
    network: "nn.Module"
    """Holds the weights; takes and gives (batch, channels, height, width) in [0, 1], not clamped. Where the network is one of Pixlate's own, its
    names are those of a method's generator, so that training may start from it."""
    spec: ModelSpec
    """How it is run. ``norm`` is ``running`` where there are batch norms."""
    norm: Literal["running", "per-image"] = "running"
    """Which statistics of batch norms its own code uses when it is tested; ignored where there are none."""
    assumed: tuple[str, ...] = ()
    """What the file does not contain, a sentence each: what was assumed and which option changes it."""
