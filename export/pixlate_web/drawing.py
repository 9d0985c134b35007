"""What a drawing model makes of what is on the canvas: the model stays loaded, so that an answer takes little more than the model itself."""

from threading import Lock

from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.write import encode_picture
from pixlate.inference.executor import Executor
from pixlate.inference.models import load_for_pictures
from pixlate.inference.pictures import from_model, to_model, with_origin
from pixlate.inference.ready import cards, identified
from pixlate.inference.strength import system_used
from pixlate_web.options import WebOptions

MOST_BYTES = 20_000_000
"""Of a drawing that is sent."""
MOST_PIXELS = 4_000_000
"""Of a drawing, beyond any canvas of the page."""


def drawing_models() -> list[str]:
    """Return the names of the ready models that make pictures of line drawings, demonstrations last."""
    return [name for name, card in sorted(cards().items(), key=lambda item: (item[1].demonstration, item[0])) if card.drawings]


class Painter:
    """Runs drawing models, each loaded at its first use."""

    def __init__(self, options: WebOptions) -> None:
        self._options, self._lock = options, Lock()
        self._executors: dict[str, Executor] = {}

    def paint(self, drawing: bytes, model: str) -> bytes:
        """Return the PNG file of what a model makes of a drawing: the same as of `pixlate convert`.

        Raises:
            PixlateError: No such drawing model, or no picture.
        """
        if model not in drawing_models():
            raise PixlateError(f"expected a drawing model ({', '.join(drawing_models()) or 'none is installed'}), got {model!r}; choose one of the page's")
        with ImageFile(drawing, max_pixels=MOST_PIXELS) as file, self._lock:  # one after the other: two would take twice as long each
            executor = self._executor(model)
            source = file.read(executor.spec.channels_in)
            (pixels,) = executor.translate([to_model(source, executor.spec)])
            picture = with_origin(from_model(pixels, source, executor.spec), executor.spec, 1.0, system_used(identified(model), None, None))
        return encode_picture(picture, "png")[0]

    def _executor(self, model: str) -> Executor:
        if model not in self._executors:
            translator = load_for_pictures(model, self._options.device, runtime=self._options.runtime, arithmetic=self._options.arithmetic)
            self._executors[model] = Executor(translator, "auto", "auto", "auto")
        return self._executors[model]
