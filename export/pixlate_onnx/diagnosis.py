"""The checks of ONNX Runtime for ``pixlate doctor``."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import onnxruntime

from pixlate.plugin.check import Check
from pixlate_onnx import providers
from pixlate_onnx.tiny import TINY_MODEL

_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")


def checks() -> Iterator[Check]:
    """Yield which runtime is installed and which providers really load, found by opening a tiny session."""
    installed = {name: found for name in _DISTRIBUTIONS if (found := _version(name))}
    if len(installed) == 2:
        both = " and ".join(f"{name} {found}" for name, found in installed.items())
        yield Check(
            "runtime",
            "problem",
            f"{both} are both installed and overwrite each other",
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu",
        )
    else:
        yield Check("runtime", "ok", ", ".join(f"{name} {found}" for name, found in installed.items()) or f"onnxruntime {onnxruntime.__version__}")
    onnxruntime.set_default_logger_severity(4)  # a provider that does not load would print what is reported here
    for provider in onnxruntime.get_available_providers():
        yield _try(provider)
    onnxruntime.set_default_logger_severity(2)


def _try(provider: str) -> Check:
    problem = {providers.CUDA: providers.cuda_problem, providers.TENSORRT: providers.tensorrt_problem}.get(provider, lambda: None)()
    if problem:
        reason, _, remedy = problem.partition("; ")
        return Check(provider, "note", f"does not load: {reason}", remedy.removeprefix("run: "))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(TINY_MODEL, options, providers=[provider], enable_fallback=0)
    except Exception:  # noqa: BLE001 - ONNX Runtime's errors share no base class, and here say only that libraries are missing
        return Check(provider, "note", "does not load; Pixlate does not use it")
    if session.get_providers()[0] != provider:
        return Check(provider, "note", "does not load; Pixlate does not use it")
    session.run(None, {"input": [1.0]})
    return Check(provider, "ok", "loads and runs")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
