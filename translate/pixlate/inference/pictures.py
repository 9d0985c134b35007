"""From a picture to what a model takes, and back."""

from dataclasses import replace

import numpy as np
from PIL import Image

from pixlate.errors import PixlateError
from pixlate.images import Picture, add_origin
from pixlate.images.picture import Pixels, full_scale, rounded
from pixlate.plugin.spec import ModelSpec


def to_model(picture: Picture, spec: ModelSpec) -> Pixels:
    """Return the pixels (height, width, channels_in) a model takes: grey is repeated for a model of more channels, floating point of [0, 1] rounded to 16 bits."""
    pixels = _whole(picture.pixels)
    return pixels if pixels.shape[2] == spec.channels_in else np.broadcast_to(pixels, (*pixels.shape[:2], spec.channels_in))


def refuse_colour(picture: Picture, spec: ModelSpec) -> None:
    """Refuse a picture of other channels than a model takes; grey pictures fit every model."""
    channels, wanted = picture.pixels.shape[2], spec.channels_in
    if channels not in (1, wanted):
        takes, todo = ("grey pictures of 1 channel", "convert it to grey") if wanted == 1 else (f"pictures of {wanted} channels", "convert it")
        raise PixlateError(f"the model takes {takes}, this one has {channels}; {todo} or use another model")


def channels_made(channels: int, spec: ModelSpec) -> int:
    """Return the number of channels of a translated picture: grey stays grey where an RGB model enlarges it."""
    return 1 if channels == 1 and spec.scale > 1 and spec.channels_out == 3 else spec.channels_out


def from_model(pixels: Pixels, source: Picture, spec: ModelSpec) -> Picture:
    """Return the translated picture: grey stays grey under a scale model, alpha is enlarged alike where the output has colours, metadata is the source's."""
    if channels_made(source.pixels.shape[2], spec) < pixels.shape[2]:
        pixels = np.rint(pixels.mean(axis=2, dtype=np.float32, keepdims=True)).astype(pixels.dtype)
    notes = source.notes
    alpha = None if source.alpha is None else _enlarge(_whole(source.alpha), spec.scale)
    if alpha is not None and pixels.shape[2] not in (1, 3):
        alpha, notes = None, (*notes, f"the transparency was left out, since the model makes {pixels.shape[2]} channels")
    if source.pixels.dtype == np.float32:
        notes += ("floating point samples were rounded to 16 bits of [0, 1] for the model",)
    if spec.io == "uint8" and source.pixels.dtype != np.uint8:
        notes += ("the model takes 8 bits, so 16 were rounded for it; a model exported with --io float keeps them",)
    return Picture(pixels, alpha, source.metadata, notes)


def _whole(samples: Pixels) -> Pixels:
    """Return samples as whole numbers; floating point of [0, 1], clipped to it, as 16 bits."""
    return samples if samples.dtype != np.float32 else rounded(samples, 65535).astype(np.uint16)


def with_origin(picture: Picture, spec: ModelSpec) -> Picture:
    """Return the picture with the IPTC digital source type in its XMP, added to what was there."""
    kind = "algorithmicallyEnhanced" if spec.scale > 1 else "compositeWithTrainedAlgorithmicMedia"
    xmp, note = add_origin(picture.metadata.xmp, kind)
    return replace(picture, metadata=replace(picture.metadata, xmp=xmp), notes=(*picture.notes, *([note] if note else [])))


def _enlarge(plane: Pixels, scale: int) -> Pixels:
    """Enlarge one plane (height, width) bicubically."""
    if scale == 1:
        return plane
    height, width = plane.shape
    image = Image.fromarray(plane.astype(np.float32))
    enlarged = np.asarray(image.resize((width * scale, height * scale), Image.Resampling.BICUBIC))
    whole: Pixels = np.clip(np.rint(enlarged), 0, full_scale(plane)).astype(plane.dtype)
    return whole
