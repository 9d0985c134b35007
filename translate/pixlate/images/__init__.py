"""Files <-> pixel arrays: orientation, colour profiles, alpha, depth and metadata of eight formats. Imports no PyTorch."""

from pixlate.images.colour import to_srgb
from pixlate.images.file import ImageFile, read_picture
from pixlate.images.formats import BUILT_IN
from pixlate.images.metadata.xmp import add_origin
from pixlate.images.picture import Metadata, Picture, Pixels
from pixlate.images.write import write_picture

__all__ = ["BUILT_IN", "ImageFile", "Metadata", "Picture", "Pixels", "add_origin", "read_picture", "to_srgb", "write_picture"]
