"""A generator of shifted windows: SwinIR's kind, for translation at one size, restoration and enlargement."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixlate.networks.blocks import ImageConv2d, Layered, SubPixelUpsample, require_images, upsampling_stages
from pixlate.networks.initialisation import QuietConv2d
from pixlate.networks.reach import halo
from pixlate.networks.srresnet import Tail

MASKED = -100.0
"""Added to the scores of positions that a window does not see, as published: their share is 0 in 32 bits and in 16."""
TAIL_CHANNELS = 64
"""Feature maps of the staged tail, as published."""
_RATIO = 2
"""Hidden features of the dense layers over those of the network, as published."""


class Swin(Layered):
    """Attention in windows, every second time shifted by half a window, in residual groups between convolutions (Liang et al. 2021, SwinIR).

    Takes (batch, channels_in, height, width) in [-1, 1] and returns (batch, channels_out, height * scale, width * scale); published for images less their mean,
    of which 0 is about that. At scale 4, 60 channels in 4 groups with the direct tail have 929,628 parameters (SwinIR light; the paper's table leaves out one
    convolution and has 897 K), 180 channels in 6 groups with the staged tail 11,900,199 (classical SwinIR). Memory and time grow with the number of pixels.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        scale: 1, 2, 3, 4 or 8.
        channels: Feature maps, a multiple of ``heads``.
        groups: Residual groups, each of ``blocks`` and a convolution.
        blocks: Transformer blocks of a group.
        heads: Heads of attention.
        window: Side of a window, an even number; the sides of images must be multiples of it.
        tail: How it reaches a scale above 1: ``staged`` pixel shuffles of 2 (classical), or one ``direct`` shuffle (light).
        skip: At scale 1, returns the images plus what was learned, not squashed, as published for restoration; otherwise the output is in (-1, 1).
        drop_path: Share of images for which the last block is passed over in training; it rises from 0 at the first (Huang et al. 2016).

    Attributes:
        multiple: Height and width must be multiples of this.
        minimum: Least height and width.
        halo: Input pixels around an output pixel that it depends on.
        layers: Number of the last layer of :meth:`features`.
        exact: True: tiles with that halo, cut at multiples, have the windows of the whole image.

    Raises:
        ValueError: ``channels`` are no multiple of ``heads``, ``window`` is odd, or ``skip`` with another scale than 1 or other channels out than in.
    """

    exact = True

    def __init__(
        self,
        channels_in: int = 3,
        channels_out: int = 3,
        scale: int = 1,
        channels: int = 60,
        groups: int = 4,
        blocks: int = 6,
        heads: int = 6,
        window: int = 8,
        tail: Tail = "direct",
        skip: bool = False,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"expected channels that are a multiple of the heads, got {channels} and {heads}; 60 and 6 are published")
        if window < 2 or window % 2:
            raise ValueError(f"expected a window of an even number of pixels, got {window}; 8 is published")
        if skip and (scale > 1 or channels_in != channels_out):
            raise ValueError(f"expected scale 1 and as many channels out as in with skip, got {scale}, {channels_in} and {channels_out}; switch skip off")
        self.channels_in, self.skip = channels_in, skip
        self.multiple = self.minimum = window
        self.head = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.first_norm = nn.LayerNorm(channels)
        drops = torch.linspace(0, drop_path, groups * blocks).tolist()
        self.body = nn.ModuleList(Group(channels, heads, window, drops[start : start + blocks]) for start in range(0, groups * blocks, blocks))
        self.last_norm = nn.LayerNorm(channels)
        self.fuse = nn.Conv2d(channels, channels, 3, padding=1)
        if scale == 1:
            last = QuietConv2d(channels, channels_out, 3, padding=1) if skip else ImageConv2d(channels, channels_out, 3, padding=1)
            self.tail: nn.Module = nn.Sequential(last, nn.Identity() if skip else nn.Tanh())
        elif tail == "direct":
            self.tail = SubPixelUpsample(channels, channels_out, scale)
        else:
            before = nn.Sequential(nn.Conv2d(channels, TAIL_CHANNELS, 3, padding=1), nn.LeakyReLU(inplace=True))
            shuffles = [SubPixelUpsample(TAIL_CHANNELS, TAIL_CHANNELS, stage) for stage in upsampling_stages(scale)]
            self.tail = nn.Sequential(before, *shuffles, nn.Conv2d(TAIL_CHANNELS, channels_out, 3, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.layers = groups + 3
        self.halo = halo(self.modules(), window, scale)

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, the first convolution, each group, the sum of what follows them and the first convolution, and the output."""
        require_images(images, self.channels_in, self.minimum, self.multiple)
        yield images
        first = self.head(images)
        yield first
        features = _normalised(first, self.first_norm)
        for group in self.body:
            features = group(features)
            yield features
        features = first + self.fuse(_normalised(features, self.last_norm))
        yield features
        output: Tensor = self.tail(features)
        yield images + output if self.skip else output


