"""PNG files are read here, through Pillow.

The chunks are walked here, within limits, and the decoders are given a file of those that they need, so that neither their own limits nor a damaged
text keep a picture from being read.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from pixlate.errors import OverLimit, Unsupported
from pixlate.images import limits
from pixlate.images.codecs import apng
from pixlate.images.codecs.decode import Parsed, bounded, frame, header, raw_profile, upright
from pixlate.images.metadata import iptc
from pixlate.images.picture import Metadata, Picture, Pixels, split
from pixlate.images.signalled import Signal
from pixlate.plugin.image_format import DamagedFrames, Frame, Header, Opened
from pixlate.system.text import printable

MARK = b"\x89PNG\r\n\x1a\n"
_DATA = {b"IDAT", b"fdAT"}
_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_METADATA = {b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf"}
_COLOURS = {b"cICP", b"gAMA", b"cHRM", b"sRGB"}
_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"acTL", b"fcTL", b"IEND", *_DATA}
_IGNORED = {b"tIME", b"bKGD", b"sBIT", b"hIST", b"sPLT", b"mDCV", b"cLLI", b"iDOT", b"vpAg", b"caNv", b"alPh"}
"""Chunks about how the file was stored or is to be shown, which say nothing of the picture."""
XMP, COMMENT, PROFILE = "XML:com.adobe.xmp", "Comment", "Raw profile type "
"""Keywords of XMP and of comments, and the beginning of those for what ImageMagick and ExifTool write as text."""
_NAMED = 4
"""Most chunks that a note names."""
_PROFILES = {"exif", "iptc", "8bim", "xmp", "APP1", "icc", "icm"}
"""Blocks that ImageMagick writes as text and that have places of their own."""
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_RAW = {"I;16B": ("I;16B",), "LA;16B": ("RGBA",), "RGB;16B": ("RGB;16B", "RGB;16L"), "RGBA;16B": ("RGBA;16B", "RGBA;16L")}
"""Raw mode that Pillow has for samples of 16 bits -> those of as many bits that together show all of their bytes."""
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> samples of a pixel (PNG 3, table 12)."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of interlaced pictures: first column and row, and the steps from one to the next (PNG 3, 8.2)."""
_SLICE = 1 << 16
"""Packed bytes that are unpacked in one step."""
_EXPANSION = 1032
"""Most bytes that deflate makes of one."""
_FORMAT = 25
"""Bytes of the header chunk."""


@dataclass
class _Reduced:
    """What of a file's chunks a decoder is given."""

    parts: list[bytes | memoryview] = field(default_factory=lambda: [MARK])
    icc: bytes = b""
    text: list[tuple[str, str]] = field(default_factory=list)
    """Keywords and their texts."""
    colours: dict[bytes, bytes] = field(default_factory=dict)
    """Content of the chunks that describe colours by numbers."""
    room: int = limits.METADATA_BYTES
    """Bytes of metadata that are still unpacked."""
    others: dict[str, None] = field(default_factory=dict)
    """Names of chunks that nothing is done with."""
    frames: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    """Sentences, each once, in their order."""

    def take(self, chunks: Iterable[tuple[bytes, memoryview]]) -> bytes:
        """Go through chunks; return the name of the last. Raises ValueError where one that the pixels need is damaged."""
        name, segments, filled = b"", 0, 0
        for name, chunk in chunks:
            segments += 1
            filled += len(chunk) if name in _DATA else 0
            if segments > limits.SEGMENTS + filled // limits.PIXEL_SEGMENT_BYTES:
                raise OverLimit(f"expected at most {limits.SEGMENTS:,} chunks in a PNG file, got more; save the picture again with another program")
            if name == b"CgBI":
                raise Unsupported("PNG as Xcode packs it into apps (CgBI) is unsupported; take the picture from the project, or convert it to plain PNG")
            if name not in _CRITICAL and not name[:1].islower():
                if not filled:
                    raise ValueError(f"unknown critical chunk {name!r}")
                self._note("what follows the pixels is damaged and was left out")  # whether they are complete is seen when they are decoded
                return name
            if not self._is_whole(name, chunk):
                continue
            if name in _METADATA:
                self.room -= len(chunk)
                self.parts.append(self._plain(name, chunk))
            elif name in _NEEDED:
                self.frames += name == b"fcTL"
                self.parts.append(chunk)
            elif name in _COLOURS:
                self.colours[name] = bytes(chunk[8:-4])
            else:
                self._leave_out(name)
            if name == b"IEND":
                break
        return name

    def _plain(self, name: bytes, chunk: memoryview) -> memoryview:
        """Return a chunk of metadata with its text unpacked, as Pillow takes any length of it; empty where it is left out, or stored here."""
        most = max(0, min(self.room, limits.BLOCK_BYTES))
        try:
            unpacked = _unpacked(name, bytes(chunk[8:-4]), most) if most else None
        except (ValueError, IndexError, zlib.error):
            self.room -= min(most, _EXPANSION * len(chunk))  # it may have been unpacked almost to its end
            self._note(f"a damaged chunk {name.decode()} was left out")
            return memoryview(b"")
        self.room -= most if unpacked is None else len(unpacked[1])
        if unpacked is None:
            self._note(f"metadata of more than {limits.BLOCK_BYTES >> 20} MB were left out")
            return memoryview(b"")
        if name == b"iCCP":
            self.icc = unpacked[1]
            return memoryview(b"")
        if name != b"eXIf":
            self.text.append(_text(*unpacked))
        return memoryview(chunk_of(*unpacked))

    def _is_whole(self, name: bytes, chunk: memoryview) -> bool:
        """Return whether a chunk has the checksum it should, with a note where not; raises ValueError where the pixels need it."""
        if name in (b"fdAT", b"IEND") or zlib.crc32(chunk[4:-4]).to_bytes(4, "big") == chunk[-4:]:
            return True
        if name in _CRITICAL:
            raise ValueError(f"wrong checksum of {name.decode()}")
        if len(self.notes) < _NAMED:
            self._note(f"a damaged chunk {printable(name.decode('latin-1'))} was left out")
        return False

    def _leave_out(self, name: bytes) -> None:
        if name == b"caBX":
            self._note("the content credentials (C2PA), which are for the file as it was, were left out")
        elif name not in _IGNORED | _CRITICAL:
            self.others[name.decode("latin-1")] = None

    def _note(self, sentence: str) -> None:
        self.notes[sentence] = None


