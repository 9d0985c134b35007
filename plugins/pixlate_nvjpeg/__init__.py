"""Decodes and encodes JPEG on an NVIDIA GPU with torchvision (extra ``[train]``), where ``pixlate convert`` runs its model on one."""

from importlib.util import find_spec

import pixlate
from pixlate.contracts import JpegCodec


@pixlate.hookimpl(trylast=True)
def pixlate_jpeg_codec(device: str) -> JpegCodec | None:
    """Offer torchvision's, where it is installed; PyTorch comes in only here."""
    if not device.startswith("cuda") or find_spec("torch") is None or find_spec("torchvision") is None:
        return None
    try:
        from pixlate_nvjpeg.codec import open_codec
    except Exception as error:
        reason = f"torch and torchvision do not load ({type(error).__name__}: {error}); run: pip install --force-reinstall torch torchvision"
        raise pixlate.PixlateError(reason) from error
    return open_codec(device)
