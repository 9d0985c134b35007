"""What a mask does not cover stays as it is, to the byte, and a model of inpainting goes the way of every model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.commands import run_modules
from tests.pixlate_serve.conftest import Application, error_of, file, pixels_of

import pixlate
import pixlate_inpaint
from pixlate.convert import ConvertOptions, convert
from pixlate.convert.report import Summary
from pixlate.inference.executor import Executor
from pixlate.plugin.spec import Io
from pixlate.plugin.testing import make_photographs
from pixlate_export.exporter import export_network
from pixlate_export.options import ExportOptions
from pixlate_serve.options import ServeOptions
from pixlate_serve.service import Service

pytestmark = pytest.mark.usefixtures("operators_read_once")

(METHOD,) = pixlate_inpaint.pixlate_methods()
RUNTIMES = ("onnxruntime", "openvino")
KINDS = [(io, runtime) for io in get_args(Io) for runtime in RUNTIMES]
Files = Mapping[str, Path]


@pytest.fixture(scope="module")
def gan() -> Any:
    torch.manual_seed(0)
    return METHOD.build(METHOD.options(channels=2)).eval()


@pytest.fixture(scope="module")
def models(gan: Any, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return an untrained generator as files of each io: it fills with noise."""
    folder = tmp_path_factory.mktemp("models")
    (export,) = gan.exports().values()
    return {io: export_network(export.module, export.spec, folder / f"{io}.onnx", ExportOptions(io)).path for io in get_args(Io)}


@pytest.fixture(scope="module")
def translators(models: Files) -> Mapping[tuple[str, str], Any]:
    return {(io, runtime): pixlate.load(models[io], "cpu", runtime=runtime) for io, runtime in KINDS}


@st.composite
def pictures(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Draw a picture of 8 or 16 bits, and a mask with greys, which may be all black."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind: Any = draw(st.sampled_from([np.uint8, np.uint16]))
    levels = np.array(draw(st.lists(st.sampled_from([0, 0, 1, 128, 254, 255]), min_size=1, max_size=4)), np.uint8)
    return generator.integers(0, np.iinfo(kind).max, (height, width, 3), kind, endpoint=True), generator.choice(levels, (height, width, 1))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(picture=pictures())
def test_pixels_that_the_mask_does_not_cover_stay_to_the_bit(kind: tuple[str, str], picture: tuple[NDArray[Any], NDArray[np.uint8]], translators: Any) -> None:
    pixels, mask = picture
    filled = translators[kind](pixels[None], mask=mask[None])[0]
    assert filled.dtype == pixels.dtype and filled.shape == pixels.shape
    np.testing.assert_array_equal(filled[mask[:, :, 0] == 0], pixels[mask[:, :, 0] == 0])
    if (mask == 255).sum() > 20:
        assert (filled != pixels).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_keep_what_the_mask_does_not_cover_and_give_the_picture_of_the_whole(kind: tuple[str, str], dtype: Any, translators: Any) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, np.iinfo(dtype).max, (90, 700, 3), dtype, endpoint=True)
    mask = generator.integers(0, 2, (90, 700, 1), np.uint8) * np.uint8(255)
    whole, tiled = (Executor(translators[kind], tile, 1).translate([pixels], conditions=[{"mask": mask}])[0] for tile in ("off", 320))
    kept = mask[:, :, 0] == 0
    np.testing.assert_array_equal(tiled[kept], pixels[kept])
    assert np.abs(tiled.astype(int) - whole).max() <= (1 if dtype == np.uint8 else 257 if kind[0] == "uint8" else 2)


def run(source: Path, out: Path, model: Path, **options: Any) -> Summary:
    return convert(source, out, model, ConvertOptions(threads=2, device="cpu", **options))


@pytest.mark.parametrize("kind", KINDS)
def test_converted_files_have_the_samples_of_their_sources_where_masks_are_black(kind: tuple[str, str], models: Files, tmp_path: Path) -> None:
    io, runtime = kind
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    generator = np.random.default_rng(0)
    sources: dict[str, NDArray[Any]] = {}
    masks: dict[str, NDArray[np.uint8]] = {}
    for name, dtype, channels, cover in (
        ("deep.tif", np.uint16, 3, 0.5),
        ("plain.png", np.uint8, 3, 0.5),
        ("grey.png", np.uint8, 1, 0.5),
        ("black.png", np.uint8, 3, 0),
    ):
        shape = (37, 45, 3) if channels == 3 else (37, 45)
        sources[name] = generator.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        masks[name] = np.where(generator.random((37, 45)) < cover, np.uint8(255), np.uint8(0))
        tifffile.imwrite(tmp_path / "in" / name, sources[name]) if dtype == np.uint16 else Image.fromarray(sources[name]).save(tmp_path / "in" / name)
        Image.fromarray(masks[name]).save(tmp_path / "masks" / f"{Path(name).stem}.png")
    assert run(tmp_path / "in", tmp_path / "out", models[io], mask=tmp_path / "masks", runtime=runtime).converted == len(sources)
    for name, pixels in sources.items():
        found = tifffile.imread(tmp_path / "out" / name) if name.endswith("tif") else np.array(Image.open(tmp_path / "out" / name))
        assert (found.dtype, found.shape) == (pixels.dtype, pixels.shape), name
        np.testing.assert_array_equal(found[masks[name] == 0], pixels[masks[name] == 0], name)
        assert (found != pixels).any() == (name != "black.png"), name


