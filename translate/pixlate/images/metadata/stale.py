"""What an XMP packet says and a translation makes false: sizes are corrected, and what points at a lost part of the file is dropped with a note."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

from pixlate.images.metadata.xmp import EXTENSION, RDF, XMLNS, in_utf8, parsed, remove_children, written

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
_TOUCHED = tuple(mark.encode() for mark in (*_LOST, _TIFF, _EXIF, _PANORAMA, _REGIONS, "ImageRegion"))
Corrected = tuple[bytes, tuple[str, ...]]


def corrected(packet: bytes, width: int, height: int) -> Corrected:
    """Return a packet that is true of a picture of that size, in pixels, and notes on what was dropped; byte for byte where there is nothing to correct."""
    text = in_utf8(packet)
    if not any(space in text for space in _TOUCHED):
        return packet, ()
    return _edited(packet, lambda items: _Edit.joined(_lost(items), _sizes(items, (width, height)), _panorama(items, (width, height)), _in_pixels(items)))


def turned(packet: bytes) -> Corrected:
    """Return the packet of a picture whose pixels were turned upright, without the regions (such as faces) in it, which are counted from its stored edges."""
    text = in_utf8(packet)
    if not any(mark.encode() in text for mark in (_REGIONS, _MICROSOFT, "ImageRegion")):
        return packet, ()
    spaces = {(_REGIONS, "Regions"), (_MICROSOFT, "RegionInfo"), (EXTENSION, "ImageRegion")}
    note = "the regions (such as faces) were left out, since the picture was turned upright"

    def edit(items: list[_Item]) -> _Edit:
        regions = [item for item in items if item.property in spaces]
        return _Edit(regions, notes=[note] if regions else [])

    return _edited(packet, edit)


class _Item:
    """A property of the picture, an attribute or an element of the packet's descriptions."""

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
            text = minidom.Text()
            text.data, text.ownerDocument = str(value), self.home.ownerDocument
            self.node.childNodes[:] = [text]


@dataclass
class _Edit:
    """What is to be done with a packet."""

    removed: list[_Item] = field(default_factory=list)
    set: list[tuple[_Item, int]] = field(default_factory=list)
    """Properties and their new values."""
    notes: list[str] = field(default_factory=list)

    @classmethod
    def joined(cls, *edits: "_Edit") -> "_Edit":
        """Return several as one."""
        return cls(*([entry for edit in edits for entry in getattr(edit, name)] for name in ("removed", "set", "notes")))

    def applied(self) -> bool:
        """Change the packet, and return whether it is another now."""
        set_ = [(item, value) for item, value in self.set if item.value.strip() != str(value)]
        for item, value in set_:
            item.set(value)
        homes: dict[int, tuple[minidom.Element, list[object]]] = {}
        for item in self.removed:
            if isinstance(item.node, minidom.Attr):
                item.home.removeAttributeNode(item.node)
            else:
                homes.setdefault(id(item.home), (item.home, []))[1].append(item.node)
        for home, nodes in homes.values():
            remove_children(home, nodes)
        return bool(set_ or self.removed)


def _edited(packet: bytes, edit: Callable[[list[_Item]], _Edit]) -> Corrected:
    try:
        document = parsed(packet)
        edits = edit(list(_items(document)))
        if edits.applied():
            _drop_declarations(document)
            packet = written(document)
        document.unlink()
    except (ValueError, ExpatError, RecursionError):
        return b"", ("the XMP packet could not be read and was left out",)
    return packet, tuple(dict.fromkeys(edits.notes))


def _items(document: minidom.Document) -> Iterator[_Item]:
    """Yield the properties of the picture, not those inside of others."""
    for description in document.getElementsByTagNameNS(RDF, "Description"):
        if description.parentNode is not None and description.parentNode.localName == "RDF":
            for node in chain(description.attributes.values(), description.childNodes):
                if node.nodeType in (Node.ATTRIBUTE_NODE, Node.ELEMENT_NODE) and node.namespaceURI not in (RDF, XMLNS):
                    yield _Item(description, node)


def _lost(items: list[_Item]) -> _Edit:
    """Remove what points at a part of the file that is not there any more."""
    lost, removed = dict[str, None](), list[_Item]()
    for item in items:
        space, name = item.property
        for start, (names, what) in _LOST.items():
            if space.startswith(start) and (space == start or start.endswith("/dd/1.0/")) and name.startswith(names):
                removed.append(item)
                lost |= {what: None} if what else {}
    if len(lost) > 1:
        lost.pop(_LOST[_CONTAINER][1], None)  # the list goes with what it lists
    return _Edit(removed, notes=[f"{what} was left out" for what in lost])


def _sizes(items: list[_Item], size: tuple[int, int]) -> _Edit:
    """Set width and height, of the picture and of what regions are counted in."""
    sized = [(item, size[_SIZES[item.property]]) for item in items if item.property in _SIZES]
    for item in items:
        if item.property == (_REGIONS, "Regions") and isinstance(item.node, minidom.Element):
            for dimensions in item.node.childNodes:
                if isinstance(dimensions, minidom.Element) and (dimensions.namespaceURI, dimensions.localName) == (_REGIONS, "AppliedToDimensions"):
                    for node in chain(dimensions.attributes.values(), dimensions.childNodes):
                        if node.namespaceURI == _DIMENSIONS and node.localName in ("w", "h"):
                            sized.append((_Item(dimensions, node), size["wh".index(node.localName)]))
    return _Edit(set=sized)


def _panorama(items: list[_Item], size: tuple[int, int]) -> _Edit:
    """Scale the sizes of a panorama (Photo Sphere XMP) as its picture was, or remove it where they do not fit."""
    panorama = [item for item in items if item.property[0] == _PANORAMA]
    sized = [item for item in panorama if item.property[1] in _PANORAMA_SIZES]
    if not sized:
        return _Edit()
    values = {item.property[1]: int(item.value) for item in sized if item.value.strip().isdecimal() and len(item.value) < 10}
    before = tuple(values.get(f"CroppedAreaImage{side}Pixels", values.get(f"FullPano{side}Pixels", 0)) for side in ("Width", "Height"))
    if len(values) < len(sized) or not all(before) or abs(size[0] * before[1] - size[1] * before[0]) > max(size) + max(before):
        return _Edit(panorama, notes=["the panorama's sizes do not fit the picture and were left out"])
    axes = [_PANORAMA_SIZES[item.property[1]] for item in sized]
    return _Edit(set=[(item, round(values[item.property[1]] * size[axis] / before[axis])) for item, axis in zip(sized, axes, strict=True)])


def _in_pixels(items: list[_Item]) -> _Edit:
    """Remove regions that are given in pixels."""
    regions = [
        item for item in items if item.property == (EXTENSION, "ImageRegion") and isinstance(item.node, minidom.Element) and "pixel" in item.node.toxml()
    ]
    return _Edit(regions, notes=["the regions given in pixels were left out"]) if regions else _Edit()


def _drop_declarations(document: minidom.Document) -> None:
    """Remove the declarations of namespaces that are used no more."""
    elements = document.getElementsByTagName("*")
    used = {element.prefix for element in elements}
    used |= {attribute.prefix for element in elements for attribute in element.attributes.values()}
    for element in elements:
        for attribute in list(element.attributes.values()):
            if attribute.namespaceURI == XMLNS and attribute.localName not in used and attribute.value.startswith(tuple(_LOST)):
                element.removeAttributeNode(attribute)
