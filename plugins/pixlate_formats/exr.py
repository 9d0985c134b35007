"""OpenEXR files, by OpenEXR's own library: scene-linear light in 16 or 32 bits of floating point, grey or RGB, with an opacity.

Decoded in another process. The opacity multiplies the colours in the file and is divided out; where it is 0, colours that are there are light without a
surface, such as fire, and stay.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from pixlate.errors import Unsupported
from pixlate.images.codecs.decode import bounded
from pixlate.images.codecs.encode import Encoded, text_xmp
from pixlate.images.picture import Metadata, Picture, Pixels, check_size
from pixlate.images.scene import of_light, of_primaries
from pixlate.plugin.image_format import Frame, Header, Opened
from pixlate_formats.apart import decoded
from pixlate_formats.wire import Message

MAGIC = b"\x76\x2f\x31\x01"
_LARGEST_HALF = 65504
_NAMED = 4
"""Most layers that a note names."""
_MOST_SIDE = 1 << 24
"""Most pixels between the origin and a corner of a window."""


def sniff(head: bytes) -> bool:
    """Return whether a file is OpenEXR."""
    return head.startswith(MAGIC)


def probe(stream: BinaryIO) -> Header:
    """Let OpenEXR read the headers."""
    info = decoded("OpenEXR", __name__, "described", stream.read()).fields
    left, top, right, bottom = info["display"]
    return Header(right - left + 1, bottom - top + 1, len(info["names"]), 4, info)


def described(file: bytes) -> Message:
    """Return the picture's part, its channels, windows and colours, and what else is in the file; called in another process."""
    parts = _parts(file, header_only=True)
    all_names = [[channel.name for channel in part.header["channels"]] for part in parts]
    found = next(((index, chosen) for index, names in enumerate(all_names) if (chosen := _chosen(names))), None)
    if found is None:
        names = ", ".join(name for names in all_names for name in names)
        raise Unsupported(f"expected channels R, G and B, or Y, in an OpenEXR file, got {names[:120]}; save the picture as RGB")
    index, chosen = found
    header = parts[index].header
    if "deep" in str(header["type"]).lower():
        raise Unsupported("an OpenEXR file of deep samples is unsupported; flatten it first")
    if any((channel.xSampling, channel.ySampling) != (1, 1) for channel in header["channels"]):
        raise Unsupported("an OpenEXR file of subsampled channels (luminance and chroma) is unsupported; save it as RGB first")
    others = [name.rpartition(".")[0] or name for names in all_names for name in names]
    windows = {name: [int(value) for corner in header[f"{name}Window"] for value in corner] for name in ("display", "data")}
    if any(abs(value) > _MOST_SIDE for window in windows.values() for value in window):
        raise ValueError("its windows are where no picture is")
    layer = chosen[0].rpartition(".")[0]
    chromaticities = header.get("chromaticities")
    return Message(
        {
            "part": index,
            "names": chosen,
            "layer": layer,
            "others": [name for name in dict.fromkeys(others) if name != layer and name not in chosen],
            "channels": sum(map(len, all_names)),
            "chromaticities": None if chromaticities is None else [float(value) for value in np.ravel(chromaticities)],
            "density": float(header.get("xDensity", 0)),
            "aspect": float(header.get("pixelAspectRatio", 1)),
            "xmp": str(header.get("xmp", "")),
            **windows,
        }
    )


def _parts(file: bytes, header_only: bool = False) -> Any:
    """Return the parts of a file; OpenEXR returns none where it is damaged."""
    import OpenEXR

    parts = OpenEXR.File(BytesIO(file), separate_channels=True, header_only=header_only, num_threads=1).parts
    if not parts:
        raise ValueError("OpenEXR finds no whole picture in it")
    return parts


def _chosen(names: Iterable[str]) -> list[str]:
    """Return the channels that are the picture, its opacity last: those of the nameless layer, or else of the first that has colours."""
    known = set(names)
    for layer in dict.fromkeys(["", *(name.rpartition(".")[0] for name in sorted(known))]):
        prefix = f"{layer}." if layer else ""
        for colours in (["R", "G", "B"], ["Y"]):
            if known.issuperset(wanted := [prefix + colour for colour in colours]):
                return wanted + ([f"{prefix}A"] if f"{prefix}A" in known else [])
    return []


