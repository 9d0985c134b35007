"""What tests of every shelf share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of photographs that PIXLATE_DATA names; tests that need it skip where it is not set."""
    folder = os.environ.get("PIXLATE_DATA")
    if not folder:
        pytest.skip("PIXLATE_DATA is not set")
    return Path(folder)
