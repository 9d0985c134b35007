"""The user's own folders."""

import sys
from pathlib import Path

import pytest

import pixlate
from pixlate.system.user import cache_folder, models_folder


def test_variables_name_the_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXLATE_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("PIXLATE_MODELS", str(tmp_path / "b"))
    assert (cache_folder(), models_folder()) == (tmp_path / "a", tmp_path / "b")
    assert pixlate.cache_folder() == tmp_path / "a"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG specification is of other systems")
def test_xdg_folders_are_used_and_relative_ones_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PIXLATE_CACHE", "PIXLATE_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert cache_folder() == tmp_path / "pixlate"
    assert models_folder() == Path("/home/someone/.local/share/pixlate/models")
