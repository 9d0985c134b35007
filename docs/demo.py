"""Shrinks photographs of scikit-image by 4, enlarges them with ``upscale-x4``, and draws a before/after sheet.

``make demo`` runs it; everything it writes lies in ``demo/``. With ``--picture FILE`` it draws the sheet of the README instead.
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
    folder = Path(__file__).parent.parent / "demo"
    sheet = parser.parse_args().picture or folder / "before-after.png"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "photos").mkdir(parents=True)
    for name in PHOTOGRAPHS:
        with Image.open(Path(skimage.__file__).parent / "data" / name) as photograph:
            width, height = photograph.size
            photograph.convert("RGB").resize((width // 4, height // 4), Image.Resampling.BICUBIC).save(folder / "photos" / name, quality=95)
    summary = pixlate.convert(folder / "photos", folder / "out", model="upscale-x4", options=pixlate.ConvertOptions(sheet=sheet))
    print(
        f"{summary.converted} photographs of {folder / 'photos'} enlarged 4 times into {folder / 'out'}, at {summary.converted / summary.seconds:.1f} images/s"
    )
    print(f"before and after, side by side: {sheet}")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main())
