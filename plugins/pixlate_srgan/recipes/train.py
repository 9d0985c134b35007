"""Trains and exports the shipped models: ``make models``.

Reads the photographs below ``PIXLATE_DATA`` (``photos`` and ``urban``), writes ``runs/upscale-x2`` and ``runs/upscale-x4``, and the ONNX files
into ``plugins/pixlate_srgan/models``. The second starts from the weights of the first. A run that was stopped is continued.
"""

import os
import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).parent
DATA = "BSDS500 train and test (400 photographs), Urban100 at half size (100 photographs)"
LICENCE = "non-commercial research and education, as the training photographs"


def pixlate(*arguments: str | Path) -> None:
    """Run one command of Pixlate; leave with its exit code where it fails."""
    code = subprocess.call([sys.executable, "-m", "pixlate", *map(str, arguments)])  # noqa: S603 - our own command
    if code:
        sys.exit(code)


def main() -> None:
    """Train both models, one after the other."""
    if "PIXLATE_DATA" not in os.environ:
        sys.exit("expected PIXLATE_DATA to name the folder that holds photos/ and urban/; set it and run again")
    data = Path(os.environ["PIXLATE_DATA"])
    start: list[str | Path] = []
    for name in ("upscale-x2", "upscale-x4"):
        run = Path("runs") / name
        if (run / "checkpoints").is_dir():
            pixlate("train", "--resume", run)
        else:
            pixlate("--config", RECIPES / f"{name}.toml", "train", "srgan", data / "photos", data / "urban", "--out", run, *start)
        pixlate("export", run, RECIPES.parent / "models" / f"{name}.onnx", "--data", DATA, "--licence", LICENCE)
        start = ["--start-from", run]


if __name__ == "__main__":
    main()
