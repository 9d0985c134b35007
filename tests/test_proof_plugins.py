"""Methods of other kinds, as somebody else would write them, from training to the server: see ``tests/third_party``."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.commands import Done, run_modules

import pixlate
from pixlate.plugin.data import Batch
from pixlate.plugin.method import Method
from pixlate.plugin.testing import check_method, make_photographs
from pixlate.training.run import RunOptions
from pixlate.training.starting import load_checkpoint

THIRD_PARTY = Path(__file__).parent / "third_party"
DOMAINS = ("blond", "brown", "grey")
SMALL = ["--channels", 4, "--blocks", 1, "--discriminator-channels", 4, "--patch", 32, "--resize", 36, "--hold-out", 1, "--workers", 1, "--device", "cpu"]
SHORT = ["--batch", 2, "--steps", 5, "--checkpoint-every", 2, "--validate-every", 5, "--log-every", 1]
KILLED_AFTER = 3
"""Steps, of which the last one is in no checkpoint."""

KILLED = f"""
import os, json, sys
from pixlate.cli import main
from pixlate.training import engine
from pixlate.training.trainer import Trainer

train = engine.train

def killed(options, run, watch, *rest, **more):
    def watching(progress):
        if progress.step == {KILLED_AFTER}:
            os.kill(os.getpid(), {int(signal.SIGKILL)})
    return train(options, run, watching, *rest, **more)

engine.train = killed
for words in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        sys.argv = ["pixlate", *words]
        main()
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""
"""Trains in processes that are killed in the middle, one after the other; prints how each ended. PyTorch is imported once for all of them."""


