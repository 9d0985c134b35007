"""Files <-> pixel arrays: orientation, colour profiles, alpha, depth and metadata of seven formats. Imports no PyTorch."""

from pixlate.images.colour import to_srgb
from pixlate.images.formats import FORMATS, SUFFIXES, suffix_of
from pixlate.images.picture import ImageFormat, Metadata, Picture
from pixlate.images.read import probe, read_picture
from pixlate.images.write import write_picture
from pixlate.images.xmp import add_origin

__all__ = ["FORMATS", "SUFFIXES", "ImageFormat", "Metadata", "Picture", "add_origin", "probe", "read_picture", "suffix_of", "to_srgb", "write_picture"]
