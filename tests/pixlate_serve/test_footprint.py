"""What a picture counts against ``--memory`` is what it takes, measured."""

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from tests.pixlate.conftest import Nearest, noise
from tests.pixlate_serve.conftest import Application, error_of

from pixlate.images import Picture
from pixlate.images.write import encode_picture
from pixlate.plugin.spec import ModelSpec
from pixlate_serve.footprint import footprint, most_pixels

SIDE = 400
MEASURE = """
import json, os, re, sys
from pathlib import Path
import numpy as np
from pixlate.images import Picture
from pixlate.images.write import encode_picture
from pixlate.inference.executor import Executor
from pixlate.inference.pictures import to_model
from pixlate.plugin.spec import ModelSpec
from pixlate_serve.footprint import of_header, of_picture
from pixlate_serve.translation import decoded, encoded, opened


class Nearest:
    device = "cpu"

    def __init__(self, spec):
        self.spec = spec

    def __call__(self, pixels):
        return pixels.repeat(4, axis=1).repeat(4, axis=2)


def upload(side, dtype, alpha):
    most = np.iinfo(dtype).max
    samples = np.random.default_rng(0).integers(0, most, (side, side, 4), dtype=dtype, endpoint=True)
    return encode_picture(Picture(samples[:, :, :3].copy(), samples[:, :, 3].copy() if alpha else None), "png")[0]


def resident(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])


def translate(data, spec, format):
    file = opened(data, 10**9, 10**9)
    counted = of_header(file.header, spec, format)
    picture = decoded(file, spec)
    counted = max(counted, of_picture(picture, spec, format)) + len(data)
    (output,) = Executor(Nearest(spec), 64, 1).translate([to_model(picture, spec)])
    encoded(output, picture, spec, format, 95, False)
    return counted


for dtype, alpha, format, exact in json.loads(sys.argv[1]):
    spec = ModelSpec(scale=4, tiling_exact=exact, halo=8)
    data = upload(int(sys.argv[2]), dtype, alpha)
    if child := os.fork():  # so that no case finds memory that another has left
        os.waitpid(child, 0)
        continue
    translate(upload(32, dtype, alpha), spec, format)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
    before = resident("VmRSS")
    counted = translate(data, spec, format)
    print(json.dumps([resident("VmHWM") - before, counted]), flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory is reset on Linux only")
def test_measured_peak_is_no_more_than_what_is_counted_and_not_much_less() -> None:
    cases = [
        ("uint8", False, "png", True), ("uint8", False, "png", False), ("uint16", True, "png", True), ("uint16", True, "png", False),
        ("uint16", False, "jpeg", True), ("uint8", True, "jpeg", True), ("uint8", False, "webp", True), ("uint16", True, "tiff", True),
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", MEASURE, json.dumps(cases), str(SIDE)], check=True, capture_output=True, text=True, timeout=120)
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    shares = {case: round(peak / counted, 2) for case, (peak, counted) in zip(cases, measured, strict=True)}
    assert len(shares) == len(cases) and all(0.3 < share <= 1 for share in shares.values()), shares


def test_transparency_and_depth_count() -> None:
    spec = ModelSpec(scale=4, tiling_exact=True, halo=0)
    plain, deep = footprint(1, 1, 3, 1, spec, "png"), footprint(1, 1, 4, 2, spec, "png")
    assert deep > 2 * plain
    assert most_pixels(spec, 10**9, 10**9) == int(0.9 * 10**9) // plain and most_pixels(spec, 100, 10**9) == 100


def test_picture_that_only_fits_with_another_kind_of_answer_is_refused_with_the_largest_that_does(start: Callable[..., Application]) -> None:
    application = start({"nearest": Nearest(ModelSpec(scale=2, tiling_exact=True, halo=0))}, memory=1_000_000)
    data = encode_picture(Picture(noise(90, 90), np.full((90, 90), 9, np.uint8)), "png")[0]
    assert application.translate(data).status_code == 200
    refused = application.translate(data, query="?format=avif")
    assert error_of(refused)[:2] == (413, "too_large_for_memory") and "or add ?format=png" in refused.text
    most = int(refused.headers["Pixlate-Max-Pixels"])
    side = int(0.95 * most**0.5)
    smaller = encode_picture(Picture(noise(side, side), np.full((side, side), 9, np.uint8)), "png")[0]
    assert 1000 < most < 8100 and application.translate(smaller, query="?format=avif").status_code == 200
