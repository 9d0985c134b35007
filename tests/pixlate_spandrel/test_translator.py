"""Foreign generators run with PyTorch as they are."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pixlate
from pixlate import ForeignGenerator, ModelSpec, PixlateError
from pixlate.images.picture import Pixels
from pixlate.networks.resnet import ResNet
from pixlate.networks.symmetric import Symmetric
from pixlate_spandrel.translator import TorchTranslator, choose


def foreign(run: Callable[[Tensor], Tensor], **spec: int) -> ForeignGenerator:
    class Network(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return run(images)

    return ForeignGenerator("test", Network(), ModelSpec(**spec))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16], ids=["8 bits", "16 bits"])
def test_every_level_comes_back_from_a_network_that_changes_nothing(kind: type) -> None:
    levels: Pixels = np.arange(np.iinfo(kind).max + 1).astype(kind).reshape(1, -1, 64, 1)
    found = TorchTranslator(foreign(lambda images: images, channels_in=1, channels_out=1), "cpu")(levels)
    assert found.dtype == kind and np.array_equal(found, levels)


def test_values_are_rounded_and_kept_within_range() -> None:
    pixels = np.array([0, 1, 100, 255], np.uint8).reshape(1, 1, 4, 1)
    found = TorchTranslator(foreign(lambda images: images * 2 - 0.1, channels_in=1, channels_out=1), "cpu")(pixels)
    assert found.flatten().tolist() == [0, 0, 175, 255]  # 200 - 25.5 is 174.5


def test_sides_are_padded_by_reflection_to_what_the_network_takes_and_cut_again() -> None:
    seen: list[Tensor] = []

    def run(images: Tensor) -> Tensor:
        seen.append(images)
        return nn.functional.interpolate(images, scale_factor=2)

    translator = TorchTranslator(foreign(run, multiple=4, minimum=8, scale=2), "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 9, 3), np.uint8)
    found = translator(pixels)
    assert seen[0].shape == (2, 3, 8, 12)
    expected = np.pad(pixels, ((0, 0), (0, 3), (0, 3), (0, 0)), mode="reflect")
    assert torch.equal(seen[0], torch.from_numpy(expected).permute(0, 3, 1, 2) / 255)
    assert np.array_equal(found, pixels.repeat(2, 1).repeat(2, 2))


def test_batch_norms_have_the_statistics_their_own_code_has(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Symmetric(ResNet(blocks=1, channels=4, norm="batch"))
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.1, 0.4)
    spec = ModelSpec(multiple=4, minimum=8, norm="running", tiling_exact=True, halo=200)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 12, 3), np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    network.train()
    with torch.no_grad():
        expected = torch.cat([network(image[None]) for image in images])
        running = network.eval()(images)
    translator = TorchTranslator(ForeignGenerator("test", network, spec, norm="running"), "cpu")
    assert np.abs(translator(pixels) - running.permute(0, 2, 3, 1).numpy() * 255).max() < 0.51
    assert translator.spec == replace(spec, padding="reflect")
    translator = TorchTranslator(ForeignGenerator("test", network, spec, norm="per-image"), "cpu")
    assert np.abs(translator(pixels) - expected.permute(0, 2, 3, 1).numpy() * 255).max() < 0.51
    assert (translator.spec.norm, translator.spec.tiling_exact, translator.spec.halo) == ("per-image", False, 128)
    assert (expected - running).abs().max() > 0.05


def test_weights_that_any_plugin_recognises_are_converted_with(tmp_path: Path) -> None:
    torch.manual_seed(0)
    names = {"head.1": "model.1", "downsample.0.0": "model.4", "downsample.1.0": "model.7", "body.0.layers.1": "model.10.conv_block.1"}
    names |= {"body.0.layers.5": "model.10.conv_block.5", "upsample.0.0": "model.11", "upsample.1.0": "model.14", "tail.1": "model.18"}
    network = ResNet(blocks=1, channels=4)
    state = {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in network.state_dict().items()}
    torch.save(state, tmp_path / "latest_net_G.pth")
    translator = pixlate.load(tmp_path / "latest_net_G.pth", device="cpu")
    assert (translator.spec.method, translator.device) == ("cyclegan", "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 16, 12, 3), np.uint8)
    with torch.no_grad():
        expected = Symmetric(network).eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(translator(pixels)[0] - expected).max() < 0.51


def raising(error: Exception) -> Callable[[Tensor], Tensor]:
    def run(images: Tensor) -> Tensor:
        raise error

    return run


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")], ids=["cuda", "cpu"]
)
def test_out_of_memory_is_reported_so_that_a_smaller_batch_is_tried(error: Exception) -> None:
    with pytest.raises(pixlate.OutOfDeviceMemory, match=re.escape("cpu has no memory for (1, 4, 4, 3)")):
        TorchTranslator(foreign(raising(error)), "cpu")(np.zeros((1, 4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (raising(RuntimeError("shapes\ndo not fit")), r"the model cannot take an image of 6x4 \(shapes do not fit\); use another size or model"),
        (raising(RuntimeError("CUDA error: an illegal memory access")), r"cpu answers no more \(CUDA error: an illegal memory access\)"),
        (lambda images: images * float("nan"), "gave values that are not numbers"),
        (lambda images: images[:, :2], r"expected the model to give \(1, 3, 4, 6\), got \(1, 2, 4, 6\)"),
    ],
    ids=["shape", "lost", "nan", "output"],
)
def test_what_a_network_does_wrong_is_one_sentence(run: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(PixlateError, match=message):
        TorchTranslator(foreign(run), "cpu")(np.zeros((1, 4, 6, 3), np.uint8))


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 1), np.uint8), np.zeros((1, 4, 4, 3), np.float32)], ids=str)
def test_pixels_of_other_shapes_and_types_are_refused(pixels: Pixels) -> None:
    with pytest.raises(PixlateError, match=r"expected uint8 or uint16 pixels \(batch, height, width, 3\), got"):
        TorchTranslator(foreign(lambda images: images), "cpu")(pixels)


def test_devices_are_used_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose("auto") == choose("cpu") == "cpu"
    with pytest.raises(PixlateError, match=r"expected a GPU for --device cuda:1, but PyTorch .* finds none"):
        choose("cuda:1")
    for misspelled in ("gpu", "cpu:0", "cuda:x", "cuda:", "tensorrt"):
        with pytest.raises(PixlateError, match="expected --device auto, cpu, cuda or cuda:N for a file of PyTorch weights"):
            choose(misspelled)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (choose("auto"), choose("cuda"), choose("cuda:1")) == ("cuda:0", "cuda:0", "cuda:1")
    with pytest.raises(PixlateError, match="expected one of the 2 GPUs, counted from 0, got --device cuda:2"):
        choose("cuda:2")
