"""Pipelines of albumentations that a user saved, applied to patches."""

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixlate.data.pixels import to_unit
from pixlate.errors import PixlateError
from pixlate.images import Pixels

LARGEST_FILE = 1_000_000
"""Bytes; real pipelines have a few thousand."""
MOST_VALUES = 100_000
"""Values of a pipeline, YAML aliases expanded: a few lines of nested aliases expand to billions."""


class Transforms:
    """A pipeline written by ``albumentations.save``, applied alike to all images and masks of a sample.

    Only albumentations' own transforms are created: a file names classes, and must not choose which code runs.

    Raises:
        PixlateError: The file is missing, or is no such pipeline.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._description = _read(self.path)
        self._own = threading.local()  # a pipeline holds the state of the call it is in
        self._pipeline(("image",))

    def __call__(self, images: Sequence[Pixels], seed: int, masks: Sequence[Pixels] = ()) -> list[Pixels]:
        """Return (height, width, channels) images of one size transformed, with the same random numbers for each, and then their masks, to which only geometric transforms apply.

        Raises:
            PixlateError: The pipeline fails on them or changes their size or channels; names its file.
        """
        images = [to_unit(image) if image.dtype == np.uint16 else image for image in images]  # albumentations knows 8 bits and [0, 1]
        if len({image.dtype for image in images}) > 1:
            images = [to_unit(image) for image in images]
        names = ("image", *(f"image{index}" for index in range(1, len(images))), *(f"mask{index}" for index in range(len(masks))))
        pipeline = self._pipeline(names)
        pipeline.set_random_seed(seed)
        images = [*images, *masks]
        try:
            given = pipeline(**dict(zip(names, images, strict=True)))
        except Exception as error:
            raise PixlateError(f"{self.path}: the pipeline fails on patches of {images[0].shape} ({_short(error)}); fix the file") from error
        changed = [np.asarray(given[name]) for name in names]
        for before, after in zip(images, changed, strict=True):
            if after.shape != before.shape or after.dtype != before.dtype:
                raise PixlateError(
                    f"{self.path}: expected patches of {before.shape} and {before.dtype} to stay so, got {after.shape} and {after.dtype}; "
                    "take out what changes their size or type, which --patch and Pixlate do"
                )
        return [np.clip(image, 0, 1) if image.dtype == np.float32 else image for image in changed]

    def _pipeline(self, names: tuple[str, ...]) -> Any:
        """Return this thread's pipeline for images and masks of these names at once."""
        made: dict[tuple[str, ...], Any] = self._own.__dict__.setdefault("made", {})
        if names not in made:
            library = _albumentations()
            try:
                loaded = library.from_dict(self._description)
                more = {name: "mask" if name.startswith("mask") else "image" for name in names[1:]}
                made[names] = library.Compose([loaded], additional_targets=more)
            except Exception as error:
                raise PixlateError(
                    f"{self.path}: expected a pipeline that albumentations {library.__version__} can load ({_short(error)}); save it again"
                ) from error
        return made[names]


def _read(path: Path) -> dict[str, Any]:
    """Return what a file says, with all classes it names checked."""
    if path.suffix.lower() not in (".json", ".yaml", ".yml"):
        raise PixlateError(f"expected a .json or .yaml file for --transforms, got {path}; write one with albumentations.save")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise PixlateError(f"{path}: expected a pipeline of at most {LARGEST_FILE} bytes, got {path.stat().st_size}; save it again")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PixlateError(f"expected a readable file for --transforms, got {path} ({_short(error)}); check its path") from error
    try:
        if path.suffix.lower() == ".json":
            description = json.loads(text)
        else:
            import yaml

            description = yaml.safe_load(text)
    except Exception as error:
        raise PixlateError(f"{path}: expected {path.suffix} written by albumentations.save ({_short(error)}); save the pipeline again") from error
    if not isinstance(description, dict) or not isinstance(description.get("transform"), dict):
        raise PixlateError(f"{path}: expected a pipeline written by albumentations.save, which has a 'transform'; save it again")
    _check_classes(description["transform"], path)
    return description


def _check_classes(description: Any, path: Path) -> None:
    """Refuse classes that are not albumentations' own, and more values than a pipeline has."""
    library = _albumentations()
    serialization = library.core.serialization
    waiting, seen = [description], 0
    while waiting:
        value = waiting.pop()
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        seen += len(inner)
        if seen > MOST_VALUES:
            raise PixlateError(f"{path}: expected a pipeline of at most {MOST_VALUES} values, got more; save it again")
        waiting += inner
        if isinstance(value, dict) and "__class_fullname__" in value:
            name = value["__class_fullname__"]
            own = serialization.SERIALIZABLE_REGISTRY.get(serialization.shorten_class_name(name)) if isinstance(name, str) else None
            if own is None or own.__module__.partition(".")[0] != "albumentations":
                raise PixlateError(f"{path}: expected transforms of albumentations {library.__version__}, got {name!r}; take it out")


def _albumentations() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for its newest version otherwise
    import albumentations

    return albumentations


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
