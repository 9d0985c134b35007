"""Samples read ahead on threads."""

import threading
from contextlib import closing
from pathlib import Path

import pytest
import torch

from pixlate.data.degraded import DegradedImages
from pixlate.data.loader import Loader
from pixlate.data.pairing import PairedImages, UnpairedImages
from pixlate.errors import PixlateError
from pixlate.options import DataOptions, DegradedOptions, PairedOptions, UnpairedOptions
from pixlate.plugin.data import Batch, Draw, stack
from pixlate.plugin.testing import make_photographs


@pytest.fixture
def images(tmp_path: Path) -> PairedImages:
    return PairedImages([make_photographs(tmp_path / "images", 6, 30, 40)], PairedOptions(patch=16, resize=20, hold_out=0, grey=True), 3, 3)


def silent(message: str) -> None:
    raise AssertionError(message)


def test_batch_is_the_stack_of_its_samples_whether_read_ahead_or_not(images: PairedImages) -> None:
    draws = images.draw(0, 8, 0)
    expected = stack([images.load(draw, 16) for draw in draws])
    with closing(Loader(images, DataOptions(workers=3), silent)) as loader:
        first = loader.batch(draws, 16)
        loader.prefetch(draws, 16)
        loader.prefetch(images.draw(8, 8, 0), 16)
        second = loader.batch(draws, 16)
    assert all(torch.equal(batch[name], expected[name]) for batch in (first, second) for name in expected)


def test_prefetched_samples_are_read_on_as_many_threads_as_asked_and_not_again(images: PairedImages) -> None:
    threads: list[str] = []
    together, all_read = threading.Barrier(3), threading.Event()

    class Slow(PairedImages):
        def load(self, draw: Draw, side: int) -> Batch:
            together.wait(60)
            threads.append(threading.current_thread().name)
            if len(threads) == 3:
                all_read.set()
            return super().load(draw, side)

    images.__class__ = Slow
    draws = images.draw(0, 3, 0)
    with closing(Loader(images, DataOptions(workers=3), silent)) as loader:
        loader.prefetch(draws, 16)
        assert all_read.wait(60)
        loader.batch(draws, 16)
    assert len(set(threads)) == len(threads) == 3


def test_file_that_cannot_be_read_comes_out_of_batch_by_name(images: PairedImages) -> None:
    images.pairs[2][0].write_bytes(b"\x89PNG\r\n\x1a\n")
    with closing(Loader(images, DataOptions(workers=2), silent)) as loader, pytest.raises(PixlateError, match=r"/002\.png: "):
        loader.batch(images.draw(0, 6, 0), 16)


def test_degraded_samples_are_the_same_with_any_number_of_threads(tmp_path: Path) -> None:
    options = DegradedOptions(patch=16, hold_out=1, degradation="second-order", degrade_validation=True)
    images = DegradedImages([make_photographs(tmp_path, 3, 96, 104)], 2, options)
    batches = []
    for workers in (1, 2, 5):
        with closing(Loader(images, DataOptions(workers=workers), silent)) as loader:
            batches.append([*(loader.batch(images.draw(start, 6, 3), 16)["source"] for start in (0, 6)), *(held["source"] for held in images.validation())])
    assert all(torch.equal(one, other) for later in batches[1:] for one, other in zip(batches[0], later, strict=True))


@pytest.mark.parametrize("workers", [1, 4])
def test_damaged_file_is_skipped_with_one_warning_and_replaced_alike_in_every_loader(images: PairedImages, tmp_path: Path, workers: int) -> None:
    images.pairs[2][0].write_bytes(b"no image")
    batches = []
    for _ in range(2):
        warnings: list[str] = []
        with closing(Loader(images, DataOptions(workers=workers, damaged="skip"), warnings.append)) as loader:
            batches.append([loader.batch(images.draw(start, 6, 0), 16) for start in range(0, 30, 6)])
        assert len(warnings) == 1 and warnings[0].startswith(f"left out: {images.pairs[2][0]}: ")
    assert all(batch["source"].shape == (6, 3, 16, 16) for batch in batches[0])
    assert all(torch.equal(first["target"], second["target"]) for first, second in zip(*batches, strict=True))


def test_nothing_but_damaged_files_ends_with_an_error(tmp_path: Path) -> None:
    for folder in ("source", "target"):
        for path in make_photographs(tmp_path / folder, 2).iterdir():
            path.write_bytes(b"")
    options = UnpairedOptions(patch=16, resize=20, hold_out=0, damaged="skip")
    images = UnpairedImages(tmp_path / "source", tmp_path / "target", options, 3, 3)
    with closing(Loader(images, options, silent)) as loader, pytest.raises(PixlateError, match=r"got 100 in a row that cannot, such as .*the file is empty"):
        loader.batch(images.draw(0, 1, 0), 16)


def test_mistakes_other_than_damage_are_never_skipped(images: PairedImages) -> None:
    class Wrong(PairedImages):
        def load(self, draw: Draw, side: int) -> Batch:
            raise PixlateError("expected 3 channels, got 5")

    images.__class__ = Wrong
    with closing(Loader(images, DataOptions(damaged="skip"), silent)) as loader, pytest.raises(PixlateError, match="got 5"):
        loader.batch(images.draw(0, 1, 0), 16)


def test_closing_discards_prefetched_samples(images: PairedImages) -> None:
    before = threading.active_count()
    loader = Loader(images, DataOptions(workers=4), silent)
    loader.prefetch(images.draw(0, 100, 0), 16)
    loader.close()
    assert threading.active_count() == before
