"""Writes every third photograph of a folder in grey: ``python grey.py PHOTOGRAPHS OUT``. ``clean`` learns from them that grey pictures have no colour noise."""

import sys
from pathlib import Path

from PIL import Image


def main() -> None:
    """Write the photographs as RGB of three equal channels."""
    source, target = map(Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir())[::3]:
        with Image.open(path) as photograph:
            photograph.convert("L").convert("RGB").save(target / f"{path.stem}.png")


if __name__ == "__main__":
    main()
