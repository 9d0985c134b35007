"""Pictures with too little light are brightened by one gain for each."""

from io import BytesIO

import numpy as np
import onnxruntime
import pytest
import skimage
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixlate.data.degradation import darkened
from pixlate.data.degradation import from_linear as from_linear_numpy
from pixlate.data.degradation import to_linear as to_linear_numpy
from pixlate.networks.exposure import DIM, MOST, Exposed, Light, from_linear, gain_for, to_linear

LEVELS = np.linspace(0, 1, 1001, dtype=np.float32)


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = skimage.data.astronaut()[:256, 100:420] / np.float32(255)  # type: ignore[no-untyped-call]
    assert pixels.max() == 1
    return pixels


def tensor(pixels: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def test_light_is_that_of_the_degradation() -> None:
    assert np.abs(to_linear(torch.from_numpy(LEVELS)).numpy() - to_linear_numpy(LEVELS)).max() < 1e-6
    assert np.abs(from_linear(torch.from_numpy(LEVELS)).numpy() - from_linear_numpy(LEVELS)).max() < 1e-6


@pytest.mark.parametrize("stops", [1, 2, 3, 4])
def test_a_photograph_gets_back_the_light_that_was_taken(stops: int, photograph: NDArray[np.float32]) -> None:
    dark = darkened(photograph, stops, 0.01, 0.002, np.random.default_rng(0))
    gain = float(gain_for(Light()(tensor(dark))))
    assert np.log2(gain) == pytest.approx(stops, abs=0.15)


def test_what_is_bright_enough_stays_nearly_as_it_is(photograph: NDArray[np.float32]) -> None:
    images = tensor(photograph)
    assert (Exposed(nn.Identity())(images) - images).abs().max() < 0.04


def test_each_picture_of_a_batch_gets_its_own_gain(photograph: NDArray[np.float32]) -> None:
    images = torch.cat([tensor(darkened(photograph, stops, 0, 0, np.random.default_rng(0))) for stops in (1, 3)])
    together = Exposed(nn.Identity())(images)
    for image, alone in zip(images, together, strict=True):
        assert torch.allclose(Exposed(nn.Identity())(image[None])[0], alone, atol=1e-6)


def test_a_lamp_does_not_keep_the_rest_dark() -> None:
    light = torch.full((1, 3, 300, 400), 0.004)
    light[:, :, 20:80, 40:100] = 1.0
    assert float(gain_for(Light()(from_linear(light)))) == pytest.approx(DIM / 0.004, rel=1e-3)


@pytest.mark.parametrize("light", [0.0, 1e-5, 1.0])
def test_gains_stay_within_bounds(light: float) -> None:
    gain = float(gain_for(Light()(from_linear(torch.full((1, 3, 20, 30), light)))))
    assert gain == (1.0 if light == 1 else MOST)


def test_a_file_gives_the_same_picture(photograph: NDArray[np.float32]) -> None:
    free, stream = torch.export.Dim.AUTO, BytesIO()
    network = Exposed(nn.Identity()).eval()
    program = torch.onnx.export(
        network, (torch.rand(2, 3, 16, 24),), dynamo=True, verbose=False, opset_version=18, dynamic_shapes=({0: free, 2: free, 3: free},)
    )
    assert program is not None
    stream.write(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(stream.getvalue(), providers=["CPUExecutionProvider"])
    for pixels in (photograph, photograph[:90, :31]):
        images = torch.cat([tensor(darkened(pixels, stops, 0.01, 0.002, np.random.default_rng(0))) for stops in (2, 4)])
        (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert (torch.from_numpy(found) - network(images)).abs().max() < 1e-4
