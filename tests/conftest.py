"""What tests of every shelf share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

settings.register_profile("pixlate", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # seconds say how busy the machine is
settings.load_profile("pixlate")

if WORKERS > 1:  # each worker has its share of the cores, and the processes that its tests start have it too; PyTorch reads it when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("PIXLATE_CORES", "1")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of photographs that PIXLATE_DATA names; tests that need it skip where it is not set."""
    folder = os.environ.get("PIXLATE_DATA")
    if not folder:
        pytest.skip("PIXLATE_DATA is not set")
    return Path(folder)
