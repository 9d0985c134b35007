"""``pixlate data preview``: a sheet of what training sees."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import pixlate
from pixlate.cli import main
from pixlate.data.degraded import DegradedImages
from pixlate.images.contact_sheet import CAPTION, MARGIN
from pixlate.plugin.data import Batch, Draw
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.testing import make_photographs
from pixlate.training.preview import preview
from pixlate.training.run import RunOptions

Run = Callable[..., int]
SMALL = ["--channels", "4", "--blocks", "1", "--network", "msrresnet", "--stages", "pixel", "--hold-out", "1"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photographs(tmp_path_factory.mktemp("photographs"), 4, 136, 144)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run ``data preview`` in an empty folder; return its exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, before: Sequence[object] = ()) -> int:
        monkeypatch.setattr(sys, "argv", ["pixlate", *map(str, before), "data", "preview", *map(str, arguments)])
        return main()

    return run


def levels(image: torch.Tensor) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return found


def test_sheet_has_the_first_samples_of_a_run_sources_above_targets(photographs: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    noisy = {"noise": 30.0, "patch": 80}
    assert run("srgan", photographs, "--scale", 2, "--patch", 40, "--noise", 30, "--samples", 3, "--seed", 5, *SMALL) == 0
    assert capsys.readouterr().out == "srgan-preview-1.png: 3 samples of 3 training images; source 40x40, target 80x80\n"
    sheet = np.array(Image.open("srgan-preview-1.png"))
    images = DegradedImages([photographs], 2, pixlate.DegradedOptions(**{**noisy, "patch": 40}, hold_out=1))  # type: ignore[arg-type]
    side, shown = 160, (160 + MARGIN)
    left = sheet.shape[1] - 3 * shown
    for column, draw in enumerate(images.draw(0, 3, 5)):
        sample = images.load(draw, 40)
        for row, (name, times) in enumerate((("source", 4), ("target", 2))):
            cell = sheet[MARGIN + row * shown :][:side, left + column * shown :][:, :side]
            assert np.array_equal(cell, levels(sample[name]).repeat(times, axis=0).repeat(times, axis=1))


@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
def test_paired_and_unpaired_images_are_shown(method: str, photographs: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "negatives").mkdir()
    for path in photographs.iterdir():
        ImageOps.invert(Image.open(path)).save(tmp_path / "negatives" / path.name)
    small = ["--channels", 4, "--discriminator-channels", 4, "--patch", 64, "--resize", 72, "--hold-out", 1, "--samples", 4]
    assert run(method, photographs, "negatives", *small, *(["--depth", 4] if method == "pix2pix" else ["--blocks", 1])) == 0
    assert capsys.readouterr().out == f"{method}-preview-1.png: 4 samples of 3 training images; source 64x64, target 64x64\n"
    if method == "pix2pix":
        sheet = np.array(Image.open("pix2pix-preview-1.png"))
        source, target = (sheet[MARGIN + row * (192 + MARGIN) :][:192, -(192 + MARGIN) : -MARGIN].astype(int) for row in (0, 1))
        assert abs(source + target - 255).max() <= 1, "resized alike"


def test_sheets_are_numbered_and_nothing_is_overwritten(photographs: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run("srgan", photographs, "--samples", 1, *SMALL) == 0
    assert sorted(path.name for path in Path().glob("*.png")) == ["srgan-preview-1.png", "srgan-preview-2.png"]
    assert run("srgan", photographs, "--out", "srgan-preview-1.png", *SMALL) == 2
    assert "expected a new file for --out, but srgan-preview-1.png exists; name another" in capsys.readouterr().err


def test_recipe_for_training_is_previewed_as_it_is(photographs: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.toml").write_text(
        '[train.srgan]\nscale = 1\nnetwork = "msrresnet"\nstages = "pixel"\nnoise = 9\npatch = 33\nsteps = 7\nhold_out = 1\nout = "runs/x"\n'
    )
    assert run("srgan", photographs, "--samples", 2, before=["--config", "recipe.toml"]) == 0
    assert capsys.readouterr().out == "srgan-preview-1.png: 2 samples of 3 training images; source 33x33, target 33x33\n"
    assert run("srgan", photographs, "--samples", 2, "--preset", "quick", "--hold-out", 1, "--scale", 3) == 0
    assert capsys.readouterr().out == "srgan-preview-2.png: 2 samples of 3 training images; source 32x32, target 96x96\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "expected a method (cut, cyclegan, dcgan, distill, inpaint, pix2pix, srgan, stargan, style), got none; write: pixlate data preview srgan photos/"),
        (["srgn", "photos"], "got 'srgn'; did you mean srgan?"),
        (["srgan"], "expected folders of images, got none; write: pixlate data preview srgan photos/"),
        (["srgan", "missing"], "expected a folder of images, got missing, which is not there"),
        (["srgan", ".", "--samples", "0"], "expected --samples from 1 to 64, got 0; 8 is usual"),
        (["srgan", ".", "--out", "sheet.jpg"], "expected a PNG file for --out, got sheet.jpg; end its name in .png"),
        (["srgan", ".", "--out", f"{__file__}/sheet.png"], "cannot be written (Not a directory); name another with --out"),
        (["srgan", ".", "--scale", "1", "--network", "msrresnet"], "expected a degradation at --scale 1"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], sentence: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert sentence in printed
    assert not list(Path().rglob("*.png"))


class Everything:
    """Samples with a tensor of each role."""

    images, validated = 10, False

    def draw(self, start: int, count: int, seed: int) -> list[Draw]:
        return [Draw((number,), number) for number in range(start, start + count)]

    def load(self, draw: Draw, side: int) -> Batch:
        mask = torch.zeros(1, side, side)
        mask[:, : side // 2] = 1
        return {
            "source": torch.full((3, side, side), 0.2),
            "target": torch.ones(5, side, side),
            "mask": mask,
            "kind": torch.tensor(draw.seed % 2),
            "style": torch.arange(6.0),
        }

    def finish(self, batch: Batch) -> Batch:
        return {**batch, "source": batch["source"] + 0.2}

    def validation(self) -> Iterator[Batch]:
        yield from ()


def test_kind_of_a_plugin_shows_masks_and_writes_labels_and_vectors(tmp_path: Path) -> None:
    roles: Any = {"source": "image", "target": "image", "mask": "mask", "kind": "label", "style": "vector"}
    kind = replace(pixlate.degraded, name="everything", roles=roles, open=lambda folders, options, spec: Everything())
    srgan = installed().offered(Method)["srgan"]
    method = replace(srgan, name="toy", data=kind)
    options = RunOptions(
        method, replace(srgan.options(), network="msrresnet", stages="pixel", channels=4, blocks=1), (tmp_path,), kind.options(patch=160), srgan.training()
    )
    sheet = preview(options, 2)
    assert (sheet.images, sheet.sizes) == (10, "source 160x160, target 160x160, mask 160x160")
    pixels = np.array(sheet.image)
    cells = [pixels[MARGIN + row * (160 + MARGIN) :][:160, -(160 + MARGIN) : -MARGIN] for row in range(3)]
    assert (cells[0] == 102).all(), "finish has its part"
    assert (cells[1] == 255).all() and (cells[2][:80] == 255).all() and (cells[2][80:] == 0).all()
    texts = pixels[MARGIN + 3 * (160 + MARGIN) :]
    assert texts.shape[0] == 2 * CAPTION + MARGIN and (texts < 128).any(), "a line of words for the label and one for the vector"


def test_single_file_is_previewed(photographs: Path, run: Run, tmp_path: Path, plugins_as_before: None, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\nimport pixlate, pixlate_srgan\n\n@pixlate.hookimpl\ndef pixlate_methods():\n"
        "    (srgan,) = pixlate_srgan.pixlate_methods()\n    yield replace(srgan, name='mine')\n"
    )
    assert run("./mine.py", photographs, "--samples", 1, "--preset", "quick", "--hold-out", 1) == 0
    assert capsys.readouterr().out == "mine-preview-1.png: 1 sample of 3 training images; source 32x32, target 128x128\n"
