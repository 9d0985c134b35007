"""Media types of uploads and answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pixlate.images.formats import BUILT_IN, named
from pixlate_serve.refusals import Refusal

MEDIA_TYPES: Mapping[str, str] = MappingProxyType({name: format.media_type for name, format in named(BUILT_IN).items() if format.media_type})
"""Format -> its media type."""
FormatName = Literal["jpeg", "jpg", "png", "webp", "tiff", "tif", "bmp", "avif", "gif"]
"""What ``?format=`` takes."""
_ALIASES = {"image/jpg": "jpeg", "image/pjpeg": "jpeg", "image/x-png": "png", "image/apng": "png", "image/tif": "tiff", "image/x-ms-bmp": "bmp"}
_FORMATS = {media: format for format, media in MEDIA_TYPES.items()} | _ALIASES


def require_image(content_type: str | None, content_encoding: str | None) -> None:
    """Check that an upload is declared as an image or as unspecified bytes.

    Raises:
        Refusal: 415.
    """
    media = (content_type or "application/octet-stream").partition(";")[0].strip().lower()
    if not media.startswith("image/") and media != "application/octet-stream":
        raise Refusal(
            415,
            "unsupported_media_type",
            f"expected the bytes of an image with the Content-Type image/... or application/octet-stream, got {media[:60]!r}; set the header",
        )
    if (content_encoding or "identity").strip().lower() != "identity":
        raise Refusal(415, "unsupported_encoding", "expected an upload without Content-Encoding, since images are compressed already; send the file as it is")


def wanted_format(format: FormatName | None, accept: str | None, source: str) -> str:
    """Return the format of the answer: what ``?format=`` says, else what the Accept header prefers, else that of the source.

    Raises:
        Refusal: 406, the header accepts nothing that Pixlate writes.
    """
    if format is not None:
        return BUILT_IN[f".{format}"].name
    ranges = _ranges(accept or "*/*")
    refused = {_FORMATS[media] for media, quality in ranges if not quality and media in _FORMATS}
    offers = [(quality, name) for media, quality in ranges if quality for name in _formats_of(media) if name not in refused]
    best = max((quality for quality, _ in offers), default=0.0)
    choices = [name for quality, name in offers if quality == best]
    if not choices:
        raise Refusal(
            406, "not_acceptable", f"expected an Accept header with one of {', '.join(MEDIA_TYPES.values())} or image/*; change it, or add ?format=png"
        )
    return source if source in choices else choices[0]


def _formats_of(media: str) -> list[str]:
    if media in ("*/*", "image/*", "application/octet-stream"):
        return sorted(MEDIA_TYPES, key=lambda name: name != "png")  # without loss, where the source's own is refused
    return [_FORMATS[media]] if media in _FORMATS else []


def _ranges(accept: str) -> list[tuple[str, float]]:
    """Return media ranges with their quality (RFC 9110, 12.5.1); one that cannot be read counts as 1."""
    ranges = []
    for part in accept.lower().split(","):
        media, *parameters = (word.strip() for word in part.split(";"))
        quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            ranges.append((media, min(1.0, max(0.0, float(quality)))))
        except ValueError:
            ranges.append((media, 1.0))
    return ranges
