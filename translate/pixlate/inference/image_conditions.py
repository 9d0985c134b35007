"""The conditions of the images of a folder: those of the command, and a mask of the same name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.images.picture import Pixels
from pixlate.images.samples import to_8_bits
from pixlate.inference.conditions import Conditions, parse
from pixlate.places.walk import images_by_name
from pixlate.plugin.image_format import ImageFormat
from pixlate.plugin.spec import ModelSpec

LARGEST = 10**9
"""Most pixels that the header of a mask may declare; no mask is decoded that is larger than its image."""


@dataclass(frozen=True)
class ImageConditions:
    """Finds the conditions of each image; names are those of :func:`pixlate.places.walk.pair_name`."""

    conditions: Conditions
    masks: Mapping[str, Path] | None
    """Mask files by :func:`pixlate.places.walk.pair_name`; None where the model takes none."""
    folder: Path | None
    """The masks' folder."""
    formats: Mapping[str, ImageFormat]
    """Image formats by suffix."""

    @classmethod
    def of(cls, spec: ModelSpec, texts: Sequence[str], seed: int, folder: Path | None, formats: Mapping[str, ImageFormat]) -> "ImageConditions":
        """Check what the user gave for a model.

        Args:
            spec: Of the model.
            texts: As ``hair=blond``.
            seed: Of the noise.
            folder: Of the masks.
            formats: Image formats by suffix.

        Raises:
            PixlateError: A condition is unknown, missing or wrong, or the folder holds no images.
        """
        conditions = Conditions.of(spec, parse(texts), seed, masks=folder is not None)
        return cls(conditions, None if folder is None else images_by_name(folder, formats), folder, formats)

    def require_some(self, names: Iterable[str]) -> None:
        """Check that at least one of the images has a mask.

        Raises:
            PixlateError: None has.
        """
        wanted = [] if self.masks is None else list(names)
        if self.masks is not None and wanted and not any(name in self.masks for name in wanted):
            raise PixlateError(f"expected masks in {self.folder} with the names of the images, such as {wanted[0]}, got none of them; name another folder")

    def arrays(self, name: str, height: int, width: int) -> dict[str, NDArray[Any]]:
        """Return the conditions of one image, without a batch axis.

        Raises:
            PixlateError: Its mask is missing, cannot be read or is of another size.
        """
        return self.conditions.arrays(name, None if self.masks is None else self._mask(name, height, width))

    def _mask(self, name: str, height: int, width: int) -> Pixels:
        """Return a mask, uint8 (height, width, 1); 255 is what to fill."""
        path = (self.masks or {}).get(name)
        if path is None:
            raise PixlateError(f"expected a mask named {name} in {self.folder}, found none; add it, or take the image out")
        try:
            with ImageFile(path, max_pixels=max(LARGEST, height * width), formats=self.formats) as file:
                size, file.max_pixels = file.size, height * width
                levels = to_8_bits(file.read().pixels) if size == (width, height) else None
        except PixlateError as error:
            raise PixlateError(f"the mask {path} cannot be used: {error}") from error
        if levels is None:
            raise PixlateError(f"expected a mask of {width}x{height} as the image, got {path} of {size[0]}x{size[1]}; resize it")
        return levels if levels.shape[2] == 1 else np.rint(levels.mean(axis=2, keepdims=True)).astype(np.uint8)
