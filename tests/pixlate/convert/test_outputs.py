"""What an output looks like: its pixels, depth, transparency and metadata, checked by reading it with Pillow, tifffile and by hand."""

import re
import struct
import zlib
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from tests.pixlate.conftest import NEAREST, Nearest, Run, load, noise, save

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.conversion import settings_digest
from pixlate.convert.preview import preview
from pixlate.errors import PixlateError
from pixlate.images import ImageFile, Picture
from pixlate.images.picture import Pixels
from pixlate.inference.pictures import from_model, refuse_colour, to_model
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator


def enlarged(pixels: Pixels, scale: int = 2) -> Pixels:
    """Repeat pixels by hand."""
    return np.kron(pixels, np.ones((scale, scale, 1), pixels.dtype))


def test_lossless_outputs_are_the_models_pixels(tmp_path: Path, run: Run) -> None:
    pixels = noise(7, 5)
    for name in ("a.png", "a.tif", "a.bmp"):
        Image.fromarray(pixels).save(tmp_path / name)
        assert run(tmp_path / name, tmp_path / "out").converted == 1
        np.testing.assert_array_equal(np.asarray(load(tmp_path / "out" / name)), enlarged(pixels))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
def test_grey_in_gives_grey_out(name: str, tmp_path: Path, run: Run) -> None:
    grey = noise(6, 6, 1)[:, :, 0]
    Image.fromarray(grey).save(tmp_path / name)
    assert run(tmp_path / name, tmp_path / "out").converted == 1
    image = load(tmp_path / "out" / name)
    if name != "a.webp":  # WebP knows no grey
        assert image.mode == "L"
    if name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(np.asarray(image), enlarged(grey[:, :, None])[:, :, 0])


@pytest.mark.parametrize(("channels", "name"), [(1, "a.png"), (3, "a.tif"), (1, "a.tif"), (3, "a.png")])
def test_sixteen_bits_in_give_sixteen_bits_out(channels: int, name: str, tmp_path: Path, run: Run) -> None:
    pixels = noise(6, 7, channels, dtype=np.uint16)
    source = tmp_path / "source.tif"
    tifffile.imwrite(source, pixels if channels == 3 else pixels[:, :, 0], photometric="rgb" if channels == 3 else "minisblack")
    out = tmp_path / "out"
    assert run(source, out / name).converted == 1
    found = tifffile.imread(out / name) if name.endswith("tif") else _png16(out / name)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found.reshape(12, 14, channels), enlarged(pixels))


