"""What translation makes false is corrected or dropped with a note."""

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.dom import minidom

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.pixlate.images.conftest import LIMIT, exif_block, photograph, saved

from pixlate.images import Metadata, Picture, add_origin, read_picture, write_picture
from pixlate.images.metadata import stale

GOOGLE = "http://ns.google.com/photos/1.0/"
REGIONS = (
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions stDim:w="64" stDim:h="24" stDim:unit="pixel"/><mwg-rs:RegionList><rdf:Bag/>'
    "</mwg-rs:RegionList></mwg-rs:Regions>"
)
SPACES = {
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "GPano": f"{GOOGLE}panorama/",
    "GCamera": f"{GOOGLE}camera/",
    "GDepth": f"{GOOGLE}depthmap/",
    "Container": f"{GOOGLE}container/",
    "Item": f"{GOOGLE}container/item/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
}
PANORAMA = {
    "FullPanoWidthPixels": 64,
    "FullPanoHeightPixels": 32,
    "CroppedAreaImageWidthPixels": 64,
    "CroppedAreaImageHeightPixels": 24,
    "CroppedAreaTopPixels": 4,
}


def packet(attributes: Mapping[str, object], inner: str = "") -> bytes:
    given = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    declared = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in SPACES.items() if f"{prefix}:" in given + inner)
    rdf = (
        f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" {declared} {given}>{inner}</rdf:Description></rdf:RDF>'
    )
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta><?xpacket end="w"?>'.encode()


def attributes(xmp: bytes) -> dict[str, str]:
    description = minidom.parseString(xmp.strip()).getElementsByTagName("rdf:Description")[0]
    return {name: value for name, value in description.attributes.items() if not name.startswith("xmlns") and name != "rdf:about"}


def test_sizes_are_those_of_the_picture() -> None:
    xmp = packet({"tiff:ImageWidth": 64, "exif:PixelYDimension": 24, "tiff:Make": "Camera works"}, "<tiff:ImageLength>24</tiff:ImageLength>" + REGIONS)
    fixed, notes = stale.corrected(xmp, 128, 48)
    assert attributes(fixed) == {"tiff:ImageWidth": "128", "exif:PixelYDimension": "48", "tiff:Make": "Camera works"} and notes == ()
    assert b"<tiff:ImageLength>48</tiff:ImageLength>" in fixed and b'stDim:w="128" stDim:h="48"' in fixed


def test_a_packet_without_anything_false_stays_as_it_is() -> None:
    for xmp in (packet({"dc:format": "image/jpeg"}), packet({"exif:Flash": 1, "GCamera:BurstID": "x"}), b"", b"no packet", add_origin(b"", "x")[0]):
        assert stale.corrected(xmp, 128, 48) == (xmp, ())


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_packet_of_utf_16_is_corrected_too(codec: str) -> None:
    xmp = packet({"tiff:ImageWidth": 64, "exif:PixelYDimension": 24})
    assert stale.corrected(xmp.decode().encode(codec), 128, 48) == stale.corrected(xmp, 128, 48)


@pytest.mark.parametrize(("width", "height"), [(128, 48), (256, 96), (64, 24), (193, 72)])
def test_a_panoramas_sizes_are_scaled_as_its_picture_was(width: int, height: int) -> None:
    xmp = packet({f"GPano:{name}": value for name, value in PANORAMA.items()} | {"GPano:ProjectionType": "equirectangular"})
    fixed, notes = stale.corrected(xmp, width, height)
    expected = {f"GPano:{name}": str(round(value * (width / 64 if "Width" in name else height / 24))) for name, value in PANORAMA.items()}
    assert attributes(fixed) == expected | {"GPano:ProjectionType": "equirectangular"} and notes == ()


def test_a_panorama_without_a_crop_is_the_whole() -> None:
    fixed, notes = stale.corrected(packet({"GPano:FullPanoWidthPixels": 64, "GPano:FullPanoHeightPixels": 32}), 128, 64)
    assert attributes(fixed) == {"GPano:FullPanoWidthPixels": "128", "GPano:FullPanoHeightPixels": "64"} and notes == ()


