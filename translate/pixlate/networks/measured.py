"""What networks measure on whole images."""

from torch import nn


class Measured(nn.Module):
    """Base of modules that look at all of an image, and that nothing is trained of: (batch, channels, height, width) in, (batch, numbers) out.

    ``pixlate export`` names their outputs in the ONNX file, so that the tiles of a large image share what a reduced copy of the whole gives. Their values must
    be nearly the same for a copy of another size.
    """
