"""Which device is used, and what doctor reports."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from pixlate.cli.cache import clear_folder
from pixlate.errors import PixlateError
from pixlate.inference.models import find, runtimes_for
from pixlate_onnx import providers, session
from pixlate_onnx.providers import TINY_MODEL, Chosen

CUDA_WORKS = providers.cuda_problem() is None


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two GPUs seem to work."""
    monkeypatch.setattr(providers, "cuda_problem", lambda: None)
    monkeypatch.setattr(providers, "gpus", lambda: 2)


def test_device_cpu_uses_the_cpu_provider() -> None:
    assert providers.choose("cpu") == Chosen("cpu", (("CPUExecutionProvider", {}),))


@pytest.mark.parametrize(
    "device", ["gpu", "cuda:x", "cuda:", "cuda:-1", "cuda:1.0", "cpu:0", "auto:1", "", "CUDA", "cuda:0:1", "cuda:²", "tensorrt:x", "coreml:0", "directml:x"]
)
def test_device_that_is_misspelled_is_refused(device: str) -> None:
    with pytest.raises(
        PixlateError, match=r"expected --device auto, cpu, cuda, cuda:N, tensorrt, tensorrt:N, coreml, directml or directml:N, got .*; choose one of these"
    ):
        providers.choose(device)


@pytest.mark.skipif(CUDA_WORKS, reason="CUDA works here")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_that_does_not_work_is_refused_with_reason_and_remedy(device: str) -> None:
    with pytest.raises(PixlateError, match=f"expected a GPU for --device {device}, but .*(driver|library|built without).*; (run|install|check)"):
        providers.choose(device)
    assert providers.choose("auto").device == "cpu"


@pytest.mark.skipif(not CUDA_WORKS, reason="ONNX Runtime finds no CUDA")
def test_cuda_that_works_is_used(tmp_path: Path) -> None:
    for device in ("auto", "cuda", "cuda:0"):
        chosen = providers.choose(device)
        session = onnxruntime.InferenceSession(TINY_MODEL, providers=list(chosen.providers), enable_fallback=0)
        assert chosen.device == "cuda:0" and session.get_providers()[0] == "CUDAExecutionProvider"


@pytest.mark.usefixtures("driver")
def test_gpu_is_the_one_asked_for() -> None:
    for device, number in (("auto", 0), ("cuda", 0), ("cuda:1", 1)):
        chosen = providers.choose(device)
        (first, options), (second, _) = chosen.providers
        assert (chosen.device, chosen.gpu, first, options["device_id"], second) == (f"cuda:{number}", number, providers.CUDA, number, providers.CPU)
        assert options["cudnn_conv_algo_search"] == "HEURISTIC", "an exhaustive search stalls at each new size"
        assert options["arena_extend_strategy"] == "kSameAsRequested"


@pytest.mark.parametrize(
    ("device", "provider", "used", "options"),
    [
        ("coreml", "CoreMLExecutionProvider", "coreml", {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}),
        ("directml", "DmlExecutionProvider", "directml:0", {"device_id": 0}),
        ("directml:1", "DmlExecutionProvider", "directml:1", {"device_id": 1}),
    ],
)
def test_gpus_of_macos_and_windows_are_used_where_the_wheel_has_them(
    device: str, provider: str, used: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [provider, providers.CPU])
    chosen = providers.choose(device)
    assert chosen == Chosen(used, ((provider, options), (providers.CPU, {})))
    assert chosen.gpu is None, "pictures are bound to memory of NVIDIA's GPUs alone"
    assert [runtime.name for runtime in runtimes_for(Path("model.onnx"), device)] == ["onnxruntime"]


def test_auto_does_not_take_what_was_never_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "cuda_problem", lambda: "there is none")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CoreMLExecutionProvider", "DmlExecutionProvider", providers.CPU])
    assert providers.choose("auto").device == "cpu"


@pytest.mark.parametrize(("device", "system", "wheel"), [("coreml", "macOS", "onnxruntime"), ("directml:1", "Windows", "onnxruntime-directml")])
def test_gpus_of_macos_and_windows_that_the_wheel_lacks_are_refused_with_the_wheel_that_has_them(
    device: str, system: str, wheel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.CPU])
    with pytest.raises(
        PixlateError, match=f"which {system} alone has, but .* is built without it; the wheel {wheel} for .* && pip install {wheel}, or use --device cpu"
    ):
        providers.choose(device)


def test_heavy_nodes_that_the_gpu_of_macos_left_to_the_cpu_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    part = SimpleNamespace(ep_name=providers.CPU, get_nodes=lambda: [SimpleNamespace(op_type="Conv"), SimpleNamespace(op_type="Cast")])
    fake = SimpleNamespace(get_providers=lambda: [providers.COREML, providers.CPU], get_provider_graph_assignment_info=lambda: [part])
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.COREML, providers.CPU])
    monkeypatch.setattr(session, "_session", lambda *how: fake)
    with pytest.raises(PixlateError, match=r"expected coreml to run all of .*, but ONNX Runtime has no kernel there for Conv"):
        session.open_program(find("upscale-x2"), "coreml")


