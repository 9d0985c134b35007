"""A small run of StarGAN v2, exported, converted with, evaluated, served and described, through what every method goes through."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.pixlate_serve.conftest import Application, error_of, file, pixels_of

import pixlate
import pixlate_stargan
from pixlate.cli import main
from pixlate.convert import ConvertOptions, convert
from pixlate.errors import PixlateError
from pixlate.inference.conditions import noise
from pixlate.plugin.data import Batch
from pixlate.plugin.testing import make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import train
from pixlate.training.run import RunOptions
from pixlate_export.exporter import export_run
from pixlate_export.options import ExportOptions
from pixlate_serve.options import ServeOptions
from pixlate_serve.service import Service
from pixlate_web.models import offered

pytestmark = pytest.mark.usefixtures("operators_read_once")

(METHOD,) = pixlate_stargan.pixlate_methods()
DOMAINS = ("blond", "brown", "grey")
EXPORTS = ("latent", "reference", "style", "to-grey")
OPTIONS: dict[str, Any] = {
    "channels": 4,
    "most_channels": 8,
    "downsamplings": 2,
    "style_length": 6,
    "latent_length": 5,
    "mapping_channels": 8,
    "patch": 16,
    "hold_out": 1,
    "workers": 1,
    "device": "cpu",
    "steps": 3,
    "batch": 2,
    "learning_rate": 1e-2,
    "average_decay": 0.5,
}
each_export = pytest.mark.parametrize("name", EXPORTS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with faces/ of three domains, photos/, run/, and a model file of each export."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("stargan")
    for seed, domain in enumerate(DOMAINS):
        make_photographs(folder / "faces" / domain, 3, 24, 28, seed)
    make_photographs(folder / "photos", 3, 37, 41, 9)
    parts: list[Any] = [
        replace(owner(), **{item.name: OPTIONS[item.name] for item in fields(owner) if item.name in OPTIONS})
        for owner in (METHOD.options, METHOD.data.options, METHOD.training)
    ]
    train(RunOptions(METHOD, parts[0], (folder / "faces",), parts[1], parts[2]), folder / "run", lambda _: None, lambda _: None)
    for name in EXPORTS:
        export_run(folder / "run", folder / f"{name}.onnx", generator=name)
    return folder


def gan_of(folder: Path) -> Any:
    gan = RunOptions.load(folder / "run", {"stargan": METHOD}).build()
    gan.load_state_dict(load_checkpoint(folder / "run").average)
    return gan.eval()


def given(name: str, batch: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return random conditions that a file takes."""
    generator = np.random.default_rng(seed)
    every: dict[str, NDArray[Any]] = {
        "latent": generator.standard_normal((batch, 5), np.float32),
        "domain": generator.integers(0, 3, batch),
        "reference": generator.integers(0, 256, (batch, 16, 16, 3), np.uint8),
        "style": generator.standard_normal((batch, 6), np.float32),
    }
    takes = {"latent": ("latent", "domain"), "reference": ("reference", "domain"), "style": ("style",), "to-grey": ("latent",)}[name]
    return {each: every[each] for each in takes}


