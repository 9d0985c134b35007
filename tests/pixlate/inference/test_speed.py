"""The speed of a model follows its device, and a large picture lends others a bounded share of its time."""

import math

import pytest

from pixlate.inference.speed import HALF_LIFE_S, LONG_S, Speed, Turn


def test_speed_is_pixels_over_seconds_and_unlimited_before_the_first_measurement() -> None:
    speed = Speed()
    assert speed.pixels_a_second == math.inf and speed.seconds(10**9) == 0
    speed.record(300, 2)
    speed.record(100, 2)
    assert speed.pixels_a_second == pytest.approx(100, rel=0.05) and speed.seconds(1000) == pytest.approx(10, rel=0.05)


def test_speed_forgets_and_leaves_out_runs_too_small_to_measure() -> None:
    speed = Speed()
    speed.record(1000, 10)
    speed.record(10 * 10 * HALF_LIFE_S, 10 * HALF_LIFE_S)
    assert speed.pixels_a_second == pytest.approx(10, rel=0.01)
    speed.least = 100
    speed.record(99, LONG_S / 2)
    speed.record(-5000, 1)
    speed.record(500, 0)
    assert speed.pixels_a_second == pytest.approx(10, rel=0.01)
    speed.record(99, 10 * HALF_LIFE_S)
    assert speed.pixels_a_second == pytest.approx(0.33, rel=0.1)


def test_turn_lends_a_share_of_its_own_seconds() -> None:
    turn = Turn(100.0)
    assert turn.may_lend(100.0, 0.5) == 0 and turn.may_lend(104.0, 0.5) == 2
    turn.lend(1.5)
    assert turn.own(105.5) == 4 and turn.may_lend(105.5, 0.5) == 0.5
    assert turn.since_last(105.5) == 4 and turn.since_last(106.5) == 1
