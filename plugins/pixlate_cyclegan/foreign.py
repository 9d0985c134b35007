"""The ResNets of pytorch-CycleGAN-and-pix2pix (pix2pixHD's global generator is one too) and of contrastive-unpaired-translation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

import pixlate
from pixlate.networks.resnet import ResNet
from pixlate.weights.adapting import norm_of, renamed, translation

_BLOCK = re.compile(r"model\.(\d+)\.conv_block\.")
_HALVING_BLUR = (1.0, 2.0, 1.0)
_DOUBLING_BLUR = (1.0, 3.0, 3.0, 1.0)


@dataclass(frozen=True)
class _Layout:
    """Where the layers of its one long sequence are."""

    blocks: range
    """The residual blocks."""
    halvings: int
    """Strided or blurred convolutions before them, and as many that double after them."""
    blurred_halving: bool
    """Whether each of the former has a blur after its activation."""
    blurred_doubling: bool
    """Whether each of the latter has a blur before its convolution."""
    padded: bool
    """Whether a layer pads before the convolutions of a block; else they add zeros themselves."""
    dropout: bool
    """Whether a layer between the convolutions of a block drops values."""

    @property
    def last(self) -> int:
        """The last convolution, which a padding layer precedes."""
        return self.blocks.stop + self.halvings * (3 + self.blurred_doubling) + 1

    def places(self) -> dict[str, str]:
        """Return our name of each of its convolutions and norms."""
        places = {"model.1": "network.head.1", "model.2": "network.head.2", f"model.{self.last}": "network.tail.1"}
        first, second = (1, 5 + self.dropout) if self.padded else (0, 3 + self.dropout)
        for layer in (0, 1):  # a convolution, and its norm
            for stage in range(self.halvings):
                down, up = 4 + stage * (3 + self.blurred_halving), self.blocks.stop + stage * (3 + self.blurred_doubling)
                places[f"model.{down + layer}"] = f"network.downsample.{stage}.{layer}"
                blurred = layer + self.blurred_doubling
                places[f"model.{up + blurred}"] = f"network.upsample.{stage}.{blurred}"
            for index, block in enumerate(self.blocks):
                places[f"model.{block}.conv_block.{first + layer}"] = f"network.body.{index}.layers.{1 + layer}"
                places[f"model.{block}.conv_block.{second + layer}"] = f"network.body.{index}.layers.{5 + layer}"
        return places


def import_resnet(state: Mapping[str, Tensor], options: pixlate.ImportOptions) -> pixlate.ForeignGenerator | None:
    """Return the ResNet as ours, or None where these are not its weights.

    Raises:
        PixlateError: Its blur is not the published one, or its padding is known and another one is asked for.
    """
    layout = _layout(state)
    if layout is None:
        return None
    first, last = state.get("model.1.weight"), state.get(f"model.{layout.last}.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        return None
    norm = norm_of(state, "model.1", "model.2")
    assumed = [f"padding: {options.padding} in the blocks; --padding changes it"] if layout.padded else []
    if layout.dropout:
        assumed.append("dropout: off; its own code draws it again for each test picture, as no option of Pixlate does")

    def make() -> ResNet:
        return ResNet(
            first.shape[1],
            len(last),
            len(layout.blocks),
            len(first),
            layout.halvings,
            norm,
            upsampling="bilinear" if layout.blurred_doubling else "transposed",
            halve="blurred" if layout.blurred_halving else "strided",
            padding=options.padding if layout.padded else "zero",
        )

    blurred = layout.blurred_halving or layout.blurred_doubling
    foreign = translation(
        "cut" if blurred else "cyclegan",
        f"ResNet of {len(layout.blocks)} blocks",
        make,
        renamed({key: tensor for key, tensor in state.items() if not key.endswith(".filt")}, layout.places()),
        "network.tail.1",
        norm,
        options,
        assumed,
        "contrastive-unpaired-translation" if blurred else "pytorch-CycleGAN-and-pix2pix",
    )
    if foreign is not None:
        _check_blurs(state, layout, len(first))
        if layout.padded == (options.padding == "zero") and options.padding != "reflect":
            wanted = "reflect or replicate: its blocks have padding layers" if layout.padded else "zero: its blocks have no padding layers"
            raise pixlate.PixlateError(f"expected --padding {wanted}, got {options.padding}; leave it out")
    return foreign


def _layout(state: Mapping[str, Tensor]) -> _Layout | None:
    """Return where the layers are, by the numbers in the names, or None where they are not in that order."""
    numbers = sorted({int(match[1]) for key in state if (match := _BLOCK.match(key)) and len(match[1]) < 6})
    if not numbers or numbers[-1] - numbers[0] + 1 != len(numbers) or numbers[0] > 4 * len(state):  # a file of few tensors names few layers
        return None
    blocks = range(numbers[0], numbers[-1] + 1)
    blurred_halving, blurred_doubling = "model.7.filt" in state, f"model.{blocks.stop}.filt" in state
    halvings, rest = divmod(blocks.start - 4, 3 + blurred_halving)
    within = f"model.{blocks.start}.conv_block"
    padded = f"{within}.0.weight" not in state
    dropout = f"{within}.{6 if padded else 4}.weight" in state and f"{within}.{5 if padded else 3}.weight" not in state
    return _Layout(blocks, halvings, blurred_halving, blurred_doubling, padded, dropout) if rest == 0 and halvings >= 0 else None


def _check_blurs(state: Mapping[str, Tensor], layout: _Layout, channels: int) -> None:
    """Refuse blurs that are not those ours computes."""
    expected: dict[str, tuple[int, tuple[float, ...], float]] = {}
    for stage in range(layout.halvings):
        if layout.blurred_halving:
            expected[f"model.{7 + 4 * stage}.filt"] = (2 ** (stage + 1), _HALVING_BLUR, 1.0)
        if layout.blurred_doubling:
            expected[f"model.{layout.blocks.stop + 4 * stage}.filt"] = (2 ** (layout.halvings - stage), _DOUBLING_BLUR, 4.0)
    for key in {key for key in state if key.endswith(".filt")} | expected.keys():
        found = state.get(key)
        if found is not None and key in expected:
            factor, row, gain = expected[key]
            blur = torch.tensor(row).outer(torch.tensor(row)) * gain / sum(row) ** 2
            if found.shape == (channels * factor, 1, *blur.shape) and torch.allclose(found, blur.expand_as(found), atol=1e-6):
                continue
        raise pixlate.PixlateError(
            f"expected the blurs of contrastive-unpaired-translation (1, 2, 1 before the blocks and 1, 3, 3, 1 after them), but {key} is "
            f"{'missing' if found is None else 'another one'}; export it from the code that trained it"
        )