@dataclass(frozen=True)
class Proof:
    """A plugin with what its method is trained on."""

    name: str
    folders: tuple[str, ...]
    files: Mapping[str, Sequence[object]]
    """Model files with the options they are exported with."""
    options: tuple[object, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


PROOFS = (
    Proof("cut", ("faces/brown", "faces/grey"), {"cut": ()}, ("--projection-channels", 8, "--patches", 16)),
    Proof("domains", ("faces",), {"any": (), "to-grey": ("--generator", "to-grey")}, ("--pool", 2, "--augment", "color"), {"domains": list(DOMAINS)}),
    Proof("inpaint", ("photos", "masks"), {"inpaint": ()}, ("--pool", 2, "--augment", "translation")),
)
each_proof = pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
each_file = pytest.mark.parametrize(
    ("proof", "file"), [(proof, file) for proof in PROOFS for file in proof.files], ids=lambda value: value if isinstance(value, str) else ""
)


@pytest.fixture(scope="module")
def methods() -> Iterator[dict[str, Method]]:
    """The methods of the plugins, in this process, from their sources: entry points are for processes of their own."""
    sources = [str(THIRD_PARTY / f"pixlate_{proof.name}") for proof in PROOFS]
    sys.path[:0] = sources
    yield {method.name: method for proof in PROOFS for method in importlib.import_module(f"pixlate_{proof.name}").pixlate_methods()}
    sys.path[:] = [path for path in sys.path if path not in sources]
    for name in [name for name in sys.modules if name.partition(".")[0] in {f"pixlate_{proof.name}" for proof in PROOFS}]:
        del sys.modules[name]


@dataclass(frozen=True)
class Workplace:
    """A folder of images, runs and models, and what each command printed."""

    folder: Path
    site: Path
    done: Mapping[str, Done]
    """By method and what was done."""
    endings: tuple[int, ...]
    """How the processes ended that were to be killed."""


def write_images(folder: Path) -> None:
    """Write photographs with masks of the same names, and a folder for each domain."""
    make_photographs(folder / "photos", 4, 40, 44)
    (folder / "masks").mkdir()
    for place, path in enumerate(sorted((folder / "photos").iterdir())):
        mask = np.zeros((40, 44), np.uint8)
        mask[8 + place : 24, 10:30] = 255
        Image.fromarray(mask).save(folder / "masks" / path.name)
    for seed, domain in enumerate(DOMAINS):
        make_photographs(folder / "faces" / domain, 3, 40, 44, seed)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Install the plugins; train with and without being killed, resume and export."""
    folder = tmp_path_factory.mktemp("proof")
    site = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*install, *(str(THIRD_PARTY / f"pixlate_{proof.name}") for proof in PROOFS)], check=True, capture_output=True, timeout=120)
    write_images(folder)
    runs = folder / "runs"
    start = {proof.name: ["train", proof.name, *(folder / name for name in proof.folders), *SMALL, *SHORT, *proof.options] for proof in PROOFS}
    words = json.dumps([[str(word) for word in [*start[name], "--out", runs / name]] for name in start])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(site)}
    killed = subprocess.run([sys.executable, "-c", KILLED, words], env=environment, check=True, capture_output=True, text=True, timeout=300)
    commands: dict[str, Sequence[object]] = {}
    for proof in PROOFS:
        commands |= {f"{proof.name} whole": [*start[proof.name], "--out", runs / f"{proof.name}-whole"]}
        commands |= {f"{proof.name} resumed": ["train", "--resume", runs / proof.name]}
        commands |= {file: ["export", runs / proof.name, folder / f"{file}.onnx", *options] for file, options in proof.files.items()}
    commands["plugins"] = ["plugins", "--json"]
    done = dict(zip(commands, run_modules(*(["pixlate", *words] for words in commands.values()), site=site), strict=True))
    return Workplace(folder, site, done, tuple(map(int, killed.stdout.split())))


@each_proof
def test_method_keeps_the_contract(proof: Proof, methods: Mapping[str, Method]) -> None:
    check_method(methods[proof.name], facts=proof.facts)


def test_plugins_are_listed_with_distribution_version_and_api(workplace: Workplace) -> None:
    listed = {plugin["distribution"]: plugin for plugin in json.loads(workplace.done["plugins"].require().out)}
    for proof in PROOFS:
        found = listed[f"pixlate-{proof.name}"]
        assert (found["name"], found["version"], found["api"], found["error"]) == (proof.name, "1.0.0", 2, "")


@each_proof
def test_killed_training_resumes_to_the_weights_of_a_run_never_killed(proof: Proof, workplace: Workplace) -> None:
    assert workplace.endings == (signal.SIGKILL,) * len(PROOFS)
    workplace.done[f"{proof.name} whole"].require()
    resumed = workplace.done[f"{proof.name} resumed"].require()
    assert "from step 2 on" in resumed.err
    runs = [workplace.folder / "runs" / name / "checkpoints/step-00000005" for name in (proof.name, f"{proof.name}-whole")]
    for part in ("weights", "average", "optimizers", "pool"):
        first, second = ((run / f"{part}.safetensors").read_bytes() for run in runs)
        assert first == second, part


@each_proof
def test_every_player_is_trained_and_logged(proof: Proof, workplace: Workplace) -> None:
    log = [json.loads(line) for line in (workplace.folder / "runs" / proof.name / "log.jsonl").read_text().splitlines()]
    losses = [line for line in log if line["kind"] == "losses"]
    named = {
        "cut": {"discriminator", "projection", "adversarial", "contrast"},
        "domains": {"discriminator", "adversarial", "cycle"},
        "inpaint": {"discriminator", "adversarial", "pixel"},
    }
    assert [line["step"] for line in losses] == [1, 2, 3, 4, 5]
    assert all(named[proof.name] <= line.keys() for line in losses)
    (figures,) = (line for line in log if line["kind"] == "validation")
    assert ("psnr_luma" in figures) == (proof.name == "inpaint") and ("sliced_wasserstein" in figures) == (proof.name != "inpaint")


def given(file: str, height: int = 37, width: int = 41, batch: int = 3) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
    """Return images, and the conditions that a file takes."""
    generator = np.random.default_rng(0)
    conditions: dict[str, NDArray[Any]] = {}
    if file == "any":
        conditions["domain"] = np.arange(batch) % len(DOMAINS)
    if file == "inpaint":
        conditions["mask"] = generator.integers(0, 2, (batch, height, width, 1), np.uint8) * np.uint8(255)
    return generator.integers(0, 256, (batch, height, width, 3), np.uint8), conditions


def by_pytorch(file: str, proof: Proof, workplace: Workplace, method: Method, pixels: NDArray[Any], **conditions: NDArray[Any]) -> NDArray[np.float32]:
    """Return what the averaged generator of the run makes of images of sides that it takes, in levels of 255."""
    run = workplace.folder / "runs" / proof.name
    gan = RunOptions.load(run, {proof.name: method}).build()
    gan.load_state_dict(load_checkpoint(run).average)
    export = gan.exports()[file] if file in gan.exports() else next(iter(gan.exports().values()))
    export.module.eval()
    batch: Batch = {"source": torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255}
    for name, value in conditions.items():
        tensor = torch.from_numpy(value)
        batch[name] = tensor.permute(0, 3, 1, 2) / 255 if tensor.ndim == 4 else tensor
    with torch.no_grad():
        levels: NDArray[np.float32] = (export(batch) * 255).permute(0, 2, 3, 1).numpy()
    return levels


@each_file
def test_exported_file_gives_the_pictures_of_pytorch(proof: Proof, file: str, workplace: Workplace, methods: Mapping[str, Method]) -> None:
    workplace.done[file].require()
    pixels, conditions = given(file, 36, 44)
    expected = by_pytorch(file, proof, workplace, methods[proof.name], pixels, **conditions)
    translator = pixlate.load(workplace.folder / f"{file}.onnx", device="cpu")
    assert abs(translator(pixels, **conditions).astype(np.float32) - expected).max() <= 1
    assert expected.std() > 1, "there is something to see"


def test_file_of_one_domain_gives_what_the_file_of_all_gives_for_its_label(workplace: Workplace) -> None:
    alone, together = (pixlate.load(workplace.folder / f"{file}.onnx", device="cpu") for file in ("to-grey", "any"))
    assert (alone.spec.inputs, [each.choices for each in together.spec.conditions]) == ((), [DOMAINS])
    pixels, _ = given("to-grey")
    grey, blond = (together(pixels, domain=np.full(len(pixels), DOMAINS.index(name))) for name in ("grey", "blond"))
    np.testing.assert_array_equal(alone(pixels), grey)
    assert (blond != grey).any()


def test_pixels_that_the_mask_does_not_cover_stay(workplace: Workplace) -> None:
    pixels, conditions = given("inpaint")
    filled = pixlate.load(workplace.folder / "inpaint.onnx", device="cpu")(pixels, **conditions)
    covered = conditions["mask"][..., 0] == 255
    np.testing.assert_array_equal(filled[~covered], pixels[~covered])
    assert (filled[covered] != pixels[covered]).any()


def test_facts_give_the_domains_without_their_folder(workplace: Workplace) -> None:
    options = (workplace.folder / "runs/domains/options.toml").read_text()
    assert re.search(r'\[facts\]\ndomains = \[\s*"blond",\s*"brown",\s*"grey",\s*\]', options)
