"""Lays out the pairs that ``sketch-to-photo`` is trained on: contours as sources, photographs as targets, all upright.

The portraits among BSDS500's training photographs lie on their left side, while their contours stand.

Run: ``python pairs.py DATA OUT``, where DATA holds ``sketches/train`` and ``photos/train``; writes ``OUT/source`` and ``OUT/target``.
"""

import shutil
import sys
from pathlib import Path

from PIL import Image


def main() -> None:
    """Write all pairs."""
    data, out = (Path(argument) for argument in sys.argv[1:])
    for name in ("source", "target"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for path in sorted((data / "photos/train").glob("*.jpg")):
        sketch = data / "sketches/train" / f"{path.stem}.png"
        shutil.copyfile(sketch, out / "source" / sketch.name)
        with Image.open(sketch) as contours, Image.open(path) as photograph:
            if photograph.size == contours.size:
                shutil.copyfile(path, out / "target" / path.name)
            else:
                photograph.transpose(Image.Transpose.ROTATE_90).save(out / "target" / f"{path.stem}.png")


if __name__ == "__main__":
    main()
