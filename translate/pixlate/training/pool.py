"""A pool of past images, which keeps a discriminator from following only the generator's latest habits."""

from collections.abc import Mapping

import torch
from torch import Tensor


class ImagePool:
    """Hands a discriminator past images of the generators about half of the time (Shrivastava et al. 2017, section 2.3; CycleGAN: 50 images).

    Each entry has a pool of its own. While it is not full, an image is stored and returned; then, with probability 1/2 each, either the image
    is returned, or a random stored one is returned and replaced by it. Every image takes two draws of PyTorch's default generator on the CPU,
    whichever way it goes, so with that generator seeded and the state restored a resumed run is bit-equal. A size of 0 returns all images as they come.
    """

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"expected a size of at least 0, got {size}; 50 is usual")
        self.size = size
        self._stored: dict[str, list[Tensor]] = {}

    def query(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return images (batch, channels, height, width) for the discriminators in place of the ones just made: same names and shapes, detached.

        Images of another shape than the stored ones, as when a run grows its resolution, empty the pool of that entry first.
        """
        return {name: self._exchanged(name, batch.detach()) for name, batch in images.items()}

    def state(self) -> dict[str, Tensor]:
        """Return the stored images by name, (stored, channels, height, width)."""
        return {name: torch.stack(stored) for name, stored in self._stored.items() if stored}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state; images beyond the size of this pool are dropped. They follow the next images to their device and type."""
        self._stored = {name: list(images[: self.size].clone()) for name, images in state.items() if self.size and len(images)}

    def _exchanged(self, name: str, batch: Tensor) -> Tensor:
        if not self.size:
            return batch
        stored = self._stored.get(name, [])
        if stored and stored[0].shape != batch.shape[1:]:
            stored = []
        self._stored[name] = stored = [image.to(batch) for image in stored]
        result = batch.clone()
        for index, image in enumerate(batch):
            coin, place = torch.rand(2).tolist()
            if len(stored) < self.size:
                stored.append(image.clone())
            elif coin < 0.5:
                chosen = int(place * self.size)
                result[index] = stored[chosen]
                stored[chosen] = image.clone()
        return result
