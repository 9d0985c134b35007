"""Shrinks photographs of scikit-image by 4, enlarges them with ``upscale-x4``, and draws a before/after sheet.

``make demo`` runs it; everything it writes is in ``demo/``. With ``--picture FILE`` it draws a sheet of the README instead, and with
``--model NAME`` that of another model.
"""

import argparse
import shutil
import sys
from pathlib import Path

import skimage
from PIL import Image

import pixlate

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


def main() -> int:
    """Run the demonstration; return the exit code of the conversion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, help="where to write the sheet")
    parser.add_argument("--model", default="upscale-x4", help="a ready model")
    chosen = parser.parse_args()
    shrunk = 4 if chosen.model.startswith("upscale") else 2
    folder = Path(__file__).parent.parent / "demo"
    sheet = chosen.picture or folder / "before-after.png"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "photos").mkdir(parents=True)
    for name in PHOTOGRAPHS:
        with Image.open(Path(skimage.__file__).parent / "data" / name) as photograph:
            width, height = photograph.size
            photograph.convert("RGB").resize((width // shrunk, height // shrunk), Image.Resampling.BICUBIC).save(folder / "photos" / name, quality=95)
    summary = pixlate.convert(folder / "photos", folder / "out", model=chosen.model, options=pixlate.ConvertOptions(sheet=sheet))
    print(
        f"{summary.converted} photographs of {folder / 'photos'} through {chosen.model} into {folder / 'out'}, at {summary.converted / summary.seconds:.1f} images/s"
    )
    print(f"before and after, side by side: {sheet}")
    command = Path(sys.executable).parent / "pixlate"
    shown = command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command
    print(f"next, with pictures of your own: {shown} convert PICTURES/ out/ --model {chosen.model}")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main())