@pytest.mark.parametrize("values", [PANORAMA | {"CroppedAreaImageWidthPixels": 24}, PANORAMA | {"FullPanoWidthPixels": "much"}, {"FullPanoWidthPixels": 4}])
def test_a_panorama_of_another_shape_is_dropped_with_a_note(values: dict[str, object]) -> None:
    fixed, notes = stale.corrected(packet({f"GPano:{name}": value for name, value in values.items()} | {"dc:format": "x"}), 128, 48)
    assert attributes(fixed) == {"dc:format": "x"} and notes == ("the panorama's sizes do not fit the picture and were left out",)


@pytest.mark.parametrize(
    ("given", "inner", "note"),
    [
        ({"hdrgm:Version": "1.0"}, "<Container:Directory><rdf:Seq><rdf:li Item:Semantic='GainMap'/></rdf:Seq></Container:Directory>", "the gain map"),
        ({"GCamera:MotionPhoto": 1, "GCamera:MicroVideoOffset": 4}, "", "the video of the motion photo"),
        ({"xmpNote:HasExtendedXMP": "0123"}, "", "the second part of XMP, kept outside its packet"),
        ({"GDepth:Near": 1}, "<GDepth:Data>x</GDepth:Data>", "the depth map"),
    ],
)
def test_what_points_at_lost_parts_is_dropped_with_one_note(given: dict[str, object], inner: str, note: str) -> None:
    fixed, notes = stale.corrected(packet(given | {"dc:format": "x"}, inner), 128, 48)
    assert attributes(fixed) == {"dc:format": "x"} and notes == (f"{note} was left out",)
    assert not any(f"{prefix}:".encode() in fixed for prefix in ("hdrgm", "Container", "Item", "GCamera", "xmpNote", "GDepth"))


def test_regions_are_dropped_where_the_picture_is_turned() -> None:
    source = Image.fromarray(photograph())
    for orientation, kept in ((1, True), (3, False), (6, False)):
        data = saved(source, "JPEG", exif=b"Exif\0\0" + exif_block(orientation), xmp=packet({"dc:format": "x"}, REGIONS))
        picture = read_picture(data, max_pixels=LIMIT)
        assert (b"RegionList" in picture.metadata.xmp) == kept
        assert picture.notes == (() if kept else ("the regions (such as faces) were left out, since the picture was turned upright",))


def test_a_packet_that_cannot_be_read_is_left_out_with_a_note() -> None:
    broken = packet({"tiff:ImageWidth": 64})[:-60]
    assert stale.corrected(broken, 8, 8) == (b"", ("the XMP packet could not be read and was left out",))
    assert stale.corrected(packet({"tiff:ImageWidth": 64}).decode().encode("utf-16"), 8, 9)[0].count(b'tiff:ImageWidth="8"') == 1


def described(path: Path, description: str, software: str = "") -> None:
    more = [(305, "s", 0, software, False)] if software else []
    tifffile.imwrite(path, photograph()[:, :, 0], description=description, metadata=None, extratags=more)


@pytest.mark.parametrize("shape", [(48, 64), (5, 48, 64)])
@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
def test_tifffile_reads_the_picture_whose_source_was_described_for_microscopy(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros(shape, np.uint16), photometric="minisblack", imagej=kind == "imagej", ome=kind == "ome")
    picture = read_picture(tmp_path / "x.tif", max_pixels=LIMIT)
    larger = Picture(np.arange(96 * 128, dtype=np.uint16).reshape(96, 128, 1), None, picture.metadata, picture.notes)
    notes = write_picture(larger, tmp_path / "y.tif", "tiff")
    assert (notes == ()) if kind == "shaped" else "which says how the file's samples were stored, was left out" in notes[0]  # the shape is in the tags as well
    assert np.array_equal(tifffile.imread(tmp_path / "y.tif"), larger.pixels[:, :, 0])


@pytest.mark.parametrize(
    ("description", "software"),
    [("SCIFIO=1", ""), ("shape=(5, 48, 64)", ""), ("Aperio x", ""), ("<x/></scn>", ""), ("state.a=1", ""), ("a", "SI.VERSION"), ("a", "PerkinElmer-QPI")],
)
def test_no_field_is_left_by_which_readers_take_a_file_for_a_microscopes(tmp_path: Path, description: str, software: str) -> None:
    described(tmp_path / "x.tif", description, software)
    picture = read_picture(tmp_path / "x.tif", max_pixels=LIMIT)
    write_picture(picture, tmp_path / "y.tif", "tiff")
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.flags <= {"uniform"} and file.asarray().shape == (48, 64)


