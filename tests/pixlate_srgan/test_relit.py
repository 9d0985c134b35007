"""Models that brighten pictures themselves: trained on sources that got their light back."""

from pathlib import Path

import numpy as np
import pytest
import skimage
import torch

import pixlate
import pixlate_srgan
from pixlate.data.degradation import darkened
from pixlate.inference import executor as executors
from pixlate.inference.executor import Executor
from pixlate.plugin.gan import MAIN_GENERATOR
from pixlate.plugin.spec import Io, Precision
from pixlate.plugin.testing import check_method
from pixlate_export.exporter import export_network
from pixlate_export.options import ExportOptions
from pixlate_srgan.options import SRGANData, SRGANOptions

(METHOD,) = pixlate_srgan.pixlate_methods()
OPTIONS = SRGANOptions(scale=1, network="msrresnet", tail="direct", channels=4, blocks=1, shrink=2, stages="pixel")
RELIT = METHOD.data.facts([], SRGANData(darken=4.0, relight=True))


def test_contract_is_kept_by_models_that_brighten() -> None:
    check_method(METHOD, OPTIONS, side=8, facts=RELIT)


def test_model_gives_a_photograph_back_its_light_before_its_network_sees_it() -> None:
    gan = METHOD.gan(OPTIONS, RELIT)
    for parameter in gan.generators[MAIN_GENERATOR].parameters():
        torch.nn.init.zeros_(parameter)  # so that the network gives what it gets
    photograph = skimage.data.astronaut()[:256, 100:420] / np.float32(255)  # type: ignore[no-untyped-call]
    dark = darkened(photograph, 3.0, 0.0, 0.0, np.random.default_rng(0))
    with torch.no_grad():
        lifted = gan.exported().eval()(torch.from_numpy(dark).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert np.abs(lifted - photograph).mean() < 0.03 < 0.2 < np.abs(dark - photograph).mean()


@pytest.mark.parametrize(("io", "precision"), [("float", "float32"), ("uint8", "float32"), ("uint8", "float16")])
def test_tiles_of_a_large_picture_share_the_light_of_the_whole(io: Io, precision: Precision, tmp_path: Path) -> None:
    gan = METHOD.gan(OPTIONS, RELIT)
    exported = export_network(gan.exported().eval(), gan.spec(), tmp_path / "a.onnx", ExportOptions(io=io, precision=precision))
    translator = pixlate.load(exported.path, "cpu")
    photograph = skimage.data.astronaut() / np.float32(255)  # type: ignore[no-untyped-call]
    dark = np.rint(255 * darkened(photograph, 3.0, 0.0, 0.0, np.random.default_rng(0))).astype(np.uint8)[None]
    dark[:, :, :256] //= 2  # a shadow, which alone would be lifted further
    whole = Executor(translator, "off", 1)(dark).astype(int)
    tiles = Executor(translator, 128, 1)(dark).astype(int)
    assert whole.mean() > 2 * dark.mean()
    assert np.abs(tiles - whole).max() <= 2
    assert np.abs(translator(dark[:, :, :256]).astype(int) - whole[:, :, :256]).mean() > 10


def test_tiles_of_a_picture_of_fine_contrast_are_as_light_as_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its light is measured on a smaller copy, in which dark and light pixels have become grey."""
    monkeypatch.setattr(executors, "MOST_MEASURED", 200 * 200)
    gan = METHOD.gan(OPTIONS, RELIT)
    translator = pixlate.load(export_network(gan.exported().eval(), gan.spec(), tmp_path / "a.onnx").path, "cpu")
    dark = np.full((1, 600, 800, 3), 40, np.uint8)
    dark[:, ::2, ::2] = dark[:, 1::2, 1::2] = 160
    whole, tiles = (Executor(translator, tile, 1)(dark).astype(int) for tile in ("off", 150))
    assert np.abs(tiles - whole).mean() < 3


@pytest.mark.parametrize("darken", [0.0, 4.0])
def test_sources_that_stay_dark_make_a_model_that_does_not_brighten(darken: float) -> None:
    assert METHOD.data.facts([], SRGANData(darken=darken)) == {}
