"""What all tests share."""

import functools
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pixlate.system.process import CORES, granted_cores

settings.register_profile("pixlate", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # both depend on what else the machine does
settings.load_profile("pixlate")

if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    # The cores are divided among the workers and the processes that their tests start; PyTorch reads its number when it is imported.
    share = str(max(1, granted_cores() // workers))
    os.environ[CORES] = share
    os.environ.setdefault("OMP_NUM_THREADS", share)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the workers of ``pytest -n auto``."""
    return granted_cores()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of photographs that PIXLATE_DATA names; tests that need it are skipped if it is not set."""
    folder = os.environ.get("PIXLATE_DATA")
    if not folder:
        pytest.skip("PIXLATE_DATA is not set")
    return Path(folder)


@pytest.fixture
def plugins_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget, after a test, the plugins that it loaded from single files."""
    from pixlate.cli.train import app
    from pixlate.plugin import single_file
    from pixlate.plugin.manager import installed

    plugins = installed()
    before, commands = plugins.manager.get_plugins(), set(app)
    monkeypatch.setattr(plugins, "plugins", list(plugins.plugins))
    monkeypatch.setattr(plugins, "_left_out", dict(plugins._left_out))
    yield
    for module in plugins.manager.get_plugins() - before:
        plugins.manager.unregister(module)
    for command in set(app) - commands:
        del app[command]
    single_file._loaded.cache_clear()


@pytest.fixture(scope="session")
def operators_read_once() -> Iterator[None]:
    """PyTorch's exporter reads the source of its 500 operators again for each file, which is half the time of a small one; here it does so once."""
    registration = importlib.import_module("torch.onnx._internal.exporter._registration")
    with pytest.MonkeyPatch.context() as patch:
        if (operators := getattr(registration, "onnxscript_apis", None)) is not None:  # internal: without it tests only take longer
            patch.setattr(operators, "get_torchlib_ops", functools.cache(operators.get_torchlib_ops))
        yield
