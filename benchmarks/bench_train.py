"""Training speed: steps a second of the engine beside the plain eager loop of the literature, on the same networks, images, batch and machine.

The plain loop is written here as the published code bases have it: 32 bits, PyTorch's usual memory layout, torchvision transforms in a
DataLoader. Both sides train the published Pix2Pix (U-Net-256) and CycleGAN (ResNet-9) at 256x256, each in a process of its own, and take turns.

Run: ``PIXLATE_DATA=... python benchmarks/bench_train.py [--device cuda] [--turns 2] [--compile]``
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from common import TURNS, data, in_turns, save, timed
from pixlate.networks.initialisation import initialise
from pixlate.networks.patchgan import PatchGAN
from pixlate.networks.resnet import ResNet
from pixlate.networks.unet import UNet
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.training.engine import Progress, train
from pixlate.training.run import RunOptions

FOLDERS = {"pix2pix": ("sketches/train", "photos/train"), "cyclegan": ("photos/train", "night")}
STEPS = {"cpu": {"pix2pix": 10, "cyclegan": 3}, "cuda": {"pix2pix": 300, "cyclegan": 100}}
WARM_UP = {"cpu": 2, "cuda": 50}
ENGINE: dict[str, dict[str, Any]] = {
    "engine, 32 bits": {},
    "engine, bfloat16": {"precision": "bf16-mixed"},
}
COMPILED: dict[str, dict[str, Any]] = {"engine, bfloat16, channels last, compiled": {"precision": "bf16-mixed", "channels_last": True, "compile": True}}
REQUIRED = {"cpu": 1.5, "cuda": 3.0}


def main() -> None:
    """Measure all sides in turns, print the ratios and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--compile", action="store_true", help="measure torch.compile, too, which takes minutes to begin on a CPU")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--method", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side:
        steps, warm_up = STEPS[chosen.device][chosen.method], WARM_UP[chosen.device]
        measure = plain if chosen.side == "plain" else engine
        print(json.dumps(measure(chosen.side, chosen.method, chosen.device, warm_up + steps)[warm_up:]))
        return
    rows, figures = [], []
    sides = ("plain", *ENGINE, *(COMPILED if chosen.compile else {}))
    for method in FOLDERS:
        seen = in_turns({side: partial(median_step, side, method, chosen.device) for side in sides}, chosen.turns)
        rows.append({"method": method, **seen.to_json()})
        for side in sides[1:]:
            figures.append(seen.times(f"{method}: {side}, over the plain loop in 32 bits", side, "plain", required=REQUIRED[chosen.device]))
    what = "Training on two folders at 256x256, batch 1, published networks: steps a second over the plain eager loop of the literature"
    save(f"train-{chosen.device}", {"what": what, "device": chosen.device, "seconds_a_step": rows}, figures)


def median_step(side: str, method: str, device: str) -> float:
    """Return the median seconds of a step, in a process of its own."""
    times: list[float] = json.loads(timed([sys.executable, __file__, "--side", side, "--method", method, "--device", device]).output.splitlines()[-1])
    return statistics.median(times)


def engine(side: str, method: str, device: str, steps: int) -> list[float]:
    """Return the seconds of each step of the engine."""
    offered = installed().offered(Method)[method]
    training = replace(
        offered.training(), steps=steps, device=device, validate_every=10**9, checkpoint_every=10**9, log_every=10**9, **{**ENGINE, **COMPILED}[side]
    )
    folders = tuple(data() / folder for folder in FOLDERS[method])
    seen = [time.perf_counter()]

    def watch(progress: Progress) -> None:
        if device == "cuda":
            torch.cuda.synchronize()
        if progress.step < steps:  # the last one writes a checkpoint
            seen.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as run:
        train(RunOptions(offered, offered.options(), folders, offered.data.options(hold_out=0), training), Path(run), watch, print)
    return [after - before for before, after in pairwise(seen)]


def plain(side: str, method: str, device: str, steps: int) -> list[float]:
    """Return the seconds of each step of the plain loop."""
    torch.manual_seed(0)
    update = (PlainPix2Pix if method == "pix2pix" else PlainCycleGAN)(device)
    images = batches([data() / folder for folder in FOLDERS[method]], method == "pix2pix")
    seen = []
    started = time.perf_counter()
    for _ in range(steps - 1):
        update.step(*(image.to(device) for image in next(images)))
        if device == "cuda":
            torch.cuda.synchronize()
        seen.append(time.perf_counter() - started)
        started = time.perf_counter()
    return seen


