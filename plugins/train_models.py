"""Trains and exports the shipped models: ``make models``, or ``make models MODELS="day-to-night ..."`` for some of them.

Reads the images below ``PIXLATE_DATA``, writes a run folder a recipe below ``runs/``, and the ONNX files into the plugins' ``models`` folders. A run
that was stopped is continued. Needs hours on two cores.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PLUGINS = Path(__file__).parent
RUNS = Path("runs")
PHOTOGRAPHS = "BSDS500 train (200 photographs)"
MORE_PHOTOGRAPHS = "BSDS500 train and test (400 photographs), Urban100 at half size (100 photographs)"
DRAWINGS = f"{PHOTOGRAPHS} with human contours and line drawings"
DAYS_AND_NIGHTS = f"{PHOTOGRAPHS} and 200 other photographs graded as night, unpaired"
LICENCE = "non-commercial research and education, as the training photographs"


@dataclass(frozen=True)
class Recipe:
    """One run, and the models that are made from it."""

    name: str
    """Of the file ``recipes/NAME.toml`` and of the run folder."""
    method: str
    folders: Callable[[Path], list[Path]]
    """From ``PIXLATE_DATA`` to the folders of images; may prepare them."""
    data: str
    """What the model files say they were trained on."""
    models: dict[str, str] = field(default_factory=dict)
    """Names of the models by generator; a recipe without any only starts another."""
    start: str = ""
    """Recipe whose weights are started from."""
    step: int = 0
    """The checkpoint that is exported; 0 is the last."""

    @property
    def home(self) -> Path:
        """The plugin's package."""
        return PLUGINS / f"pixlate_{self.method}"


def reduced(data: Path) -> list[Path]:
    """Return photographs to be reduced."""
    return [data / "photos", data / "urban"]


def pairs(data: Path) -> list[Path]:
    """Return contours and photographs, laid out upright first."""
    out = RUNS / "sketch-to-photo-pairs"
    if not out.is_dir():
        run(PLUGINS / "pixlate_pix2pix/recipes/pairs.py", data, out)
    return [out / "source", out / "target"]


def days_and_nights(data: Path) -> list[Path]:
    """Return photographs of the day and of the night."""
    return [data / "photos/train", data / "night"]


RECIPES = (
    Recipe("upscale-x2", "srgan", reduced, MORE_PHOTOGRAPHS),
    Recipe("upscale-x2-clean", "srgan", reduced, MORE_PHOTOGRAPHS, {"source_to_target": "upscale-x2"}, start="upscale-x2"),
    Recipe("upscale-x4", "srgan", reduced, MORE_PHOTOGRAPHS, {"source_to_target": "upscale-x4"}, start="upscale-x2"),
    Recipe("sketch-to-photo-first", "pix2pix", pairs, DRAWINGS),
    Recipe("sketch-to-photo", "pix2pix", pairs, DRAWINGS, {"source_to_target": "sketch-to-photo"}, start="sketch-to-photo-first", step=3250),
    Recipe("day-to-night-first", "cyclegan", days_and_nights, DAYS_AND_NIGHTS),
    Recipe(
        "day-to-night",
        "cyclegan",
        days_and_nights,
        DAYS_AND_NIGHTS,
        {"source_to_target": "day-to-night", "target_to_source": "night-to-day"},
        start="day-to-night-first",
    ),
)


def main() -> None:
    """Train the recipes that make the models asked for; all without arguments."""
    if "PIXLATE_DATA" not in os.environ:
        sys.exit("expected PIXLATE_DATA to name the folder that holds photos/, night/, sketches/ and urban/; set it and run again")
    data = Path(os.environ["PIXLATE_DATA"])
    asked = set(sys.argv[1:])
    known = {model for recipe in RECIPES for model in recipe.models.values()}
    if asked - known:
        sys.exit(f"expected models of {', '.join(sorted(known))}, got {', '.join(sorted(asked - known))}; choose among these")
    wanted = {recipe.name for recipe in RECIPES if not asked or asked & set(recipe.models.values())}
    for recipe in reversed(RECIPES):
        if recipe.name in wanted and recipe.start:
            wanted.add(recipe.start)
    for recipe in RECIPES:
        if recipe.name in wanted:
            make(recipe, data)


def make(recipe: Recipe, data: Path) -> None:
    """Train one recipe, or go on with it, and export its models."""
    folder = RUNS / recipe.name
    if (folder / "checkpoints").is_dir():
        pixlate("train", "--resume", folder)
    else:
        start: list[str | Path] = ["--start-from", RUNS / recipe.start] if recipe.start else []
        options = recipe.home / "recipes" / f"{recipe.name}.toml"
        pixlate("--config", options, "train", recipe.method, *recipe.folders(data), "--out", folder, *start)
    for generator, model in recipe.models.items():
        path = recipe.home / "models" / f"{model}.onnx"
        half = ["--half-weights"] if recipe.method == "pix2pix" else []
        chosen = folder / "checkpoints" / f"step-{recipe.step:08}" if recipe.step else folder
        pixlate("export", chosen, path, "--generator", generator, "--data", recipe.data, "--licence", LICENCE, "--io", "float", *half)


def pixlate(*arguments: str | Path) -> None:
    """Run one command of Pixlate."""
    run("-m", "pixlate", *arguments)


def run(*arguments: str | Path) -> None:
    """Run Python; leave with its exit code where it fails."""
    code = subprocess.call([sys.executable, *map(str, arguments)])  # noqa: S603 - our own commands
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
