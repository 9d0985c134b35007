"""What all tests share."""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.commands import Process
from tests.forked import read_operators_once

from pixlate.system.cores import CORES, granted_cores

# Windows lacks the signals, pipes and limits of memory that these use; tests/without_posix.py finds which they are.
collect_ignore = [
    *("pixlate/cli/test_train.py", "pixlate/convert/test_killed.py", "pixlate/images/test_lossless.py", "pixlate_cut/test_pipeline.py"),
    *("pixlate_inpaint/test_convert.py", "pixlate_openvino/test_kept.py", "pixlate_serve", "pixlate_stargan/test_commands.py", "test_cases.py"),
    "test_proof_plugins.py",
] * (not hasattr(signal, "SIGHUP"))

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


def pytest_collection_finish() -> None:
    """Look for garbage less often, and not among what was imported: doing so is a tenth of the time of an export."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def _no_folders_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have no models of whoever runs the tests, and leave nothing in their cache."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MODELS", "CACHE"):
            patch.setenv(f"PIXLATE_{name}", str(tmp_path_factory.mktemp("user") / name.lower()))
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of photographs that PIXLATE_DATA names; tests that need it are skipped if it is not set."""
    folder = os.environ.get("PIXLATE_DATA")
    if not folder:
        pytest.skip("PIXLATE_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's browser, with a camera that shows a pattern, driven by Playwright, whose event loop ends with the module; PIXLATE_NEEDS_BROWSER forbids to skip what needs it."""
    executable = shutil.which("chromium")
    if executable is None:
        if os.environ.get("PIXLATE_NEEDS_BROWSER"):
            pytest.fail("PIXLATE_NEEDS_BROWSER is set and there is no chromium: apt-get install chromium")
        pytest.skip("there is no chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        )
        yield launched
        launched.close()


@pytest.fixture
def plugins_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget, after a test, the plugins that it loaded from single files."""
    from pixlate.cli import preview, train
    from pixlate.plugin import single_file
    from pixlate.plugin.manager import installed

    plugins = installed()
    before, commands = plugins.manager.get_plugins(), [(app, set(app)) for app in (train.app, preview.app)]
    monkeypatch.setattr(plugins, "plugins", list(plugins.plugins))
    monkeypatch.setattr(plugins, "_left_out", dict(plugins._left_out))
    yield
    for module in plugins.manager.get_plugins() - before:
        plugins.manager.unregister(module)
    for app, known in commands:
        for command in set(app) - known:
            del app[command]
    single_file._loaded.cache_clear()


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Process]]:
    """Start ``python -m MODULE WORDS`` in process groups of their own, which are gone when the test is."""
    started: list[Process] = []

    def run(*words: object) -> Process:
        started.append(Process(tmp_path_factory.mktemp("printed"), "run_module", *map(str, words)))
        return started[-1]

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="session")
def operators_read_once() -> Iterator[None]:
    """Speed up exports within this process."""
    with pytest.MonkeyPatch.context() as patch:
        read_operators_once(patch.setattr)
        yield
