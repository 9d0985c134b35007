"""``pixlate data preview METHOD FOLDER...``: a sheet of what training sees."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from pixlate.cli.methods import Command, MethodCommands, presets_help, require_folders, with_options
from pixlate.errors import PixlateError
from pixlate.options import DataOptions, TrainingOptions
from pixlate.places.paths import unwritable
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.single_file import SingleFile
from pixlate.system.extras import import_for
from pixlate.system.folder import replacing

MOST = 64
"""Samples on a sheet."""
app = App(name="preview", help="Draw a sheet of what a method sees of images in training.", help_format="plaintext")


@app.default
def refuse(*words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]) -> int:
    """Draw a sheet of what a method sees of images in training: sources above targets, as they are cropped, degraded and transformed.

    Parameters
    ----------
    words
        Words that are not a method; accepted so that they can be reported.
    """
    methods = sorted(installed().offered(Method))
    got = repr(words[0]) if words else "none"
    near = get_close_matches(words[0], methods, 1) if words else []
    advice = f"did you mean {near[0]}?" if near else "write: pixlate data preview srgan photos/"
    raise PixlateError(f"expected a method ({', '.join(methods)}), got {got}; {advice}")


def _command(method: Method, file: SingleFile | None) -> Command:
    def preview(
        folders: Annotated[tuple[Path, ...], Parameter(negative_iterable=())] = (),
        *,
        out: Path | None = None,
        samples: int = 8,
        preset: str = "",
        method_options: Any,
        data: DataOptions,
        training: TrainingOptions,
    ) -> int:
        require_folders(folders, "data preview", method)
        if not 1 <= samples <= MOST:
            raise PixlateError(f"expected --samples from 1 to {MOST}, got {samples}; 8 is usual")
        out = _next_sheet(method.name) if out is None else out
        if out.exists() or out.is_symlink():
            raise PixlateError(f"expected a new file for --out, but {out} exists; name another, or leave it out")
        if out.suffix.lower() != ".png":
            raise PixlateError(f"expected a PNG file for --out, got {out}; end its name in .png")
        if reason := unwritable(out):
            raise PixlateError(f"the sheet {out} cannot be written ({reason}); name another with --out")
        run = import_for("training", "pixlate.training.run")
        options = run.RunOptions(method, method_options, tuple(folder.resolve() for folder in folders), data, training, plugin=file, preset=preset)
        sheet = import_for("training", "pixlate.training.preview").preview(options, samples)
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as part:
            sheet.image.save(part, "PNG")
        print(f"{out}: {samples} sample{'s' if samples > 1 else ''} of {sheet.images} training images; {sheet.sizes}")
        return 0

    preview.__doc__ = f"""Draw a sheet of what {method.name} sees of images in training: sources above targets, as they are cropped, degraded and transformed.

    Every option of `pixlate train {method.name}` is accepted, so that a command line or a recipe can be looked at before it is trained.

    Parameters
    ----------
    folders
        {method.data.summary}. Searched recursively.
    out
        The PNG file to write. By default {method.name}-preview-1.png, or the next number.
    samples
        Samples on the sheet, the first ones of the run.
    preset
        {presets_help(method)}
    """
    return with_options(preview, method, shown=False, out=None, samples=8)


def _next_sheet(method: str) -> Path:
    numbers = [int(path.stem.rpartition("-")[2]) for path in Path().glob(f"{method}-preview-*.png") if path.stem.rpartition("-")[2].isdecimal()]
    return Path(f"{method}-preview-{max(numbers, default=0) + 1}.png")


commands = MethodCommands(app, "data preview", _command)
