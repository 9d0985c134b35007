"""The origin of a picture is recorded in its XMP packet, and the rest of the packet is kept."""

from xml.etree import ElementTree

import pytest

from pixlate.images import add_origin
from pixlate.images.metadata.xmp import EXTENSION, RDF, orientation, upright

VALUE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
NAME = f"{{{EXTENSION}}}DigitalSourceType"

ADOBE = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00-00:00:00        ">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
   xmp:Rating="4" crs:Exposure2012="+0.35" Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">
   <dc:creator><rdf:Seq><rdf:li>Zoë &amp; Søn</rdf:li></rdf:Seq></dc:creator>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">Hafen &lt;früh&gt;</rdf:li></rdf:Alt></dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
ADOBE += " " * 100 + '\n<?xpacket end="w"?>'

DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:darktable="http://darktable.sf.net/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
   darktable:xmp_version="5" tiff:Orientation="6">
   <darktable:history><rdf:Seq><rdf:li darktable:num="0" darktable:operation="exposure"/></rdf:Seq></darktable:history>
  </rdf:Description>
  <rdf:Description rdf:about="" xmlns:ipx="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <ipx:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture</ipx:DigitalSourceType>
   <ipx:Event>Regatta</ipx:Event>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""


def _values(packet: bytes) -> list[str]:
    root = ElementTree.fromstring(packet.decode().lstrip("\ufeff"))
    return [node.attrib[NAME] for node in root.iter() if NAME in node.attrib] + [node.text or "" for node in root.iter(NAME)]


@pytest.mark.parametrize("packet", [b"", b"  \n\0\0", ADOBE.encode(), DARKTABLE.encode(), ADOBE.encode("utf-16"), b"\xef\xbb\xbf" + DARKTABLE.encode()])
def test_the_packet_contains_the_origin_once(packet: bytes) -> None:
    result, note = add_origin(packet, "algorithmicallyEnhanced")
    assert _values(result) == [VALUE] and note == ""
    again, _ = add_origin(result, "trainedAlgorithmicMedia")
    assert _values(again) == ["http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"]


def _facts(packet: bytes) -> list[tuple[str, dict[str, str], str]]:
    root = ElementTree.fromstring(packet.decode().lstrip("\ufeff"))
    return [
        (node.tag, {name: value for name, value in node.attrib.items() if name != NAME}, (node.text or "").strip()) for node in root.iter() if node.tag != NAME
    ]


@pytest.mark.parametrize("packet", [ADOBE, DARKTABLE])
def test_everything_else_in_the_packet_stays(packet: str) -> None:
    result, _ = add_origin(packet.encode(), "algorithmicallyEnhanced")
    assert _facts(result) == _facts(packet.encode())
    for prefix in ("xmlns:crs=", "xmlns:dc=", "xmlns:darktable=", "xmlns:ipx=", "<?xpacket begin", '<?xpacket end="w"?>'):
        assert (prefix in packet) == (prefix in result.decode())


def test_a_prefix_taken_by_another_namespace_is_not_reused() -> None:
    packet = DARKTABLE.replace("xmlns:darktable=", 'xmlns:Iptc4xmpExt="urn:other" Iptc4xmpExt:kept="yes" xmlns:darktable=')
    result, _ = add_origin(packet.encode(), "algorithmicallyEnhanced")
    assert _values(result) == [VALUE] and b'Iptc4xmpExt:kept="yes"' in result


def test_a_packet_without_a_description_gets_one() -> None:
    result, note = add_origin(f'<rdf:RDF xmlns:rdf="{RDF}"/>'.encode(), "algorithmicallyEnhanced")
    assert _values(result) == [VALUE] and note == ""


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + DARKTABLE.partition("?>")[2].replace("Regatta", "&b;")


@pytest.mark.parametrize(
    "packet", [b"<not", b"\xff\xfe\x00", b"plain text", b"<a/>", BOMB.encode(), BOMB.encode("utf-16"), ADOBE.encode("latin-1", "replace")[:300]]
)
def test_a_packet_that_cannot_be_read_is_replaced_and_noted(packet: bytes) -> None:
    result, note = add_origin(packet, "algorithmicallyEnhanced")
    assert _values(result) == [VALUE] and b"DOCTYPE" not in result and note == "the XMP packet could not be read and was replaced"


@pytest.mark.parametrize("form", ['tiff:Orientation="6"', "tiff:Orientation='6'", 'tiff:Orientation = "6"', "<tiff:Orientation>6</tiff:Orientation>"])
def test_orientation_is_found_and_set_upright_in_every_form(form: str) -> None:
    packet = f'<r xmlns:tiff="t"><a {form}/></r>' if "<" not in form else f'<r xmlns:tiff="t">{form}</r>'
    assert orientation(packet.encode()) == 6
    assert upright(packet.encode()) == packet.replace("6", "1").encode()
    assert orientation(b"") is None and orientation(b'tiff:Orientation="0"') is None


@pytest.mark.parametrize(
    "packet",
    [
        b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><foo:Description xmlns:foo="urn:x"/></r:RDF>',
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' + b"<rdf:Description>" * 30_000 + b"</rdf:Description>" * 30_000 + b"</rdf:RDF>",
    ],
    ids=["another Description", "nested deeper than the recursion limit"],
)
def test_malformed_xmp_packets_never_lose_the_picture(packet: bytes) -> None:
    marked, _ = add_origin(packet, "algorithmicallyEnhanced")
    assert b"http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced" in marked


SYSTEM = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}AISystemUsed"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", "Pixlate a&b@2 at strength 0.5"),
        ("<ipx:AISystemUsed>A generator</ipx:AISystemUsed>", "A generator; Pixlate a&b@2 at strength 0.5"),
        ("<ipx:AISystemUsed>Pixlate a&amp;b@2 at strength 0.5</ipx:AISystemUsed>", "Pixlate a&b@2 at strength 0.5"),
    ],
)
def test_what_made_a_picture_follows_what_made_its_source(before: str, expected: str) -> None:
    packet = DARKTABLE.replace("<ipx:Event>", f"{before}<ipx:Event>")
    result, note = add_origin(packet.encode(), "algorithmicallyEnhanced", "Pixlate a&b@2 at strength 0.5")
    root = ElementTree.fromstring(result.decode().lstrip("\ufeff"))
    assert [node.attrib[SYSTEM] for node in root.iter() if SYSTEM in node.attrib] == [expected] and not list(root.iter(SYSTEM)) and note == ""
    assert _values(result) == [VALUE] and b"Regatta" in result


def test_system_of_a_source_stays_where_none_is_named() -> None:
    packet = DARKTABLE.replace("<ipx:Event>", "<ipx:AISystemUsed>A generator</ipx:AISystemUsed><ipx:Event>")
    assert b">A generator<" in add_origin(packet.encode(), "algorithmicallyEnhanced")[0]
