"""From a name or a path to a translator."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.pixlate.conftest import Nearest

import pixlate
from pixlate.inference.models import find, load
from pixlate.plugin.manager import Plugins, installed
from pixlate.plugin.translator import Translator


def test_a_ready_model_is_found_by_its_name() -> None:
    assert find("upscale-x4").name == "upscale-x4.onnx"


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(b"")
    assert find(path) == path


def test_an_unknown_name_lists_the_ready_models() -> None:
    with pytest.raises(pixlate.PixlateError, match=r"upscale-x2, upscale-x4.*got 'upscale-x5'"):
        pixlate.load("upscale-x5")


def test_a_folder_is_refused_with_the_command_that_exports_it(tmp_path: Path) -> None:
    with pytest.raises(pixlate.PixlateError, match=r"is a folder; export a run with `pixlate export"):
        pixlate.load(tmp_path)


def test_a_runtime_that_returns_no_translator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.odd").write_bytes(b"x")
    odd = pixlate.Runtime("odd", (".odd",), lambda: True, lambda path, device, arithmetic: 7)  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(type(installed()), "offered", lambda self, wanted: {"odd": odd} if wanted is pixlate.Runtime else {})
    with pytest.raises(pixlate.PixlateError, match=r"no installed plugin opens .*: the runtime odd returned int instead of a translator; check"):
        load(tmp_path / "a.odd")


def test_a_file_no_plugin_opens_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.what"
    path.write_bytes(b"")
    with pytest.raises(pixlate.PixlateError, match=r"no installed plugin opens .*weights\.what"):
        pixlate.load(path)


@pytest.fixture
def runtimes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have these runtimes, all of which open files named ``.mine``, be the installed ones."""

    def install(*opens: Callable[[Path, str, str], Translator]) -> None:
        found = {f"runtime-{count}": pixlate.Runtime(f"runtime-{count}", (".mine",), lambda: True, each) for count, each in enumerate(opens)}
        monkeypatch.setattr(Plugins, "offered", lambda plugins, wanted: found if wanted is pixlate.Runtime else {})

    return install


def failing(path: Path, device: str, arithmetic: str) -> Translator:
    raise KeyError("gone")


def test_a_runtime_that_fails_before_another_opens_the_file_is_warned_of(runtimes: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "a.mine").write_bytes(b"")
    opened = Nearest()
    runtimes(failing, lambda path, device, arithmetic: opened)
    with pytest.warns(UserWarning, match=r"a\.mine is opened by another plugin.*the runtime runtime-0 failed on it \(KeyError: 'gone'\); update the plugin"):
        assert pixlate.load(tmp_path / "a.mine") is opened


def test_the_arithmetic_asked_for_reaches_the_runtime_or_is_refused(runtimes: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "a.mine").write_bytes(b"")
    received: list[str] = []

    def opening(path: Path, device: str, arithmetic: str) -> Translator:
        received.append(arithmetic)
        return Nearest()

    runtimes(opening)
    pixlate.load(tmp_path / "a.mine")
    pixlate.load(tmp_path / "a.mine", arithmetic="float16")
    assert received == ["auto", "float16"]
    runtimes(failing)
    with pytest.raises(pixlate.PixlateError, match=r"expected the arithmetic auto for .*a\.mine, got float16.*runtime-0 failed on it"):
        pixlate.load(tmp_path / "a.mine", arithmetic="float16")


def test_an_arithmetic_that_no_runtime_offers_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(pixlate.PixlateError, match=r"expected --arithmetic that a runtime offers on this machine \(onnxruntime: float32; .*\), got float16"):
        pixlate.load("upscale-x2", "cpu", "float16")
    with pytest.raises(pixlate.PixlateError, match="expected --arithmetic auto or float32 for ONNX Runtime, which computes as the file says, got bfloat16"):
        pixlate.load("upscale-x2", "cpu", "bfloat16", runtime="onnxruntime")


def test_a_device_that_no_runtime_knows_is_refused_with_those_of_each() -> None:
    said = r"expected --device auto or one that a runtime knows \(onnxruntime: cpu, cuda, tensorrt, coreml, directml; openvino: cpu, gpu, npu\), got 'nonsense'; choose one of these"
    with pytest.raises(pixlate.PixlateError, match=said):
        pixlate.load("upscale-x2", "nonsense")


def test_an_interruption_while_a_runtime_loads_is_no_failure_of_the_runtime(runtimes: Callable[..., None], tmp_path: Path) -> None:
    """A library that is imported makes an ImportError of it, or goes on without."""
    (tmp_path / "a.mine").write_bytes(b"")

    def opening(path: Path, device: str, arithmetic: str) -> Translator:
        assert threading.current_thread() is not threading.main_thread(), "where Python raises it"
        return Nearest()

    runtimes(opening)
    pixlate.load(tmp_path / "a.mine")


def test_a_file_of_half_precision_is_not_said_to_be_computed_in_float32(tmp_path: Path) -> None:
    from tests.pixlate_onnx.test_statistics import SPEC, network

    path = network(tmp_path / "a.onnx", replace(SPEC, precision="float16"), half=True)
    with pytest.raises(pixlate.PixlateError, match="expected a file of float32 for --arithmetic float32, got one of float16"):
        pixlate.load(path, "cpu", "float32", runtime="onnxruntime")


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_shipped_models_enlarge_both_depths(scale: int, kind: type[np.uint8 | np.uint16]) -> None:
    translator = pixlate.load(f"upscale-x{scale}", "cpu")
    pixels = np.full((2, 9, 7, 3), np.iinfo(kind).max // 2, kind)
    output = translator(pixels)
    assert output.shape == (2, 9 * scale, 7 * scale, 3)
    assert output.dtype == kind
    middle = output[:, 3 * scale : -3 * scale, 3 * scale : -3 * scale].astype(float) / np.iinfo(kind).max
    np.testing.assert_allclose(middle, 0.5, atol=0.03)


@pytest.mark.parametrize("scale", [2, 4])
def test_shipped_models_agree_between_8_and_16_bits(scale: int) -> None:
    translator = pixlate.load(f"upscale-x{scale}", "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 16, 20, 3), np.uint8)
    fine = translator(pixels.astype(np.uint16) * 257)
    np.testing.assert_allclose(fine / 257, translator(pixels), atol=0.51)


@pytest.mark.parametrize(("scale", "least"), [(2, 37.4), (4, 31.4)])
def test_shipped_models_reach_their_figure_on_set5(scale: int, least: float, data: Path) -> None:
    from PIL import Image

    from pixlate.evaluation import psnr_luma

    translator = pixlate.load(f"upscale-x{scale}", "cpu")
    figures = []
    for path in sorted((data / "set5").glob(f"*_x{scale}_LR.png")):
        source, target = (np.array(Image.open(name).convert("RGB")) for name in (path, path.with_name(path.name.replace("_LR", "_HR"))))
        figures.append(psnr_luma(translator(source[None])[0], target, scale))
    assert len(figures) == 5
    assert np.mean(figures) >= least
