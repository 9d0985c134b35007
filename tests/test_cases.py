"""Small files that once went wrong, made by the programs in the folder that PIXLATE_CASES names, come out as its README.md says.

One test a folder. The same kinds are tested beside the code with files that the tests make themselves; these tests find what differs in a whole command.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from onnx import TensorProto, helper
from PIL import Image, ImageOps
from tests.commands import run_modules

import pixlate
from pixlate.images import read_picture
from pixlate.images.picture import to_8_bits

MODEL, SCALE = "upscale-x2", 2
HOSTILE_SECONDS, HOSTILE_BYTES = 10, 600_000_000


@dataclass(frozen=True)
class Conversion:
    """What a folder came to."""

    code: int
    files: Mapping[str, Mapping[str, Any]]
    """Name -> its line of the report."""
    outputs: Path

    def check(self, refused: Mapping[str, str], notes: Mapping[str, str] | None = None) -> None:
        """Require the named files to be refused with those words, those notes, and all others to be converted to their size times the scale."""
        assert self.code == (1 if refused else 0)
        assert {name for name, line in self.files.items() if line["status"] != "converted"} == set(refused)
        for name, words in refused.items():
            assert words in self.files[name]["reason"], self.files[name]
        for name, words in (notes or {}).items():
            assert words in " | ".join(self.files[name]["notes"]), self.files[name]
        for name, line in self.files.items():
            if name not in refused:
                assert line["output_size"] == [SCALE * side for side in line["source_size"]]
                assert (self.outputs / line["output"]).stat().st_size


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of folders that the makers of PIXLATE_CASES fill; tests that need it are skipped if that is not set."""
    makers = os.environ.get("PIXLATE_CASES")
    if not makers:
        pytest.skip("PIXLATE_CASES is not set")
    made = tmp_path_factory.mktemp("cases")
    for maker, folder in (("make_cases.py", made), ("hostile.py", made / "hostile")):
        subprocess.run([sys.executable, Path(makers) / maker, folder], check=True, stdout=subprocess.DEVNULL)
    return made


