"""The usual way to translate a folder, which the others are measured against: PyTorch, eager, one image at a time, PNG written in the same thread.

Run: ``python benchmarks/usual_way.py NAME WEIGHTS SOURCE OUT DEVICE``
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from generators import make


def main() -> None:
    """Translate the folder."""
    name, weights, source, out, device = sys.argv[1], *map(Path, sys.argv[2:5]), sys.argv[5]
    network, _ = make(name)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.to(device)
    out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for path in sorted(source.iterdir()):
            pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
            image = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()).to(device)
            translated = network(image)[0].clamp(0, 1).cpu().numpy().transpose(1, 2, 0)
            Image.fromarray((translated * 255).round().astype(np.uint8)).save(out / f"{path.stem}.png")


if __name__ == "__main__":
    main()
