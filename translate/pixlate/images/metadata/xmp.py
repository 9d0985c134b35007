"""XMP packets: orientation, the property that says how a picture was made, and packets in GIF files."""

import re
from collections.abc import Iterable
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError, ParserCreate

from pixlate.images import limits

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMLNS = "http://www.w3.org/2000/xmlns/"
EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
"""Namespace of IPTC Extension."""
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""Vocabulary of IPTC's digital source types."""

_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>\s*))([0-9])(?=\s*["'<])""")
_ANCESTORS, _ANCESTORS_END = b"<photoshop:DocumentAncestors>", b"</photoshop:DocumentAncestors>"
_DECLARATION = re.compile(r"^<\?xml\s[^>]*\?>")
_WIDE = {b"\xff\xfe": "utf-16-le", b"<\0": "utf-16-le", b"\xfe\xff": "utf-16-be", b"\0<": "utf-16-be"}
"""First two bytes of a packet in UTF-16 -> its codec."""
_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="' + RDF + '">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
)
_GIF_OPENING = b"\x21\xff\x0bXMP DataXMP"
_GIF_CLOSING = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""Whichever byte of the packet a reader takes for the length of a block, it ends up here and finds the end."""


def orientation(xmp: bytes) -> int | None:
    """Return tiff:Orientation, 1 to 8, or None where the packet has none."""
    found = _ORIENTATION.search(in_utf8(xmp))
    return int(found[2]) if found and 1 <= int(found[2]) <= 8 else None


def upright(xmp: bytes) -> bytes:
    """Set tiff:Orientation, where there is one, to 1."""
    narrow = in_utf8(xmp)
    changed = _ORIENTATION.sub(rb"\g<1>1", narrow)
    return xmp if changed == narrow else changed if narrow is xmp else changed.decode().encode(_WIDE[xmp[:2]])


def in_utf8(xmp: bytes) -> bytes:
    """Return a packet of UTF-16 in UTF-8, and any other as it is."""
    if xmp[:2] not in _WIDE:
        return xmp
    whole = xmp + b"\0" * (len(xmp) % 2)  # the last zero may have been taken for padding
    return whole.decode(_WIDE[xmp[:2]], "replace").encode()


def tags(xmp: bytes) -> int:
    """Return how many tags and attributes a packet has, or a few more: what parsing it costs. In UTF-16 the same bytes are found."""
    return xmp.count(b"<") + xmp.count(b"=")


def without_ancestors(xmp: bytes) -> bytes:
    """Remove Photoshop's list of all documents that anything was ever copied from, which grows to tens of thousands of tags."""
    text = in_utf8(xmp)
    begin, end = text.find(_ANCESTORS), text.find(_ANCESTORS_END)
    return text[:begin] + text[end + len(_ANCESTORS_END) :] if 0 <= begin < end else xmp


def add_origin(xmp: bytes, digital_source_type: str, system: str = "") -> tuple[bytes, str]:
    """Return the packet, which may be empty, with IPTC's DigitalSourceType and AISystemUsed set, and a note, empty where all that was in the packet is kept.

    ``digital_source_type`` is a term of the vocabulary, such as ``trainedAlgorithmicMedia`` or ``algorithmicallyEnhanced``; ``system`` is what made the picture,
    of printable characters, which follows what is there; empty leaves that as it is.
    """
    try:
        return _with_origin(xmp if xmp.strip(b"\0 \t\r\n") else _EMPTY.encode(), digital_source_type, system), ""
    except (ValueError, ExpatError, RecursionError):
        return _with_origin(_EMPTY.encode(), digital_source_type, system), "the XMP packet could not be read and was replaced"


def _with_origin(xmp: bytes, digital_source_type: str, system: str) -> bytes:
    """Set the properties in a packet; raises ValueError, ExpatError or RecursionError where the packet cannot be read."""
    document = parsed(xmp)
    descriptions = document.getElementsByTagNameNS(RDF, "Description")
    top = [element for element in descriptions if element.parentNode is not None and element.parentNode.localName == "RDF"]
    values = {"DigitalSourceType": SOURCE_TYPES + digital_source_type}
    _taken(top, "DigitalSourceType")
    if system:
        values["AISystemUsed"] = "; ".join(dict.fromkeys([*_taken(top, "AISystemUsed"), system]))
    home = top[0]
    prefix = _prefix(home)
    for name, value in values.items():
        home.setAttributeNS(EXTENSION, f"{prefix}:{name}", value)
    packet = written(document)
    document.unlink()
    return packet