def samples_of(file: bytes, part: int, names: list[str]) -> Message:
    """Return the channels of a part, (height, width, channels) of its data window; called in another process."""
    channels = _parts(file)[part].channels
    planes = [channels[name].pixels for name in names]
    with np.errstate(over="ignore"):
        samples = np.stack([plane.astype(np.float32) for plane in planes], axis=2)
    return Message({"half": all(plane.dtype == np.float16 for plane in planes)}, {"samples": samples})


def frames(opened: Opened) -> Iterator[Frame]:
    """Decode the picture."""
    info, data = opened.header.parsed, opened.data()
    left, top, right, bottom = info["data"]
    width, height = right - left + 1, bottom - top + 1
    check_size(width, height, opened.max_pixels, info["channels"])
    found = decoded("OpenEXR", __name__, "samples_of", data, width * height * max(1, info["channels"] // 4), part=info["part"], names=info["names"])
    samples = found.array("samples")
    assert samples is not None
    if samples.shape[:2] != (height, width):
        raise ValueError("its channels have other sizes than its header says")
    yield Frame(_picture(samples, info, half=found.fields["half"]))


def _picture(samples: Pixels, info: Mapping[str, Any], *, half: bool) -> Picture:
    """Return the channels of a data window as the picture of the display window."""
    notes: tuple[str, ...] = ()
    if info["layer"]:
        notes += (f"the layer {info['layer']} was read",)
    if others := info["others"]:
        named = ", ".join(others[:_NAMED]) + (" and others" if len(others) > _NAMED else "")
        notes += (f"further layers or channels were left out: {named}",)
    if info["data"] != info["display"]:
        samples = _placed(samples, info["data"], info["display"])
        notes += ("the part that is displayed was read, black where there is no data",)
    if info["aspect"] != 1:
        notes += (f"pixels of the shape {info['aspect']:.4g} to 1 were taken for squares",)
    colours = 1 if len(info["names"]) <= 2 else 3
    pixels, alpha = np.ascontiguousarray(samples[:, :, :colours]), samples[:, :, colours].copy() if samples.shape[2] > colours else None
    dpi = (info["density"],) * 2 if 0 < info["density"] < 1e9 else None
    metadata, more = bounded(Metadata(xmp=info["xmp"].encode(), dpi=dpi))
    picture = Picture(pixels, alpha, metadata, notes + more, lossless=not half)
    if info["chromaticities"] and colours == 3:
        red_to_blue, white = info["chromaticities"][:6], info["chromaticities"][6:8]
        picture = of_primaries(picture, (*white, *red_to_blue), "OpenEXR")
    picture = of_light(picture)
    if picture.alpha is None:
        return picture
    divided = picture.pixels / np.where(picture.alpha > 0, picture.alpha, 1)[:, :, None]
    return replace(picture, pixels=divided.astype(np.float32), peak=max(1.0, float(divided.max())))


def _placed(samples: Pixels, data: list[int], display: list[int]) -> Pixels:
    """Return samples of one window as those of another."""
    height, width = display[3] - display[1] + 1, display[2] - display[0] + 1
    placed = np.zeros((height, width, samples.shape[2]), samples.dtype)
    down, right = data[1] - display[1], data[0] - display[0]
    inner = placed[max(0, down) : max(0, down + samples.shape[0]), max(0, right) : max(0, right + samples.shape[1])]
    inner[...] = samples[max(0, -down) :, max(0, -right) :][: inner.shape[0], : inner.shape[1]]
    return placed


def encoded(picture: Picture, quality: int) -> Encoded:
    """Return an OpenEXR file: 32 bits a sample where every pixel is to be kept, or half cannot hold it, else half."""
    import OpenEXR

    pixels = picture.pixels
    names = ["Y"] if pixels.shape[2] == 1 else ["R", "G", "B"]
    planes = list(np.moveaxis(pixels, 2, 0))
    if picture.alpha is not None:
        planes = [np.where(picture.alpha > 0, plane * picture.alpha, plane) for plane in planes] + [picture.alpha]
        names.append("A")
    kind = np.float32 if picture.lossless or pixels.max() > _LARGEST_HALF else np.float16
    header: dict[str, Any] = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    metadata, notes = text_xmp(picture.metadata, "OpenEXR")
    if metadata.xmp:
        header["xmp"] = metadata.xmp.decode()
    if metadata.dpi is not None:
        header["xDensity"] = float(metadata.dpi[0])
    stream = BytesIO()
    OpenEXR.File(header, {name: np.ascontiguousarray(plane, kind) for name, plane in zip(names, planes, strict=True)}, num_threads=1).write(stream)
    return stream.getvalue(), notes
