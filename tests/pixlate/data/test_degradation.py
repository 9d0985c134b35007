"""What photographs lose: each step against an independent computation."""

import re
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pixlate import PixlateError
from pixlate.data.degradation import Degradation, darkened, from_linear, reduced, stored, to_linear, with_photons
from pixlate.options import DegradedOptions

PHOTOGRAPH: NDArray[np.uint8] = skimage.data.astronaut()[:128, 128:256]  # type: ignore[no-untyped-call]
GREY = np.full((64, 64, 3), 128, np.uint8)


def made(target: NDArray[np.uint8], scale: int = 1, seed: int = 0, **options: Any) -> NDArray[np.uint8]:
    return Degradation(DegradedOptions(**options), scale)(target, np.random.default_rng(seed))


def test_reduction_is_pillows_bicubic() -> None:
    assert np.array_equal(made(PHOTOGRAPH, 4), np.array(Image.fromarray(PHOTOGRAPH).resize((32, 32), Image.Resampling.BICUBIC)))


def test_blur_of_a_point_is_a_gaussian_of_a_strength_of_its_own() -> None:
    point = np.zeros((41, 41, 3), np.uint8)
    point[18:23, 18:23] = 255  # 5 pixels wide: a variance of 2 along each axis
    places = np.arange(41) - 20.0
    deviations = []
    for seed in range(200):
        row = made(point, seed=seed, blur=2.0)[:, :, 0].sum(axis=0).astype(float)
        deviations.append(max(0.0, (row * places**2).sum() / row.sum() - 2.0) ** 0.5)
    assert min(deviations) < 0.3 and 1.8 < max(deviations) < 2.05
    assert np.mean(deviations) == pytest.approx(1.0, abs=0.12), "drawn evenly from 0 to 2"


def test_noise_has_up_to_the_standard_deviation_asked_for() -> None:
    deviations = [made(GREY, seed=seed, noise=25.0).std() for seed in range(200)]
    assert min(deviations) < 1 and 24 < max(deviations) < 26 and np.mean(deviations) == pytest.approx(12.5, abs=1.5)


def test_grey_noise_is_the_same_in_all_channels() -> None:
    assert np.ptp(made(GREY, noise=30.0, grey_noise=1.0).astype(int), axis=2).max() == 0
    assert np.ptp(made(GREY, noise=30.0).astype(int), axis=2).max() > 0


def test_shares_leave_the_other_images_alone() -> None:
    untouched = [np.array_equal(made(PHOTOGRAPH, seed=seed, noise=30.0, noise_share=0.3), PHOTOGRAPH) for seed in range(200)]
    assert np.mean(untouched) == pytest.approx(0.7, abs=0.1)
    stored_some = [np.array_equal(made(PHOTOGRAPH, seed=seed, jpeg=20, jpeg_share=0.5), PHOTOGRAPH) for seed in range(200)]
    assert np.mean(stored_some) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_jpeg_is_what_pillow_stores_at_the_same_quality(quality: int) -> None:
    stream = BytesIO()
    Image.fromarray(PHOTOGRAPH).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    theirs = np.array(Image.open(stream)).astype(int)
    assert np.abs(stored(PHOTOGRAPH, quality).astype(int) - theirs).mean() < 0.5


def test_blocks_of_jpeg_begin_where_the_corner_says() -> None:
    ours = stored(PHOTOGRAPH[3:, 5:], 10, (3, 5))
    assert np.array_equal(ours[32 - 3 :, 32 - 5 :], stored(PHOTOGRAPH, 10)[32:, 32:]), "away from what is repeated beyond the border"


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1, width=32))
def test_linear_light_and_back_is_the_same_value(value: float) -> None:
    image = np.full((1, 1, 3), value, np.float32)
    assert np.abs(from_linear(to_linear(image)) - image).max() < 1e-5


def test_linear_light_is_that_of_srgb() -> None:
    """Mid-grey of 128 levels has 21.586 % of white's light (IEC 61966-2-1)."""
    assert to_linear(np.full((1, 1, 1), 128 / 255, np.float32))[0, 0, 0] == pytest.approx(0.21586, abs=1e-5)


