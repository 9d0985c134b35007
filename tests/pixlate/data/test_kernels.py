"""Blur kernels against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixlate.data.kernels import gaussian, generalised, plateau, random_kernel, sinc, sinc_kernel


def test_gaussian_is_separable_with_its_standard_deviation() -> None:
    kernel = gaussian(21, 2.0)
    row = kernel.sum(axis=0)
    np.testing.assert_allclose(kernel, np.outer(row, row), atol=1e-6)
    assert (row * (np.arange(21) - 10) ** 2).sum() == pytest.approx(4.0, rel=1e-3)


def test_generalised_gaussian_of_exponent_1_is_a_gaussian() -> None:
    np.testing.assert_allclose(generalised(15, 2.0, 2.0, 0.7, 1.0), gaussian(15, 2.0), atol=1e-7)


def test_turned_kernel_is_wide_along_its_angle() -> None:
    along, across = np.mgrid[:21, :21] - 10
    kernel = generalised(21, 3.0, 1.0, 0.0, 1.0)
    assert (kernel * across**2).sum() > 4 * (kernel * along**2).sum()
    np.testing.assert_allclose(generalised(21, 3.0, 1.0, np.pi / 2, 1.0), kernel.T, atol=1e-7)


def test_plateau_has_half_its_middle_a_standard_deviation_away() -> None:
    kernel = plateau(21, 4.0, 4.0, 0.0, 2.0)
    assert kernel[10, 14] / kernel[10, 10] == pytest.approx(0.5)


def test_sinc_is_the_bessel_function_of_the_paper() -> None:
    kernel = sinc(15, 2.0)
    distance = np.hypot(4, 3)
    j1 = 0.0434727462  # J1(10) from tables (Abramowitz and Stegun, table 9.1)
    ratio = 2.0 * j1 / (2 * np.pi * distance) / (2.0**2 / (4 * np.pi))
    assert kernel[7 + 3, 7 + 4] / kernel[7, 7] == pytest.approx(ratio, rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 8), st.sampled_from([7, 15, 21]))
def test_random_kernels_add_up_to_one_and_fit(seed: int, largest: float, side: int) -> None:
    generator = np.random.default_rng(seed)
    for kernel in (random_kernel(generator, largest, side), sinc_kernel(generator, side)):
        assert kernel.shape[0] == kernel.shape[1] <= side and kernel.shape[0] % 2 == 1
        assert kernel.sum() == pytest.approx(1.0, abs=1e-4)
        np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)


def test_last_sinc_filter_never_cuts_off_below_a_third_of_the_highest_frequency() -> None:
    """The middle of a wide sinc filter is its cut-off squared over 4 pi, before it is normalised by a sum near 1."""

    def cutoffs(last: bool) -> list[float]:
        kernels = [sinc_kernel(np.random.default_rng(seed), 21, last) for seed in range(300)]
        return [(4 * np.pi * float(kernel[len(kernel) // 2, len(kernel) // 2])) ** 0.5 for kernel in kernels if len(kernel) >= 13]

    assert min(cutoffs(False)) < 0.25 * np.pi
    assert min(cutoffs(True)) > 0.3 * np.pi
