"""What a user without the extra sees."""

from importlib import reload, util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.pixlate.images.conftest import photograph
from tests.pixlate_formats.conftest import written
from tests.pixlate_formats.raws import dng

from pixlate.errors import PixlateError
from pixlate.images import ImageFile, Picture
from pixlate.images.formats import by_suffix, writable
from pixlate_formats import formats


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The formats where no library of the extra is installed."""
    real = util.find_spec
    absent = {"pillow_heif", "rawpy", "OpenEXR", "pillow_jxl"}
    monkeypatch.setattr(util, "find_spec", lambda name, *package: None if name in absent else real(name, *package))
    yield by_suffix(reload(formats).FORMATS)
    monkeypatch.undo()
    reload(formats)


@pytest.mark.parametrize(("suffix", "title", "library"), [(".heic", "HEIC", "pillow-heif"), (".dng", "camera raw", "rawpy"), (".exr", "OpenEXR", "OpenEXR")])
def test_a_file_whose_library_is_missing_says_what_to_install(without: Any, tmp_path: Path, suffix: str, title: str, library: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(dng() if suffix == ".dng" else written(Picture(photograph()), suffix[1:])[0])
    with pytest.raises(PixlateError, match=rf"^reading {title} needs {library}, which is missing; run: pip install 'pixlate\[formats\]'"):
        ImageFile(path, max_pixels=10**6, formats=without)


def test_what_cannot_be_written_is_refused_before_the_start_and_the_rest_works(without: Any) -> None:
    with pytest.raises(PixlateError, match=r"^expected a format of jxl, got 'heic'; "):
        writable("heic", without)
    data, _ = written(Picture(photograph()), "jxl", lossless=True)
    with ImageFile(data, max_pixels=10**6, formats=without) as file:
        assert np.array_equal(file.read().pixels, photograph())
