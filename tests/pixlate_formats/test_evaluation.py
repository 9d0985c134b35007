"""Evaluation reads the formats of this package as conversion does."""

from pathlib import Path

import numpy as np
import pytest
from tests.pixlate.images.conftest import photograph
from tests.pixlate_formats.conftest import written

from pixlate.errors import PixlateError
from pixlate.evaluation.folders import find_images, read
from pixlate.images import Picture


@pytest.mark.parametrize(("format", "most"), [("heic", 1), ("jxl", 0), ("exr", 0)])
def test_a_folder_is_measured_by_the_pixels_that_conversion_reads(format: str, most: int, tmp_path: Path) -> None:
    (tmp_path / f"a.{format}").write_bytes(written(Picture(photograph()), format, lossless=True)[0])
    images = find_images([tmp_path], "degraded", 2)
    assert (images.names, images.smallest_side) == (("a",), 48)
    assert np.abs(read(images.targets[0]).astype(int) - photograph()).max() <= most


def test_light_beyond_white_is_refused_instead_of_measured_with_highlights_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(written(Picture((photograph() / 64).astype(np.float32), peak=4), "exr")[0])
    with pytest.raises(
        PixlateError, match=r"a\.exr cannot be measured, .*: expected light up to white, which is 1, got 3\.\d+; convert the pictures to PNG first"
    ):
        read(tmp_path / "a.exr")
