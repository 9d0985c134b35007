"""Methods of other kinds, as somebody else would write them, from training to the server: see ``tests/third_party``."""

import importlib
import json
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
from tests.commands import Done, Process, run_modules
from tests.pixlate_serve.conftest import Application, error_of, file, pixels_of

import pixlate
from pixlate.plugin.data import Batch
from pixlate.plugin.method import Method
from pixlate.plugin.testing import check_method, make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.run import RunOptions
from pixlate_serve.options import ServeOptions
from pixlate_serve.service import Service

THIRD_PARTY = Path(__file__).parent / "third_party"
DOMAINS = ("blond", "brown", "grey")
SMALL = ["--channels", 4, "--blocks", 1, "--discriminator-channels", 4, "--patch", 32, "--resize", 36, "--hold-out", 1, "--workers", 1, "--device", "cpu"]
SHORT = ["--batch", 2, "--steps", 5, "--checkpoint-every", 2, "--validate-every", 5, "--log-every", 1]
KILLED_AFTER = 3
"""Steps, of which the last one is in no checkpoint."""


@dataclass(frozen=True)
class Proof:
    """A plugin with what its method is trained on."""

    name: str
    folders: tuple[str, ...]
    files: Mapping[str, Sequence[object]]
    """Model files with the options they are exported with."""
    options: tuple[object, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


PROOFS = (Proof("domains", ("faces",), {"any": (), "to-grey": ("--generator", "to-grey")}, ("--pool", 2, "--augment", "color"), {"domains": list(DOMAINS)}),)
each_proof = pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
each_model = pytest.mark.parametrize(("proof", "model"), [pytest.param(proof, model, id=model) for proof in PROOFS for model in proof.files])


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
    endings: Sequence[int | None]
    """How the processes ended that were to be killed."""


def write_images(folder: Path) -> None:
    """Write photographs, and a folder for each domain."""
    make_photographs(folder / "photos", 4, 40, 44)
    for seed, domain in enumerate(DOMAINS):
        make_photographs(folder / "faces" / domain, 3, 40, 44, seed)


def conversions(folder: Path) -> dict[str, Sequence[object]]:
    """Return commands that convert, evaluate and describe with the exported files, and some that are refused."""
    photos, faces = folder / "photos", folder / "faces"
    model = {file: folder / f"{file}.onnx" for proof in PROOFS for file in proof.files}
    convert: dict[str, list[object]] = {
        "any": [photos, "--model", model["any"], "--set", "domain=grey"],
        "to-grey": [photos, "--model", model["to-grey"]],
        "missing": [photos, "--model", model["any"]],
        "unknown": [photos, "--model", model["any"], "--set", "domain=grey", "--set", "age=7"],
        "out of choices": [photos, "--model", model["any"], "--set", "domain=black"],
        "not taken": [photos, "--model", model["to-grey"], "--set", "domain=grey"],
        "mask not taken": [photos, "--model", model["any"], "--set", "domain=grey", "--mask", photos],
    }
    commands: dict[str, Sequence[object]] = {f"convert {name}": ["convert", words[0], folder / "out" / name, *words[1:]] for name, words in convert.items()}
    evaluate: dict[str, list[object]] = {
        "any": [model["any"], faces / "brown", faces / "grey", "--layout", "unpaired", "--set", "domain=grey"],
        "missing": [model["any"], faces / "brown", faces / "grey", "--layout", "unpaired"],
    }
    commands |= {f"evaluate {name}": ["evaluate", *words, "--json"] for name, words in evaluate.items()}
    check: dict[str, list[object]] = {
        "domains": ["--kind", "labelled", faces],
        "no domains": ["--kind", "labelled", photos],
        "unknown": ["--kind", "domain", faces],
    }
    commands |= {f"check {name}": ["data", "check", *words] for name, words in check.items()}
    commands["train no domains"] = ["train", "domains", photos, "--out", folder / "refused", *SMALL]
    return commands


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
    endings = []
    for name, words in start.items():
        printed = folder / "printed" / name
        printed.mkdir(parents=True)
        killed = Process(printed, "train_killed_after", KILLED_AFTER, *map(str, words), "--out", str(runs / name), PYTHONPATH=str(site))
        killed.communicate(timeout=300)
        endings.append(killed.returncode)
    commands: dict[str, Sequence[object]] = {}
    for proof in PROOFS:
        commands |= {f"{proof.name} whole": [*start[proof.name], "--out", runs / f"{proof.name}-whole"]}
        commands |= {f"{proof.name} resumed": ["train", "--resume", runs / proof.name]}
        commands |= {file: ["export", runs / proof.name, folder / f"{file}.onnx", *options] for file, options in proof.files.items()}
    commands |= conversions(folder)
    commands["plugins"] = ["plugins", "--json"]
    done = dict(zip(commands, run_modules(*(["pixlate", *words] for words in commands.values()), site=site), strict=True))
    return Workplace(folder, site, done, endings)


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
    assert workplace.endings == [-signal.SIGKILL] * len(PROOFS)
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
        "domains": {"discriminator", "adversarial", "cycle"},
    }
    assert [line["step"] for line in losses] == [1, 2, 3, 4, 5]
    assert all(named[proof.name] <= line.keys() for line in losses)
    (figures,) = (line for line in log if line["kind"] == "validation")
    assert "sliced_wasserstein" in figures and "psnr_luma" not in figures