def _taken(elements: Iterable[minidom.Element], name: str) -> list[str]:
    """Remove a property of IPTC Extension from the descriptions of a packet, and return the values that it had."""
    values = []
    for element in elements:
        if element.hasAttributeNS(EXTENSION, name):
            values.append(element.getAttributeNS(EXTENSION, name))
            element.removeAttributeNS(EXTENSION, name)
        children = [child for child in element.childNodes if (child.namespaceURI, child.localName) == (EXTENSION, name)]
        values += ["".join(node.data for node in child.childNodes if node.nodeType == Node.TEXT_NODE) for child in children]
        remove_children(element, children)
    return [value.strip() for value in values if value.strip()]


def remove_children(parent: minidom.Element, children: Iterable[object]) -> None:
    """Remove children of an element, in time linear in all of them; ``removeChild`` looks for each from the first."""
    gone = set(map(id, children))
    if gone:
        parent.childNodes[:] = [child for child in parent.childNodes if id(child) not in gone]


def written(document: minidom.Document) -> bytes:
    """Return the packet of a parsed document."""
    return "\n".join(node.toxml() for node in document.childNodes).encode()


def parsed(xmp: bytes) -> minidom.Document:
    """Parse a packet that has an rdf:RDF; raises ValueError or ExpatError where it is not one, declares entities or is nested too deeply."""
    text = in_utf8(xmp).decode().strip("\ufeff\0 \t\r\n")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("entity declarations")
    data = _DECLARATION.sub("", text).encode()
    _check_depth(data)
    document = minidom.parseString(data)  # noqa: S318 - entities were refused above
    groups = document.getElementsByTagNameNS(RDF, "RDF")
    if not groups:
        raise ValueError("no rdf:RDF")
    if not any(node.nodeType == Node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (RDF, "Description") for node in groups[0].childNodes):
        prefix = f"{groups[0].prefix}:" if groups[0].prefix else ""
        home = document.createElementNS(RDF, f"{prefix}Description")
        if prefix:
            home.setAttributeNS(RDF, f"{prefix}about", "")
        groups[0].appendChild(home)
    return document


def _check_depth(data: bytes) -> None:
    """Raise ValueError where tags are nested too deeply, before a tree is made of them."""
    parser, depth = ParserCreate(), 0

    def down(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > limits.XML_DEPTH:
            raise ValueError(f"more than {limits.XML_DEPTH} tags within each other")

    def up(name: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = down, up
    parser.Parse(data, True)


def _prefix(element: minidom.Element) -> str:
    """Return the prefix that means IPTC Extension at an element, declared there where it is not yet."""
    taken: dict[str, str] = {}
    scope: object = element
    while isinstance(scope, minidom.Element):
        taken = {name[6:]: value for name, value in scope.attributes.items() if name.startswith("xmlns:")} | taken
        scope = scope.parentNode
    names = ("Iptc4xmpExt", *(f"Iptc4xmpExt{number}" for number in range(1, 99)))
    prefix = next((name for name, namespace in taken.items() if namespace == EXTENSION), None) or next(name for name in names if name not in taken)
    element.setAttributeNS(XMLNS, f"xmlns:{prefix}", EXTENSION)
    return prefix


def in_gif(data: bytes) -> bytes:
    """Return the XMP packet of a GIF file, empty where there is none."""
    start = data.find(_GIF_OPENING)
    end = data.find(_GIF_CLOSING[:3], start)
    return data[start + len(_GIF_OPENING) : end] if 0 <= start < end else b""


def gif_with(data: bytes, xmp: bytes) -> bytes:
    """Put an XMP packet behind the header and the global palette of a GIF file."""
    palette = 3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0
    header = 13 + palette
    return b"GIF89a" + data[6:header] + _GIF_OPENING + xmp + _GIF_CLOSING + data[header:]
