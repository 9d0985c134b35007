"""The perceptual loss and the weights it needs."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from pixlate.errors import PixlateError
from pixlate.losses import Perceptual, load_vgg19
from pixlate.losses.perceptual import layer_index

SHALLOW = {0: (64, 3), 2: (64, 64)}
"""Place and shape of the convolutions up to conv1_2, so that files are small."""


def state(prefix: str = "features.") -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    for index, (maps, given) in SHALLOW.items():
        tensors[f"{prefix}{index}.weight"] = torch.randn(maps, given, 3, 3, generator=generator) * 0.05
        tensors[f"{prefix}{index}.bias"] = torch.randn(maps, generator=generator) * 0.05
    return tensors


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch.hub."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def by_hand(images: Tensor) -> Tensor:
    """Return conv1_2 before its activation, of images in [0, 1]."""
    tensors = state()
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    first = functional.conv2d((images - mean) / deviation, tensors["features.0.weight"], tensors["features.0.bias"], padding=1)
    return functional.conv2d(first.clamp(min=0), tensors["features.2.weight"], tensors["features.2.bias"], padding=1)


@pytest.mark.parametrize("name", ["vgg.pth", "old.pth", "bare.pth", "vgg.safetensors"])
def test_loss_compares_normalised_features_of_a_local_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    tensors = state("" if name == "bare.pth" else "features.") | {"classifier.0.weight": torch.zeros(4, 4)}
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=name != "old.pth")
    torch.manual_seed(1)
    output, target = torch.rand(2, 3, 9, 11), torch.rand(2, 3, 9, 11)
    features = load_vgg19(path, "conv1_2")
    expected, wanted = by_hand(output), by_hand(target)
    assert Perceptual(features)(output, target).item() == pytest.approx((expected - wanted).square().mean().item(), rel=1e-4)
    assert Perceptual(features, "l1")(output, target).item() == pytest.approx((expected - wanted).abs().mean().item(), rel=1e-4)


def test_features_of_the_deepest_layer_are_torchvisions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        whole = torchvision.models.vgg19().features
    whole.to_empty(device="cpu")
    for parameter in whole.parameters():
        nn.init.normal_(parameter, 0, (2 / max(1, parameter[0].numel())) ** 0.5 if parameter.ndim > 1 else 0.01)
    torch.save({f"features.{name}": value for name, value in whole.state_dict().items()}, tmp_path / "vgg.pth")
    features = load_vgg19(tmp_path / "vgg.pth")
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = whole[:35](images)
        found = features(images)
        assert torch.equal(found, expected)
        assert (found < 0).any()  # before the activation
        assert torch.equal(torch.relu(found), whole[:36](images))
    assert found.shape == (1, 512, 2, 2)


def test_layers_are_where_torchvision_has_them() -> None:
    with torch.device("meta"):
        layers = list(torchvision.models.vgg19().features)
    group, number = 1, 0
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            number += 1
            assert layer_index(f"conv{group}_{number}") == index
        elif isinstance(layer, nn.ReLU):
            assert layer_index(f"relu{group}_{number}") == index
        else:
            group, number = group + 1, 0
    assert group == 6


def test_gradient_reaches_the_output_alone(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "vgg.pth")
    loss = Perceptual(load_vgg19(tmp_path / "vgg.pth", "relu1_2")).train()
    output, target = (torch.rand(1, 3, 8, 8, requires_grad=True) for _ in range(2))
    loss(output, target).backward()
    assert output.grad is not None and output.grad.any()
    assert target.grad is None
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in loss.parameters())
    assert not loss.features.training


def test_features_beyond_16_bits_are_compared_in_32() -> None:
    loss = Perceptual(nn.Sequential(nn.Conv2d(3, 1, 1)))
    nn.init.constant_(loss.get_parameter("features.0.weight"), 300.0)
    with torch.autocast("cpu", torch.float16):
        assert loss(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)).isfinite()


def test_weights_of_the_cache_are_taken_without_a_download(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("no download is needed"))
    hub.mkdir(parents=True)
    torch.save(state(), hub / "vgg19-dcbb9e9d.pth")
    assert torch.equal(load_vgg19(layer="conv1_2").get_parameter("2.weight"), state()["features.2.weight"])


def test_weights_are_downloaded_into_the_cache_and_their_hash_is_checked(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, path: str, hash_prefix: str) -> None:
        assert (url, hash_prefix) == ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "dcbb9e9d")
        torch.save(state(), path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert len(load_vgg19(layer="conv1_1")) == 1
    assert (hub / "vgg19-dcbb9e9d.pth").is_file()


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("invalid hash value")])
def test_weights_that_cannot_be_had_are_named_with_their_place_and_the_option(error: Exception, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(PixlateError) as raised:
        load_vgg19()
    assert f"put vgg19-dcbb9e9d.pth into {hub}, name a copy of it with --perceptual-weights, or train without: --stages pixel, or " in str(raised.value)
    assert str(error) in str(raised.value)


def test_files_that_are_not_these_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "shallow.pth")
    torch.save(state() | {"features.0.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "shapes.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"features.0.weight": Path("x")}, tmp_path / "objects.pth")
    for name in ("noise.pth", "noise.safetensors"):
        (tmp_path / name).write_bytes(b"no weights at all")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "cut.pth").write_bytes((tmp_path / "shallow.pth").read_bytes()[:9000])
    for name, layer, message in [
        ("shallow.pth", "conv2_1", "lacks features.5."),
        ("shapes.pth", "conv1_2", "holds tensors of other shapes"),
        *((name, "conv1_2", "cannot be read") for name in ("list.pth", "objects.pth", "noise.pth", "noise.safetensors", "empty.pth", "cut.pth", "missing.pth")),
    ]:
        with pytest.raises(PixlateError, match=message) as raised:
            load_vgg19(tmp_path / name, layer)
        assert str(tmp_path / name) in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("layer", ["conv5_5", "pool5", "34", ""])
def test_unknown_layer_is_refused(layer: str) -> None:
    with pytest.raises(PixlateError, match="a layer of VGG19 such as conv1_2, conv5_4 or relu5_4, got"):
        load_vgg19(None, layer)


def test_what_cannot_be_compared_is_refused() -> None:
    loss = Perceptual(nn.Identity())
    for output, target in [((1, 3, 4, 4), (2, 3, 4, 4)), ((1, 1, 4, 4), (1, 1, 4, 4)), ((3, 4, 4), (3, 4, 4))]:
        with pytest.raises(ValueError, match=r"one shape \(batch, 3, height, width\), got"):
            loss(torch.zeros(output), torch.zeros(target))
    with pytest.raises(ValueError, match="a distance of mse or l1, got 'cosine'"):
        Perceptual(nn.Identity(), "cosine")  # type: ignore[arg-type]


def test_losses_import_no_torchvision() -> None:
    script = "import sys, pixlate.losses; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=120).returncode == 0


def test_file_that_would_run_code_is_refused_without_advice_to_run_it(tmp_path: Path) -> None:
    torch.save({"features.0.weight": nn.Conv2d(3, 64, 3)}, tmp_path / "vgg.pth")
    with pytest.raises(PixlateError, match=r"vgg\.pth, but it cannot be read \(Weights only load failed\); use torchvision's") as raised:
        load_vgg19(tmp_path / "vgg.pth", "conv1_2")
    assert "weights_only" not in str(raised.value)
