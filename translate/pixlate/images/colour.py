"""ICC profiles: which pixels they fit, and the way to sRGB."""

import struct
from dataclasses import replace
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from pixlate.images.picture import Metadata, Picture, Pixels

_SPACES = {1: b"GRAY", 3: b"RGB "}
"""Channels of a picture -> the colour space its profile must have."""


@lru_cache(maxsize=1)
def srgb() -> bytes:
    """Return an sRGB profile, the same one each time: its creation time is set to the year 2000."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + made[36:]


def fits(icc: bytes, channels: int) -> bool:
    """Return whether a profile describes pixels of that many channels."""
    return icc[16:20] == _SPACES.get(channels)


def fitting(metadata: Metadata, channels: int) -> tuple[Metadata, tuple[str, ...]]:
    """Return metadata without a profile that does not describe pixels of that many channels, and a note where there was one."""
    if not metadata.icc or fits(metadata.icc, channels):
        return metadata, ()
    return replace(metadata, icc=b""), ("the ICC profile is for another kind of colours and was left out",)


def is_srgb(icc: bytes) -> bool:
    """Return whether a profile is one of the sRGB profiles in use, by the name it carries."""
    try:
        return "srgb" in ImageCms.getProfileDescription(BytesIO(icc)).lower()
    except ImageCms.PyCMSError:
        return False


def rgb_from(image: Image.Image, icc: bytes) -> tuple[Image.Image, bytes, str]:
    """Convert CMYK, Lab or YCbCr to RGB, through the embedded profile where there is one; return also the profile the file should carry, and a note."""
    name = {"LAB": "Lab"}.get(image.mode, image.mode)
    if image.mode == "YCbCr":
        return image.convert("RGB"), icc, ""
    if image.mode == "LAB":
        return _through(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))), srgb(), "Lab converted to sRGB"
    if icc[16:20] == b"CMYK":
        try:
            return _through(image, BytesIO(icc)), srgb(), f"{name} converted to sRGB through its ICC profile"
        except ImageCms.PyCMSError:
            return image.convert("RGB"), b"", f"{name} converted to RGB without its ICC profile, which is damaged; colours may differ"
    return image.convert("RGB"), b"", f"{name} without an ICC profile converted to RGB; colours may differ"


def to_srgb(picture: Picture) -> Picture:
    """Drop all metadata; first turn 8-bit pixels of another colour space into sRGB, so that they look the same without their profile."""
    pixels, note = without_profile(picture.pixels, picture.metadata.icc)
    return replace(picture, pixels=pixels, metadata=Metadata(), notes=(*picture.notes, *([note] if note else [])))


def without_profile(pixels: Pixels, icc: bytes) -> tuple[Pixels, str]:
    """Return pixels in sRGB, where their profile is another one, and a note, empty where they could be converted; of 16 bits, profiles of curves and a matrix are."""
    if not icc or is_srgb(icc) or not fits(icc, pixels.shape[2]):
        return pixels, ""
    if pixels.dtype != np.uint8:
        from pixlate.images.curves import in_srgb  # which looks at profiles with this module

        converted = in_srgb(pixels, icc) if pixels.dtype == np.uint16 else None
        if converted is not None:
            return converted, ""
        return pixels, "the ICC profile was dropped, colours of 16-bit pixels were left as they are"
    try:
        return _converted(pixels, icc), ""
    except ImageCms.PyCMSError:
        return pixels, "the ICC profile is damaged and was dropped; colours were left as they are"


def _converted(pixels: Pixels, icc: bytes) -> Pixels:
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    converted = np.asarray(_through(image, BytesIO(icc)))
    return converted if pixels.shape[2] == 3 else np.ascontiguousarray(converted[:, :, 1:2])


def _through(image: Image.Image, profile: BytesIO | ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None  # only where the image itself is changed
    return converted
