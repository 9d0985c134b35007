"""Makers of small files that cost a careless reader much, and of good ones that a careful reader must not refuse."""

import struct
import zlib
from functools import cache
from io import BytesIO

from PIL import Image

from pixlate.images import limits

PNG, IEND = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*extra: bytes) -> bytes:
    """Return a PNG of 8 x 8, of the colour (64, 128, 192), with chunks in front of its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return PNG + header + b"".join(extra) + chunk(b"IDAT", zlib.compress((b"\0" + b"\x40\x80\xc0" * 8) * 8)) + IEND


def xmp(tags: int) -> bytes:
    """Return an XMP packet of that many empty elements."""
    head = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="">'
    return head + b"<a/>" * tags + b"</rdf:Description></rdf:RDF></x:xmpmeta>"


def segment(mark: int, body: bytes) -> bytes:
    """Return a segment of JPEG."""
    return bytes((0xFF, mark)) + struct.pack(">H", len(body) + 2) + body


def empty_scans(width: int, height: int, scans: int) -> bytes:
    """Return a progressive JPEG of refinement scans, each of which passes over all blocks and changes nothing."""

    def packed(bits: str) -> bytes:
        bits += "1" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")

    start = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
    start += segment(0xC4, b"\0" + bytes([1] + [0] * 15) + b"\0") + segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0")
    blocks = -(-width // 8) * -(-height // 8)
    first = segment(0xDA, b"\1\1\0" + bytes((0, 0, 0))) + packed("0" * blocks)
    run = (1 << 15) - 1
    scan = segment(0xDA, b"\1\1\0" + bytes((1, 63, 0))) + packed(("0" + "1" * 14) * (blocks // run + bool(blocks % run)))
    return start + first + scan * scans + b"\xff\xd9"


def saved(format: str, **options: object) -> bytes:
    """Return a file of 8 x 8 as Pillow writes it."""
    stream = BytesIO()
    Image.new("RGB", (8, 8), (64, 128, 192)).save(stream, format, **options)
    return stream.getvalue()


def aliases(entries: int, size: int) -> bytes:
    """Return an EXIF block whose entries all name the same bytes."""
    table = b"".join(struct.pack("<HHII", 40000 + index, 7, size, 8 + 2 + 12 * entries + 4) for index in range(entries))
    return b"II*\0" + struct.pack("<IH", 8, entries) + table + bytes(4 + size)


def exif_segments(block: bytes) -> bytes:
    """Return the segments that hold a long EXIF block."""
    return b"".join(segment(0xE1, b"Exif\0\0" + block[begin : begin + 65000]) for begin in range(0, len(block), 65000))


def gif(width: int, height: int, frames: list[tuple[int, int, int, int]], *extra: bytes) -> bytes:
    """Return a GIF of frames (left, top, width, height) of a colour, without a palette."""
    coded = b"\x02\x02\x4c\x01\0"  # one pixel; decoders leave the rest as it is
    images = b"".join(b"\x2c" + struct.pack("<4HB", *frame, 0) + coded for frame in frames)
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"".join(extra) + images + b";"


def webp_canvas(width: int, height: int) -> bytes:
    """Return an animated WebP that claims a canvas and holds a frame of 8 x 8."""
    still = saved("WEBP")[12:]
    frame = bytes(6) + (7).to_bytes(3, "little") * 2 + bytes(4) + still
    parts = [(b"VP8X", b"\2\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")), (b"ANIM", bytes(6)), (b"ANMF", frame)]
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def run_length(width: int, height: int, coded: bytes) -> bytes:
    """Return a BMP of 8 bits with run-length coding and a palette of 256 greens."""
    palette = b"".join(bytes((0, green, 0, 0)) for green in range(256))
    return (
        b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(coded), 0, 0, 256, 0) + palette + coded
    )


@cache
def damaged_late(size: int) -> bytes:
    """Return zeros packed, with what is no block of deflate behind them."""
    packer = zlib.compressobj()
    return packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff\xff\xff\xff"


def costly() -> dict[str, bytes]:
    """Return name -> file that must come to a picture or a sentence within little time and memory."""
    jpeg = saved("JPEG")
    return {
        "raw_profile.png": png(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"exif 1" + b" " * 1_000_000 + b"z"))),
        "xmp_elements.png": png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(1_000_000))),
        "xmp_bomb.png": png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(4_000_000), 1))),
        "text_bomb.png": png(*[chunk(b"zTXt", b"text\0\0" + zlib.compress(bytes(17 << 20), 1))] * 200),
        "texts_damaged_late.png": png(*[chunk(b"zTXt", b"text\0\0" + damaged_late(15 << 20))] * 300),
        "profile_bomb.png": png(chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(20 << 20)))),
        "exif_aliases.png": png(chunk(b"eXIf", aliases(4000, 5_000_000))),
        "empty_chunks.png": png(chunk(b"abCd", b"") * 300_000),
        "empty_pixels.png": png(chunk(b"IDAT", b"") * 300_000),
        "frames.png": png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
        "empty_scans.jpg": empty_scans(1000, 1000, 8000),
        "empty_segments.jpg": jpeg[:2] + segment(0xE5, b"") * 100_000 + jpeg[2:],
        "fill.jpg": jpeg[:2] + b"\xff" * 5_000_000 + jpeg[2:],
        "fill_stuffed.jpg": jpeg[:2] + (b"\xff" * 1000 + b"\0") * 10_000 + jpeg[2:],
        "exif_aliases.jpg": jpeg[:2] + exif_segments(aliases(4000, 5_000_000)) + jpeg[2:],
        "restarts.jpg": jpeg[:-2] + b"\xff\xd0" * 3_000_000 + jpeg[-2:],
        "segments_between.jpg": jpeg[:-2] + segment(0xFE, b"") * 100_000 + jpeg[-2:],
        "mpf_aliases.jpg": jpeg[:2] + segment(0xE2, b"MPF\0" + aliases(2000, 30_000)) + jpeg[2:],
        "metadata.jpg": jpeg[:2] + segment(0xE7, bytes(65_000)) * 700 + jpeg[2:],
        "frames.gif": gif(8, 8, [(0, 0, 1, 1)] * 90_000),
        "more_frames.gif": gif(8, 8, [(0, 0, 1, 1)] * (limits.FRAMES + 1)),
        "comments.gif": gif(8, 8, [(0, 0, 1, 1)], b"\x21\xfe" + b"\1a" * 1_000_000 + b"\0"),
        "extensions.gif": gif(8, 8, [(0, 0, 1, 1)], b"\x21\xf9\0" * 3_000_000),
        "unknown.gif": gif(8, 8, [(0, 0, 1, 1)], bytes(30_000_000)),
        "grown.gif": gif(8, 8, [(65_000, 65_000, 500, 500)]),
        "canvas.webp": webp_canvas(16_384, 16_384),
        "chunks.webp": saved("WEBP") + b"abcd\0\0\0\0" * 300_000,
        "exif_aliases.webp": saved("WEBP", exif=b"Exif\0\0" + aliases(4000, 5_000_000)),
        "lines.bmp": run_length(4_000_000, 2, b"\1\1\0\0" * 2),
        "runs.bmp": run_length(8, 8, b"\x08\1" * 4_000_000),
    }
