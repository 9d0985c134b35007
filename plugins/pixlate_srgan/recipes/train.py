"""Trains and exports the shipped models: ``make models``.

Reads the photographs below ``PIXLATE_DATA`` (``photos`` and ``urban``), writes a run folder a recipe below ``runs/``, and the ONNX files into
``plugins/pixlate_srgan/models``. Each recipe starts from the weights of the one before. A run that was stopped is continued.
"""

import os
import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).parent
CHAIN = ("upscale-x2", "upscale-x2-clean", "upscale-x4")
STARTS = {"upscale-x2-clean": "upscale-x2", "upscale-x4": "upscale-x2"}
SHIPPED = {"upscale-x2-clean": "upscale-x2", "upscale-x4": "upscale-x4"}
DATA = "BSDS500 train and test (400 photographs), Urban100 at half size (100 photographs)"
LICENCE = "non-commercial research and education, as the training photographs"


def pixlate(*arguments: str | Path) -> None:
    """Run one command of Pixlate; leave with its exit code where it fails."""
    code = subprocess.call([sys.executable, "-m", "pixlate", *map(str, arguments)])  # noqa: S603 - our own command
    if code:
        sys.exit(code)


def main() -> None:
    """Train all recipes, one after the other."""
    if "PIXLATE_DATA" not in os.environ:
        sys.exit("expected PIXLATE_DATA to name the folder that holds photos/ and urban/; set it and run again")
    data = Path(os.environ["PIXLATE_DATA"])
    for name in CHAIN:
        run = Path("runs") / name
        if (run / "checkpoints").is_dir():
            pixlate("train", "--resume", run)
        else:
            start: list[str | Path] = ["--start-from", Path("runs") / STARTS[name]] if name in STARTS else []
            pixlate("--config", RECIPES / f"{name}.toml", "train", "srgan", data / "photos", data / "urban", "--out", run, *start)
        if name in SHIPPED:
            pixlate("export", run, RECIPES.parent / "models" / f"{SHIPPED[name]}.onnx", "--data", DATA, "--licence", LICENCE)


if __name__ == "__main__":
    main()