def given(model: str, height: int = 37, width: int = 41, batch: int = 3) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
    """Return images, and the conditions that a file takes."""
    generator = np.random.default_rng(0)
    conditions: dict[str, NDArray[Any]] = {}
    if model == "any":
        conditions["domain"] = np.arange(batch) % len(DOMAINS)
    return generator.integers(0, 256, (batch, height, width, 3), np.uint8), conditions


def by_pytorch(model: str, proof: Proof, workplace: Workplace, method: Method, pixels: NDArray[Any], **conditions: NDArray[Any]) -> NDArray[np.float32]:
    """Return what the averaged generator of the run makes of images of sides that it takes, in levels of 255."""
    run = workplace.folder / "runs" / proof.name
    gan = RunOptions.load(run, {proof.name: method}).build()
    gan.load_state_dict(load_checkpoint(run).average)
    export = gan.exports()[model] if model in gan.exports() else next(iter(gan.exports().values()))
    export.module.eval()
    batch: Batch = {"source": torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255}
    for name, value in conditions.items():
        tensor = torch.from_numpy(value)
        batch[name] = tensor.permute(0, 3, 1, 2) / 255 if tensor.ndim == 4 else tensor
    with torch.no_grad():
        levels: NDArray[np.float32] = (export(batch) * 255).permute(0, 2, 3, 1).numpy()
    return levels


@each_model
def test_exported_file_gives_the_pictures_of_pytorch(proof: Proof, model: str, workplace: Workplace, methods: Mapping[str, Method]) -> None:
    workplace.done[model].require()
    pixels, conditions = given(model, 36, 44)
    expected = by_pytorch(model, proof, workplace, methods[proof.name], pixels, **conditions)
    translator = pixlate.load(workplace.folder / f"{model}.onnx", device="cpu")
    assert abs(translator(pixels, **conditions).astype(np.float32) - expected).max() <= 1
    assert expected.std() > 1, "there is something to see"


def test_file_of_one_domain_gives_what_the_file_of_all_gives_for_its_label(workplace: Workplace) -> None:
    alone, together = (pixlate.load(workplace.folder / f"{model}.onnx", device="cpu") for model in ("to-grey", "any"))
    assert (alone.spec.inputs, [each.choices for each in together.spec.conditions]) == ((), [DOMAINS])
    pixels, _ = given("to-grey")
    grey, blond = (together(pixels, domain=np.full(len(pixels), DOMAINS.index(name))) for name in ("grey", "blond"))
    np.testing.assert_array_equal(alone(pixels), grey)
    assert (blond != grey).any()


def test_facts_give_the_domains_without_their_folder(workplace: Workplace) -> None:
    options = (workplace.folder / "runs/domains/options.toml").read_text()
    assert re.search(r'\[facts\]\ndomains = \[\s*"blond",\s*"brown",\s*"grey",\s*\]', options)


