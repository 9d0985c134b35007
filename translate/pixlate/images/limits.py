"""Limits on what a file may claim besides its pixels, which ``max_pixels`` limits. Files as programs write them stay far below."""

BLOCK_BYTES = 16 << 20
"""Most bytes of one block of metadata (EXIF, ICC profile, XMP, a text), unpacked. Scanners' profiles reach 1 MB, Photoshop's XMP a few, prompts of image
generators 2 MB. What is longer is left out with a note; the pixels are read."""
METADATA_BYTES = 32 << 20
"""Most bytes of all blocks of metadata of a file together, unpacked; the rest is left out with a note."""
XML_TAGS = 100_000
"""Most tags and attributes in an XMP packet that is kept: a second or two for reading and writing it. Programs write hundreds, with a long history a few
thousand. Photoshop lists up to tens of thousands of ancestors; that list is left out first, then the packet, each with a note."""
XML_DEPTH = 100
"""Most tags within each other in an XMP packet; programs nest about ten. The time that parsing takes grows with its square."""
SEGMENTS = 10_000
"""Most parts of a file that hold no pixels: chunks of PNG, segments of JPEG, extensions of GIF, boxes of AVIF. Programs write dozens. Readers take
microseconds for each, however short it is, so 300,000 empty ones cost seconds; a file of more is refused."""
PIXEL_SEGMENT_BYTES = 64
"""Fewest bytes, on average, that the parts of a file which hold pixels have beyond the first SEGMENTS of them; encoders fill 8 KiB or more."""
SCANS = 20
"""Scans that a JPEG of any size may have; each passes over all its blocks. Encoders write about ten for a progressive picture."""
MOST_SCANS = 100
"""Most scans of a JPEG that is small enough for SCAN_PIXELS."""
SCAN_PIXELS = 500_000_000
"""Most pixels times scans of a JPEG of more than SCANS scans: about five seconds of decoding."""
FRAMES = 100_000
"""Most frames of an animation: more than an hour at 24 a second. They are counted before one is decoded; a file of more is refused."""
DIRECTORY_ENTRIES = 4_096
"""Most entries of a directory of TIFF or EXIF that are read; TIFF 6.0 and EXIF define fewer than 300 tags."""
PAGES = 10_000
"""Most pages (directories) of a TIFF file that are counted."""
STRIPS = 200_000
"""Most strips and tiles of a page of TIFF; tiles of 256 pixels a side make 16,000 of a thousand million pixels, strips of one row one a row and plane.
Each costs up to 50 microseconds, however small."""
TILE_PIXELS = 1 << 20
"""Pixels that a tile of TIFF may always have, even in a smaller picture; a larger one counts against ``max_pixels``."""
LZMA_BYTES = 80 << 20
"""Most memory for the dictionary of a strip compressed with LZMA: that of its highest preset, 64 MiB, and a little more."""