def test_a_stop_halves_the_light() -> None:
    image = np.full((4, 4, 3), 200 / 255, np.float32)
    darker = darkened(image, 2.0, 0.0, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(to_linear(darker), to_linear(image) / 4, rtol=1e-4)


def test_darkness_is_drawn_between_its_least_and_most() -> None:
    light = [float(to_linear((made(GREY, seed=seed, darken=4.0, darken_least=1.0)[:1, :1] / 255).astype(np.float32))[0, 0, 0]) for seed in range(100)]
    stops = np.log2(0.21586 / np.array(light))
    assert 0.9 < stops.min() < 1.2 and 3.8 < stops.max() < 4.2


def test_light_that_was_taken_is_given_back_with_the_noise() -> None:
    relit = made(PHOTOGRAPH, darken=3.0, darken_least=3.0, relight=True).astype(int)
    assert np.abs(relit - PHOTOGRAPH).mean() < 2, "what 8 bits of the dark picture cannot tell"
    noisy = [made(GREY, seed=seed, darken=3.0, darken_least=3.0, relight=True, read_noise=0.01) for seed in range(20)]
    assert np.mean(noisy) == pytest.approx(128, abs=4) and max(image.std() for image in noisy) > 15


def test_shot_noise_grows_with_the_root_of_the_light_and_read_noise_does_not() -> None:
    def deviation(level: float, shot: float, read: float) -> float:
        image = np.full((100, 100, 3), level, np.float32)
        return float(to_linear(darkened(image, 0.0, shot, read, np.random.default_rng(0))).std())

    light = [float(to_linear(np.full((1, 1, 1), level, np.float32)).item()) for level in (0.4, 0.8)]
    assert deviation(0.8, 0.02, 0.0) / deviation(0.4, 0.02, 0.0) == pytest.approx((light[1] / light[0]) ** 0.5, rel=0.03)
    assert deviation(0.8, 0.0, 0.02) / deviation(0.4, 0.0, 0.02) == pytest.approx(1.0, rel=0.03)
    assert deviation(0.8, 0.0, 0.02) == pytest.approx(0.02, rel=0.03)


def test_photons_have_the_variance_of_their_count() -> None:
    noisy = with_photons(np.full((200, 200, 3), 0.5, np.float32), 1.0, False, np.random.default_rng(0))
    assert noisy.std() == pytest.approx((0.5 / 256) ** 0.5, rel=0.03)
    assert noisy.mean() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_second_order_gives_pictures_of_the_same_content_at_the_size_of_the_reduction(scale: int) -> None:
    clean = reduced(PHOTOGRAPH, scale).astype(float)
    for seed in range(12):
        source = made(PHOTOGRAPH, scale, seed, degradation="second-order")
        assert source.shape == clean.shape and source.dtype == np.uint8
        assert np.corrcoef(source.ravel(), clean.ravel())[0, 1] > 0.6


def test_second_order_of_no_strength_is_near_the_reduction() -> None:
    gentle: dict[str, Any] = {
        "blur_shares": (0, 0),
        "sinc_shares": (0, 0, 0),
        "resize_shares": (0, 0, 1, 0, 0, 1),
        "noises": (1, 1),
        "gaussian_share": 1,
        "jpegs": (100, 100),
    }
    source = made(PHOTOGRAPH, 1, degradation="second-order", **gentle)
    assert np.abs(source.astype(float) - PHOTOGRAPH).mean() < 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"noise": 20.0, "noise_share": 1.5}, "expected --noise-share of at most 1, got 1.5; lower it"),
        ({"noise": 20.0, "grey_noise": 2.0}, "expected --grey-noise of at most 1, got 2.0; lower it"),
        ({"jpeg": 30, "jpeg_share": 1.1}, "expected --jpeg-share of at most 1, got 1.1; lower it"),
        ({"degradation": "second-order", "gaussian_share": 1.1}, "expected --gaussian-share of at most 1, got 1.1; lower it"),
        ({"degrade_validation": True}, "expected --degrade-validation with a degradation, such as --noise 25, only, got True without it"),
        ({"darken": 2.0, "darken_least": 3.0}, "expected --darken-least of at most --darken, 2.0, got 3.0; lower it"),
        ({"degradation": "second-order", "noise": 3.0}, "expected --noise with --degradation simple only, got 3.0 without it"),
        ({"relight": True}, "expected --relight with --darken above 0 only, got True without it"),
        ({"jpeg": 30, "jpeg_most": 20}, "expected --jpeg-most of at least --jpeg, 30, got 20; raise it"),
        ({"jpeg_most": 20}, "expected --jpeg-most with --jpeg below 100 only, got 20 without it"),
        ({"degradation": "second-order", "jpegs": (95, 30)}, "expected --jpegs with each least value before its largest, got (95, 30); change their order"),
    ],
)
def test_impossible_degradations_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(sentence)):
        DegradedOptions(**options)
