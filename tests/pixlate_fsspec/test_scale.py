"""What docs/scale.md says of the requests that a picture takes at an object store."""

import importlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.pixlate.conftest import Run, folder
from tests.pixlate_fsspec.stores import Bucket

from pixlate.places.local import locate


@pytest.fixture(autouse=True)
def empty_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setitem(importlib.import_module("fsspec.registry")._registry, "gs", Bucket)
    Bucket.store.clear()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    Bucket.store.clear()


def requests(images: int, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often each operation was called in a conversion from one folder of the store into another."""
    Bucket.store.clear()
    place = locate("gs://in")
    for path in folder(tmp_path / f"in{images}", images).rglob("*.png"):
        place.child(f"one/{path.name}").write(path.read_bytes())  # type: ignore[attr-defined]
    monkeypatch.setattr(Bucket, "calls", [])
    assert run("gs://in", "gs://out").converted == images  # type: ignore[arg-type]
    return Counter(operation for operation, _ in Bucket.calls if operation != "info")  # by which fsspec's store in memory looks at itself


def test_each_picture_takes_the_four_requests_that_the_guide_names(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (requests(images, tmp_path, run, monkeypatch) for images in (5, 15))
    more = {operation: count for operation in many if (count := many[operation] - few[operation])}
    assert more == dict.fromkeys(("get", "write", "put", "rm"), 10)
