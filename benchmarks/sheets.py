"""The picture of each ready model's card: eight pictures with what the model is given, its nearest rivals, its output, and the truth.

Photographs are those that scikit-image's package has, drawings eight of OpenMoji's that nothing was trained on: a sheet may be published, which those of other
data may not. Parts are shown twice as large with their pixels repeated, whole photographs reduced.

Run: ``python benchmarks/sheets.py [MODEL ...] [--out FOLDER]``; without names every model that is here is drawn, with ``PIXLATE_DATA`` for the drawings alone.
"""

import argparse
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import skimage
from PIL import Image

import measures
import pixlate
from common import data
from measures import RGB, bicubic, opened, read
from pixlate.evaluation.metrics import psnr
from pixlate.images.contact_sheet import contact_sheet

SHEETS = Path(__file__).parents[1] / "docs" / "sheets"
WIDEST, HEAVIEST, LEAST = 1400, 250_000, 40
"""Width of a sheet in pixels, its size in bytes, and the quality of WebP below which its own traces would be seen."""
CONTEXT = 24
"""Source pixels around a part that models are given too, since the largest are slow."""
CELL, LETTERS = 296, 18
"""Side of a picture on a sheet, and the size of captions, in pixels; parts are half as large."""
Place = tuple[str, int, int, int]
"""File of scikit-image, top, left and side of a square, in pixels."""
PARTS: tuple[Place, ...] = (
    ("astronaut.png", 20, 148, CELL // 2),
    ("chelsea.png", 60, 50, CELL // 2),
    ("coffee.png", 170, 330, CELL // 2),
    ("page.png", 0, 0, CELL // 2),
    ("astronaut.png", 310, 90, CELL // 2),
    ("rocket.jpg", 275, 30, CELL // 2),
    ("camera.png", 50, 200, CELL // 2),
    ("coins.png", 0, 220, CELL // 2),
)
"""A face, fur, metal and print; cloth and lettering, thin lines and lamps, a face in profile, relief."""
HANDWRITING: Place = ("text.png", 12, 100, CELL // 2)
"""In place of the print, of which a quarter of the size leaves nothing to read."""
ORDINARY: tuple[Place, ...] = (("astronaut.png", 0, 104, CELL), ("chelsea.png", 0, 73, CELL), ("coffee.png", 48, 150, CELL), ("camera.png", 20, 100, CELL))
WHOLE: tuple[Place, ...] = (
    ("astronaut.png", 0, 0, 512),
    ("chelsea.png", 0, 75, 300),
    ("coffee.png", 0, 120, 400),
    ("rocket.jpg", 0, 106, 427),
    ("camera.png", 0, 0, 512),
    ("rocket.jpg", 127, 0, 300),
    ("astronaut.png", 0, 80, 300),
    ("camera.png", 0, 150, 300),
)
DRAWINGS = ("1F9D1-200D-1F3A8", "1F416", "1F680", "1FAB4", "1F694", "E20C", "1F980", "1F6E3")
"""An artist, a pig, a rocket, a plant, a police car, a coffee house, a crab and a road."""
FIRST_SEED = 2
"""From it on eight seeds put drawings on paper; some others leave them clean."""
Column = Mapping[str, RGB | str]
"""Pictures by caption, from what is given down to the truth, and words."""


def main() -> None:
    """Draw the sheets; models that are not here are left out with a sentence, and end the run where they were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"by default {', '.join(MODELS)}")
    parser.add_argument("--out", type=Path, default=SHEETS, help="folder for NAME.webp, docs/sheets by default")
    options = parser.parse_args()
    if unknown := [name for name in options.models if name not in MODELS]:
        sys.exit(f"expected models that have a sheet ({', '.join(MODELS)}), got {', '.join(unknown)}; leave them out or add them to {Path(__file__).name}")
    for name in options.models or MODELS:
        try:
            sheet = drawn(list(MODELS[name](name)))
        except pixlate.PixlateError as error:
            if options.models:
                sys.exit(str(error))
            print(f"{name} is left out: {error}")
            continue
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"{name}.webp"
        path.write_bytes(stored(sheet))
        print(f"wrote {path}: {sheet.width}x{sheet.height}, {path.stat().st_size / 1000:.0f} KB")


def drawn(columns: Sequence[Column]) -> Image.Image:
    """Return the sheet of columns, all with the captions of the first."""
    pictures: dict[str, list[Image.Image]] = {}
    words: dict[str, list[str]] = {}
    for caption in columns[0]:
        for column in columns:
            value = column[caption]
            if isinstance(value, str):
                words.setdefault(caption, []).append(value)
            else:
                pictures.setdefault(caption, []).append(Image.fromarray(value))
    return contact_sheet(pictures, words, WIDEST, LETTERS)


def stored(sheet: Image.Image) -> bytes:
    """Return a sheet as WebP, of the best quality that is light enough for a page."""
    for quality in range(95, LEAST - 1, -5):
        stream = io.BytesIO()
        sheet.save(stream, "WEBP", quality=quality, method=6)
        if stream.tell() <= HEAVIEST:
            return stream.getvalue()
    sys.exit(f"expected a sheet of at most {HEAVIEST} bytes at WebP's quality {LEAST}, got {stream.tell()}; show smaller pictures")


def enlarging(name: str, rivals: Mapping[str, Callable[[RGB], RGB]], worsened: Callable[[RGB, np.random.Generator], RGB], scale: int) -> Iterator[Column]:
    """Yield parts of photographs that are worsened and reduced, and enlarged by rivals and model."""
    model = opened(name)
    parts = [HANDWRITING if scale == 4 and place[0] == "page.png" else place for place in PARTS]
    for number, (file, top, left, side) in enumerate(parts):
        whole = photograph(file)
        target = whole[: whole.shape[0] // scale * scale, : whole.shape[1] // scale * scale]
        source = worsened(target, np.random.default_rng(number))
        row, column, small = top // scale, left // scale, side // scale
        above, before = max(0, row - CONTEXT), max(0, column - CONTEXT)
        around = np.ascontiguousarray(source[above : row + small + CONTEXT, before : column + small + CONTEXT])
        enlarged = {caption: enlarge(around) for caption, enlarge in (*rivals.items(), (name, model))}
        yield (
            {"given": part(source, row, column, small)}
            | {caption: part(pixels, (row - above) * scale, (column - before) * scale, side) for caption, pixels in enlarged.items()}
            | {"truth": part(target, row * scale, column * scale, side)}
        )


def photo(name: str, scale: int, *rivals: str) -> Iterator[Column]:
    """Yield photographs as phones store them, enlarged."""
    models = {rival: opened(rival) for rival in rivals}
    return enlarging(name, {"bicubic": partial(bicubic, scale=scale)} | models, partial(measures.as_phones_store, scale=scale), scale)


def drawings_enlarged(name: str, scale: int) -> Iterator[Column]:
    """Yield coloured drawings reduced bicubically and stored as JPEG of quality 75, as frames of films are stored with loss, enlarged."""
    model = opened(name)
    for drawing in DRAWINGS:
        target = read(data() / "drawings" / "test" / "colour" / f"{drawing}.png")
        source = measures.jpeg(reduced(target, np.random.default_rng(0), scale), 75)
        yield {"given": source, "bicubic": bicubic(source, scale), name: model(source), "truth": target}


def upscale(name: str, scale: int) -> Iterator[Column]:
    """Yield photographs reduced bicubically, enlarged."""
    return enlarging(name, {"bicubic": partial(bicubic, scale=scale), "Lanczos": partial(lanczos, scale=scale)}, partial(reduced, scale=scale), scale)


def clean(name: str) -> Iterator[Column]:
    """Yield parts of photographs stored as JPEG of quality 10, then of others with noise of sigma 25 levels."""
    model = opened(name)
    for number, (file, top, left, side) in enumerate(PARTS):
        target = part(photograph(file), top, left, side)
        if number < len(PARTS) // 2:
            source, words = measures.jpeg(target, 10), "stored as JPEG of quality 10"
        else:
            source, words = measures.to_levels(target + np.random.default_rng(number).normal(0, 25, target.shape)), "noise of 25 levels"
        rival = {"OpenCV's\nnon-local means,\nbest strength": best_means(source, target)}
        yield {"given": source, **rival, name: model(source), "truth": target, "what was done": words}


def brighten(name: str) -> Iterator[Column]:
    """Yield photographs darkened by 2 stops, then by 4."""
    model = opened(name)
    for stops in (2, 4):
        for number, place in enumerate(ORDINARY):
            target = square(*place)
            dark = measures.darkened(target, stops, np.random.default_rng(number))
            rival = {"best gamma\n(knows the truth)": measures.best_gamma(dark, target)}
            yield {"given": dark, **rival, name: model(dark), "truth": target, "what was done": f"{stops} stops darker, with noise"}


def colour_drawing(name: str) -> Iterator[Column]:
    """Yield drawings, and photographs of them on paper."""
    from pixlate.data.paper import on_paper

    model = opened(name)
    for number, drawing in enumerate(DRAWINGS):
        source, target = (read(data() / "drawings" / "test" / kind / f"{drawing}.png") for kind in ("line", "colour"))
        paper = on_paper(source[:, :, 0], np.random.default_rng(FIRST_SEED + number))
        yield {"given: a drawing": source, name: model(source), "given:\na photograph of it": paper, f"{name} ": model(paper), "truth": target}


def sketch_to_photo(name: str) -> Iterator[Column]:
    """Yield photographs, what HED draws of them and what becomes of that."""
    from pixlate.data.edges import VALIDATION_STRENGTH, draw_edges, find_edges

    model = opened(name)
    for place in WHOLE:
        target = square(*place)
        source = np.repeat(draw_edges(find_edges(target), VALIDATION_STRENGTH)[:, :, None], 3, axis=2)
        yield {"given: lines": source, name: model(source), "the photograph\nof the lines": target}


def day_to_night(name: str) -> Iterator[Column]:
    """Yield photographs and their grade."""
    model = opened(name)
    for place in WHOLE:
        yield {"given": square(*place), name: model(square(*place))}


def night_to_day(name: str) -> Iterator[Column]:
    """Yield photographs that ``day-to-night`` has graded, and the way back."""
    model, grade = opened(name), opened("day-to-night")
    for place in WHOLE:
        target = square(*place)
        yield {"given: made by\nday-to-night": grade(target), name: model(grade(target)), "truth": target}


MODELS: dict[str, Callable[[str], Iterator[Column]]] = {
    "photo-x4": lambda name: photo(name, 4, "upscale-x4", "real-esrgan-x4"),
    "photo-x4-free": lambda name: photo(name, 4, "photo-x4", "real-esrgan-x4"),
    "photo-x2": lambda name: photo(name, 2, "upscale-x2"),
    "clean": clean,
    "brighten": brighten,
    "colour-drawing": colour_drawing,
    "upscale-x4": lambda name: upscale(name, 4),
    "upscale-x2": lambda name: upscale(name, 2),
    "sketch-to-photo": sketch_to_photo,
    "day-to-night": day_to_night,
    "night-to-day": night_to_day,
    "real-esrgan-x4": lambda name: photo(name, 4, "photo-x4"),
    "real-esrgan-anime-x4": lambda name: drawings_enlarged(name, 4),
    **{f"real-esrgan-video-x{scale}": partial(drawings_enlarged, scale=scale) for scale in (2, 3, 4)},
}
"""Ready models, and what draws the pictures of their sheets."""


@cache
def photograph(file: str) -> RGB:
    """Return a photograph of scikit-image."""
    return read(Path(skimage.__file__).parent / "data" / file)


def part(pixels: RGB, top: int, left: int, side: int) -> RGB:
    """Return a square of a picture."""
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def square(file: str, top: int, left: int, side: int) -> RGB:
    """Return a square of a photograph of scikit-image, reduced to the size of a cell."""
    found = Image.fromarray(part(photograph(file), top, left, side))
    return np.array(found.resize((CELL, CELL), Image.Resampling.LANCZOS))


def reduced(pixels: RGB, generator: np.random.Generator, scale: int) -> RGB:
    """Reduce with Pillow's BICUBIC; nothing is random."""
    image = Image.fromarray(pixels)
    return np.array(image.resize((image.width // scale, image.height // scale), Image.Resampling.BICUBIC))


def lanczos(pixels: RGB, scale: int) -> RGB:
    """Enlarge with Pillow's LANCZOS."""
    image = Image.fromarray(pixels)
    return np.array(image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS))


def best_means(source: RGB, target: RGB) -> RGB:
    """Return what OpenCV's non-local means (Buades et al. 2005) makes of a picture, at the strength whose result is nearest to the target."""
    tried = [np.asarray(cv2.fastNlMeansDenoisingColored(source, None, strength, strength), np.uint8) for strength in (3, 5, 8, 12, 18, 25)]
    return max(tried, key=lambda output: psnr(output, target))


if __name__ == "__main__":
    main()