def test_white_masks_and_opaque_pictures_fail_alone_with_a_sentence(models: Files, tmp_path: Path) -> None:
    make_photographs(tmp_path / "in", 2, 20, 24)
    (tmp_path / "masks").mkdir()
    for name, level in (("000.png", 255), ("001.png", 0)):
        Image.new("L", (24, 20), level).save(tmp_path / "masks" / name)
    summary = run(tmp_path / "in", tmp_path / "out", models["float"], mask=tmp_path / "masks")
    ((_, reason),) = summary.failures
    white = tmp_path / "masks/000.png"
    assert reason == f"expected a mask that leaves something of the image to go by, got {white}, all white; paint black what is to stay"
    Image.new("RGBA", (24, 20), (9, 9, 9, 0)).save(tmp_path / "in/001.png")
    reasons = dict(run(tmp_path / "in", tmp_path / "other", models["float"], mask=Path("alpha")).failures)
    assert [reasons[source].partition(";")[0] for source in sorted(reasons)] == [
        "expected a picture that is transparent where the model is to fill it, got an opaque one",
        "expected a picture that is opaque where it is to stay, got one that is transparent everywhere",
    ]


def test_what_is_transparent_is_filled_as_a_mask_of_it_is(models: Files, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (20, 24, 3), np.uint8)
    alpha = generator.choice(np.array([0, 100, 255], np.uint8), (20, 24))
    for folder in ("erased", "whole", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "erased/a.png")
    Image.fromarray(pixels).save(tmp_path / "whole/a.png")
    Image.fromarray(255 - alpha).save(tmp_path / "masks/a.png")
    assert run(tmp_path / "erased", tmp_path / "one", models["float"], mask=Path("alpha")).converted == 1
    assert run(tmp_path / "whole", tmp_path / "other", models["float"], mask=tmp_path / "masks").converted == 1
    first, second = (np.array(Image.open(tmp_path / name / "a.png")) for name in ("one", "other"))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (20, 24, 3) and (first[alpha == 255] == pixels[alpha == 255]).all() and (first[alpha == 0] != pixels[alpha == 0]).any()
    assert run(tmp_path / "erased", tmp_path / "one", models["float"], mask=Path("alpha")).finished_before == 1, "the journal knows it"


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (37, 41), (64, 20), (5, 90)])
def test_exported_files_give_the_pictures_of_pytorch(size: tuple[int, int], gan: Any, translators: Any) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (2, *size, 3), np.uint8)
    mask = generator.integers(0, 2, (2, *size, 1), np.uint8) * np.uint8(255)
    rows, columns = (np.abs((np.arange(-(-side // 4) * 4) + side - 1) % max(2 * side - 2, 1) - side + 1) for side in size)  # reflected
    given = [torch.from_numpy(each[:, rows[:, None], columns]).permute(0, 3, 1, 2) / 255 for each in (pixels, mask)]
    with torch.no_grad():
        expected = next(iter(gan.exports().values())).module(*given)[:, :, : size[0], : size[1]].permute(0, 2, 3, 1).numpy() * 255
    for kind, translator in translators.items():
        assert np.abs(translator(pixels, mask=mask) - expected).max() <= 1, kind


def test_a_trained_model_is_evaluated_described_and_served(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path / "photos", 3, 40, 44)
    (tmp_path / "masks").mkdir()
    for path in photographs.iterdir():
        mask = np.zeros((40, 44), np.uint8)
        mask[8:24, 10:30] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / path.name)
    small = ["--channels", 2, "--discriminator-channels", 2, "--patch", 32, "--resize", 36, "--hold-out", 1, "--workers", 1, "--device", "cpu", "--batch", 2]
    model, run = tmp_path / "fill.onnx", tmp_path / "run"
    commands: list[list[object]] = [
        ["train", "inpaint", photographs, "--out", run, *small, "--steps", 2, "--pool", 2, "--augment", "translation", "--log-every", 1],
        ["export", run, model],
        ["convert", photographs, tmp_path / "out", "--model", model, "--mask", tmp_path / "masks"],
        ["evaluate", model, photographs, photographs, "--mask", tmp_path / "masks", "--json"],
        ["triton", model, tmp_path / "triton"],
        ["convert", photographs, tmp_path / "other", "--model", model],
        ["convert", photographs, tmp_path / "other", "--model", model, "--mask", tmp_path / "masks", "--set", "mask=1"],
        ["data", "check", "--kind", "masked", photographs, tmp_path / "masks"],
    ]
    done = run_modules(*(["pixlate", *map(str, words)] for words in commands))
    for each in (*done[:5], done[7]):
        each.require()
    assert np.isfinite(json.loads(done[3].out)["metrics"]["psnr"]["value"])
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert all({"pixel", "adversarial", "discriminator"} <= line.keys() for line in lines if line["kind"] == "losses")
    assert any("hole_error" in line for line in lines) and "masked: photographs and masks matched by name, 3 pairs" in done[7].out
    (config,) = (tmp_path / "triton").rglob("config.pbtxt")
    assert config.read_text().count('name: "mask"') == 1
    assert "expected a mask, mask, for each image, got none; name their folder with --mask FOLDER" in done[5].err
    assert "expected a label or vector for --set, got the mask mask; give masks with --mask FOLDER" in done[6].err
    service = Service({"fill": pixlate.load(model, device="cpu")}, ServeOptions(), "")
    service.start()
    assert all(each.warm.wait(30) for each in service.models.values())
    application = Application(service)
    pixels, alpha = np.array(Image.open(photographs / "000.png")), 255 - np.array(Image.open(tmp_path / "masks/000.png"))
    answer = application.translate(file(np.dstack([pixels, alpha])), "fill")
    np.testing.assert_array_equal(pixels_of(answer.content), np.array(Image.open(tmp_path / "out/000.png")))
    refused = error_of(application.translate(file(pixels), "fill"))
    sentence = "expected a picture that is transparent where the model is to fill it, got an opaque one; erase the place and save it as PNG or WebP"
    assert (refused[0], refused[2]) == (422, sentence)
    assert service.close(timeout_s=30)
