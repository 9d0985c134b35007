"""Metrics of an output and its target through torchmetrics."""

from collections.abc import Callable
from functools import partial

import torch
import torchmetrics
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights, alexnet

from pixlate.errors import PixlateError
from pixlate.evaluation.meters import Compute
from pixlate.evaluation.weights import hub_file, read_weights
from pixlate.images import Pixels

EDGE = 5
"""Pixels on each side where SSIM's window of 11 leaves the image."""
STRIP = 64
"""Rows that SSIM is computed on at once: in 64 bits PyTorch's convolution takes 15 kB a pixel on the CPU."""
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of MS-SSIM's scales, from the finest."""


def make(name: str, device: str) -> tuple[Compute, str]:
    """Return the function of ``psnr``, ``ssim``, ``ms-ssim`` or ``lpips``, which needs its weights, and what it is called in the report."""
    version = f"torchmetrics {torchmetrics.__version__}"
    if name == "psnr":
        return partial(psnr, device=device), f"{version}, RGB, range 255"
    if name == "ssim":
        return partial(ssim, device=device), f"{version}, RGB, Gaussian window 11, sigma 1.5, whole windows only, float64"
    if name == "ms-ssim":
        return partial(ms_ssim, device=device), f"{version}, RGB, Gaussian window 11, sigma 1.5, whole windows only, 5 scales, float64"
    lpips = Lpips(device)
    return lpips, f"{version}, AlexNet {lpips.digest}, linear weights 0.1"


def psnr(output: Pixels, target: Pixels, device: str = "cpu") -> float:
    """Return the peak signal-to-noise ratio of two RGB images in dB; infinity for equal ones."""
    return peak_signal_noise_ratio(_planes(output, device), _planes(target, device), data_range=255.0).item()


def ssim(output: Pixels, target: Pixels, device: str = "cpu") -> float:
    """Return the structural similarity of two RGB images (Wang et al. 2004), the mean over the channels, at most 1.

    As in the paper's code and in scikit-image, only windows that lie wholly inside count. In 64 bits: with 32, the variance of a bright
    even area drowns in rounding, and the figure is off by 0.001 there.
    """
    return _strip_by_strip(_similarity, _planes(output, device).double(), _planes(target, device).double())


def ms_ssim(output: Pixels, target: Pixels, device: str = "cpu") -> float:
    """Return the multi-scale structural similarity of two RGB images (Wang et al. 2003), 0 to 1.

    The terms of each scale are means over the channels and over the windows that lie wholly inside; negative ones count as 0.
    """
    first, second = _planes(output, device).double(), _planes(target, device).double()
    product = 1.0
    for scale, exponent in enumerate(EXPONENTS):
        last = scale == len(EXPONENTS) - 1
        product *= max(0.0, _strip_by_strip(_similarity if last else _structure, first, second)) ** exponent
        first, second = avg_pool2d(first, 2), avg_pool2d(second, 2)
    return product


def _strip_by_strip(mean: Callable[[Tensor, Tensor], float], first: Tensor, second: Tensor) -> float:
    """Return the mean over all windows of two images (1, channels, height, width) of at least a window, unfolding only a few rows at a time."""
    if min(first.shape[2:]) <= 2 * EDGE:
        raise ValueError(f"expected images of more than {2 * EDGE} pixels on each side at every scale, got {tuple(first.shape)}; take larger ones")
    total = 0.0
    rows = first.shape[2] - 2 * EDGE
    for top in range(0, rows, STRIP):
        strips = [image[:, :, top : top + STRIP + 2 * EDGE] for image in (first, second)]
        total += mean(strips[0], strips[1]) * (strips[0].shape[2] - 2 * EDGE)
    return total / rows


def _similarity(first: Tensor, second: Tensor) -> float:
    """Return the mean of luminance, contrast and structure together."""
    whole = structural_similarity_index_measure(first, second, data_range=255.0, return_full_image=True)[1]
    return float(whole[..., EDGE:-EDGE, EDGE:-EDGE].mean())


def _structure(first: Tensor, second: Tensor) -> float:
    """Return the mean of contrast and structure."""
    return float(structural_similarity_index_measure(first, second, data_range=255.0, return_contrast_sensitivity=True)[1])


class Lpips:
    """Learned perceptual image patch similarity with AlexNet (Zhang et al. 2018): 0 for equal images.

    torchmetrics contains the linear layers; it loads AlexNet from the folder of ``torch.hub``. The file is checked here first: it would
    be downloaded if it were missing, and unpickled whatever it holds.

    Raises:
        PixlateError: The file is missing or holds something else.
    """

    def __init__(self, device: str) -> None:
        url = AlexNet_Weights.DEFAULT.url
        path = hub_file(url)
        state, self.digest = read_weights(path, "lpips", "AlexNet", url)
        with torch.device("meta"):
            expected = {name: tensor.shape for name, tensor in alexnet(weights=None).state_dict().items()}
        if {name: tensor.shape for name, tensor in state.items()} != expected:
            raise PixlateError(f"expected the weights of AlexNet in {path}, got those of another network; download {url} again")
        self.device = device
        self.metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).to(device)

    def __call__(self, output: Pixels, target: Pixels) -> float:
        """Return the distance of two RGB images."""
        self.metric.reset()
        self.metric.update(_planes(output, self.device) / 255, _planes(target, self.device) / 255)
        return float(self.metric.compute())


def _planes(image: Pixels, device: str) -> Tensor:
    """Return (1, channels, height, width) in [0, 255], float32."""
    return torch.tensor(image, device=device).permute(2, 0, 1)[None].float()