@pytest.mark.usefixtures("driver")
def test_tensorrt_keeps_its_engines_and_computes_in_the_models_precision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(providers, "tensorrt_problem", lambda: None)
    chosen = providers.choose("tensorrt:1", "float16", tmp_path)
    assert chosen.device == "tensorrt:1" and [name for name, _ in chosen.providers] == [providers.TENSORRT, providers.CUDA, providers.CPU]
    options = chosen.providers[0][1]
    assert (options["device_id"], options["trt_fp16_enable"], options["trt_bf16_enable"]) == (1, True, False)
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    assert options["trt_engine_cache_enable"] and options["trt_timing_cache_enable"]
    assert not providers.choose("tensorrt", "float32").providers[0][1]["trt_fp16_enable"], "a model of 32 bits stays one"


def test_engines_of_two_models_are_cached_in_two_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "cache"))
    assert providers.engine_folder("a" * 64) == tmp_path / "cache/tensorrt" / ("a" * 16) != providers.engine_folder("b" * 64)
    assert providers.engine_folder("a" * 64).is_dir()


def test_engines_are_removed_with_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "cache"))
    for name in ("TensorrtExecutionProvider_graph_main_sm90.engine", "TensorrtExecutionProvider_cache_sm90.timing"):
        (providers.engine_folder("a" * 64) / name).write_bytes(b"x" * 1000)
    (tmp_path / "cache/tensorrt/mine.txt").write_text("mine")
    assert clear_folder(tmp_path / "cache") == (2, 2000)
    assert [str(path.relative_to(tmp_path / "cache")) for path in (tmp_path / "cache").rglob("*")] == ["tensorrt", "tensorrt/mine.txt"]


def test_engines_that_cannot_be_cached_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PixlateError, match=r"TensorRT keeps its engines in .*/file/tensorrt, which cannot be written \(.*\); .*PIXLATE_CACHE"):
        providers.engine_folder("a" * 64)


def test_missing_tensorrt_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "cuda_problem", lambda: None)
    monkeypatch.setattr(providers, "gpus", lambda: 1)
    monkeypatch.setattr(providers, "tensorrt_problem", providers.tensorrt_problem.__wrapped__)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.TENSORRT, providers.CUDA, providers.CPU])

    def no_library(path: str, mode: int = 0) -> None:
        raise OSError("libnvinfer.so.10: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("pixlate_onnx.providers.ctypes.CDLL", no_library)
    monkeypatch.setattr("pixlate_onnx.providers.sys.platform", "linux")
    with pytest.raises(
        PixlateError, match=r"for --device tensorrt, but TensorRT is missing \(libnvinfer.so.10\); run: pip install 'tensorrt-cu\d\d<11', or use --device cuda"
    ):
        providers.choose("tensorrt")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.CUDA, providers.CPU])
    with pytest.raises(PixlateError, match="built without TensorRT; use --device cuda"):
        providers.choose("tensorrt")


@pytest.mark.usefixtures("driver")
def test_gpu_of_a_number_that_is_not_there_is_refused() -> None:
    with pytest.raises(PixlateError, match="expected one of the 2 GPUs, counted from 0, got --device cuda:2; choose one of these"):
        providers.choose("cuda:2")


@pytest.mark.parametrize("reason", ["no CUDA build", "no driver", "no GPU", "no library"])
def test_what_keeps_cuda_from_working_is_named(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> int:
        raise OSError("libcuda.so.1: cannot open shared object file: No such file or directory")

    def no_library(path: str) -> None:
        raise OSError("libcublas.so.13: cannot open shared object file: No such file or directory")

    built = ["CPUExecutionProvider"] if reason == "no CUDA build" else ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(providers, "gpus", {"no driver": no_driver, "no GPU": lambda: 0}.get(reason, lambda: 1))
    monkeypatch.setattr(providers, "cuda_of_driver", lambda: (99, 0))
    monkeypatch.setattr("pixlate_onnx.providers.sys.platform", "linux")
    monkeypatch.setattr("pixlate_onnx.providers.ctypes.CDLL", no_library)
    assert (
        providers.cuda_problem.__wrapped__()
        == {
            "no CUDA build": f"the installed ONNX Runtime {onnxruntime.__version__} is built without CUDA; run: pip install onnxruntime-gpu",
            "no driver": "the NVIDIA driver is not installed (libcuda.so.1 is missing); install NVIDIA's driver, or use --device cpu",
            "no GPU": "the NVIDIA driver finds no GPU; check it with: nvidia-smi",
            "no library": "a CUDA library is missing (libcublas.so.13); run: pip install 'pixlate[cuda]' (from a checkout: pip install '.[cuda]')",
        }[reason]
    )


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ONNX Runtime seem built for CUDA 13.0 with all its libraries there, and a GPU whose driver runs CUDA 13.0."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.CUDA, providers.CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(providers, "CUDA_BUILT_FOR", "13.0")
    monkeypatch.setattr(providers, "gpus", lambda: 1)
    monkeypatch.setattr(providers, "cuda_of_driver", lambda: (13, 0))
    monkeypatch.setattr(providers, "_missing", lambda *names: "")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    yield
    onnxruntime.set_default_logger_severity(2)


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("driver", [(13, 0), (13, 1), (14, 0)])
def test_driver_of_the_same_or_a_later_cuda_is_used(driver: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "cuda_of_driver", lambda: driver)
    assert providers.cuda_problem.__wrapped__() is None


@pytest.mark.usefixtures("libraries")
def test_driver_that_is_too_old_is_named_with_what_it_runs_and_auto_takes_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "cuda_of_driver", lambda: (12, 8))
    monkeypatch.setattr(providers, "cuda_problem", providers.cuda_problem.__wrapped__)
    wanted = rf"the NVIDIA driver runs CUDA 12\.8, and ONNX Runtime {onnxruntime.__version__} is built for CUDA 13\.0; update NVIDIA's driver"
    with pytest.raises(PixlateError, match=f"expected a GPU for --device cuda, but {wanted}, or use --device cpu"):
        providers.choose("cuda")
    assert providers.choose("auto").device == "cpu"


