"""Models of any number of channels, where a format holds their pictures."""

from pathlib import Path

import numpy as np
import pytest
from tests.pixlate.conftest import nearest, noise, save, write_onnx

from pixlate.convert import ConvertOptions, convert
from pixlate.errors import PixlateError
from pixlate.evaluation.measure import evaluate
from pixlate.images import ImageFile, Picture, write_picture
from pixlate.images.picture import Pixels
from pixlate.plugin.spec import ModelSpec


def model(path: Path, channels: int) -> Path:
    return write_onnx(path, ModelSpec(scale=2, channels_in=channels, channels_out=channels, tiling_exact=True, halo=0), channels)


def read(path: Path, channels: int) -> Pixels:
    with ImageFile(path, max_pixels=10**6) as file:
        return file.read(channels).pixels


@pytest.mark.parametrize("channels", [2, 4, 16])
@pytest.mark.parametrize("format", ["tiff", "npy"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_of_many_channels_convert(channels: int, format: str, dtype: type[np.uint8] | type[np.uint16], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pixels = noise(5, 7, channels, dtype=dtype)
    write_picture(Picture(pixels), tmp_path / "in" / f"a.{format}", format)
    summary = convert(tmp_path / "in", tmp_path / "out", model(tmp_path / "model.onnx", channels), ConvertOptions(device="cpu"))
    assert summary.converted == 1, summary.failures
    np.testing.assert_array_equal(read(tmp_path / "out" / f"a.{format}", channels), nearest(pixels[None], 2)[0])


def test_format_that_cannot_hold_the_channels_of_the_model_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    with pytest.raises(PixlateError, match=r"expected a picture of 1 or 3 channels of uint8 or uint16 in PNG, got 4 of uint8; use --format tiff"):
        convert(tmp_path / "in", tmp_path / "out", model(tmp_path / "model.onnx", 4), ConvertOptions(device="cpu"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("channels", [2, 4, 16])
def test_models_of_many_channels_are_measured(channels: int, tmp_path: Path) -> None:
    pytest.importorskip("torch")  # evaluating needs the extra, which tests of the run-time half lack
    for folder in ("sources", "targets"):
        (tmp_path / folder).mkdir()
    for index in range(2):
        pixels = noise(24, 20, channels, seed=index)
        write_picture(Picture(pixels), tmp_path / "sources" / f"{index}.tiff", "tiff")
        target = nearest(pixels[None], 2)[0]
        target[0, 0, channels - 1] ^= 255
        write_picture(Picture(target), tmp_path / "targets" / f"{index}.tiff", "tiff")
    found = evaluate(model(tmp_path / "model.onnx", channels), [tmp_path / "sources", tmp_path / "targets"], metrics=["psnr"], device="cpu")
    assert 20 < found.figures[0].value < 70
