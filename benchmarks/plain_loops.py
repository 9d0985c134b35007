"""Training as the published code bases write it: eager, in 32 bits, PyTorch's usual memory layout, torchvision's transforms in a DataLoader.

Networks are Pixlate's, so that both sides of a ratio do the same arithmetic; everything around them is written here.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.models import vgg19

from pixlate.networks.compact import Compact
from pixlate.networks.initialisation import initialise
from pixlate.networks.patchgan import PatchGAN
from pixlate.networks.resnet import ResNet
from pixlate.networks.srgan_discriminator import SRGANDiscriminator
from pixlate.networks.srresnet import SRResNet
from pixlate.networks.unet import UNet

Step = Callable[..., None]
WORKERS = 2
"""Processes of the DataLoader, as the published code bases have about one for each core of a small machine."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Folders(Dataset[tuple[Tensor, Tensor]]):
    """Images of two folders, resized to 286x286, cut to a patch and mirrored, in [-1, 1]; those of a pair are cut alike."""

    def __init__(self, folders: Sequence[Path], patch: int, paired: bool) -> None:
        self.files = [_files(folder) for folder in folders]
        self.paired = paired
        steps = [transforms.Resize((286, 286), transforms.InterpolationMode.BICUBIC), transforms.RandomCrop(patch), transforms.RandomHorizontalFlip()]
        self.prepare = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])

    def __len__(self) -> int:
        return min(map(len, self.files))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        first, second = (self._read(paths[index], index if self.paired else -1) for paths in self.files)
        return first, second

    def _read(self, path: Path, seed: int) -> Tensor:
        if seed >= 0:
            torch.manual_seed(seed)
        with Image.open(path) as image:
            prepared: Tensor = self.prepare(image.convert("RGB"))
        return prepared


class Reduced(Dataset[tuple[Tensor, Tensor]]):
    """Patches of photographs and their bicubic reductions by ``scale``, in [0, 1]."""

    def __init__(self, folder: Path, patch: int, scale: int) -> None:
        self.files, self.patch, self.scale = _files(folder), patch, scale
        self.cut = transforms.Compose([transforms.RandomCrop(patch * scale), transforms.RandomHorizontalFlip()])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.files[index]) as image:
            target = self.cut(image.convert("RGB"))
        source = target.resize((self.patch, self.patch), Image.Resampling.BICUBIC)
        return transforms.functional.to_tensor(source), transforms.functional.to_tensor(target)


class Taught(Dataset[tuple[Tensor, Tensor]]):
    """Patches of what a teacher made before: files ``.npz`` of source, target and photograph, 8-bit (height, width, 3)."""

    def __init__(self, folder: Path, patch: int, scale: int) -> None:
        self.files, self.patch, self.scale = sorted(folder.rglob("*.npz")), patch, scale

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with np.load(self.files[index]) as kept:
            source, target = (transforms.functional.to_tensor(kept[name]) for name in kept.files[:2])
        top, left = (int(torch.randint(side - self.patch + 1, ())) for side in source.shape[1:])
        patch, scale = self.patch, self.scale
        rows, columns = slice(top * scale, (top + patch) * scale), slice(left * scale, (left + patch) * scale)
        return source[:, top : top + patch, left : left + patch], target[:, rows, columns]