def picture(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of an RGB file."""
    return np.array(Image.open(path))


@each_model
def test_converted_folder_is_what_the_generator_gives(proof: Proof, model: str, workplace: Workplace, methods: Mapping[str, Method]) -> None:
    workplace.done[f"convert {model}"].require()
    for path in sorted((workplace.folder / "photos").iterdir()):
        conditions: dict[str, NDArray[Any]] = {}
        if model == "any":
            conditions["domain"] = np.array([DOMAINS.index("grey")])
        expected = by_pytorch(model, proof, workplace, methods[proof.name], picture(path)[None], **conditions)[0]
        assert abs(picture(workplace.folder / "out" / model / path.name) - expected).max() <= 1


REFUSED = {
    "convert missing": "expected one of blond, brown, grey for the label domain, got none; add --set domain=blond",
    "convert unknown": "expected a condition that this model takes (domain), got age; leave it out",
    "convert out of choices": "expected one of blond, brown, grey for domain, got 'black'; choose one of these",
    "convert not taken": "expected no condition, since this model takes none, got domain; leave it out",
    "convert mask not taken": "expected a model that takes a mask for --mask, got one that takes none; leave it out",
    "evaluate missing": "expected one of blond, brown, grey for the label domain, got none; add --set domain=blond",
    "check no domains": "expected one folder with a folder of images for each domain, at least two, got {folder}/photos with 0 of them; write faces/, with faces/blond/",
    "check unknown": "expected --kind to be one of degraded, domains, images, labelled, masked, paired, photographs, taught, unpaired, got 'domain'; choose one, or install the plugin that defines it",
    "train no domains": "expected one folder with a folder of images for each domain, at least two, got {folder}/photos with 0 of them; write faces/, with faces/blond/",
}


@pytest.mark.parametrize("command", REFUSED)
def test_bad_input_is_refused_in_one_sentence(command: str, workplace: Workplace) -> None:
    done = workplace.done[command]
    assert (done.code, done.out) == (2, "")
    assert done.err.strip() == f"pixlate: {REFUSED[command].format(folder=workplace.folder)}"
    assert not (workplace.folder / "out" / command.removeprefix("convert ")).exists() and not (workplace.folder / "refused").exists()


@each_proof
def test_evaluation_gives_figures(proof: Proof, workplace: Workplace) -> None:
    model = next(iter(proof.files))
    metrics = json.loads(workplace.done[f"evaluate {model}"].require().out)["metrics"]
    assert np.isfinite(metrics["sliced-wasserstein"]["value"])


def test_folders_of_the_kinds_are_checked(workplace: Workplace) -> None:
    assert "labelled: domains blond, brown, grey" in workplace.done["check domains"].require().out


@pytest.fixture(scope="module")
def application(workplace: Workplace) -> Iterator[Application]:
    """The models, served in this process."""
    models = {model: pixlate.load(workplace.folder / f"{model}.onnx", device="cpu") for proof in PROOFS for model in proof.files}
    service = Service(models, ServeOptions(), "")
    service.start()
    assert all(model.warm.wait(30) for model in service.models.values())
    yield Application(service)
    assert service.close(timeout_s=30)


@each_model
def test_server_answers_with_the_picture_of_the_folder(proof: Proof, model: str, workplace: Workplace, application: Application) -> None:
    pixels = picture(workplace.folder / "photos/000.png")
    answer = application.translate(file(pixels), model, query="?domain=grey" if model == "any" else "")
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(pixels_of(answer.content), picture(workplace.folder / "out" / model / "000.png"))


@pytest.mark.parametrize(
    ("model", "query", "status", "sentence"),
    [
        ("any", "", 400, "expected one of blond, brown, grey for the label domain, got none; add ?domain=blond"),
        ("any", "?domain=black", 400, "expected one of blond, brown, grey for domain, got 'black'; choose one of these"),
        ("any", "?domain=grey&age=7", 400, "expected a condition that this model takes (domain), got age; leave it out"),
        ("to-grey", "?domain=grey", 400, "expected no condition, since this model takes none, got domain; leave it out"),
    ],
)
def test_server_refuses_what_the_models_do_not_take(model: str, query: str, status: int, sentence: str, workplace: Workplace, application: Application) -> None:
    refused = error_of(application.translate(file(picture(workplace.folder / "photos/000.png")), model, query=query))
    assert (refused[0], refused[2]) == (status, sentence)