class Group(nn.Module):
    """A residual group (RSTB): blocks whose windows are shifted every second time, and a convolution; (batch, channels, height, width) to the same shape.

    ``drops`` is the share of images for which each block is passed over in training.
    """

    def __init__(self, channels: int, heads: int, window: int, drops: list[float]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(channels, heads, window, window // 2 * (number % 2), drop) for number, drop in enumerate(drops)))
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features plus what was learned."""
        change: Tensor = self.convolution(self.blocks(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return features + change


class Block(nn.Module):
    """Attention in windows, then two dense layers, each added to what it is given: (batch, height, width, channels) to the same shape (eq. 5 and 6)."""

    def __init__(self, channels: int, heads: int, window: int, shift: int, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.first_norm = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, window, shift)
        self.second_norm = nn.LayerNorm(channels)
        self.dense = nn.Sequential(nn.Linear(channels, _RATIO * channels), nn.GELU(), nn.Linear(_RATIO * channels, channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return the features plus both changes."""
        features = features + self._kept(self.attention(self.first_norm(features)))
        return features + self._kept(self.dense(self.second_norm(features)))

    def _kept(self, change: Tensor) -> Tensor:
        """Return a change, in training none for a share of the images, and that of the others larger by as much."""
        if not self.training or self.drop == 0:
            return change
        kept = torch.rand(len(change), 1, 1, 1, device=change.device) >= self.drop
        return change * (kept / (1 - self.drop)).to(change.dtype)


class WindowAttention(nn.Module):
    """Lets each position see those of its window: (batch, height, width, channels) to the same shape (Liu et al. 2021, Swin, section 3.2, eq. 4).

    Sides are multiples of ``window``. With a ``shift`` windows begin that many positions later; those at the border are cut off there: rolled to one window,
    positions of both borders do not see each other. What is masked is computed from height and width, so that an exported graph takes any.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.inputs = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)
        self.bias = nn.Parameter(nn.init.trunc_normal_(torch.empty((2 * window - 1) ** 2, heads), std=0.02))
        """Added to the scores, by how far a position is from another."""
        rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        down, right = (places.flatten()[:, None] - places.flatten()[None, :] + window - 1 for places in (rows, columns))
        self.register_buffer("places", down * (2 * window - 1) + right, persistent=False)
        self.places: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """Return what attention gathers."""
        batch, height, width, channels = features.shape
        rolled = torch.roll(features, (-self.shift, -self.shift), (1, 2)) if self.shift else features
        windows = self._cut(rolled)  # (batch, windows, positions, channels)
        inputs = self.inputs(windows).unflatten(3, (3, self.heads, channels // self.heads)).permute(3, 0, 1, 4, 2, 5)
        queries, keys, values = inputs.unbind()  # (batch, windows, heads, positions, channels of a head)
        scores = (queries * (channels // self.heads) ** -0.5) @ keys.transpose(3, 4) + self.bias[self.places].permute(2, 0, 1)
        if self.shift:
            scores = scores + self._mask(height, width, scores)
        gathered = self.output((scores.softmax(dim=4) @ values).transpose(2, 3).flatten(3))
        joined = gathered.reshape(batch, height // self.window, width // self.window, self.window, self.window, channels)
        joined = joined.transpose(2, 3).reshape(batch, height, width, channels)
        return torch.roll(joined, (self.shift, self.shift), (1, 2)) if self.shift else joined

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and last position of a row that those from ``first`` to ``last`` see."""
        first, last = (place - self.shift for place in (first, last))
        return first // self.window * self.window + self.shift, last // self.window * self.window + self.window - 1 + self.shift

    def _cut(self, features: Tensor) -> Tensor:
        """Return (batch, windows, positions, channels)."""
        batch, height, width, channels = features.shape
        cut = features.reshape(batch, height // self.window, self.window, width // self.window, self.window, channels)
        return cut.transpose(2, 3).reshape(batch, -1, self.window**2, channels)

    def _mask(self, height: int, width: int, like: Tensor) -> Tensor:
        """Return (windows, 1, positions, positions) to be added to the scores: positions are apart where one was rolled from the other border."""
        rows, columns = ((torch.arange(side, device=like.device) >= side - self.shift).to(like.dtype) for side in (height, width))
        borders = self._cut((2 * rows[:, None] + columns[None, :])[None, :, :, None])[0, :, :, 0]
        return torch.where(borders[:, None, :, None] == borders[:, None, None, :], 0.0, MASKED).to(like.dtype)


def _normalised(features: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Return (batch, channels, height, width) whose channels are normalised position by position."""
    return functional.layer_norm(features.permute(0, 2, 3, 1), norm.normalized_shape, norm.weight, norm.bias, norm.eps).permute(0, 3, 1, 2)