@pytest.mark.usefixtures("libraries")
def test_float32_is_not_rounded_to_10_bits_on_a_gpu_unless_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    providers.cuda_problem.__wrapped__()
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0", "cuDNN and cuBLAS read this when they are loaded"
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    providers.cuda_problem.__wrapped__()
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "1"


def test_gpu_that_loads_and_does_not_run_is_a_problem_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __init__(self, *model: object, **options: object) -> None:
            pass

        def get_providers(self) -> list[str]:
            return [providers.CUDA]

        def run(self, outputs: None, inputs: dict[str, list[float]]) -> None:
            raise RuntimeError("CUDA failure 46: all CUDA-capable devices are busy or unavailable ; GPU=0")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.CUDA])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Failing)
    monkeypatch.setattr(providers, "cuda_problem", lambda: None)
    _, found = providers.checks()
    assert (found.status, found.remedy) == ("problem", "nvidia-smi")
    assert found.found == "loads, but does not run (CUDA failure 46: all CUDA-capable devices are busy or unavailable ; GPU=0)"


@pytest.mark.parametrize("later", ["onnxruntime-gpu", "onnxruntime-directml"])
def test_two_runtimes_installed_are_named_with_the_command_that_fixes_it(later: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("onnxruntime", later):
            return "1.31.1"
        raise PackageNotFoundError(name)

    monkeypatch.setattr(providers, "version", version)
    first = next(providers.checks())
    assert (first.status, first.found) == ("problem", f"onnxruntime 1.31.1 and {later} 1.31.1 are installed together and overwrite each other")
    assert first.remedy == f"pip uninstall -y onnxruntime {later} && pip install {later}"


@pytest.mark.parametrize("only", ["onnxruntime", "onnxruntime-gpu", None])
def test_one_installed_runtime_gives_no_problem(only: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == only:
            return "1.31.1"
        raise PackageNotFoundError(name)

    monkeypatch.setattr(providers, "version", version)
    first = next(providers.checks())
    assert first.status == "ok" and first.found == (f"{only} 1.31.1" if only else f"onnxruntime {onnxruntime.__version__}")


def test_missing_cuda_library_is_reported_with_the_command_that_fixes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.CUDA, providers.CPU])
    monkeypatch.setattr(providers, "cuda_problem", lambda: f"a CUDA library is missing (libcurand.so.10); run: {providers.INSTALL_CUDA}")
    _, cuda, cpu = providers.checks()
    assert (cuda.name, cuda.status, cuda.found) == (providers.CUDA, "note", "does not load: a CUDA library is missing (libcurand.so.10)")
    assert cuda.remedy == providers.INSTALL_CUDA
    assert (cpu.name, cpu.status, cpu.found) == (providers.CPU, "ok", "loads and runs")


def test_provider_that_does_not_load_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["StrangeExecutionProvider"])
    _, strange = providers.checks()
    assert strange.status == "note" and "does not load" in strange.found


def test_doctor_lets_onnx_runtime_print_nothing() -> None:
    script = "from pixlate_onnx.providers import checks\nassert [check.status for check in checks()][0] == 'ok'"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_tiny_model_is_one_identity_node() -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("input", "output")]
    graph = helper.make_graph([helper.make_node("Identity", ["input"], ["output"])], "tiny", value[:1], value[1:])
    model = helper.make_model(graph, producer_name="", ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    assert onnx.load_from_string(TINY_MODEL) == model
    onnx.checker.check_model(TINY_MODEL)