def probe(stream: BinaryIO) -> Header:
    """Read the chunks in front of the pixels."""
    reduced = _Reduced()
    if reduced.take(_front(stream)) not in (b"IDAT", b"IEND"):
        raise ValueError("it ends before its pixels")
    image = PngImagePlugin.PngImageFile(BytesIO(b"".join(reduced.parts)))
    if reduced.icc:
        image.info["icc_profile"] = reduced.icc
    found = replace(header(image), frames=max(1, image.n_frames - image.default_image))
    deep = _depth(reduced.parts) == 16
    return replace(found, itemsize=2) if deep else found


def frames(opened: Opened) -> Iterator[Frame | DamagedFrames]:
    """Decode the file; one of 16 bits at full depth."""
    parsed: Parsed = opened.header.parsed
    reduced = _Reduced()
    if reduced.take(chunks(opened.data())) != b"IEND":
        reduced.parts.append(chunk_of(b"IEND", b""))
        reduced._note("the file ends without its end mark; all pixels are there")
    if reduced.others:
        reduced._note(f"chunks of other programs were left out ({', '.join(sorted(map(printable, reduced.others))[:_NAMED])})")
    metadata, more = bounded(_with_text(parsed.metadata, reduced.text))
    parsed = replace(parsed, notes=(*parsed.notes, *reduced.notes, *more), metadata=metadata)
    signal = _signal(reduced.colours, parsed.metadata.icc)
    for found in _decoded(parsed, reduced, opened.whole):
        yield found if signal is None or isinstance(found, DamagedFrames) else replace(found, picture=signal.applied(found.picture))


def _decoded(parsed: Parsed, reduced: _Reduced, whole: bool) -> Iterator[Frame | DamagedFrames]:
    """Decode the pixels as they are stored; where all frames are taken, without the picture that is shown only where animations are not."""
    depth = _depth(reduced.parts)
    if not _is_complete(reduced.parts, int.from_bytes(reduced.parts[1][8:12]), int.from_bytes(reduced.parts[1][12:16]), _bodies(reduced.parts, b"IDAT")):
        raise ValueError("pixels are missing")
    image = PngImagePlugin.PngImageFile(BytesIO(b"".join(reduced.parts)))
    clear, count = image.info.get("transparency"), max(1, min(image.n_frames, reduced.frames + image.default_image))
    if whole and count > 1:
        yield from _animated(parsed, reduced, image)
        return
    if depth == 16:
        pixels, alpha = _deep_samples(reduced.parts, clear)
        yield Frame(upright(Picture(pixels, alpha, parsed.metadata, parsed.notes), parsed.orientation), count=count)
        return
    if image.mode == "L" and depth < 8 and isinstance(clear, int):
        image.load()
        image.info["transparency"] = clear * 255 // (2**depth - 1)  # Pillow stretches the pixels to 8 bits, not this number
    for index in range(count):
        yield frame(replace(parsed, image=image), index, count)


