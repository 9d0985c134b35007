"""The hooks a plugin may implement, each with an example.

A plugin is a module named by an entry point of the group ``pixlate``; its functions carry ``@pixlate.hookimpl``. Hooks that are plural nouns
collect values from all plugins; ``pixlate_open_model`` and ``pixlate_import_checkpoint`` ask until one plugin answers; the ones that end in
``_finished`` only tell. Hooks run once a command, epoch or step, never once an image.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pluggy import HookspecMarker

from pixlate.contracts import Check, ImageFormat, ModelCard, Translator
from pixlate.method import Method

if TYPE_CHECKING:
    from cyclopts import App

hookspec = HookspecMarker("pixlate")


@hookspec
def pixlate_methods() -> Iterable[Method]:
    """Offer ways to train.

    Example::

        @pixlate.hookimpl
        def pixlate_methods():
            yield pixlate.Method(name="regression", summary="U-Net trained on L1 alone", pairing="paired", options=Options, build=build)
    """
    raise NotImplementedError


@hookspec
def pixlate_models() -> Iterable[ModelCard]:
    """Offer ready models that the package ships.

    Example::

        @pixlate.hookimpl
        def pixlate_models():
            yield pixlate.ModelCard(name="invert", summary="Negative of a picture", path=Path(__file__).parent / "invert.model")
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def pixlate_open_model(path: Path, device: str) -> Translator | None:
    """Open a model file, or return None where it is none of yours, so that the next plugin is asked.

    ``device`` is ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. One asked for by name is used or refused with a PixlateError, never replaced.

    Example::

        @pixlate.hookimpl
        def pixlate_open_model(path, device):
            return Invert() if path.suffix == ".model" else None
    """
    raise NotImplementedError


@hookspec
def pixlate_image_formats() -> Iterable[ImageFormat]:
    """Offer kinds of image files that Pillow cannot read; files with their suffixes are then found in folders.

    Example::

        @pixlate.hookimpl
        def pixlate_image_formats():
            yield pixlate.ImageFormat(name="npy", suffixes=(".npy",), read=lambda path: pixlate.Picture(numpy.load(path)))
    """
    raise NotImplementedError


@hookspec
def pixlate_checks() -> Iterable[Check]:
    """Tell ``pixlate doctor`` whether what the plugin needs is there and works.

    Example::

        @pixlate.hookimpl
        def pixlate_checks():
            yield pixlate.Check("colour tables", "problem", "tables.bin is missing", remedy="pip install --force-reinstall pixlate-tables")
    """
    raise NotImplementedError


@hookspec
def pixlate_commands(app: "App") -> None:
    """Add commands to ``pixlate``; import what they need inside them, so that the others start fast.

    Example::

        @pixlate.hookimpl
        def pixlate_commands(app):
            app.command("my_package.commands:histogram", name="histogram")
    """
    raise NotImplementedError
