"""The usual way to translate a folder, which the others are measured against: PyTorch, eager, one image at a time, PNG written in the same thread.

``--arithmetic bfloat16`` is the same under autocast, with channels last, as PyTorch's guides advise for processors that have bfloat16. Prints the seconds of the network alone.

Run: ``python benchmarks/usual_way.py NAME WEIGHTS SOURCE OUT DEVICE [--arithmetic bfloat16]``
"""

import argparse
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from generators import network_of


def main() -> None:
    """Translate the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the network")
    parser.add_argument("weights", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("device")
    parser.add_argument("--arithmetic", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    device, halved = torch.device(options.device), options.arithmetic == "bfloat16"
    network = network_of(options.name, torch.load(options.weights, weights_only=True)).to(device)
    memory = torch.channels_last if halved else torch.contiguous_format
    network.to(memory_format=memory)
    options.out.mkdir(parents=True, exist_ok=True)
    taken = 0.0
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16) if halved else nullcontext():
        for path in sorted(options.source.iterdir()):
            pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
            image = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()).to(device)
            started = time.perf_counter()
            output = network(image.contiguous(memory_format=memory)).float().cpu()
            taken += time.perf_counter() - started
            translated = output[0].clamp(0, 1).numpy().transpose(1, 2, 0)
            Image.fromarray((translated * 255).round().astype(np.uint8)).save(options.out / f"{path.stem}.png")
    print(taken)


if __name__ == "__main__":
    main()
