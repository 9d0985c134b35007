"""StarGAN v2 learns to change the colour of shapes, which is their domain, and to keep the shape."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixlate.training.engine import train

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def shapes() -> Iterator[Any]:
    """The toy of the benchmark."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield import_module("bench_shapes")


def test_shapes_of_a_colour_are_right_and_those_of_another_wrong(shapes: Any) -> None:
    """The measure itself: a network that leaves shapes as they are, or fills all with the colour, fails one of both."""

    class Fixed:
        def __init__(self, painted: Any) -> None:
            self.painted = painted

        def exports(self) -> Any:
            return {"latent": type("Export", (), {"module": self})}

        def eval(self) -> Any:
            return self.painted

    colours = [torch.tensor(colour)[:, None, None] / 255 for colour in shapes.COLOURS.values()]
    kept = shapes.measured(Fixed(lambda images, latent, domain: images))
    assert kept == {"right_colour": pytest.approx(1 / 3, abs=0.01), "overlap": pytest.approx(1, abs=0.05)}
    filled = shapes.measured(Fixed(lambda images, latent, domain: colours[int(domain[0])].expand_as(images)))
    assert filled["right_colour"] == 1 and filled["overlap"] < 0.35
    right = shapes.measured(Fixed(lambda images, latent, domain: torch.where(images.amin(1, keepdim=True) < 0.8, colours[int(domain[0])], images)))
    assert right["right_colour"] == 1 and right["overlap"] > 0.95


@pytest.mark.slow
def test_colour_becomes_that_of_the_domain_and_the_shape_stays(shapes: Any, tmp_path: Path) -> None:
    options = shapes.run_options(shapes.write(tmp_path / "shapes"), checkpoint_every=shapes.OPTIONS["steps"])
    before = shapes.measured(options.build())
    train(options, tmp_path / "run", lambda _: None, lambda _: None)
    *_, (_, gan) = shapes.checkpoints(options, tmp_path / "run")
    after = shapes.measured(gan)
    assert before["right_colour"] < 0.65 and before["overlap"] < 0.35
    assert after["right_colour"] >= shapes.RIGHT and after["overlap"] >= shapes.OVERLAP, after
    source, _ = shapes.unseen(1)[0]
    latent = torch.randn(8, shapes.OPTIONS["latent_length"], generator=torch.Generator().manual_seed(5))
    styles = shapes.made(gan, [source] * 8, 2, latent).astype(float)
    assert np.abs(styles - styles.mean(axis=0)).mean() > 1, "noise changes the picture"
