"""Whatever a decoder raises, as one sentence for the user."""

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from pixlate.errors import PixlateError

SAMPLES_A_PIXEL = 4
"""Samples that a limit of pixels allows for each of them, as RGB with alpha has."""


@contextmanager
def explained(kind: str = "image") -> Iterator[None]:
    """Turn everything that goes wrong while a file is read into PixlateError.

    Decoders raise OSError, SyntaxError, struct.error, zlib.error, EOFError and more for bytes they cannot make sense of, and a new version
    may raise another, so the list is not kept here: whatever is not about the file system or the memory is about the bytes.
    """
    try:
        yield
    except PixlateError:
        raise
    except FileNotFoundError as error:
        raise PixlateError("there is no such file; it may have been moved or renamed since the folder was listed") from error
    except PermissionError as error:
        raise PixlateError("permission denied; make the file readable for this user") from error
    except IsADirectoryError as error:
        raise PixlateError("expected a file, got a folder; name the images inside it") from error
    except MemoryError as error:
        raise PixlateError("the picture does not fit in memory; close other programs or make it smaller first") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # some readers look at Pillow's limit by themselves
        raise PixlateError("expected at most 178 million pixels, which is what Pillow decodes in this format, got more; convert the file to PNG") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise PixlateError(f"the file could not be read ({error.strerror}); check the disk or the network") from error
        reason = " ".join(str(error).split()).rstrip(".")[:120] or type(error).__name__
        raise PixlateError(f"the {kind} is truncated or damaged ({reason}); copy it again from its source") from error


def check_size(width: int, height: int, max_pixels: int, channels: int = 1) -> None:
    """Refuse a picture that is empty or has more than ``max_pixels`` pixels, or four times as many samples, before it is decoded.

    Raises:
        PixlateError: With the size and the option that raises the limit.
    """
    if width < 1 or height < 1:
        raise PixlateError(f"the image is truncated or damaged (its header says {width} x {height} pixels); copy it again from its source")
    if width * height > max_pixels:
        raise PixlateError(
            f"expected at most {max_pixels / 1e6:.6g} million pixels, got {width} x {height} = {width * height / 1e6:.6g} million; "
            "raise the limit with --max-pixels if the file can be trusted"
        )
    if width * height * channels > SAMPLES_A_PIXEL * max_pixels:
        raise PixlateError(
            f"expected at most {SAMPLES_A_PIXEL * max_pixels / 1e6:.6g} million samples, {SAMPLES_A_PIXEL} for each of --max-pixels, got "
            f"{width} x {height} of {channels} channels; raise the limit if the file can be trusted"
        )
