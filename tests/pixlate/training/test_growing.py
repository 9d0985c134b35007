"""Patches that grow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelSpec
from pixlate.training.growing import Growth
from pixlate.training.run import RunOptions
from pixlate.training.trainer import Trainer


@given(st.integers(0, 5), st.integers(1, 7), st.integers(2, 10**6))
def test_side_doubles_from_the_first_to_the_last_over_half_of_the_run(doublings: int, first: int, steps: int) -> None:
    growth = Growth(first, first << doublings, steps, ModelSpec())
    sides = [growth.side(step) for step in range(0, steps, max(1, steps // 1000))]
    assert sides == sorted(sides) and sides[0] == first
    assert growth.side(-(-steps // 2)) == growth.side(steps - 1) == first << doublings
    if doublings and steps > 2 * doublings:
        assert {first << stage for stage in range(doublings + 1)} == {
            growth.side(step) for step in (stage * steps // (2 * doublings) + 1 for stage in range(doublings + 1))
        }


def test_nothing_grows_where_nothing_is_asked_for() -> None:
    growth = Growth(0, 96, 10, ModelSpec())
    assert {growth.side(step) for step in range(10)} == {96}


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        (48, 32, "--grow-from to double up to --patch, 32, got 48; 16 or 8 would"),
        (12, 32, "--grow-from to double up to --patch, 32, got 12"),
        (4, 32, "--grow-from of at least 8 and a multiple of 8, as the network takes, got 4"),
        (8, 32, "patches of at least 12 pixels a side, which the discriminators take, got 8; raise --grow-from"),
    ],
)
def test_first_side_that_does_not_fit_is_refused(first: int, last: int, sentence: str) -> None:
    with pytest.raises(PixlateError, match=f"expected {sentence}"):
        Growth(first, last, 100, ModelSpec(scale=2, multiple=8, minimum=8), judged=23)


@pytest.mark.parametrize("method", ["srgan", "pix2pix", "cyclegan"])
def test_batches_of_a_run_grow(
    method: str, make_run: Callable[..., RunOptions], fit: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    batch = Trainer._batch

    def watched(self: Trainer, step: int) -> Any:
        found = batch(self, step)
        seen.append((found["source"].shape[-1], found["target"].shape[-1] // self.gan.spec().scale))
        return found

    monkeypatch.setattr(Trainer, "_batch", watched)
    small = {"patch": 8, "grow_from": 2} if method == "srgan" else {"patch": 32, "grow_from": 8, "discriminator_layers": 1, "pool": 2}
    fit(make_run(method, steps=8, **small), tmp_path)
    first = 2 if method == "srgan" else 8
    assert seen == [(first << min(2, step // 2),) * 2 for step in range(8)]