def test_a_description_in_words_stays(tmp_path: Path) -> None:
    described(tmp_path / "x.tif", "the shape of a harbour")
    picture = read_picture(tmp_path / "x.tif", max_pixels=LIMIT)
    assert write_picture(picture, tmp_path / "y.tif", "tiff") == ()
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.pages.first.description == "the shape of a harbour"


def test_tags_of_other_programs_are_noted_by_name_or_number(tmp_path: Path) -> None:
    tags = [(37724, "B", 9, b"layers...", True), (33550, "d", 3, (1.0, 1.0, 0.0), True), (50706, "B", 4, b"\1\4\0\0", True), (65000, "H", 1, 7, True)]
    tifffile.imwrite(tmp_path / "x.tif", photograph(), photometric="rgb", metadata=None, extratags=tags)
    assert read_picture(tmp_path / "x.tif", max_pixels=LIMIT).notes == (
        "the geographic reference of the TIFF file was left out",
        "the layers of the TIFF file were left out",
        "the raw development settings (DNG) of the TIFF file were left out",
        "the TIFF file's tags of other programs were left out (65000)",
    )


@pytest.mark.parametrize(
    ("note", "moves"), [(b"\1\0\1\0\3\0\1\0\0\0\0\0\0\0" + bytes(20), False), (b"Panasonic\0\0\0" + bytes(40), False), (b"Nikon\0\2\x10\0\0MM", True)]
)
def test_makers_notes_with_positions_in_a_tiff_are_left_out(note: bytes, moves: bool) -> None:
    data = saved(Image.fromarray(photograph()), "TIFF", exif=b"Exif\0\0" + exif_block(note=note))
    picture = read_picture(data, max_pixels=LIMIT)
    exif = Image.Exif()
    exif.load(picture.metadata.exif)
    assert (37500 in exif.get_ifd(34665)) == moves and (picture.notes == ()) == moves


def test_tags_about_storage_in_an_exif_block_do_not_break_a_tiff(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[324], exif[325], exif[322], exif[330], exif[320] = "Camera works", 8, 9, 16, 8, 3
    write_picture(Picture(photograph(), None, Metadata(exif.tobytes()[6:])), tmp_path / "x.tif", "tiff")
    assert np.array_equal(tifffile.imread(tmp_path / "x.tif"), photograph())


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
def test_exiftool_warns_of_nothing(tmp_path: Path) -> None:
    xmp = packet({"hdrgm:Version": "1.0", "GPano:FullPanoWidthPixels": 64, "tiff:ImageWidth": 64}, REGIONS)
    iptc = b"\x1c\x02\x19\0\7harbour"
    metadata = Metadata(exif_block(), b"", xmp, (300, 300), iptc, ("a comment",), (("parameters", "a harbour"),))
    for format in ("jpeg", "png", "tiff", "webp", "avif", "gif"):
        write_picture(Picture(photograph(), None, metadata), tmp_path / f"x.{format}", format)
    listed = subprocess.run(["exiftool", "-a", "-warning", "-error", str(tmp_path)], capture_output=True, text=True, check=True)
    assert "Warning" not in listed.stdout + listed.stderr and "Error" not in listed.stdout


def test_two_pictures_in_one_jpeg_are_no_segments_of_other_programs() -> None:
    both = saved(Image.fromarray(photograph()), "MPO", save_all=True, append_images=[Image.fromarray(photograph())])
    assert read_picture(both, max_pixels=LIMIT).notes == ("first of 2 pictures",)


def test_damaged_tags_of_an_exif_block_do_not_come_into_a_tiff(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entries = [(271, 2, 7, struct.pack("<I", 90_000)), (272, 99, 1, bytes(4)), (306, 2, 4, b"now\0"), (34665, 4, 1, struct.pack("<I", 10**6))]
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHI4s", *entry) for entry in entries) + bytes(4)
    write_picture(Picture(photograph(), None, Metadata(block)), tmp_path / "x.tif", "tiff")
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        tags = file.pages.first.tags
        assert tags[306].value == "now" and not {271, 272, 34665} & {tag.code for tag in tags}
    assert caplog.records == []
