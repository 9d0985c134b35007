"""Writes a model whose weights are between those of two others: ``python interpolate.py MODEL OTHER STRENGTH OUT``.

Strength 1 is MODEL, 0 is OTHER (network interpolation, Wang et al. 2018, section 3.4). ``photo-x4`` is a quarter of the way from pixel loss to features and adversary: at the
whole way a grid of 4 pixels shows in flat areas.
"""

import sys
from pathlib import Path

from pixlate_onnx.interpolation import interpolated


def main() -> None:
    """Write the file."""
    model, other, strength, out = sys.argv[1:]
    Path(out).write_bytes(interpolated(Path(model), Path(other), float(strength)))


if __name__ == "__main__":
    main()