def batches(folders: list[Path], paired: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of one, in [-1, 1], as torchvision's transforms in a DataLoader make them."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    prepare = transforms.Compose(
        [
            transforms.Resize((286, 286), transforms.InterpolationMode.BICUBIC),
            transforms.RandomCrop(256),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    files = [sorted(path for path in folder.iterdir() if path.is_file()) for folder in folders]

    class Folders(Dataset[tuple[Tensor, Tensor]]):
        def __len__(self) -> int:
            return min(map(len, files))

        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            first, second = (self.read(paths[index], index if paired else -1) for paths in files)
            return first, second

        def read(self, path: Path, seed: int) -> Tensor:
            with Image.open(path) as image:
                if seed >= 0:  # both of a pair are cut alike
                    torch.manual_seed(seed)
                prepared: Tensor = prepare(image.convert("RGB"))
            return prepared

    while True:
        yield from DataLoader(Folders(), batch_size=1, shuffle=True, num_workers=2)


class PlainPix2Pix:
    """Pix2Pix as published, eager and in 32 bits."""

    def __init__(self, device: str) -> None:
        self.generator, self.discriminator = UNet().to(device), PatchGAN(6).to(device)
        for network in (self.generator, self.discriminator):
            initialise(network)
        self.players = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (self.generator, self.discriminator)]

    def step(self, source: Tensor, target: Tensor) -> None:
        """Update discriminator, then generator."""
        fake = self.generator(source)
        self.discriminator.requires_grad_(True)
        self.players[1].zero_grad()
        judged_fake, judged_real = (self.discriminator(torch.cat([source, image], 1)) for image in (fake.detach(), target))
        (0.5 * (_entropy(judged_fake, 0.0) + _entropy(judged_real, 1.0))).backward()  # type: ignore[no-untyped-call]
        self.players[1].step()
        self.discriminator.requires_grad_(False)
        self.players[0].zero_grad()
        (_entropy(self.discriminator(torch.cat([source, fake], 1)), 1.0) + 100 * functional.l1_loss(fake, target)).backward()  # type: ignore[no-untyped-call]
        self.players[0].step()


class PlainCycleGAN:
    """CycleGAN as published, eager and in 32 bits; without the pool, whose cost is nothing."""

    def __init__(self, device: str) -> None:
        self.generators = nn.ModuleList([ResNet(), ResNet()]).to(device)
        self.discriminators = nn.ModuleList([PatchGAN(norm="instance"), PatchGAN(norm="instance")]).to(device)
        for networks in (self.generators, self.discriminators):
            initialise(networks)
        self.players = [torch.optim.Adam(networks.parameters(), 2e-4, (0.5, 0.999)) for networks in (self.generators, self.discriminators)]

    def step(self, source: Tensor, target: Tensor) -> None:
        """Update generators, then discriminators."""
        there, back = self.generators
        judge_target, judge_source = self.discriminators
        fake_target, fake_source = there(source), back(target)
        cycled_source, cycled_target = back(fake_target), there(fake_source)
        self.discriminators.requires_grad_(False)
        self.players[0].zero_grad()
        loss = _square(judge_target(fake_target), 1.0) + _square(judge_source(fake_source), 1.0)
        loss = loss + 10 * (functional.l1_loss(cycled_source, source) + functional.l1_loss(cycled_target, target))
        loss = loss + 5 * (functional.l1_loss(there(target), target) + functional.l1_loss(back(source), source))
        loss.backward()  # type: ignore[no-untyped-call]
        self.players[0].step()
        self.discriminators.requires_grad_(True)
        self.players[1].zero_grad()
        for judge, real, fake in ((judge_target, target, fake_target), (judge_source, source, fake_source)):
            (0.5 * (_square(judge(real), 1.0) + _square(judge(fake.detach()), 0.0))).backward()  # type: ignore[no-untyped-call]
        self.players[1].step()


def _entropy(logits: Tensor, target: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _square(logits: Tensor, target: float) -> Tensor:
    return functional.mse_loss(logits, torch.full_like(logits, target))


if __name__ == "__main__":
    main()