def _animated(parsed: Parsed, reduced: _Reduced, image: PngImagePlugin.PngImageFile) -> Iterator[Frame | DamagedFrames]:
    """Decode the frames of an animation, as far as they are complete."""
    parts = apng.parts_of(reduced.parts)
    count = max(1, min(len(parts), image.n_frames - image.default_image))
    plays = int(image.info.get("loop") or 0)
    canvas = apng.Canvas(image.size) if _depth(reduced.parts) == 16 else None
    if image.default_image:
        parsed = replace(parsed, notes=(*parsed.notes, "the picture for programs that show no animation was left out"))
    width, height = image.size
    for index, (control, bodies) in enumerate(parts[:count]):
        if control.left + control.width > width or control.top + control.height > height:
            raise ValueError("a frame reaches beyond the picture")
        if not _is_complete(reduced.parts, control.width, control.height, bodies):
            yield DamagedFrames(f"frame {index + 1}", "its pixels are missing", count=0)
            return
        if canvas is None:
            yield replace(frame(replace(parsed, image=image), index + image.default_image, count), plays=plays)
        else:
            pixels, alpha = canvas.with_frame(control, *_deep_samples(apng.still(reduced.parts, control, bodies), image.info.get("transparency")))
            yield Frame(upright(Picture(pixels, alpha, parsed.metadata, parsed.notes), parsed.orientation), control.milliseconds, count, plays=plays)


def chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and bytes of each chunk, length and checksum included."""
    view, position = memoryview(data), 8
    while position + 12 <= len(data):
        length, name = struct.unpack(">I4s", view[position : position + 8])
        yield name, view[position : position + 12 + length]
        position += 12 + length


def _front(stream: BinaryIO) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the chunks in front of the pixels, and the first of the pixels as if it were empty."""
    stream.seek(8)
    size = 0
    while len(head := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            yield name, memoryview(chunk_of(name, b""))
            return
        size += length
        if size > limits.METADATA_BYTES:
            stream.seek(length + 4, 1)
            continue
        yield name, memoryview(head + stream.read(length + 4))


def chunk_of(name: bytes, body: bytes) -> bytes:
    """Return a chunk, with its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


def _unpacked(name: bytes, body: bytes, most: int) -> tuple[bytes, bytes] | None:
    """Return name and content of a chunk whose content is not packed, or None beyond a number of bytes (PNG 3, 11.3.3)."""
    if name == b"zTXt":
        key, packed = body.split(b"\0", 1)
        text = _inflated(packed, most)
        return None if text is None else (b"tEXt", key + b"\0" + text)
    if name == b"iTXt":
        key, rest = body.split(b"\0", 1)
        language, translated, text = rest[2:].split(b"\0", 2)
        if rest[0]:
            text = _inflated(rest[1:2] + text, most)
        return None if text is None or len(text) > most else (name, key + b"\0\0\0" + language + b"\0" + translated + b"\0" + text)
    if name == b"iCCP":
        profile = _inflated(body.split(b"\0", 1)[1], most)
        return None if profile is None else (name, profile)
    return (name, body) if len(body) <= most else None


def _inflated(packed: bytes, most: int) -> bytes | None:
    """Unpack what follows the number of the method; None beyond a number of bytes."""
    if packed[0]:
        raise ValueError("unknown compression")
    text = zlib.decompressobj().decompress(packed[1:], max(1, most + 1))
    return text if len(text) <= most else None


def _depth(parts: list[bytes | memoryview]) -> int:
    """Return the bits a sample that the header states."""
    return parts[1][16] if len(parts) > 1 and parts[1][4:8] == b"IHDR" and len(parts[1]) == _FORMAT else 0


def _text(name: bytes, body: bytes) -> tuple[str, str]:
    """Return keyword and text of a chunk whose content is not packed."""
    keyword, text = body.split(b"\0", 1)
    if name == b"tEXt":
        return keyword.decode("latin-1"), text.decode("latin-1")
    return keyword.decode("latin-1"), text[2:].split(b"\0", 2)[2].decode("utf-8", "replace")


def _xmp_of(segment: bytes) -> bytes:
    return segment.removeprefix(_XMP_SEGMENT) if segment.startswith(_XMP_SEGMENT) else b""


def _with_text(metadata: Metadata, text: list[tuple[str, str]]) -> Metadata:
    """Return metadata with comments, texts, and the blocks of IPTC and XMP that ImageMagick writes as texts."""
    packed = {kind: value for keyword, value in text if (kind := keyword.removeprefix(PROFILE)) in _PROFILES and kind != keyword}
    elsewhere = {"", XMP, *(PROFILE + kind for kind in packed)}
    plain = [item for item in text if item[0] not in elsewhere]
    resources = raw_profile(packed.get("iptc") or packed.get("8bim") or "")
    captions = iptc.datasets(resources) or iptc.of_resources(resources)[0]
    return replace(
        metadata,
        iptc=captions,
        icc=metadata.icc or raw_profile(packed.get("icc") or packed.get("icm") or ""),
        xmp=metadata.xmp or raw_profile(packed.get("xmp", "")) or _xmp_of(raw_profile(packed.get("APP1", ""))),
        comments=tuple(value for keyword, value in plain if keyword == COMMENT),
        text=tuple(item for item in plain if item[0] != COMMENT),
    )


def _signal(colours: dict[bytes, bytes], icc: bytes) -> Signal | None:
    """Return how chunks describe the colours, None where an ICC profile does or nothing; cICP comes before it, gAMA and cHRM behind (PNG 3, 4.3)."""
    cicp = colours.get(b"cICP", b"")
    if len(cicp) == 4 and (not icc or 2 not in cicp[:2]):
        return Signal.from_cicp(cicp[0], cicp[1], narrow=not cicp[3])
    if icc or b"sRGB" in colours:
        return None
    gamma, primaries = colours.get(b"gAMA", b""), colours.get(b"cHRM", b"")
    exponent = 100_000 / max(1, int.from_bytes(gamma, "big")) if len(gamma) == 4 else 0
    chromaticities = tuple(value / 100_000 for value in struct.unpack(">8I", primaries)) if len(primaries) == 32 else ()
    names = [name.decode() for name in (b"gAMA", b"cHRM") if name in colours]
    return Signal.from_gamma(exponent, chromaticities, source=" and ".join(names)) if names else None


def _bodies(parts: list[bytes | memoryview], name: bytes) -> list[bytes | memoryview]:
    """Return the content of the chunks of a name."""
    return [part[8:-4] for part in parts if part[4:8] == name]


def _is_complete(parts: list[bytes | memoryview], width: int, height: int, bodies: Iterable[bytes | memoryview]) -> bool:
    """Return whether as many pixels are packed as a picture of a size has: Pillow leaves black what is missing."""
    depth, colour, _, _, interlaced = struct.unpack(">BBBBB", bytes(parts[1][16:21]))
    bits = depth * _SAMPLES[colour]
    sizes = [(-(-(width - left) // across), -(-(height - top) // down)) for left, top, across, down in (_PASSES if interlaced else ((0, 0, 1, 1),))]
    left = sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0)
    decoder = zlib.decompressobj()
    for body in bodies:
        for start in range(0, len(body), _SLICE):
            packed: bytes | memoryview = body[start : start + _SLICE]
            while left > 0 and packed:
                left -= len(decoder.decompress(packed, min(left, 16 * _SLICE)))
                packed = decoder.unconsumed_tail
    return bool(left <= 0)


def _deep_samples(parts: list[bytes | memoryview], transparent: int | tuple[int, ...] | None) -> tuple[Pixels, Pixels | None]:
    """Decode a 16-bit PNG at full depth: pixels, and alpha where it has one or a transparent colour.

    Pillow gives one byte of each sample of a picture in colour, so that is decoded twice. imagecodecs gives both, and never frees the memory of a picture that is damaged.
    """
    data = b"".join(part for part in parts if part == MARK or part[4:8] in _CRITICAL)
    kind = str(PngImagePlugin.PngImageFile(BytesIO(data)).tile[0].args)
    first, *second = (_decoded_as(data, raw) for raw in _RAW[kind])
    samples = (
        first[:, :, None] if first.ndim == 2 else first.view(">u2") if not second else first.astype(np.uint16) << np.uint16(8) | second[0].astype(np.uint16)
    )
    pixels, alpha = split(samples.astype(np.uint16, copy=False))
    if alpha is None and transparent is not None:
        alpha = np.where((pixels == np.array(transparent, dtype=np.uint16)).all(axis=2), 0, 65535).astype(np.uint16)
    return pixels, alpha


def _decoded_as(data: bytes, raw: str) -> NDArray[np.generic]:
    """Return what Pillow makes of the samples where it takes them for another raw mode."""
    image = PngImagePlugin.PngImageFile(BytesIO(data))
    image.tile = [tile._replace(args=raw) for tile in image.tile]
    image.load()
    return np.asarray(image)