def batches(images: Dataset[tuple[Tensor, Tensor]], batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches for ever, from workers that are forked once, as is usual on Linux."""
    loader = DataLoader(images, batch, shuffle=True, num_workers=WORKERS, drop_last=True, multiprocessing_context="fork", persistent_workers=True)
    while True:
        yield from loader


def pix2pix(device: str) -> Step:
    """Return a step of Pix2Pix as published: discriminator, then generator."""
    generator, discriminator = UNet().to(device), PatchGAN(6).to(device)
    for network in (generator, discriminator):
        initialise(network)
    of_generator, of_discriminator = (torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (generator, discriminator))

    def step(source: Tensor, target: Tensor) -> None:
        fake = generator(source)
        discriminator.requires_grad_(True)
        of_discriminator.zero_grad()
        judged_fake, judged_real = (discriminator(torch.cat([source, image], 1)) for image in (fake.detach(), target))
        _backward(0.5 * (_entropy(judged_fake, 0.0) + _entropy(judged_real, 1.0)))
        of_discriminator.step()
        discriminator.requires_grad_(False)
        of_generator.zero_grad()
        _backward(_entropy(discriminator(torch.cat([source, fake], 1)), 1.0) + 100 * functional.l1_loss(fake, target))
        of_generator.step()

    return step


def cyclegan(device: str) -> Step:
    """Return a step of CycleGAN as published: generators, then discriminators; without the pool, whose cost is nothing."""
    generators = nn.ModuleList([ResNet(), ResNet()]).to(device)
    discriminators = nn.ModuleList([PatchGAN(norm="instance"), PatchGAN(norm="instance")]).to(device)
    for networks in (generators, discriminators):
        initialise(networks)
    of_generators, of_discriminators = (torch.optim.Adam(networks.parameters(), 2e-4, (0.5, 0.999)) for networks in (generators, discriminators))
    there, back = generators
    judge_target, judge_source = discriminators

    def step(source: Tensor, target: Tensor) -> None:
        fake_target, fake_source = there(source), back(target)
        cycled_source, cycled_target = back(fake_target), there(fake_source)
        discriminators.requires_grad_(False)
        of_generators.zero_grad()
        loss = _square(judge_target(fake_target), 1.0) + _square(judge_source(fake_source), 1.0)
        loss = loss + 10 * (functional.l1_loss(cycled_source, source) + functional.l1_loss(cycled_target, target))
        loss = loss + 5 * (functional.l1_loss(there(target), target) + functional.l1_loss(back(source), source))
        _backward(loss)
        of_generators.step()
        discriminators.requires_grad_(True)
        of_discriminators.zero_grad()
        for judge, real, fake in ((judge_target, target, fake_target), (judge_source, source, fake_source)):
            _backward(0.5 * (_square(judge(real), 1.0) + _square(judge(fake.detach()), 0.0)))
        of_discriminators.step()

    return step


def srresnet(device: str) -> Step:
    """Return a step of SRGAN's first stage, on pixels alone."""
    return _regression(SRResNet().to(device), functional.mse_loss, 1e-4)


def distill(device: str) -> Step:
    """Return a step of a student that learns the pictures of a teacher."""
    return _regression(Compact().to(device), functional.l1_loss, 2e-4)


def srgan(device: str, weights: Path) -> Step:
    """Return a step of SRGAN's second stage: discriminator, then generator, with features of VGG19 from a file of its weights."""
    generator, discriminator = SRResNet().to(device), SRGANDiscriminator().to(device)
    of_generator, of_discriminator = (torch.optim.Adam(network.parameters(), 1e-4) for network in (generator, discriminator))
    features = vgg19().features[:36].eval().requires_grad_(False).to(device)
    features.load_state_dict({name: weight for name, weight in torch.load(weights, weights_only=True).items() if name in features.state_dict()})
    see = nn.Sequential(transforms.Normalize(*IMAGENET), features)

    def step(source: Tensor, target: Tensor) -> None:
        fake = generator(source)
        discriminator.requires_grad_(True)
        of_discriminator.zero_grad()
        _backward(_entropy(discriminator(target), 1.0) + _entropy(discriminator(fake.detach()), 0.0))
        of_discriminator.step()
        discriminator.requires_grad_(False)
        of_generator.zero_grad()
        with torch.no_grad():
            seen = see(target)
        _backward(0.006 * functional.mse_loss(see(fake), seen) + 1e-3 * _entropy(discriminator(fake), 1.0))
        of_generator.step()

    return step


def _regression(network: nn.Module, loss: Callable[..., Tensor], rate: float) -> Step:
    optimizer = torch.optim.Adam(network.parameters(), rate)

    def step(source: Tensor, target: Tensor) -> None:
        optimizer.zero_grad()
        _backward(loss(network(source), target))
        optimizer.step()

    return step


def _backward(loss: Any) -> None:
    loss.backward()


def _entropy(logits: Tensor, target: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _square(logits: Tensor, target: float) -> Tensor:
    return functional.mse_loss(logits, torch.full_like(logits, target))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())
