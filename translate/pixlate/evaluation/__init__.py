"""How good a picture is, in numbers."""

from pixlate.evaluation.metrics import luma, psnr_luma

__all__ = ["luma", "psnr_luma"]