def by_pytorch(folder: Path, name: str, pixels: NDArray[Any], conditions: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return what the averaged networks make of images of sides that they take, in levels."""
    batch: Batch = {"source": torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255}
    for key, value in conditions.items():
        tensor = torch.from_numpy(value)
        batch[key] = tensor.permute(0, 3, 1, 2) / 255 if tensor.ndim == 4 else tensor
    with torch.no_grad():
        levels: NDArray[np.float32] = (gan_of(folder).exports()[name](batch) * 255).permute(0, 2, 3, 1).numpy()
    return levels


@each_export
def test_files_give_the_pictures_of_pytorch_at_five_sizes(name: str, place: Path) -> None:
    translator = pixlate.load(place / f"{name}.onnx", device="cpu")
    for seed, (height, width) in enumerate(((8, 8), (16, 16), (24, 12), (40, 64), (100, 36))):
        pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width, 3), np.uint8)
        conditions = given(name, 3, seed)
        expected = by_pytorch(place, name, pixels, conditions)
        assert abs(translator(pixels, **conditions).astype(np.float32) - expected).max() <= 1
        assert expected.std() > 1, "there is something to see"


def test_float_file_takes_the_reference_as_a_mask_is_taken(place: Path, tmp_path: Path) -> None:
    exported = export_run(place / "run", tmp_path / "float.onnx", ExportOptions("float"), generator="reference")
    pixels, conditions = np.random.default_rng(0).integers(0, 256, (2, 9, 14, 3), np.uint8), given("reference", 2)
    found = [pixlate.load(path, device="cpu")(pixels, **conditions).astype(int) for path in (exported.path, place / "reference.onnx")]
    assert abs(found[0] - found[1]).max() <= 1


def test_file_of_one_domain_gives_what_that_of_all_gives_for_its_label(place: Path) -> None:
    alone, together = (pixlate.load(place / f"{name}.onnx", device="cpu") for name in ("to-grey", "latent"))
    assert [each.choices for each in together.spec.conditions] == [(), DOMAINS]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3), np.uint8)
    latent = given("to-grey", 2)["latent"]
    grey, blond = (together(pixels, latent=latent, domain=np.full(2, DOMAINS.index(domain))) for domain in ("grey", "blond"))
    np.testing.assert_array_equal(alone(pixels, latent=latent), grey)
    assert (blond != grey).any()


def test_facts_give_the_domains_and_the_side_without_their_folder(place: Path) -> None:
    assert re.search(r'\[facts\]\ndomains = \[\s*"blond",\s*"brown",\s*"grey",\s*\]\nside = 16', (place / "run/options.toml").read_text())


def converted(place: Path, out: Path, name: str, *texts: str, **options: Any) -> dict[str, NDArray[np.uint8]]:
    summary = convert(place / "photos", out, place / f"{name}.onnx", ConvertOptions(device="cpu", threads=1, set=texts, **options))
    assert summary.converted == 3
    return {path.stem: np.array(Image.open(path)) for path in sorted(out.glob("*.png"))}


def test_seed_that_is_set_gives_every_picture_one_style(place: Path, tmp_path: Path) -> None:
    translator = pixlate.load(place / "latent.onnx", device="cpu")
    (latent,) = (each for each in translator.spec.conditions if each.kind == "noise")
    found = converted(place, tmp_path / "3", "latent", "domain=grey", "seed=3")
    for path in (place / "photos").iterdir():
        expected = translator(np.array(Image.open(path))[None], latent=noise(latent, "3/")[None], domain=np.array([2]))[0]
        np.testing.assert_array_equal(found[path.stem], expected)
    assert all((found[stem] != other).any() for stem, other in converted(place, tmp_path / "4", "latent", "domain=grey", "seed=4").items())
    assert any((found[stem] != other).any() for stem, other in converted(place, tmp_path / "own", "latent", "domain=grey").items())


def test_reference_gives_every_picture_its_style(place: Path, tmp_path: Path) -> None:
    reference = place / "faces/brown/000.png"
    found = converted(place, tmp_path / "out", "reference", "domain=brown", f"reference={reference}")
    gan = gan_of(place)
    shown = np.array(Image.open(reference).resize((16, 16), Image.Resampling.LANCZOS))  # of other light than linear, so that levels differ a little
    for path in (place / "photos").iterdir():
        padded = np.pad(np.array(Image.open(path)), ((0, 3), (0, 3), (0, 0)), mode="reflect")
        batch = [torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 for pixels in (padded, shown)]
        with torch.no_grad():
            expected = gan.exports()["reference"].module(*batch, torch.tensor([1]))[0].permute(1, 2, 0).numpy()[:37, :41] * 255
        assert abs(found[path.stem] - expected).mean() < 3
    other = converted(place, tmp_path / "other", "reference", "domain=brown", f"reference={place / 'faces/grey/001.png'}")
    assert all((found[stem] != other[stem]).any() for stem in found)


REFUSED = {
    ("latent", ()): "expected one of blond, brown, grey for the label domain, got none; add --set domain=blond",
    ("latent", ("domain=black",)): "expected one of blond, brown, grey for domain, got 'black'; choose one of these",
    (
        "latent",
        ("domain=grey", "latent=1,2"),
    ): "expected a label or vector for --set, got the noise latent; it is drawn: choose other draws with --seed, or one draw for all images with --set seed=3",
    ("reference", ("domain=grey",)): "expected a picture for the reference reference, got none; add --set reference=FILE where the command reads files",
    (
        "reference",
        ("domain=grey", "reference=grey.png"),
    ): "expected a picture of 3 channels for reference, got {folder}/grey.png of 1; convert it or choose another",
    ("reference", ("domain=grey", "seed=3")): "expected no seed for a model that takes no noise, got 3; leave it out",
    ("style", ("style=1,2",)): "expected 6 numbers with commas between for style, got '1,2'; write: --set style=0,0,0",
}


@pytest.mark.parametrize(("name", "texts"), REFUSED)
def test_what_cannot_work_is_refused_in_one_sentence(name: str, texts: tuple[str, ...], place: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "grey.png")
    given = [each.replace("=grey.png", f"={tmp_path}/grey.png") for each in texts]
    words = ["convert", str(place / "photos"), str(tmp_path / "out"), "--model", str(place / f"{name}.onnx"), "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["pixlate", *words, *(word for text in given for word in ("--set", text))])
    assert main() == 2
    assert capsys.readouterr().err.strip() == f"pixlate: {REFUSED[name, texts].format(folder=tmp_path)}"
    assert not (tmp_path / "out").exists()


def test_noise_of_another_length_is_refused(place: Path) -> None:
    translator = pixlate.load(place / "to-grey.onnx", device="cpu")
    with pytest.raises(PixlateError, match=r"expected float \(1, 5\) for latent, got float64 \(1, 4\); change it"):
        translator(np.zeros((1, 16, 16, 3), np.uint8), latent=np.zeros((1, 4)))


def test_evaluation_and_data_check_and_configuration_for_triton(place: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    model, faces = str(place / "latent.onnx"), place / "faces"
    for words, said in (
        (["evaluate", model, str(faces / "brown"), str(faces / "grey"), "--layout", "unpaired", "--set", "domain=grey", "--device", "cpu"], "sliced"),
        (["data", "check", "--kind", "domains", str(faces)], "domains blond, brown, grey"),
        (["triton", str(place / "reference.onnx"), str(tmp_path)], "reference"),
    ):
        monkeypatch.setattr("sys.argv", ["pixlate", *words])
        assert main() == 0
        assert said in capsys.readouterr().out
    (config,) = tmp_path.rglob("config.pbtxt")
    inputs = config.read_text().partition("output")[0].partition("input")[2]
    assert re.findall(r'name: "(image|reference|domain)"', inputs) == ["image", "reference", "domain"]
    assert re.search(r'name: "reference"\s+data_type: TYPE_UINT8\s+dims: \[ ?16, 16, 3 ?\]', inputs)


@pytest.fixture(scope="module")
def application(place: Path) -> Iterator[Application]:
    """The models that a server takes, served in this process."""
    service = Service({name: pixlate.load(place / f"{name}.onnx", device="cpu") for name in ("latent", "style")}, ServeOptions(), "")
    service.start()
    assert all(model.warm.wait(60) for model in service.models.values())
    yield Application(service)
    assert service.close(timeout_s=30)


def test_server_answers_with_the_picture_of_the_folder(place: Path, application: Application, tmp_path: Path) -> None:
    found = converted(place, tmp_path / "out", "latent", "domain=grey", "seed=3")
    pixels = np.array(Image.open(place / "photos/000.png"))
    answer = application.translate(file(pixels), "latent", query="?domain=grey&seed=3")
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(pixels_of(answer.content), found["000"])
    for query, sentence in (
        ("", "expected one of blond, brown, grey for the label domain, got none; add ?domain=blond"),
        ("?domain=grey&age=7", "expected a condition that this model takes (latent, domain), got age; leave it out"),
    ):
        refused = error_of(application.translate(file(pixels), "latent", query=query))
        assert (refused[0], refused[2]) == (400, sentence)


def test_server_and_page_refuse_a_model_of_a_reference_in_one_sentence(place: Path) -> None:
    translator = pixlate.load(place / "reference.onnx", device="cpu")
    with pytest.raises(
        PixlateError, match="expected a model without a reference picture, since a request holds one picture, got look, which takes reference; "
    ):
        Service({"look": translator}, ServeOptions(), "")
    with pytest.raises(PixlateError, match=r"expected --model files that take one picture, got .*reference\.onnx, which takes a reference too; "):
        offered([place / "reference.onnx"])
    for name in ("latent", "style", "to-grey"):
        assert offered([place / f"{name}.onnx"])[0].text.startswith(f"{name}.onnx")
