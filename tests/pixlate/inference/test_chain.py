"""Models that run one after another are one model: tiles, batches and statistics give what running them whole, one by one, gives."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.pixlate.conftest import Nearest, nearest, noise
from tests.pixlate.inference.test_executor import Blocks, Box, Small

from pixlate.errors import PixlateError
from pixlate.images import Picture
from pixlate.images.picture import Pixels, luma
from pixlate.inference.chain import Chain, ChainSpec, composed
from pixlate.inference.chaining import again, chained, most_runs
from pixlate.inference.executor import AUTO_TILE, Executor
from pixlate.inference.pictures import channels_made, with_origin
from pixlate.inference.sizes import least_tile
from pixlate.plugin.spec import ModelInput, ModelSpec
from pixlate.plugin.translator import Measuring, Statistics, Translator


def one_by_one(pixels: Pixels, *models: Translator) -> Pixels:
    for model in models:
        pixels = model(pixels)
    return pixels


def chain_of(*models: Translator, tile: Any = "auto", batch: Any = "auto", bucket: Any = "off") -> Executor:
    return chained(models, [model.spec.method for model in models], tile, batch, bucket)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 130), st.integers(1, 90)),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2), st.sampled_from([1, 2, 3, 4])), min_size=2, max_size=3),
    st.integers(0, 40),
    st.sampled_from([1, 3]),
    st.sampled_from([np.uint8, np.uint16]),
)
def test_tiled_chains_of_exact_models_give_the_whole_picture(
    size: tuple[int, int], made: list[tuple[int, int, int]], more: int, batch: int, dtype: type[np.uint8] | type[np.uint16]
) -> None:
    """Of models with any context, scale and multiple, in any order; the sizes of pictures are multiples of nothing."""
    models: list[Translator] = [Blocks(radius, multiple) if multiple > 1 else Box(radius, scale) for radius, scale, multiple in made]
    tile = least_tile(composed([model.spec for model in models])) + more
    pixels = noise(*size, dtype=dtype)
    found = chain_of(*models, tile=tile, batch=batch)
    expected = one_by_one(pixels[None], *models)
    np.testing.assert_array_equal(found(pixels[None]), expected)
    np.testing.assert_array_equal(np.concatenate(list(found.strips(pixels))), expected[0])


def test_the_context_of_later_models_counts_over_the_scale_before_them() -> None:
    spec = composed([ModelSpec(scale=1, halo=70, multiple=2, minimum=2), ModelSpec(scale=4, halo=34), ModelSpec(scale=2, halo=34, multiple=16)])
    assert (spec.scale, spec.halo, spec.multiple) == (8, 70 + 34 + 9, 4)
    assert least_tile(spec) >= 2 * spec.halo + spec.multiple


def test_a_smaller_context_than_that_of_the_chain_would_show() -> None:
    """The sum is not larger than it must be: with one pixel less a tile sees another neighbourhood."""
    models = Box(3, 2), Box(4, 1)
    pixels = noise(90, 90)[None]
    short = chain_of(*models, tile=40)
    short.spec = replace(short.spec, halo=short.spec.halo - 1)
    assert (short(pixels) != one_by_one(pixels, *models)).any()


def test_an_automatic_tile_gives_no_model_more_pixels_than_it_has_alone() -> None:
    first, second = Nearest(replace(Nearest().spec, scale=4)), Nearest(replace(Nearest().spec, scale=4))
    chain_of(first, second)(noise(300, 300)[None])
    assert max(max(shape[1:3]) for shape in second.shapes) == AUTO_TILE["cpu"]
    assert max(max(shape[1:3]) for shape in first.shapes) == AUTO_TILE["cpu"] // 4


def test_tile_off_runs_every_model_whole() -> None:
    first, second = Nearest(), Nearest()
    chain_of(first, second, tile="off")(noise(1500, 20)[None])
    assert (first.shapes, second.shapes) == ([(1, 1500, 20, 3)], [(1, 3000, 40, 3)])


def test_where_one_model_must_see_the_whole_picture_the_others_are_in_tiles_of_their_own() -> None:
    first, second = Nearest(ModelSpec(whole=True, scale=2)), Box(5, 2)
    shapes: list[tuple[int, ...]] = []

    class Watched(Box):
        def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
            assert pixels is not None
            shapes.append(pixels.shape)
            return super().__call__(pixels)

    pixels = noise(10, 700)[None]
    np.testing.assert_array_equal(chain_of(first, Watched(5, 2))(pixels), one_by_one(pixels, first, second))
    assert first.shapes[0] == (1, 10, 700, 3)
    assert max(shape[2] for shape in shapes) == AUTO_TILE["cpu"]


def test_memory_that_runs_out_in_a_later_model_costs_tiles_of_its_own() -> None:
    first, second = Box(2, 2), Small(4000, inner=Box(3))
    pixels = noise(60, 70)[None]
    np.testing.assert_array_equal(chain_of(first, second, tile="auto")(pixels), one_by_one(pixels, first, Box(3)))
    assert second.refused > 0


class Mean:
    """Subtracts the mean of the image as an instance norm does; the mean can be given."""

    device = "cpu"
    measures = True

    def __init__(self, mean: float | None = None) -> None:
        self.mean, self.spec = mean, ModelSpec(tiling_exact=False, halo=4, norm="per-image")

    def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
        assert pixels is not None
        mean = pixels.mean() if self.mean is None else self.mean
        found: Pixels = np.clip(np.rint(pixels * 0.5 - mean * 0.5 + 128), 0, 255).astype(pixels.dtype)
        return found

    def statistics(self, pixels: Pixels, **conditions: NDArray[Any]) -> Statistics:
        return [(np.array([pixels.mean()], np.float32), np.array([pixels.var()], np.float32))]

    def with_statistics(self, statistics: Statistics) -> Translator:
        ((mean, _),) = statistics
        return Mean(float(mean[0]))


def test_tiles_of_a_chain_share_what_each_model_measures() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], (120, 200, 3))[None]
    models = Mean(), Nearest(), Mean()
    found = chain_of(*models, tile=64)
    assert isinstance(found.translator, Measuring)
    difference = np.abs(found(ramp).astype(int) - one_by_one(ramp, *models))
    assert difference.max() <= 1
    apart = np.abs(np.concatenate([one_by_one(ramp[:, :, left : left + 50], *models) for left in range(0, 200, 50)], 2).astype(int) - one_by_one(ramp, *models))
    assert apart.max() > 20  # what tiles with means of their own would make


def test_a_model_runs_again_where_it_enlarges_and_at_most_to_64_times() -> None:
    four = Nearest(replace(Nearest().spec, scale=4))
    executor = Executor(four, "auto", "auto")
    assert most_runs(executor, 9) == 3
    assert again(executor, 1) is executor
    assert again(executor, 3).spec.scale == 64
    assert most_runs(Executor(Box(1), "auto", "auto"), 3) == 1
    with_label = Nearest(ModelSpec(scale=2, inputs=(ModelInput("image", "image"), ModelInput("kind", "label", choices=("a",), default="a"))))
    assert most_runs(Executor(with_label, "auto", "auto"), 3) == 1


def test_the_last_model_that_enlarges_runs_again_in_its_place() -> None:
    first, two, last = Box(1), Nearest(), Box(2)
    found = again(chain_of(first, two, last), 3)
    assert isinstance(found.translator, Chain)
    assert [stage.translator for stage in found.translator.stages] == [first, two, two, two, last]
    pixels = noise(20, 30)[None]
    np.testing.assert_array_equal(found(pixels), one_by_one(pixels, first, two, two, two, last))


@pytest.mark.parametrize(("models", "said"), [
    ([Nearest(ModelSpec(channels_out=4)), Nearest(ModelSpec(method="next"))], "got next of 3 channels after unknown, which gives 4; change --then"),
    ([Nearest(), Nearest(ModelSpec(method="next", inputs=(ModelInput("image", "image"), ModelInput("hole", "mask"))))], "got next, which needs hole; --set, --mask and --seed are of --model"),
    ([Nearest(ModelSpec(scale=16)), Nearest(ModelSpec(scale=8))], "at most 64 times together, got 128 times of unknown then unknown"),
])  # fmt: skip
def test_models_that_cannot_run_one_after_another_are_refused_in_a_sentence(models: list[Translator], said: str) -> None:
    with pytest.raises(PixlateError, match=said.replace("(", r"\(")):
        chain_of(*models)


def test_a_model_of_one_size_alone_is_refused_in_a_chain() -> None:
    class Fixed(Nearest):
        fixed_size = (64, 96)

    with pytest.raises(PixlateError, match="got fixed, which takes 96x64 alone; export it with free sides"):
        chain_of(Nearest(), Fixed(ModelSpec(method="fixed")))


def test_a_tile_too_small_for_the_chain_is_refused() -> None:
    with pytest.raises(PixlateError, match="expected --tile of at least 65 pixels, since this model looks 32 pixels around, got 40"):
        chain_of(Box(1, halo=16), Box(1, halo=16), tile=40)


def test_grey_goes_on_as_colours_and_colours_as_grey_where_the_next_model_takes_them() -> None:
    class Narrow(Nearest):
        def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
            assert pixels is not None and pixels.shape[3] == self.spec.channels_in
            return super().__call__(pixels)

    grey = Narrow(ModelSpec(channels_in=1, channels_out=1, tiling_exact=True, halo=0))
    colour = Narrow(ModelSpec(scale=2, tiling_exact=True, halo=0))
    pixels = noise(9, 7)[None]
    expected = nearest(np.repeat(luma(nearest(pixels, 2)[0])[None], 3, axis=3), 2)
    np.testing.assert_array_equal(chain_of(colour, grey, colour)(pixels), expected)
    assert channels_made(3, chain_of(colour, grey, colour).spec) == 1


def test_a_chain_gives_grey_of_grey_only_where_each_of_its_models_does() -> None:
    cleans, colours, enlarges = ModelSpec(keeps_grey=True), ModelSpec(), ModelSpec(scale=4)
    assert channels_made(1, composed([cleans, enlarges])) == 1
    assert channels_made(1, composed([colours, enlarges])) == 3


def test_a_picture_of_a_chain_says_it_was_only_enlarged_where_all_of_its_models_enlarge() -> None:
    picture = Picture(noise(2, 2))
    for specs, kind in (([ModelSpec(scale=2)] * 2, b"algorithmicallyEnhanced"), ([ModelSpec(), ModelSpec(scale=2)], b"compositeWithTrainedAlgorithmicMedia")):
        assert kind in with_origin(picture, composed(specs)).metadata.xmp


def test_what_a_chain_is_computed_in_names_each() -> None:
    eight, float32 = Nearest(ModelSpec(precision="int8")), Nearest()
    assert chain_of(eight, float32, float32).arithmetic(np.dtype(np.uint8)) == "int8 and float32"
    assert isinstance(chain_of(eight, float32).spec, ChainSpec)
