"""torchvision's JPEG functions behind the codec, on the CPU; none of this has a GPU."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photographs
from torchvision import io

import pixlate
import pixlate_nvjpeg
from pixlate.convert.jpeg_lane import JpegLane
from pixlate.images import Picture, read_picture
from pixlate.images.jpeg import plain
from pixlate.images.picture import Pixels
from pixlate.images.read import decode_picture
from pixlate.images.write import encode_picture
from pixlate.plugins import installed
from pixlate_nvjpeg.codec import NvjpegCodec, open_codec

pytestmark = pytest.mark.filterwarnings("ignore:.*TorchCodec:DeprecationWarning")


@pytest.fixture
def codec() -> NvjpegCodec:
    return NvjpegCodec("cpu")


def photograph(height: int = 200, width: int = 300) -> Pixels:
    pixels: Pixels = np.ascontiguousarray(photographs.astronaut()[:height, :width])  # type: ignore[no-untyped-call]
    return pixels


def saved(pixels: Pixels, **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def test_import_is_light_and_a_cpu_is_not_answered() -> None:
    script = (
        "import sys, pixlate_nvjpeg\nassert pixlate_nvjpeg.pixlate_jpeg_codec('cpu') is None\nprint(*sorted(sys.modules.keys() & {'torch', 'numpy', 'PIL'}))"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60).stdout
    assert printed.split() == []


def test_the_plugin_is_installed_and_offers_the_hook() -> None:
    assert ("nvjpeg", ("pixlate_jpeg_codec",)) in [(plugin.name, plugin.hooks) for plugin in installed().plugins]


def test_there_is_no_codec_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixlate_nvjpeg, "find_spec", lambda name: None if name == "torchvision" else object())
    assert pixlate_nvjpeg.pixlate_jpeg_codec("cuda:0") is None


def test_packages_that_do_not_load_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixlate_nvjpeg.codec", None)
    with pytest.raises(pixlate.PixlateError, match=r"torch and torchvision do not load \(ModuleNotFoundError.*pip install --force-reinstall torch torchvision"):
        pixlate_nvjpeg.pixlate_jpeg_codec("cuda:0")


def test_a_gpu_that_pytorch_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(pixlate.PixlateError, match=r"sees 0 GPUs and no cuda:0"):
        pixlate_nvjpeg.pixlate_jpeg_codec("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(pixlate.PixlateError, match=r"sees 1 GPU and no cuda:1"):
        open_codec("cuda:1")
    assert open_codec("cuda:0").device == "cuda:0"


def test_a_torchvision_that_lost_its_codec_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(io, "encode_jpeg")
    with pytest.raises(pixlate.PixlateError, match="no longer decodes and encodes JPEG"):
        open_codec("cuda:0")


@pytest.mark.parametrize("progressive", [False, True])
def test_444_and_grey_decode_as_on_the_cpu(codec: NvjpegCodec, progressive: bool) -> None:
    """Whatever libjpeg torchvision has, its pixels are within the tolerance that a GPU's must keep to."""
    files = [saved(photograph(101, 67), subsampling=0, progressive=progressive), saved(photograph()[:, :, :1], progressive=progressive)]
    for data, pixels in zip(files, codec.decode(files), strict=True):
        cpu = decode_picture(data, max_pixels=10**6).pixels
        assert pixels is not None and pixels.dtype == np.uint8 and pixels.shape == cpu.shape and pixels.flags.c_contiguous
        assert np.abs(pixels.astype(int) - cpu).max() <= 4


def test_colours_of_half_resolution_are_left_to_the_cpu(codec: NvjpegCodec) -> None:
    files = [saved(photograph(), subsampling="4:2:0"), saved(photograph(), subsampling="4:2:2"), saved(photograph(), subsampling="4:4:4"), b"no file"]
    assert [pixels is not None for pixels in codec.decode(files)] == [False, False, True, False]


def test_a_file_that_cannot_be_decoded_costs_none_of_its_batch(codec: NvjpegCodec) -> None:
    good = saved(photograph(), subsampling=0)
    bad = good[: good.index(b"\xff\xda")]
    frame = good.index(b"\xff\xda") + 14
    assert [pixels is not None for pixels in codec.decode([good, good[:frame], bad, good])] == [True, False, False, True]


def test_memory_that_runs_out_leaves_the_batch_to_the_cpu(codec: NvjpegCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(io, "decode_jpeg", full)
    monkeypatch.setattr(io, "encode_jpeg", full)
    assert codec.decode([saved(photograph(), subsampling=0)] * 2) == [None, None]
    assert codec.encode([photograph()] * 2, 80, "4:2:0") == [None, None]


def error(data: bytes, pixels: Pixels) -> float:
    return float(np.sqrt(np.mean((decode_picture(data, max_pixels=10**6).pixels.astype(float) - pixels) ** 2)))


def test_encoding_at_80_has_the_cpus_subsampling_tables_and_quality(codec: NvjpegCodec) -> None:
    pixels = photograph()
    (coded,) = codec.encode([pixels], 80, "4:2:0")
    assert coded is not None
    data, _ = encode_picture(Picture(pixels), "jpeg", quality=80, jpeg_encoder=lambda *settings: coded)
    cpu, _ = encode_picture(Picture(pixels), "jpeg", quality=80)
    made, wanted = plain(data), plain(cpu)
    assert made is not None and wanted is not None and made.coded == plain(coded).coded  # type: ignore[union-attr]
    assert (made.frame.sampling, made.frame.tables) == (wanted.frame.sampling, wanted.frame.tables) == ("4:2:0", wanted.frame.tables)
    assert error(data, pixels) == pytest.approx(error(cpu, pixels), rel=0.02)


def test_encoding_at_95_with_colours_of_half_resolution_is_not_taken(codec: NvjpegCodec) -> None:
    """What torchvision writes on the CPU is 4:2:0, and Pixlate stores colours whole from 90 on."""
    pixels = photograph()
    assert codec.encode([pixels], 95, "4:4:4") == [None]
    (coded,) = codec.encode([pixels], 95, "4:2:0")
    data, _ = encode_picture(Picture(pixels), "jpeg", quality=95, jpeg_encoder=lambda *settings: coded)
    assert data == encode_picture(Picture(pixels), "jpeg", quality=95)[0]
    frame = plain(data)
    assert frame is not None and frame.frame.sampling == "4:4:4"


def test_a_codec_of_a_gpu_takes_444_alone() -> None:
    codec = NvjpegCodec("cuda:0")
    assert codec.encode([photograph()], 80, "4:2:0") == [None]
    assert codec.encode([photograph()[:, :, :1]], 95, "4:4:4") == [None]


def test_pictures_read_through_the_codec_keep_everything(codec: NvjpegCodec, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "x.jpg"
    path.write_bytes(saved(photograph(), subsampling=0, exif=exif, dpi=(300, 300), icc_profile=b"no profile"))
    lane = JpegLane(codec)
    lane.kinds = frozenset({"4:4:4"})
    picture, cpu = read_picture(path, max_pixels=10**6, jpeg_decoder=lane.decode), read_picture(path, max_pixels=10**6)
    assert lane.decoded == 1 and picture.pixels.shape == (300, 200, 3)
    assert (picture.metadata, picture.notes) == (cpu.metadata, cpu.notes)
    assert np.abs(picture.pixels.astype(int) - cpu.pixels).max() <= 4