def test_model_of_8_bits_keeps_the_depth_of_the_file_and_says_that_it_rounded(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    use(Nearest(replace(NEAREST, io="uint8")))
    source = tmp_path / "in"
    source.mkdir()
    tifffile.imwrite(source / "deep.tif", noise(6, 7, dtype=np.uint16), photometric="rgb")
    summary = run(source, tmp_path / "out")
    assert tifffile.imread(tmp_path / "out/deep.tif").dtype == np.uint16
    assert list(summary.notes) == ["the model takes 8 bits, so 16 were rounded for it; a model exported with --io float keeps them"]


def _png16(path: Path) -> Pixels:
    """Read a PNG of 16 bits with imagecodecs, independently of Pixlate's reader."""
    import imagecodecs

    assert path.read_bytes()[24] == 16  # bit depth in IHDR
    decoded: Pixels = imagecodecs.png_decode(path.read_bytes())
    return decoded


def test_alpha_is_enlarged_with_the_picture(tmp_path: Path, run: Run) -> None:
    pixels = np.dstack([noise(8, 8), np.repeat(np.linspace(1, 255, 8).astype(np.uint8)[None], 8, axis=0)])
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", tmp_path / "out").converted == 1
    image = load(tmp_path / "out" / "a.png")
    assert image.mode == "RGBA"
    found = np.asarray(image)
    np.testing.assert_array_equal(found[:, :, :3], enlarged(pixels[:, :, :3]))
    expected = np.asarray(Image.fromarray(pixels[:, :, 3]).resize((16, 16), Image.Resampling.BICUBIC))
    assert np.abs(found[:, :, 3].astype(int) - expected).max() <= 1


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG that lies on its side, with camera, resolution and profile."""
    exif = Image.Exif()
    exif[274], exif[271], exif[36867] = 6, "Camera works", "2024:02:29 12:00:00"
    image = Image.fromarray(np.repeat(np.repeat(noise(2, 3), 16, axis=0), 16, axis=1))
    path = tmp_path / "in" / "photo.jpg"
    path.parent.mkdir()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(path, quality=100, subsampling=0, exif=exif, dpi=(300, 300), icc_profile=icc)
    return path


def test_orientation_is_applied_once_and_metadata_goes_along(photo: Path, tmp_path: Path, run: Run) -> None:
    assert run(photo.parent, tmp_path / "out").converted == 1
    image = load(tmp_path / "out" / "photo.jpg")
    assert image.size == (64, 96)  # 48 x 32 upright, twice
    exif = image.getexif()
    assert (exif[271], exif.get(274, 1)) == ("Camera works", 1)
    assert image.info["icc_profile"]
    assert image.info["dpi"] == (300, 300)
    source = np.asarray(load(photo).transpose(Image.Transpose.ROTATE_270)).astype(int)  # orientation 6
    assert np.abs(np.asarray(image).astype(int) - enlarged(source.astype(np.uint8))).mean() < 3


@pytest.mark.parametrize(("scale", "kind"), [(2, "algorithmicallyEnhanced"), (1, "compositeWithTrainedAlgorithmicMedia")])
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp", "photo.tif"])
def test_the_origin_is_recorded_in_iptc_vocabulary(
    scale: int, kind: str, name: str, photo: Path, tmp_path: Path, run: Run, use: Callable[[Translator], Path]
) -> None:
    use(Nearest(ModelSpec(scale=scale)))
    assert run(photo, tmp_path / "out" / name).converted == 1
    content = (tmp_path / "out" / name).read_bytes()
    assert f"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}".encode() in content


def test_stripping_drops_all_metadata(photo: Path, tmp_path: Path, run: Run) -> None:
    for name in ("photo.jpg", "photo.png", "photo.tif", "photo.webp"):
        assert run(photo, tmp_path / "out" / name, strip_metadata=True).converted == 1
        image = load(tmp_path / "out" / name)
        content = (tmp_path / "out" / name).read_bytes()
        assert image.size == (64, 96)
        assert not image.info.get("icc_profile")
        assert not image.info.get("xmp")
        assert 271 not in image.getexif()
        for trace in (b"Camera works", b"2024:02:29", b"digitalsourcetype", b"xmpmeta"):
            assert trace not in content


def test_text_chunks_of_a_png_do_not_prevent_conversion(tmp_path: Path, run: Run) -> None:
    text = PngInfo()
    text.add_text("Comment", "hello")
    Image.fromarray(noise(3, 3)).save(tmp_path / "a.png", pnginfo=text)
    assert run(tmp_path / "a.png", tmp_path / "out").exit_code == 0


def test_quality_changes_the_size_of_the_file(tmp_path: Path, run: Run) -> None:
    source = save(tmp_path / "a.jpg", 64, 64)
    sizes = []
    for quality in (20, 60, 95):
        run(source, tmp_path / f"{quality}" / "a.jpg", quality=quality)
        sizes.append((tmp_path / f"{quality}" / "a.jpg").stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]
    table = load(tmp_path / "20" / "a.jpg").quantization[0]  # type: ignore[attr-defined]
    assert table[0] == 40  # the standard's 16, scaled for quality 20 by 5000 / 20 %


@pytest.mark.parametrize(
    ("format", "suffix"), [("jpeg", ".jpg"), ("png", ".png"), ("webp", ".webp"), ("tiff", ".tif"), ("bmp", ".bmp"), ("avif", ".avif"), ("gif", ".gif")]
)
def test_the_format_is_what_was_asked(format: str, suffix: str, tmp_path: Path, run: Run) -> None:
    source = save(tmp_path / "in" / "a.jpeg", 16, 16)
    assert run(source.parent, tmp_path / "out", format=format, suffix="_x2").converted == 1
    name = "a_x2.jpeg" if format == "jpeg" else f"a_x2{suffix}"
    assert load(tmp_path / "out" / name).format == format.upper()


def test_a_drawing_of_opaque_lines_is_seen_on_white_paper(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    """Where models see paper, what is transparent is white for them, and their picture hides nothing of what they painted there."""
    lines = np.zeros((6, 8, 4), np.uint8)
    lines[2] = (0, 0, 0, 255)
    Image.fromarray(lines).save(tmp_path / "a.png")
    use(Nearest(ModelSpec(on_white=True)))
    run(tmp_path / "a.png", tmp_path / "out")
    image = load(tmp_path / "out" / "a.png")
    assert image.mode == "RGB"
    assert np.array_equal(np.array(image)[:, 0, 0], [255, 255, 0, 255, 255, 255])


def test_a_model_of_another_scale_and_colour_for_grey(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    """At scale 1 a translation may colour a grey picture, unless its file says that it keeps grey; an enlargement keeps it grey."""

    class Red(Nearest):
        def __call__(self, pixels: Pixels | None, **conditions: object) -> Pixels:
            assert pixels is not None
            out = super().__call__(pixels).copy()
            out[..., 0] = 255
            return out

    Image.fromarray(noise(6, 6, 1)[:, :, 0]).save(tmp_path / "a.png")
    for scale, keeps, mode in ((1, False, "RGB"), (1, True, "L"), (3, False, "L")):
        use(Red(ModelSpec(scale=scale, keeps_grey=keeps)))
        out = tmp_path / f"{scale} {keeps}"
        run(tmp_path / "a.png", out)
        image = load(out / "a.png")
        assert (image.mode, image.size) == (mode, (6 * scale, 6 * scale))


def test_to_model_repeats_grey_or_takes_luma_and_refuse_colour_refuses() -> None:
    grey, colour = Picture(noise(2, 2, 1)), Picture(noise(2, 2))
    rgb, one = ModelSpec(), ModelSpec(channels_in=1, channels_out=1)
    assert to_model(grey, rgb).shape == (2, 2, 3)
    assert (to_model(grey, rgb) == grey.pixels).all()
    assert to_model(colour, rgb) is colour.pixels
    refuse_colour(grey, one)
    refuse_colour(grey, rgb)
    refuse_colour(colour, one)
    luma = colour.pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert np.abs(to_model(colour, one)[:, :, 0] - luma).max() <= 0.501
    for spec in (one, rgb):
        with pytest.raises(PixlateError, match=r"the model takes (grey or RGB pictures|pictures of 3 channels), this one has 5 channels; convert it"):
            refuse_colour(Picture(noise(2, 2, 5)), spec)


def test_colours_turned_to_grey_for_a_model_of_one_channel_are_noted(tmp_path: Path, run: Run, use: Callable[[Translator], Path]) -> None:
    use(Nearest(ModelSpec(scale=2, channels_in=1, channels_out=1)))
    source = save(tmp_path / "a.png")
    summary = run(source, tmp_path / "out")
    assert list(summary.notes) == ["the model takes grey pictures, so the colours were turned to grey (luma of ITU-R BT.601)"]
    assert np.abs(np.asarray(load(tmp_path / "out" / "a.png").resize((9, 6), 0)).astype(int) - np.asarray(load(source).convert("L"))).max() <= 1


def test_grey_again_is_the_mean_rounded() -> None:
    grey = Picture(np.zeros((1, 1, 1), np.uint16))
    made = np.array([[[1, 2, 4], [65535, 65535, 65535]]], np.uint16)
    assert from_model(made, grey, ModelSpec(scale=2)).pixels.tolist() == [[[2], [65535]]]


def test_lossless_webp_stays_lossless_and_png_becomes_so_where_asked(tmp_path: Path, run: Run) -> None:
    pixels = noise(9, 7)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.webp", lossless=True)
    Image.fromarray(pixels).save(tmp_path / "in" / "b.png")
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    assert run(tmp_path / "in" / "b.png", tmp_path / "b.webp", lossless=True).exit_code == 0
    for path in (tmp_path / "out" / "a.webp", tmp_path / "out" / "b.png", tmp_path / "b.webp"):
        assert np.array_equal(np.asarray(load(path)), enlarged(pixels))


def test_lossless_is_refused_before_the_start_where_a_format_cannot(tmp_path: Path, run: Run) -> None:
    for name in ("a.png", "b.jpg"):
        save(tmp_path / "in" / name)
    with pytest.raises(PixlateError, match=r"keeps every pixel \(png, webp, tiff, bmp, npy[\w, ]*\) with --lossless, got JPEG; use --format png"):
        run(tmp_path / "in", tmp_path / "out", lossless=True)
    assert not (tmp_path / "out").exists()
    assert run(tmp_path / "in", tmp_path / "out", lossless=True, format="png").converted == 2


def test_lossless_makes_other_settings_only_where_it_is_given(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"model")
    plain = settings_digest(model, ConvertOptions())
    assert settings_digest(model, ConvertOptions(lossless=False)) == plain != settings_digest(model, ConvertOptions(lossless=True))


def test_linear_light_is_converted_and_noted(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    body = b"gAMA" + struct.pack(">I", 100_000)
    (tmp_path / "a.png").write_bytes(data[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:])
    assert run(tmp_path / "a.png", tmp_path / "out").notes == {"linear light (gAMA) converted to sRGB": 1}


@pytest.mark.parametrize(("name", "limit"), [("a.webp", 16_383), ("a.jpg", 65_500), ("a.gif", 65_535)])
def test_a_size_the_format_cannot_hold_fails_in_the_dry_run_and_before_decoding(
    name: str, limit: int, tmp_path: Path, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = use(Nearest())
    for file, height in (("b.png", 4), (name, limit // 2 + 1)):
        save(tmp_path / "in" / file, height, 1)
    reason = f"expected sides of at most {limit} pixels in .*, got 2 x {2 * (limit // 2 + 1)}; use --format png"
    previewed = list(preview([tmp_path / "in"], tmp_path / "out", model, ConvertOptions()))
    assert [item.fails for item in previewed] == [True, False] and re.search(reason, previewed[0].action)
    decoded: list[str] = []
    real = ImageFile.frames

    def frames(file: ImageFile, *asked: Any, **named: Any) -> Generator[Any, None, None]:
        decoded.append(file.format.name)
        return real(file, *asked, **named)

    monkeypatch.setattr(ImageFile, "frames", frames)
    summary = convert(tmp_path / "in", tmp_path / "out", model)
    assert (summary.converted, summary.exit_code, decoded) == (1, 1, ["png"])
    assert re.search(reason, summary.failures[0][1])
    assert convert(tmp_path / "in", tmp_path / "out2", model, ConvertOptions(format="png")).converted == 2


@pytest.mark.parametrize(("word", "suffix"), [("jpg", ".jpg"), (".JPG", ".jpg"), ("tif", ".tif")])
def test_a_format_may_be_named_by_its_suffix_and_is_the_same_conversion(word: str, suffix: str, tmp_path: Path, run: Run) -> None:
    Image.fromarray(noise(5, 6)).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", tmp_path / "out", format=word).converted == 1
    assert (tmp_path / "out" / f"a{suffix}").is_file()
    again = run(tmp_path / "a.png", tmp_path / "out", format={".jpg": "jpeg", ".tif": "tiff"}[suffix])
    assert (again.converted, again.finished_before) == (0, 1)
