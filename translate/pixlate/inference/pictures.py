"""From a picture to what a model takes, and back."""

from dataclasses import replace

import numpy as np

from pixlate.errors import PixlateError
from pixlate.images import Picture, add_origin
from pixlate.images.picture import Pixels, luma, on_white, rounded
from pixlate.images.scene import displayed, lit
from pixlate.inference.chain import stages_of
from pixlate.inference.strength import enlarged
from pixlate.inference.transparency import with_hidden_filled
from pixlate.plugin.spec import ModelSpec

_LIGHT = "scene-linear light was given sRGB's curve{} for the model, in 16 bits, and its output turned back to light"
STRIP = 256
"""Rows whose mean is computed at once."""


def to_model(picture: Picture, spec: ModelSpec) -> Pixels:
    """Return the pixels (height, width, channels_in) a model takes.

    What is hidden under transparency takes the colours around it, or is white where the spec says so, RGB becomes luma for a model of one channel, grey is
    repeated for a model of more, floating point of [0, 1] is rounded to 16 bits, scene-linear light is compressed to it (:mod:`pixlate.images.scene`).
    """
    picture = displayed(picture)
    pixels = _whole(picture.pixels if picture.alpha is None else (on_white if spec.on_white else with_hidden_filled)(picture.pixels, picture.alpha))
    if (pixels.shape[2], spec.channels_in) == (3, 1):
        return luma(pixels)
    return pixels if pixels.shape[2] == spec.channels_in else np.broadcast_to(pixels, (*pixels.shape[:2], spec.channels_in))


def refuse_colour(picture: Picture, spec: ModelSpec) -> None:
    """Refuse a picture of other channels than a model takes; grey pictures fit every model, and RGB those of one channel."""
    channels, wanted = picture.pixels.shape[2], spec.channels_in
    if channels not in (1, wanted) and (channels, wanted) != (3, 1):
        takes = "grey or RGB pictures" if wanted == 1 else f"pictures of {wanted} channels"
        raise PixlateError(f"the model takes {takes}, this one has {channels} channels; convert it or use another model")


def channels_made(channels: int, spec: ModelSpec) -> int:
    """Return the number of channels of a translated picture: grey stays grey where an RGB model enlarges it or says that it keeps grey."""
    for stage in stages_of(spec):
        channels = 1 if channels == 1 and (stage.scale > 1 or stage.keeps_grey) and stage.channels_out == 3 else stage.channels_out
    return channels


def _turned_grey(channels: int, spec: ModelSpec) -> bool:
    """Return whether a picture of so many channels has colours that a model of grey pictures takes as their luma."""
    for stage in stages_of(spec):
        if (channels, stage.channels_in) == (3, 1):
            return True
        channels = channels_made(channels, stage)
    return False


def opacity_to_model(picture: Picture, spec: ModelSpec) -> Pixels | None:
    """Return the opacity of a picture as the pixels (height, width, channels_in) that a model takes of a grey one; None where it is the same everywhere."""
    alpha = picture.alpha
    return None if alpha is None or alpha.min() == alpha.max() else to_model(Picture(alpha[:, :, None]), spec)


def refuse_opacity_through(spec: ModelSpec) -> None:
    """Refuse a model that does not enlarge grey pictures, for ``--alpha model``."""
    if spec.scale == 1 or channels_made(1, spec) != 1:
        raise PixlateError(f"expected a model that enlarges grey pictures for --alpha model, got one of scale {spec.scale}; leave the option out")


def from_model(pixels: Pixels, source: Picture, spec: ModelSpec, opacity: Pixels | None = None, top: int = 0) -> Picture:
    """Return the translated picture: grey stays grey as :func:`channels_made` says, metadata is the source's.

    Its alpha is ``opacity``, what the model made of :func:`opacity_to_model`, or without it the source's, enlarged bicubically; none where the
    output has no colours, or the model sees white behind it. Where the pixels are only some rows of the output, they are from row ``top`` of the source on,
    and so is what is returned.
    """
    if channels_made(source.pixels.shape[2], spec) < pixels.shape[2]:
        pixels = _mean(pixels)
    notes = source.notes
    if opacity is not None:
        alpha: Pixels | None = _mean(opacity)[:, :, 0]
    else:
        alpha = None if source.alpha is None else enlarged(_whole(source.alpha), spec.scale, top, top + len(pixels) // spec.scale)
    if alpha is not None and spec.on_white:
        alpha, notes = None, (*notes, "the transparency was left out, since the model sees white paper there")
    if alpha is not None and pixels.shape[2] not in (1, 3):
        alpha, notes = None, (*notes, f"the transparency was left out, since the model makes {pixels.shape[2]} channels")
    if _turned_grey(source.pixels.shape[2], spec):
        notes += ("the model takes grey pictures, so the colours were turned to grey (luma of ITU-R BT.601)",)
    if source.peak:
        notes += (_LIGHT.format("" if source.peak == 1 else f", and highlights up to {source.peak:.4g} compressed,"),)
    elif source.pixels.dtype == np.float32:
        notes += ("floating point samples were rounded to 16 bits of [0, 1] for the model",)
    if spec.io == "uint8" and source.pixels.dtype != np.uint8:
        notes += ("the model takes 8 bits, so 16 were rounded for it; a model exported with --io float keeps them",)
    picture = Picture(pixels, alpha, source.metadata, notes, source.lossless)
    return lit(picture, source.peak) if source.peak and pixels.shape[2] in (1, 3) else picture


def _mean(pixels: Pixels) -> Pixels:
    """Return the rounded mean of the channels, (height, width, 1)."""
    mean = np.empty((*pixels.shape[:2], 1), pixels.dtype)
    for top in range(0, len(pixels), STRIP):
        mean[top : top + STRIP] = np.rint(pixels[top : top + STRIP].mean(axis=2, dtype=np.float32, keepdims=True))
    return mean


def _whole(samples: Pixels) -> Pixels:
    """Return samples as whole numbers; floating point of [0, 1], clipped to it, as 16 bits."""
    return samples if samples.dtype != np.float32 else rounded(samples, 65535).astype(np.uint16)


def without_pixels(picture: Picture) -> Picture:
    """Return all that :func:`from_model` reads of a source, so that its pixels need not stay in memory: in their place is one zero, seen as all of them."""
    return replace(picture, pixels=np.broadcast_to(np.zeros(1, picture.pixels.dtype), picture.pixels.shape))


def with_origin(picture: Picture, spec: ModelSpec, strength: float = 1.0, system: str = "") -> Picture:
    """Return the picture with the IPTC digital source type, and the ``system`` that made it, in its XMP; as it is where a strength of 0 left nothing of the model.

    The system is what :func:`pixlate.inference.strength.system_used` says.
    """
    if strength == 0 and spec.scale == 1:
        return picture
    kind = "algorithmicallyEnhanced" if all(stage.scale > 1 for stage in stages_of(spec)) else "compositeWithTrainedAlgorithmicMedia"
    kind = kind if spec.takes_image else "trainedAlgorithmicMedia"
    xmp, note = add_origin(picture.metadata.xmp, kind, system)
    return replace(picture, metadata=replace(picture.metadata, xmp=xmp), notes=(*picture.notes, *([note] if note else [])))
