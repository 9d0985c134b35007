"""How good a picture is, in numbers."""

from pixlate.evaluation.metrics import luma, luma_correlation, psnr_luma, sliced_wasserstein

__all__ = ["luma", "luma_correlation", "psnr_luma", "sliced_wasserstein"]
