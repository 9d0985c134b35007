"""Uploads as web forms send them (RFC 7578): the one file among the fields."""

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pixlate_serve.refusals import Refusal

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FORM = "multipart/form-data"
"""Media type of such uploads."""
MOST_PARTS = 100
"""Most fields of a form."""


def is_form(content_type: str | None) -> bool:
    """Return whether an upload is declared as a form."""
    return (content_type or "").partition(";")[0].strip().lower() == FORM


def file_of(data: bytes, content_type: str) -> bytes:
    """Return the file in a form.

    Raises:
        Refusal: 400, it is no form, or has no file or several.
    """
    found = _Files()
    try:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        parser = MultipartParser(boundary, found.callbacks())
        parser.write(data)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        sentence = "expected a form with the boundary that its Content-Type names, got another; send the bytes of the image as image/... instead"
        raise Refusal(400, "bad_form", sentence) from error
    if len(found.files) != 1:
        sentence = f"expected one file in the form, got {len(found.files)}; send each picture in a request of its own, such as curl -F file=@FILE"
        raise Refusal(400, "bad_form", sentence)
    start, stop = found.files[0]
    return data[start:stop]


class _Files:
    """Finds the parts that are files while a form is read in one piece."""

    def __init__(self) -> None:
        self._parts = 0
        self.files: list[tuple[int, int]] = []

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._name,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_part_data": self._piece,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise FormParserError(f"more than {MOST_PARTS} parts")
        self._header_name, self._header_value, self._is_file, self._span = b"", b"", False, (0, 0)

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._is_file = b"filename" in parse_options_header(self._header_value)[1]
        self._header_name = self._header_value = b""

    def _piece(self, data: bytes, start: int, end: int) -> None:
        first, last = self._span
        self._span = (first if last else start), end

    def _end(self) -> None:
        if self._is_file:
            self.files.append(self._span)
