"""How far a conversion is and how long it will take, by pixels; time is a number that the tests set."""

import threading
from pathlib import Path

import pytest
from tests.pixlate.conftest import Nearest, Run, folder

from pixlate.cli.progress import Lines, status
from pixlate.convert.report import Report, Result
from pixlate.convert.survey import sizes_read_ahead
from pixlate.images import ImageFile
from pixlate.inference.executor import Executor
from pixlate.inference.progress import Progress
from pixlate.inference.speed import measured_speed
from pixlate.places.journal import Job
from pixlate.places.local import LocalPlace


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def reported(count: int, clock: Clock) -> Report:
    report = Report(None, count, {})
    report.progress = Progress(count, clock)
    return report


def converted(source: str, width: int, height: int) -> Result:
    return Result(source, source, "converted", source_size=(width, height), output_size=(width, height))


def test_time_left_counts_pixels_and_not_files(clock: Clock) -> None:
    progress = Progress(3, clock)
    for name, pixels in (("small", 100), ("large", 9_800), ("last", 100)):
        progress.size(name, pixels)
    assert progress.seconds_left is None, "nothing is measured yet"
    clock.now = 2.0
    progress.tile(100)
    progress.translated("small")
    progress.finish("small", (10, 10))
    assert (progress.left, progress.pixels_left) == (2, 9_900)
    assert progress.fraction == pytest.approx(0.01)
    assert progress.seconds_left == pytest.approx(2 * 99)
    clock.now = 12.0
    assert progress.seconds_left == pytest.approx(2 * 99 - 10), "it falls while a tile runs"


def test_tiles_of_a_picture_that_is_not_done_count(clock: Clock) -> None:
    progress = Progress(1, clock)
    progress.size("large", 1_000)
    for tile in range(1, 5):
        clock.now = 5.0 * tile
        progress.tile(100)
        assert progress.pixels_left == 1_000 - 100 * tile
    assert progress.fraction == pytest.approx(0.4)
    assert progress.seconds_left == pytest.approx(30, rel=0.01)
    progress.tile(-400)  # memory has run out, and it begins again in smaller tiles
    assert progress.pixels_left == 1_000


def test_an_unknown_size_counts_as_the_average(clock: Clock) -> None:
    progress = Progress(4, clock)
    assert progress.pixels_left == 0 and progress.fraction == 0
    progress.size("a", 100)
    progress.size("b", 300)
    assert progress.pixels_left == 100 + 300 + 2 * 200


def test_failures_and_what_was_finished_before_are_no_work(clock: Clock) -> None:
    progress = Progress(3, clock)
    for name in ("a", "b", "c"):
        progress.size(name, 1_000)
    progress.finish("a", None)
    progress.finish("b", None)
    assert progress.seconds_left is None
    assert progress.pixels_left == 1_000
    assert progress.fraction == pytest.approx(2 / 3)
    clock.now = 4.0
    progress.tile(500)
    assert progress.seconds_left == pytest.approx(4.0)


def test_an_engine_that_reports_no_tiles_is_measured_by_its_results(clock: Clock) -> None:
    progress = Progress(4, clock)
    for number in range(4):
        progress.size(str(number), 1_000)
    for number in range(2):
        clock.now += 5.0
        progress.finish(str(number), (100, 10))
    assert progress.pixels_left == 2_000
    assert progress.seconds_left == pytest.approx(10.0)


def test_a_line_is_printed_every_half_minute_and_the_estimate_once_it_is_known(clock: Clock) -> None:
    said: list[str] = []
    lines = Lines("upscale-x4", said.append, clock)
    for clock.now in (1.0, 29.0, 31.0, 32.0):
        lines.tick()
    assert said == ["loading upscale-x4 ..., 0:00:31"]
    report = lines.report = reported(4, clock)
    for name in "abcd":
        report.progress.size(name, 1_000_000)
    report.progress.begin()
    clock.now = 52.0
    lines.tick()
    assert len(said) == 1
    report.progress.tile(1_000_000)
    report.progress.translated("a")
    report.add(converted("a", 1000, 1000))
    lines.tick()
    lines.tick()
    assert said[1:] == ["upscale-x4: 1/4, 25%, 0:01:00 left, 3 million pixels to do"]
    for clock.now in range(53, 90):
        lines.tick()
    assert len(said) == 3
    assert said[2] == "upscale-x4: 1/4, 25%, 0:00:30 left, 3 million pixels to do"


def test_a_short_conversion_prints_nothing(clock: Clock) -> None:
    said: list[str] = []
    lines = Lines("m", said.append, clock)
    report = lines.report = reported(2, clock)
    for number in range(2):
        clock.now += 2.0
        report.progress.size(str(number), 100)
        report.progress.tile(100)
        report.add(converted(str(number), 10, 10))
        lines.tick()
    assert said == []
    assert status(report) == "2/2, 100%"


def test_headers_are_read_ahead_of_the_images(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", 6, 10, 20)
    (source / "1" / "001.png").write_bytes(b"")
    jobs = [Job(LocalPlace(str(path)), path.name, "png") for path in sorted(source.rglob("*.png"))]
    progress, done = Progress(6), threading.Event()

    def read(path: Path) -> ImageFile:
        if path == jobs[-1].place.local:
            done.set()
        return ImageFile(path, max_pixels=1000)

    with sizes_read_ahead(progress, jobs, lambda: 2, read, lambda source, job: False):
        assert done.wait(60)
    assert progress.pixels_left == 6 * 200, "two are being read already and one cannot be: they count as the others"
    assert len(progress._sizes) == 3


def test_a_conversion_that_is_watched_knows_its_pixels(tmp_path: Path, run: Run) -> None:
    seen: list[tuple[float, float]] = []
    source = folder(tmp_path / "in", 5, 20, 30)
    (source / "bad.png").write_bytes(b"bad")
    summary = run(source, tmp_path / "out", watch=lambda report: seen.append((report.progress.fraction, report.progress.pixels_left)), threads=1)
    assert summary.converted == 5
    assert seen[0][0] == 0.0
    assert seen[-1] == (1.0, 0.0)
    assert all(0 <= fraction <= 1 for fraction, _ in seen)


def test_the_speed_of_a_model_is_that_of_the_largest_sample() -> None:
    clock = Clock()
    model = Nearest(before=lambda pixels: setattr(clock, "now", clock.now + (5.0 if not model.shapes[:-1] else pixels.size / 3 / 1000)))
    assert measured_speed(Executor(model, "auto", "auto"), clock) == pytest.approx(1000)
    assert [shape[1:3] for shape in model.shapes] == [(64, 64), (64, 64)], "a model this slow is not run on a larger sample"
    model.shapes.clear()
    quick = Nearest(before=lambda pixels: setattr(clock, "now", clock.now + pixels.size / 3 / 1e6))
    assert measured_speed(Executor(quick, "auto", "auto"), clock) == pytest.approx(1e6)
    assert quick.shapes[-1][1:3] == (256, 256)


def test_a_model_that_runs_no_sample_has_no_speed() -> None:
    def refuse(pixels: object) -> None:
        raise ValueError("expected 512 x 512")

    assert measured_speed(Executor(Nearest(before=refuse), "auto", "auto")) is None
