"""Options of training data whose sources are made from their targets."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options.checks import check_least, check_most, check_used
from pixlate.options.groups import Groups
from pixlate.options.training import DataOptions

SIMPLE = ("blur_before", "blur", "darken", "noise", "jpeg")
"""Steps of the simple degradation."""
SECOND_ORDER = ("blurs", "blur_shares", "sinc_shares", "resizes", "resize_shares", "noises", "photons", "gaussian_share", "grey_noise_share", "jpegs")
"""Steps of the second-order degradation."""


@dataclass(frozen=True)
class DegradedOptions(DataOptions):
    """Photographs whose source is made by reducing them, or at scale 1 by degrading them alone."""

    patch: int = 32
    rescale: tuple[float, ...] = (1.0,)
    """Sizes at which every photograph is used, as fractions of its own; smaller copies are sharper."""
    degradation: Literal["simple", "second-order"] = "simple"
    """simple is one pass of the steps below that are set; second-order is that of Real-ESRGAN (Wang et al. 2021): two passes of random blur, resizing, noise and JPEG."""
    blur_before: float = 0.0
    """Largest standard deviation, in pixels, of a Gaussian blur before the reduction; each image draws its own."""
    blur: float = 0.0
    """Largest standard deviation, in pixels, of a Gaussian blur of the reduced source; each image draws its own."""
    darken: float = 0.0
    """Most stops by which the source has less light: halved in linear light for each; each image draws its own."""
    darken_least: float = 0.0
    """Least stops, with --darken."""
    relight: bool = False
    """Whether the source gets back the light that --darken took, so that networks learn to remove the noise alone; srgan's and distill's models then brighten each picture, by one gain measured on the whole of it, before the network sees it."""
    shot_noise: float = 0.0
    """Largest standard deviation of a sensor's noise at white, where white is 1 in linear light, with --darken; it grows with the square root of the light."""
    read_noise: float = 0.0
    """Largest standard deviation of a sensor's noise that does not depend on the light, where white is 1 in linear light, with --darken."""
    noise: float = 0.0
    """Largest standard deviation, in levels of 255, of noise on the reduced source; each image draws its own."""
    noise_share: float = 1.0
    """Share of the images that get --noise."""
    grey_noise: float = 0.0
    """Share of the images whose --noise is the same in all channels."""
    jpeg: int = 100
    """Least JPEG quality the reduced source is stored with; each image draws its own up to --jpeg-most, and 100 stores none."""
    jpeg_most: int = 100
    """Best JPEG quality, with --jpeg; a lower one shows more of strong blocks."""
    jpeg_share: float = 1.0
    """Share of the images that are stored with --jpeg."""
    degrade_validation: bool = False
    """Whether held-out images are degraded too, each always alike, instead of reduced alone; at scale 1 they always are."""
    blurs: tuple[float, float] = (3.0, 1.5)
    """Largest standard deviations, in pixels, of the first and the second blur (second-order)."""
    blur_shares: tuple[float, float] = (1.0, 0.8)
    """Shares of the images with a first and with a second blur (second-order)."""
    sinc_shares: tuple[float, float, float] = (0.1, 0.1, 0.8)
    """Shares of these blurs that are sinc filters, which ring as sharpened pictures do, and of the images with a last one (second-order)."""
    resizes: tuple[float, float, float, float] = (0.15, 1.5, 0.3, 1.2)
    """Least and largest factor of the first and of the second resizing (second-order)."""
    resize_shares: tuple[float, float, float, float, float, float] = (0.2, 0.7, 0.1, 0.3, 0.4, 0.3)
    """How often the first resizing enlarges, reduces and keeps, and the second (second-order)."""
    noises: tuple[float, float] = (30.0, 25.0)
    """Largest standard deviations, in levels of 255, of the first and the second Gaussian noise (second-order)."""
    photons: tuple[float, float] = (3.0, 2.5)
    """Largest strengths of the first and the second Poisson noise; 1 is that of 256 photons at white (second-order)."""
    gaussian_share: float = 0.5
    """Share of the noise that is Gaussian; the rest is Poisson (second-order)."""
    grey_noise_share: float = 0.4
    """Share of the noise that is the same in all channels (second-order)."""
    jpegs: tuple[int, int] = (30, 95)
    """Least and best JPEG quality (second-order)."""
    GROUPS: ClassVar[Groups] = {
        "Degradation": (
            "degradation",
            "blur_before",
            "blur",
            "darken",
            "darken_least",
            "relight",
            "shot_noise",
            "read_noise",
            "noise",
            "noise_share",
            "grey_noise",
            "jpeg",
            "jpeg_most",
            "jpeg_share",
            "degrade_validation",
        ),
        "Second-order degradation": SECOND_ORDER,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, blur_before=0, blur=0, noise=0, jpeg=1, jpeg_most=1, darken=0, darken_least=0, shot_noise=0, read_noise=0)
        check_most(self, blur_before=64, blur=64, noise=255, jpeg=100, jpeg_most=100, darken=16, shot_noise=1, read_noise=1)
        shares = ("gaussian_share", "grey_noise_share", "grey_noise", "noise_share", "jpeg_share")
        check_least(self, **dict.fromkeys(shares, 0))
        check_most(self, **dict.fromkeys(shares, 1))
        if not self.rescale or not all(0 < factor <= 1 for factor in self.rescale):
            raise PixlateError(f"expected --rescale of fractions above 0 and up to 1, got {self.rescale}; 1.0 is the photograph's own size")
        second = self.degradation == "second-order"
        check_used(self, not second, "--degradation simple", *SIMPLE)
        check_used(self, second, "--degradation second-order", *SECOND_ORDER)
        check_used(self, self.noise > 0, "--noise above 0", "noise_share", "grey_noise")
        check_used(self, self.jpeg < 100, "--jpeg below 100", "jpeg_most", "jpeg_share")
        check_used(self, self.darken > 0, "--darken above 0", "darken_least", "relight", "shot_noise", "read_noise")
        degraded = second or any(getattr(self, name) != getattr(DegradedOptions, name) for name in SIMPLE)
        check_used(self, degraded, "a degradation, such as --noise 25,", "degrade_validation")
        if self.darken_least > self.darken:
            raise PixlateError(f"expected --darken-least of at most --darken, {self.darken}, got {self.darken_least}; lower it")
        if self.jpeg_most < self.jpeg:
            raise PixlateError(f"expected --jpeg-most of at least --jpeg, {self.jpeg}, got {self.jpeg_most}; raise it")
        self._check_second_order()

    def _check_second_order(self) -> None:
        bounds = {"blurs": (0.2, 16), "blur_shares": (0, 1), "sinc_shares": (0, 1), "resizes": (0.05, 4), "resize_shares": (0, 1), "noises": (1, 255)}
        for name, (least, most) in (bounds | {"photons": (0.05, 64), "jpegs": (1, 100)}).items():
            if not all(least <= value <= most for value in getattr(self, name)):
                raise PixlateError(f"expected --{name.replace('_', '-')} of numbers from {least} to {most}, got {getattr(self, name)}; change them")
        for name, pairs in (("resizes", (self.resizes[:2], self.resizes[2:])), ("jpegs", (self.jpegs,))):
            if any(least > most for least, most in pairs):
                raise PixlateError(f"expected --{name} with each least value before its largest, got {getattr(self, name)}; change their order")
        if not sum(self.resize_shares[:3]) or not sum(self.resize_shares[3:]):
            raise PixlateError(f"expected --resize-shares above 0 for each of both resizings, got {self.resize_shares}; 0 0 1 keeps the size")
