"""What an XMP packet says and a translation makes false: sizes are corrected, and what points at a lost part of the file is dropped with a note."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

from pixlate.images.xmp import EXTENSION, RDF, XMLNS, parsed, written

Property = tuple[str, str]
"""Namespace and local name."""

_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
_MICROSOFT = "http://ns.microsoft.com/photo/1.2/"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_CONTAINER = "http://ns.google.com/photos/1.0/container/"
_LOST: dict[str, tuple[tuple[str, ...], str]] = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": (("",), "the gain map"),
    "http://ns.apple.com/HDRGainMap/1.0/": (("",), "the gain map"),
    "http://ns.apple.com/pixeldatainfo/1.0/": (("",), "the gain map"),
    _CONTAINER: (("",), "the list of pictures and videos in the file"),
    "http://ns.google.com/photos/1.0/camera/": (("MicroVideo", "MotionPhoto"), "the video of the motion photo"),
    "http://ns.oplus.com/photos/1.0/camera/": (("",), "the video of the motion photo"),
    "http://ns.xiaomi.com/photos/1.0/camera/": (("",), "the video of the motion photo"),
    "http://ns.google.com/photos/1.0/depthmap/": (("",), "the depth map"),
    "http://ns.google.com/photos/1.0/image/": (("",), "the second picture in XMP"),
    "http://ns.google.com/photos/1.0/audio/": (("",), "the sound"),
    "http://ns.google.com/photos/dd/1.0/": (("",), "the depth map"),
    "http://ns.adobe.com/xmp/note/": (("HasExtendedXMP",), "the second part of XMP, kept outside its packet"),
    "http://ns.adobe.com/xap/1.0/": (("Thumbnails",), ""),
}
"""Beginning of a namespace -> beginnings of the names of properties that go, and what is named in the note."""
_SIZES = {(_TIFF, "ImageWidth"): 0, (_TIFF, "ImageLength"): 1, (_EXIF, "PixelXDimension"): 0, (_EXIF, "PixelYDimension"): 1}
"""Property -> 0 for the width, 1 for the height."""
_PANORAMA_SIZES = {
    "FullPanoWidthPixels": 0,
    "FullPanoHeightPixels": 1,
    "CroppedAreaLeftPixels": 0,
    "CroppedAreaTopPixels": 1,
    "CroppedAreaImageWidthPixels": 0,
    "CroppedAreaImageHeightPixels": 1,
    "LargestValidInteriorRectLeft": 0,
    "LargestValidInteriorRectTop": 1,
    "LargestValidInteriorRectWidth": 0,
    "LargestValidInteriorRectHeight": 1,
}
_TOUCHED = tuple(space.encode() for space in (*_LOST, _TIFF, _EXIF, _PANORAMA, _REGIONS, EXTENSION))
Corrected = tuple[bytes, tuple[str, ...]]


def corrected(packet: bytes, width: int, height: int) -> Corrected:
    """Return a packet that is true of a picture of that size, in pixels, and notes on what was dropped; byte for byte where there is nothing to correct."""
    if not any(space in packet for space in _TOUCHED) and not packet.startswith((b"\xff\xfe", b"\xfe\xff")):
        return packet, ()

    def correct(document: minidom.Document) -> list[str]:
        notes = [f"{what} was left out" for what in _without_lost(document) if what]
        _set_sizes(document, (width, height))
        if not _scale_panorama(document, (width, height)):
            notes.append("the panorama's sizes do not fit the picture and were left out")
        if _remove(document, lambda item: item.property == (EXTENSION, "ImageRegion") and "pixel" in item.xml()):
            notes.append("the regions given in pixels were left out")
        return notes

    return _edited(packet, correct)


def turned(packet: bytes) -> Corrected:
    """Return the packet of a picture whose pixels were turned upright, without the regions (such as faces) in it, which are counted from its stored edges."""
    if not any(space.encode() in packet for space in (_REGIONS, _MICROSOFT, EXTENSION)):
        return packet, ()
    spaces = {(_REGIONS, "Regions"), (_MICROSOFT, "RegionInfo"), (EXTENSION, "ImageRegion")}
    note = "the regions (such as faces) were left out, since the picture was turned upright"
    return _edited(packet, lambda document: [note] if _remove(document, lambda item: item.property in spaces) else [])


class _Item:
    """A property of a packet, an attribute or an element of its descriptions."""

    def __init__(self, home: minidom.Element, node: Any) -> None:
        self.home, self.node = home, node
        self.property: Property = (node.namespaceURI or "", node.localName or "")

    @property
    def value(self) -> str:
        """Its text."""
        node = self.node
        return str(node.value if isinstance(node, minidom.Attr) else "".join(child.data for child in node.childNodes if child.nodeType == Node.TEXT_NODE))

    def set(self, value: int) -> None:
        """Set its text."""
        if isinstance(self.node, minidom.Attr):
            self.node.value = str(value)
        else:
            for child in list(self.node.childNodes):
                self.node.removeChild(child)
            text = minidom.Text()
            text.data, text.ownerDocument = str(value), self.home.ownerDocument
            self.node.appendChild(text)

    def xml(self) -> str:
        """Return it as it is in the packet."""
        return self.value if isinstance(self.node, minidom.Attr) else str(self.node.toxml())

    def remove(self) -> None:
        """Take it out of the packet."""
        if isinstance(self.node, minidom.Attr):
            self.home.removeAttributeNode(self.node)
        else:
            self.home.removeChild(self.node)


def _edited(packet: bytes, edit: Callable[[minidom.Document], list[str]]) -> Corrected:
    try:
        document = parsed(packet)
        before = document.toxml()
        notes = tuple(dict.fromkeys(edit(document)))
        if document.toxml() == before:
            return packet, notes
        _drop_declarations(document)
        data = written(document)
        document.unlink()
    except (ValueError, ExpatError, RecursionError):
        return b"", ("the XMP packet could not be read and was left out",)
    return data, notes


def _items(document: minidom.Document) -> Iterator[_Item]:
    """Yield the properties of the picture, not those inside of others."""
    for description in document.getElementsByTagNameNS(RDF, "Description"):
        if description.parentNode is not None and description.parentNode.localName == "RDF":
            for node in chain(list(description.attributes.values()), list(description.childNodes)):
                if node.nodeType in (Node.ATTRIBUTE_NODE, Node.ELEMENT_NODE) and node.namespaceURI not in (RDF, XMLNS):
                    yield _Item(description, node)


def _remove(document: minidom.Document, unwanted: Callable[[_Item], bool]) -> bool:
    found = [item for item in _items(document) if unwanted(item)]
    for item in found:
        item.remove()
    return bool(found)


def _without_lost(document: minidom.Document) -> list[str]:
    """Remove what points at a part of the file that is not there any more, and return its names."""
    lost = []
    for item in _items(document):
        space, name = item.property
        for start, (names, what) in _LOST.items():
            if space.startswith(start) and (space == start or start.endswith("/dd/1.0/")) and name.startswith(names):
                item.remove()
                lost.append(what)
    others = [what for what in lost if what != _LOST[_CONTAINER][1]]
    return others or lost  # the list goes with what it lists


def _set_sizes(document: minidom.Document, size: tuple[int, int]) -> None:
    for item in _items(document):
        axis = _SIZES.get(item.property)
        if axis is not None:
            item.set(size[axis])
    for dimensions in document.getElementsByTagNameNS(_REGIONS, "AppliedToDimensions"):
        for element in (dimensions, *dimensions.getElementsByTagName("*")):
            for name, value in zip("wh", size, strict=True):
                if (attribute := element.getAttributeNodeNS(_DIMENSIONS, name)) is not None:
                    attribute.value = str(value)
                if (element.namespaceURI, element.localName) == (_DIMENSIONS, name):
                    _Item(dimensions, element).set(value)


def _scale_panorama(document: minidom.Document, size: tuple[int, int]) -> bool:
    """Scale the sizes of a panorama (Photo Sphere XMP) as its picture was; False where they do not fit it and were dropped."""
    items = {item.property[1]: item for item in _items(document) if item.property[0] == _PANORAMA and item.property[1] in _PANORAMA_SIZES}
    if not items:
        return True
    values = {name: int(item.value) for name, item in items.items() if item.value.strip().isdecimal() and len(item.value) < 10}
    before = values.get("CroppedAreaImageWidthPixels", 0), values.get("CroppedAreaImageHeightPixels", 0)
    if len(values) < len(items) or not all(before) or abs(size[0] * before[1] - size[1] * before[0]) > max(size) + max(before):
        return not _remove(document, lambda item: item.property[0] == _PANORAMA)
    for name, axis in _PANORAMA_SIZES.items():
        if name in items:
            items[name].set(round(values[name] * size[axis] / before[axis]))
    return True


def _drop_declarations(document: minidom.Document) -> None:
    """Remove the declarations of namespaces that are used no more."""
    elements = document.getElementsByTagName("*")
    used = {element.prefix for element in elements}
    used |= {attribute.prefix for element in elements for attribute in element.attributes.values()}
    for element in elements:
        for attribute in list(element.attributes.values()):
            if attribute.namespaceURI == XMLNS and attribute.localName not in used and attribute.value.startswith(tuple(_LOST)):
                element.removeAttributeNode(attribute)
