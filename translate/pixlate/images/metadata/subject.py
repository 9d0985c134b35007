"""Fields of EXIF that are counted in pixels: where the subject is (EXIF 2.32, tags 37396 and 41492), and how many the sensor has (41486, 41487)."""

import struct
from collections.abc import Callable
from io import BytesIO

from pixlate.images.metadata.tags import Directory, Field, changed, first_directory, long, rational, short

EXIF_DIRECTORY, PIXEL_WIDTH, PIXEL_HEIGHT = 34665, 40962, 40963
_AREA, _LOCATION = 37396, 41492
"""A point, or a point with a diameter, or with width and height; a point."""
_DENSITIES = {41486: 0, 41487: 1}
"""Pixels of the sensor in a unit of length: across and down."""
_AREA_VALUES = (2, 3, 4)


def turned(block: bytearray, orientation: int) -> None:
    """Move the subject to where it is once a picture of that orientation, 2 to 8, was turned upright, and exchange width and height from 5 on."""
    inner = _inner(block)
    if inner is None:
        return
    width, height = _size(inner)
    points: dict[int, tuple[int, int]] = {2: (width, 0), 3: (width, height), 4: (0, height), 5: (0, 0), 6: (height, 0), 7: (height, width), 8: (0, width)}
    from_x, from_y = points[orientation]

    def moved(x: float, y: float) -> tuple[float, float]:
        x, y = (y, x) if orientation >= 5 else (x, y)
        return (from_x - x if from_x else x), (from_y - y if from_y else y)

    changes = _subject(inner, moved, orientation >= 5, 1, 1) if width and height else _without_subject(inner)
    if orientation >= 5 and width and height:
        changes |= {PIXEL_WIDTH: long(inner.order, height), PIXEL_HEIGHT: long(inner.order, width)}
    _change(block, inner, changes)


def scaled(block: bytearray, width: int, height: int) -> None:
    """Scale what is counted in pixels as the picture was, from the size that the block has; the subject goes where the shape is another."""
    inner = _inner(block)
    if inner is None:
        return
    before = _size(inner)
    if not all(before):
        _change(block, inner, _without_subject(inner))
        return
    across, down = width / before[0], height / before[1]
    if abs(width * before[1] - height * before[0]) > max(width, height) + max(before):
        _change(block, inner, _without_subject(inner))
        return
    if (width, height) == before:
        return
    changes = _subject(inner, lambda x, y: (x * across, y * down), False, across, down)
    for tag, axis in _DENSITIES.items():
        if density := inner.numbers(tag):
            changes[tag] = rational(inner.order, min(density[0] * (across, down)[axis], 4e9))
    _change(block, inner, changes)


def _change(block: bytearray, inner: Directory, changes: dict[int, Field | None]) -> None:
    """Change the EXIF directory of a block, and say in the main one where it is if it had to move."""
    if not changes:
        return
    offset = changed(block, inner, changes)
    if offset != inner.offset:
        main = first_directory(BytesIO(bytes(block)))
        changed(block, main, {EXIF_DIRECTORY: long(main.order, offset)})


def _inner(block: bytearray) -> Directory | None:
    return first_directory(BytesIO(bytes(block))).directory(EXIF_DIRECTORY)


def _size(inner: Directory) -> tuple[int, int]:
    try:
        return inner.number(PIXEL_WIDTH), inner.number(PIXEL_HEIGHT)
    except (ValueError, struct.error):
        return 0, 0


def _without_subject(inner: Directory) -> dict[int, Field | None]:
    return dict.fromkeys({_AREA, _LOCATION} & set(inner.entries))


def _subject(inner: Directory, moved: Callable[[float, float], tuple[float, float]], exchanged: bool, across: float, down: float) -> dict[int, Field | None]:
    """Return the fields of the subject with its point moved, and its sides exchanged and scaled."""
    changes: dict[int, Field | None] = {}
    for tag in sorted({_AREA, _LOCATION} & set(inner.entries)):
        try:
            values = inner.numbers(tag)
        except (ValueError, struct.error):
            values = ()
        if len(values) not in (_AREA_VALUES if tag == _AREA else (2,)):
            changes[tag] = None
            continue
        sides = values[2:] if len(values) == 3 or not exchanged else values[2:][::-1]
        numbers = (*moved(*values[:2]), *(side * factor for side, factor in zip(sides, (across, down), strict=False)))
        changes[tag] = short(inner.order, *(min(65535, max(0, round(number))) for number in numbers))
    return changes