def convert(source: Path, target: Path, *words: object) -> Conversion:
    """Convert a folder with the command."""
    report = target.with_suffix(".json")
    command = [sys.executable, "-m", "pixlate", "convert", source, target, "--model", MODEL, "--report", report, *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    files = json.loads(report.read_text())["files"]
    return Conversion(done.returncode, {Path(line["source"]).relative_to(source).as_posix(): line for line in files}, target)


def require_pillows_pixels(folder: Path, names: Iterable[str], most: float = 0) -> None:
    """Require files to be read with the pixels that Pillow reads, upright and in its RGB or grey, up to a mean difference."""
    for name in names:
        with Image.open(folder / name) as image:
            expected = np.atleast_3d(np.asarray(ImageOps.exif_transpose(image).convert("L" if image.mode in ("1", "L") else "RGB"))).astype(int)
        pixels = to_8_bits(read_picture(folder / name, max_pixels=10**6).pixels).astype(int)
        assert pixels.shape == expected.shape and np.abs(pixels - expected).mean() <= most, name


_MEASURED = r"""
import re, sys, time
from pathlib import Path
from pixlate.__main__ import main
code = main()
sys.stdout.flush()
peak = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]  # what wait4 reports counts the process that started this one, too
print("MEASURED", time.process_time(), peak)
sys.exit(code)
"""


def _bounded(*words: object) -> tuple[int, str]:
    """Run a command; require it to stay within the bounds for hostile files, and return its code and what it printed."""
    command = [sys.executable, "-c", _MEASURED, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    printed, _, measured = done.stdout.rpartition("MEASURED ")
    seconds, kilobytes = map(float, measured.split())
    assert seconds < HOSTILE_SECONDS and kilobytes * 1024 < HOSTILE_BYTES, (words, seconds, kilobytes)
    assert "Traceback" not in printed, printed
    return done.returncode, printed


def test_png_limits(cases: Path, tmp_path: Path) -> None:
    done = convert(cases / "png_limits", tmp_path / "out")
    done.check(
        {},
        {
            "no_iend.png": "ends without its end mark",
            "bad_crc_text.png": "a damaged chunk tEXt was left out",
            "animated.png": "first of 3 frames",
            "animated.gif": "first of 3 frames",
            "animated.webp": "first of 3 frames",
        },
    )
    opened = set(done.files) - {
        "itxt_xmp_1400_kb.png",
        "ztxt_2_mb.png",
        "bad_crc_text.png",
        "deep_trns.png",
    }  # those Pillow does not open, or not at full depth
    require_pillows_pixels(cases / "png_limits", opened)
    with Image.open(tmp_path / "out" / "itxt_xmp_1400_kb.png") as image:
        image.load()
        assert len(image.info.get("xmp", b"")) > 1_300_000


def test_jpegs(cases: Path, tmp_path: Path) -> None:
    convert(cases / "jpegs", tmp_path / "out").check(
        {
            "cut_last_40.jpg": "truncated or damaged",
            "heic_named.jpg": "truncated or damaged",
            "heif_mif1_named.jpg": "HEIC is unsupported",
            "text.jpg": "an HTML page, no image",
            "twelve_bits.jpg": "12-bit JPEG is unsupported",
            "zero_bytes.jpg": "the file is empty",
        },
        {
            "no_eoi.jpg": "ends without its end mark",
            "png_named.jpg": "the file is PNG inside",
            "webp_named.png": "the file is WebP inside",
            "jxl_named.jpg": "the file is JPEG XL inside",
            "stereo.jpg": "first of 2 pictures",
            "stereo.mpo": "first of 2 pictures",
        },
    )
    same = (
        "progressive.jpg",
        "trailing_zeros.jpg",
        "png_named.jpg",
        "webp_named.png",
        "rgb_not_ycc.jpg",
        "lossless.jpg",
        "stereo.mpo",
    )
    require_pillows_pixels(cases / "jpegs", same)
    require_pillows_pixels(cases / "jpegs", ["cmyk_adobe.jpg"], most=1)


def test_tiffs(cases: Path, tmp_path: Path) -> None:
    convert(cases / "tiffs", tmp_path / "out").check(
        {
            "int16.tif": "unsupported",
            "uint32.tif": "unsupported",
            "jpeg2000.tif": "unsupported compression of a TIFF: JPEG 2000",
            "jpegxl.tif": "unsupported compression of a TIFF: JPEG XL",
            "webp.tif": "unsupported compression of a TIFF: WebP",
        },
        {"pages.tif": "first of 5 pages", "float32_hdr.tif": "compressed"},
    )


def test_names(cases: Path, tmp_path: Path) -> None:
    done = convert(cases / "names", tmp_path / "out")
    done.check({})
    assert len(done.files) == len([path for path in (cases / "names").iterdir() if path.suffix != ".db" and not path.name.startswith(".")])


def test_colour(cases: Path, tmp_path: Path) -> None:
    linear, described = "linear light (gAMA) converted to sRGB", "Display P3 primaries (cICP) described by an ICC profile"
    convert(cases / "colour", tmp_path / "out").check({}, {"gama_linear.png": linear, "gama_linear_16.png": linear, "cicp_display_p3.png": described})
    for name in ("gama_linear", "gama_linear_16", "cicp_display_p3"):
        shown = read_picture(tmp_path / "out" / f"{name}.png", max_pixels=10**6).pixels
        red = (to_8_bits(shown)[30:44, 40:60] / 255).mean(axis=(0, 1))
        stored = np.array([220, 40, 30]) / 255
        light = np.round(stored**2.2 * (255 if name == "gama_linear" else 65535)) / (255 if name == "gama_linear" else 65535)
        srgb = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        assert np.abs(red - (stored if name == "cicp_display_p3" else srgb)).max() < 3 / 255, name
        assert abs(to_8_bits(shown)[:, :, 0].mean() - 138) < 1, name


def test_metadata(cases: Path, tmp_path: Path) -> None:
    convert(cases / "metadata", tmp_path / "out").check({}, {"ultra_hdr.jpg": "the gain map was left out"})
    kept = {path.name: read_picture(path, max_pixels=10**6).metadata for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert b"Ice in the harbour" in kept["iptc_app13.jpg"].iptc and kept["comment.jpg"].comments == ("Scanned from slide 17, box 4",)
    assert [keyword for keyword, _ in kept["png_text.png"].text] == ["parameters", "prompt", "Author", "Description"]
    panorama = kept["panorama_gpano.jpg"].xmp
    sizes = ('GPano:FullPanoWidthPixels="128"', 'GPano:CroppedAreaTopPixels="8"', 'tiff:ImageLength="48"', 'exif:PixelXDimension="128"')
    assert all(size.encode() in panorama for size in sizes) and b"hdrgm" not in kept["ultra_hdr.jpg"].xmp
    if shutil.which("exiftool"):
        listed = subprocess.run(["exiftool", "-r", "-warning", "-error", tmp_path / "out"], capture_output=True, text=True, check=True)
        assert "Warning" not in listed.stdout + listed.stderr


def test_micro(cases: Path, tmp_path: Path) -> None:
    convert(cases / "micro", tmp_path / "out").check({}, {"imagej_stack.tif": "the description for ImageJ"})
    for path in (cases / "micro").iterdir():
        source, output = (np.atleast_3d(tifffile.imread(file)) for file in (path, tmp_path / "out" / path.name))
        page = source[0] if path.name == "imagej_stack.tif" else source[:, :, 0]
        assert output.shape[:2] == (96, 128) and abs(output.mean() - page.mean()) < 50


def _checked(*words: object) -> tuple[dict[str, Any], list[str]]:
    """Return what `pixlate data check` reports, and its problems but for pictures that are in both folders, as those of the cases are."""
    done = subprocess.run(
        [sys.executable, "-m", "pixlate", "data", "check", "--json", *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["problems"] else 0), done.stderr
    return report, [problem for problem in report["problems"] if "in more than one folder" not in problem]


@pytest.mark.parametrize(("name", "images"), [("set_endings", 8), ("set_links", 9), ("set_mixed", 9)])
def test_sets_are_seen_by_training_as_by_conversion(name: str, images: int, cases: Path, tmp_path: Path) -> None:
    report, problems = _checked(cases / name)
    assert report["folders"][0]["images"] == images and not problems
    assert pixlate.convert(cases / name, tmp_path / "out", MODEL, pixlate.ConvertOptions(device="cpu")).converted == images


@pytest.mark.parametrize(("name", "pairs"), [("pairs_nfd", 6), ("pairs_float", 4), ("pairs_rotated", 4)])
def test_pairs(name: str, pairs: int, cases: Path) -> None:
    report, problems = _checked(cases / name / "a", cases / name / "b")
    assert (report["kind"], report["pairs"], problems) == ("paired", pairs, [])


def test_pairs_case(cases: Path) -> None:
    _, (problem,) = _checked(cases / "pairs_case" / "a", cases / "pairs_case" / "b")
    assert "upper and lower case count, and 6 pairs of names differ in nothing else: IMG_0 and img_0" in problem


def test_unequal(cases: Path) -> None:
    report, problems = _checked(cases / "unequal" / "a", cases / "unequal" / "b", "--kind", "unpaired")
    assert [folder["images"] for folder in report["folders"]] == [3, 7] and not problems


def test_set_cut(cases: Path, tmp_path: Path) -> None:
    _, (problem,) = _checked(cases / "set_cut")
    assert "1 file cannot be read" in problem and "image_5.jpg" in problem
    sizes = ("--channels", 8, "--blocks", 1, "--patch", 16, "--batch", 2, "--steps", 30, "--stages", "pixel", "--hold-out", 0, "--device", "cpu")
    (done,) = run_modules(["pixlate", "train", "srgan", cases / "set_cut", "--out", tmp_path / "run", *sizes])
    assert done.code == 2 and "image_5.jpg" in done.err and f"pixlate train --resume {tmp_path / 'run'}" in done.err
    assert list((tmp_path / "run" / "checkpoints").iterdir())


def test_lossless(cases: Path, tmp_path: Path) -> None:
    convert(cases / "lossless", tmp_path / "out").check({})
    with Image.open(tmp_path / "out" / "lines.png") as png, Image.open(tmp_path / "out" / "lines_lossless.webp") as webp:
        assert np.array_equal(np.asarray(png), np.asarray(webp))


def test_tall(cases: Path, tmp_path: Path) -> None:
    reason = "expected sides of at most 16383 pixels in WebP, got 1600 x 16800; use --format png"
    words = ("convert", cases / "tall", tmp_path / "out", "--model", "upscale-x4")
    for more in ((), ("--dry-run",)):
        code, printed = _bounded(*words, *more)
        assert code == 1 and reason in " ".join(printed.split())


@pytest.mark.parametrize("model", ["upscale-x2", "upscale-x4"])
@pytest.mark.parametrize("format", ["png", "webp", "tiff", "avif", "gif"])
def test_alpha(format: str, model: str, cases: Path, tmp_path: Path) -> None:
    """Each cut-out comes out as if its own colour were underneath."""
    own = {"disc_white_on_black": (255, 255, 255), "disc_black_on_white": (0, 0, 0), "disc_white_on_white": (255, 255, 255), "sprite_hard": (250, 220, 40)}
    for name, colour in own.items():
        alpha = read_picture(cases / "alpha" / f"{name}.png", max_pixels=10**6).alpha
        assert alpha is not None
        for folder in ("given", "own"):
            (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy(cases / "alpha" / f"{name}.png", tmp_path / "given")
        Image.fromarray(np.dstack([np.full((*alpha.shape, 3), colour, np.uint8), alpha])).save(tmp_path / "own" / f"{name}.png")
    for folder in ("given", "own"):
        pixlate.convert(tmp_path / folder, tmp_path / f"{folder}_out", model, pixlate.ConvertOptions(format=format, device="cpu"))
    for name in own:
        found, expected = (np.asarray(_rgba(next((tmp_path / f"{folder}_out").glob(f"{name}.*")))).astype(int) for folder in ("given", "own"))
        seen = (found[:, :, 3] > 0) | (expected[:, :, 3] > 0)
        assert np.abs(found - expected)[seen].max() <= 2, name


def _rgba(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGBA")


def test_dark_half(cases: Path, tmp_path: Path) -> None:
    """A CycleGAN of instance norm makes of tiles nearly what it makes of the whole."""
    import torch

    from pixlate_cyclegan import build
    from pixlate_cyclegan.options import CycleGANOptions
    from pixlate_export.graph import finished
    from pixlate_export.tracing import trace

    torch.manual_seed(0)
    gan = build(CycleGANOptions(channels=16))
    spec = gan.spec()
    (tmp_path / "model.onnx").write_bytes(finished(trace(gan.generators["source_to_target"], spec, 18), spec).SerializeToString())
    outputs = {}
    for tile in ("off", 256):
        options = pixlate.ConvertOptions(tile=tile, device="cpu", report=tmp_path / f"{tile}.json")
        summary = pixlate.convert(cases / "dark_half", tmp_path / f"{tile}", tmp_path / "model.onnx", options)
        assert any("cut into tiles" in note for note in summary.notes) == (tile != "off")
        assert ("cut into tiles" in (tmp_path / f"{tile}.json").read_text()) == (tile != "off")
        outputs[tile] = np.asarray(_rgba(tmp_path / f"{tile}" / "street.png")).astype(int)[:, :, :3]
    assert np.abs(outputs["off"] - outputs[256]).mean() <= 3


def test_one(cases: Path, tmp_path: Path) -> None:
    convert(cases / "one", tmp_path / "out").check({})
    with Image.open(cases / "one" / "plain.jpg") as source, Image.open(tmp_path / "out" / "plain.jpg") as output:
        smaller = output.resize(source.size, Image.Resampling.BOX)
        assert np.abs(np.asarray(smaller).astype(int) - np.asarray(source)).mean() < 4


def write_negative(path: Path) -> Path:
    """Write a model that turns black into white, and costs next to nothing."""
    shape: list[str | int] = ["batch", 3, "height", "width"]
    source, target = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("source", "target"))
    white = helper.make_tensor("white", TensorProto.FLOAT, [], [1.0])
    graph = helper.make_graph([helper.make_node("Sub", ["white", "source"], ["target"])], "negative", [source], [target], [white])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString())
    return path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hostile_in_every_command(cases: Path, tmp_path: Path) -> None:
    for path in sorted((cases / "hostile").iterdir()):
        folder = tmp_path / path.stem
        folder.mkdir()
        (folder / path.name).symlink_to(path)
        # The picture of the GIF is good and large: the work of a model is not what is measured.
        model = write_negative(tmp_path / "negative.onnx") if path.suffix == ".gif" else MODEL
        for words in (
            ("data", "check", folder),
            ("convert", folder, tmp_path / "out", "--model", MODEL, "--dry-run"),
            ("convert", folder, tmp_path / f"{path.stem} out", "--model", model),
        ):
            code, printed = _bounded(*words)
            assert code == 0 if path.suffix == ".gif" else code in (0, 1), (words, code, printed)


def test_hostile_at_the_server(cases: Path) -> None:
    import asyncio

    import httpx
    from tests.pixlate.conftest import Nearest

    from pixlate_serve.app import build_app
    from pixlate_serve.options import ServeOptions
    from pixlate_serve.service import Service

    service = Service({"nearest": Nearest()}, ServeOptions())
    service.start()

    async def post(data: bytes) -> httpx.Response:
        transport = httpx.ASGITransport(build_app(service), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            return await client.post("/v1/models/nearest:translate", content=data, headers={"Content-Type": "image/png"})

    try:
        assert all(model.warm.wait(30) for model in service.models.values())
        for path in sorted((cases / "hostile").iterdir()):
            if path.suffix == ".gif":
                continue
            began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            answer = asyncio.run(post(path.read_bytes()))
            assert time.process_time() - began < HOSTILE_SECONDS, path
            assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < HOSTILE_BYTES, path
            assert answer.status_code in (200, 400, 413, 415, 422), (path, answer.text[:200])
            if answer.status_code != 200:
                assert "\n" not in answer.json()["error"]["message"]
    finally:
        assert service.close(timeout_s=30)
