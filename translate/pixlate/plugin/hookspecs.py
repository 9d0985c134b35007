"""The hooks a plugin may implement, each with an example.

A plugin is a module named by an entry point of the group ``pixlate``; its functions carry ``@pixlate.hookimpl``. Hooks that are plural nouns
collect values from all plugins; ``pixlate_open_model``, ``pixlate_open_place`` and ``pixlate_import_checkpoint`` are called until one plugin answers;
the ones that end in ``_finished`` are notified. Hooks run once per command, epoch or step, never per image.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pluggy import HookspecMarker

if TYPE_CHECKING:
    from cyclopts import App
    from torch import Tensor

    from pixlate.plugin.check import Check
    from pixlate.plugin.engine import Engine
    from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
    from pixlate.plugin.image_format import ImageFormat
    from pixlate.plugin.method import Method
    from pixlate.plugin.metric import Metric, Sample
    from pixlate.plugin.model_card import ModelCard
    from pixlate.plugin.place import Place
    from pixlate.plugin.runtime import Runtime
    from pixlate.plugin.translator import Translator


hookspec = HookspecMarker("pixlate")


@hookspec
def pixlate_methods() -> "Iterable[Method]":
    """Offer ways to train.

    Example::

        @pixlate.hookimpl
        def pixlate_methods():
            yield pixlate.Method(name="regression", summary="U-Net trained on L1 alone", data=pixlate.paired, options=Options, build=build)
    """


@hookspec
def pixlate_models() -> "Iterable[ModelCard]":
    """Offer ready models that the package ships.

    Example::

        @pixlate.hookimpl
        def pixlate_models():
            yield pixlate.ModelCard(name="invert", summary="Negative of a picture", path=Path(__file__).parent / "invert.model")
    """


@hookspec
def pixlate_runtimes() -> "Iterable[Runtime]":
    """Offer ways to run model files; the first that takes a file's suffix and is available opens it.

    Example::

        @pixlate.hookimpl
        def pixlate_runtimes():
            def available():
                return importlib.util.find_spec("my_library") is not None

            yield pixlate.Runtime(name="mine", suffixes=(".mine",), available=available, open=open_mine)
    """


@hookspec(firstresult=True)
def pixlate_open_model(path: Path, device: str) -> "Translator | None":
    """Open a model file that no runtime takes, or return None if it is not yours, so that the next plugin is called.

    ``device`` is ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. One named explicitly is used or refused with a PixlateError, never replaced.

    Example::

        @pixlate.hookimpl
        def pixlate_open_model(path, device):
            return Invert() if path.suffix == ".model" else None
    """


@hookspec
def pixlate_image_formats() -> "Iterable[ImageFormat]":
    """Offer kinds of image files; files with their suffixes are then found in folders, and written where the format has ``write``.

    A format replaces a built-in one of the same name or suffix.

    Example::

        @pixlate.hookimpl
        def pixlate_image_formats():
            yield pixlate.ImageFormat(name="raw", suffixes=(".raw",), read=lambda path: pixlate.Picture(rawpy.imread(str(path)).postprocess()))
    """


@hookspec
def pixlate_checks() -> "Iterable[Check]":
    """Report to ``pixlate doctor`` whether the plugin's dependencies are installed and work.

    Example::

        @pixlate.hookimpl
        def pixlate_checks():
            yield pixlate.Check("colour tables", "problem", "tables.bin is missing", remedy="pip install --force-reinstall pixlate-tables")
    """


@hookspec
def pixlate_metrics() -> "Iterable[Metric]":
    """Offer metrics; validation computes each on the held-out images and logs their means.

    Example::

        @pixlate.hookimpl
        def pixlate_metrics():
            yield pixlate.Metric(name="mae", compute=lambda output, target: abs(output.astype(float) - target).mean(), higher_is_better=False)
    """


@hookspec(firstresult=True)
def pixlate_import_checkpoint(state: "Mapping[str, Tensor]", options: "ImportOptions") -> "ForeignGenerator | None":
    """Recognise a generator of another code base by the keys and shapes of its weights, or return None if it is unknown.

    ``state`` is what the file given to ``pixlate import`` or ``--start-from`` holds, read without running any code in it.

    Example::

        @pixlate.hookimpl
        def pixlate_import_checkpoint(state, options):
            if "conv_first.weight" not in state:
                return None
            network = Network(channels=len(state["conv_first.weight"]))
            network.load_state_dict(state)
            return pixlate.ForeignGenerator("Network of the other project", network, pixlate.ModelSpec(scale=4))
    """


@hookspec
def pixlate_step_finished(run: Path, step: int, losses: Mapping[str, float]) -> None:
    """Receive the losses of each step of training, counted from 1. Steps are slower where a plugin listens on a GPU: it has to wait for the numbers.

    Example::

        @pixlate.hookimpl
        def pixlate_step_finished(run, step, losses):
            if losses["pixel"] > 1:
                print(f"step {step} of {run}: the loss is high")
    """


@hookspec
def pixlate_epoch_finished(run: Path, step: int, samples: "Sequence[Sample]") -> None:
    """Receive the held-out images after each validation, which is what ends an epoch where batches are drawn at random.

    Example::

        @pixlate.hookimpl
        def pixlate_epoch_finished(run, step, samples):
            Image.fromarray(samples[0].output).save(run / f"sample-{step}.png")
    """


@hookspec
def pixlate_commands(app: "App") -> None:
    """Add commands to ``pixlate``; import what they need inside them, so that the others start fast.

    Example::

        @pixlate.hookimpl
        def pixlate_commands(app):
            app.command("my_package.commands:histogram", name="histogram")
    """


@hookspec(firstresult=True)
def pixlate_open_place(name: str) -> "Place | None":
    """Open what a user names as a source or as the output, or return None if it is not yours, so that the next plugin is called.

    Example::

        @pixlate.hookimpl
        def pixlate_open_place(name):
            return Shelf(name.removeprefix("shelf://")) if name.startswith("shelf://") else None
    """


@hookspec
def pixlate_engines() -> "Iterable[Engine]":
    """Offer what runs a conversion. The fields of ``options`` are accepted under ``pixlate convert`` with this engine.

    Example::

        @pixlate.hookimpl
        def pixlate_engines():
            yield pixlate.Engine(name="queue", summary="workers of the queue", options=QueueOptions, run=run)
    """
