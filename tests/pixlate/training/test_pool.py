"""The pool of past images: its statistics, its bounds and its way back from a state."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pixlate.training.pool import ImagePool


def numbered(*numbers: float, side: int = 2) -> Tensor:
    """Return a batch of constant images, distinguished by their value."""
    return torch.tensor(numbers).view(-1, 1, 1, 1).expand(-1, 3, side, side)


def values(images: Tensor) -> list[float]:
    assert all(bool((image == image.flatten()[0]).all()) for image in images)
    return images[:, 0, 0, 0].tolist()


def test_images_come_back_as_they_are_while_the_pool_fills() -> None:
    pool = ImagePool(5)
    assert values(pool.query({"target": numbered(0, 1, 2)})["target"]) == [0, 1, 2]
    assert values(pool.query({"target": numbered(3, 4)})["target"]) == [3, 4]
    assert values(pool.state()["target"]) == [0, 1, 2, 3, 4]


def test_half_of_the_images_are_exchanged_for_any_of_the_stored_ones() -> None:
    torch.manual_seed(0)
    size, count = 10, 4000
    pool = ImagePool(size)
    pool.query({"target": numbered(*range(size))})
    exchanged, places = 0, [0] * size
    for number in range(size, size + count):
        before = values(pool.state()["target"])
        (returned,) = values(pool.query({"target": numbered(number)})["target"])
        if returned != number:
            exchanged += 1
            place = before.index(returned)
            places[place] += 1
            before[place] = number
        assert values(pool.state()["target"]) == before, "an exchanged image replaces the returned one, nothing else moves"
    deviation = (count / 4) ** 0.5
    assert abs(exchanged - count / 2) < 4 * deviation
    expected = exchanged / size
    assert sum((place - expected) ** 2 / expected for place in places) < 27.9, "chi-squared of 9 degrees of freedom, one in a thousand"


def test_every_image_is_returned_at_most_once() -> None:
    torch.manual_seed(1)
    pool = ImagePool(4)
    returned = [value for start in range(4, 400, 4) for value in values(pool.query({"target": numbered(*range(start, start + 4))})["target"])]
    late = returned[4:]  # while the pool fills, an image is both returned and stored
    assert all(late.count(value) <= (2 if value in returned[:4] else 1) for value in late)


@given(size=st.integers(0, 4), batches=st.lists(st.integers(1, 5), min_size=2, max_size=8), seed=st.integers(0, 1000), data=st.data())
@settings(deadline=None, max_examples=40)
def test_restored_pool_continues_exactly(size: int, batches: list[int], seed: int, data: st.DataObject) -> None:
    stop = data.draw(st.integers(0, len(batches) - 1))

    def images(step: int) -> dict[str, Tensor]:
        torch.manual_seed(seed * 1000 + step)
        return {"target": torch.rand(batches[step], 3, 2, 2), "source": torch.rand(batches[step], 1, 3, 2)}

    def go(pool: ImagePool, first: int, last: int) -> list[dict[str, Tensor]]:
        return [pool.query(images(step)) for step in range(first, last)]

    whole, before, after = ImagePool(size), ImagePool(size), ImagePool(size)
    expected = go(whole, 0, len(batches))
    go(before, 0, stop)
    after.restore(before.state())
    for wanted, got in zip(expected[stop:], go(after, stop, len(batches)), strict=True):
        assert wanted.keys() == got.keys() and all(torch.equal(wanted[name], got[name]) for name in wanted)
    assert all(len(stored) <= size for stored in after.state().values())


@pytest.mark.parametrize("stored", [0, 3, 5])
def test_every_image_takes_the_same_number_of_draws(stored: int) -> None:
    pool = ImagePool(5)
    torch.manual_seed(0)
    if stored:
        pool.restore({"target": numbered(*range(stored))})
    pool.query({"target": numbered(7, 8, 9)})
    after = torch.rand(1)
    torch.manual_seed(0)
    for _ in range(3):
        torch.rand(2)
    assert torch.equal(after, torch.rand(1))


def test_pool_of_size_zero_returns_images_unchanged_and_draws_nothing() -> None:
    pool, images = ImagePool(0), numbered(1, 2)
    state = torch.get_rng_state()
    assert torch.equal(pool.query({"target": images})["target"], images)
    assert torch.equal(torch.get_rng_state(), state) and pool.state() == {}


def test_entries_are_pooled_separately() -> None:
    pool = ImagePool(2)
    for number in range(20):
        out = pool.query({"source": numbered(number), "target": numbered(-number - 1)})
        assert values(out["source"])[0] >= 0 > values(out["target"])[0]


def test_images_of_another_size_empty_the_pool_of_their_entry() -> None:
    pool = ImagePool(2)
    pool.query({"source": numbered(1, 2), "target": numbered(1, 2)})
    assert values(pool.query({"target": numbered(3, 4, side=4)})["target"]) == [3, 4]
    assert pool.state()["target"].shape == (2, 3, 4, 4) and pool.state()["source"].shape == (2, 3, 2, 2)


def test_restored_images_follow_the_next_ones_to_their_type() -> None:
    pool = ImagePool(1)
    pool.restore({"target": numbered(1)})
    returned = [pool.query({"target": numbered(number).bfloat16()})["target"] for number in range(2, 30)]
    assert 1 in [values(image)[0] for image in returned] and {image.dtype for image in returned} == {torch.bfloat16}


def test_smaller_pool_keeps_what_it_has_room_for() -> None:
    pool = ImagePool(2)
    pool.restore({"target": numbered(1, 2, 3)})
    assert values(pool.state()["target"]) == [1, 2]


def test_images_of_the_caller_are_neither_changed_nor_kept() -> None:
    torch.manual_seed(0)
    pool, images = ImagePool(1), torch.zeros(8, 3, 2, 2, requires_grad=True)
    kept = images.detach()
    out = pool.query({"target": images})["target"]
    assert not out.requires_grad
    kept += 1  # as an optimiser or the next step writes over it
    assert float(out.sum()) == 0 and float(pool.state()["target"].sum()) == 0


def test_memory_order_of_the_images_is_kept() -> None:
    images = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert ImagePool(1).query({"target": images})["target"].is_contiguous(memory_format=torch.channels_last)


def test_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a size of at least 0, got -1"):
        ImagePool(-1)
