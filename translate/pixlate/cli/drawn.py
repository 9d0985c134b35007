"""Small pictures for ``pixlate demo``, drawn by code: a landscape, lettering and a pattern, with edges at every angle."""

import math
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

SIZE = (160, 120)
"""Width and height of the pictures."""
_FINE = 8
"""How many times larger they are drawn, and then reduced."""
_WIDTH, _HEIGHT = SIZE[0] * _FINE, SIZE[1] * _FINE


def _landscape() -> Image.Image:
    image = Image.linear_gradient("L").resize((_WIDTH, _HEIGHT))
    red, green, blue = (image.point([round(top + (bottom - top) * value / 255) for value in range(256)]) for top, bottom in ((70, 250), (130, 215), (205, 170)))
    image = Image.merge("RGB", (red, green, blue))
    draw = ImageDraw.Draw(image)
    draw.ellipse((900, 130, 1080, 310), "#fff3c4")
    for base, height, length, colour in ((600, 210, 310, "#8d9db5"), (680, 150, 430, "#5f7a8f"), (760, 90, 620, "#3f6158")):
        ridge = [(x, base - height * abs(math.sin(x * math.pi / length)) - height / 4 * math.sin(x * 7 / length)) for x in range(0, _WIDTH + 8, 8)]
        draw.polygon([(0, _HEIGHT), *ridge, (_WIDTH, _HEIGHT)], colour)
    draw.polygon([(0, _HEIGHT), (0, 790), (_WIDTH, 860), (_WIDTH, _HEIGHT)], "#6b8f4e")
    for x, foot, tall in ((110, 900, 330), (290, 880, 240), (1010, 930, 400), (1170, 900, 260)):
        draw.rectangle((x - 12, foot - 40, x + 12, foot), "#4a3728")
        for step in range(4):
            top, half = foot - 40 - tall + step * tall / 5, tall * (0.12 + 0.06 * step)
            draw.polygon([(x, top), (x - half, top + tall / 2.6), (x + half, top + tall / 2.6)], "#24452f")
    draw.polygon([(560, 800), (560, 640), (670, 560), (780, 640), (780, 800)], "#e9dccb")
    draw.polygon([(535, 655), (670, 545), (805, 655), (780, 665), (670, 580), (560, 665)], "#9c3d2e")
    draw.rectangle((640, 690, 700, 800), "#5b4636")
    for left in (585, 720):
        draw.rectangle((left, 680, left + 35, 725), "#36506b", "#ffffff", 5)
    return image


def _lettering() -> Image.Image:
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "#f6f1e4")
    draw = ImageDraw.Draw(image)
    top = 40
    for text, size, colour in (
        ("Pixlate", 300, "#1d3557"),
        ("small pictures,", 150, "#c1440e"),
        ("four times larger", 130, "#2a6f5b"),
        ("0123456789 & Ag@", 105, "#333333"),
    ):
        draw.text((_WIDTH / 2, top), text, colour, ImageFont.load_default(size), anchor="ma")
        top += round(size * 1.25)
    return image


def _pattern() -> Image.Image:
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "#fdfdfd")
    draw = ImageDraw.Draw(image)
    for index in range(0, 48, 2):
        draw.pieslice((60, 60, 660, 660), index * 7.5, (index + 1) * 7.5, "#202a44")
    for ring in range(14, 0, -1):
        radius, colour = ring * 22, ("#d1495b", "#edae49", "#00798c", "#fdfdfd")[ring % 4]
        draw.ellipse((960 - radius, 340 - radius, 960 + radius, 340 + radius), colour)
    for index in range(20):
        left = 40 + index * 61
        draw.line((left, 720, left + 120, 930), "#30638e", 4 + index)
    return image


PICTURES: dict[str, Callable[[], Image.Image]] = {"landscape.png": _landscape, "lettering.png": _lettering, "pattern.png": _pattern}
"""Name -> what draws it, at several times its size."""


def drawn(name: str) -> Image.Image:
    """Return one of :data:`PICTURES`, of :data:`SIZE`."""
    return PICTURES[name]().resize(SIZE, Image.Resampling.BOX)
