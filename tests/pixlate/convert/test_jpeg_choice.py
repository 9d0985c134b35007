"""JPEG on the GPU: chosen by measurement, asked for by name, refused with the reason, and told. The codecs and the GPUs are stand-ins."""

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.convert.conftest import Nearest, load, nearest, noise

import pixlate
from pixlate.contracts import JpegCodec, Translator
from pixlate.convert import ConvertOptions, convert, jpeg_choice, jpeg_lane
from pixlate.convert.job import Job
from pixlate.convert.jpeg_lane import JpegLane
from pixlate.convert.plan import Plan
from pixlate.convert.report import Summary
from pixlate.errors import PixlateError
from pixlate.images.jpeg import Plain, Subsampling, plain
from pixlate.images.picture import Pixels
from pixlate.plugins import installed


@dataclass
class Codec:
    """Decodes and encodes with Pillow; ``batches`` tells how many came at once."""

    device: str = "cuda:0"
    off: int = 0
    """Levels by which its pixels differ from Pillow's."""
    raises: Exception | None = None
    encodes: bool = True
    quality: int = 0
    """Taken in place of the one asked for."""
    batches: list[int] = field(default_factory=list)
    encoded: list[int] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def decode(self, files: Sequence[bytes]) -> list[Pixels | None]:
        self.before()
        if self.raises:
            raise self.raises
        self.batches.append(len(files))
        pictures = [np.array(Image.open(BytesIO(data))) for data in files]
        return [np.clip((picture if picture.ndim == 3 else picture[:, :, None]).astype(int) + self.off, 0, 255).astype(np.uint8) for picture in pictures]

    def encode(self, images: Sequence[Pixels], quality: int, subsampling: Subsampling) -> list[bytes | None]:
        if self.raises:
            raise self.raises
        self.encoded.append(len(images))
        return [jpeg(pixels, quality=self.quality or quality, subsampling=subsampling) if self.encodes else None for pixels in images]


def jpeg(pixels: Pixels, **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def photographs(root: Path, count: int, **options: object) -> Path:
    """Write JPEG files that differ."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        smooth = np.array(Image.fromarray(noise(4, 5, seed=number)).resize((40, 32), Image.Resampling.BICUBIC))
        (root / f"{number:03}.jpg").write_bytes(jpeg(smooth, **{"quality": 95, "subsampling": 0, **options}))
    return root


Run = Callable[..., Summary]


@pytest.fixture
def run(use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Convert ``in`` to ``out`` on a stand-in of a GPU with a stand-in codec."""

    def start(codec: JpegCodec | None, device: str = "cuda:0", rates: tuple[float, ...] = (), source: Path = tmp_path / "in", **options: object) -> Summary:
        model = use(Nearest(device=device))
        monkeypatch.setattr(jpeg_choice, "WORTH", 1)
        if codec is not None:
            monkeypatch.setattr(jpeg_choice, "codec_for", lambda device: codec)
        if rates:
            measured = iter(rates)
            monkeypatch.setattr(jpeg_choice, "rate", lambda work, items, pixels, threads: (work(items[0]), next(measured))[1])
        return convert(source, tmp_path / "out", model, ConvertOptions(**{"threads": 2, **options}))  # type: ignore[arg-type]

    return start


CPU, FASTER, SLOWER = 100e6, 300e6, 105e6


def test_a_faster_gpu_is_used_and_told(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 9)
    codec = Codec()
    summary = run(codec, rates=(CPU, FASTER, CPU, FASTER), report=tmp_path / "report.json")
    told = "9 decoded on cuda:0 (4:4:4; 300 million pixels/s there, 100 on the CPU); 9 encoded on cuda:0 (300 million pixels/s there, 100 on the CPU)"
    assert (summary.converted, summary.jpeg) == (9, told)
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["jpeg"] == told


def test_the_outputs_are_the_cpus(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 4, dpi=(300, 300), exif=orientation(6))
    run(None, device="cpu")
    expected = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jpg")}
    assert run(Codec(), rates=(CPU, FASTER) * 2, on_exists="overwrite").jpeg.startswith("4 decoded on cuda:0")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jpg")} == expected
    assert len(expected) == 4 and load(tmp_path / "out/000.jpg").size == (64, 80)


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = value
    return exif


def test_a_slower_gpu_is_not_used(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 3)
    codec = Codec()
    summary = run(codec, rates=(CPU, SLOWER, CPU, CPU / 2))
    assert summary.jpeg == ("on the CPU: decoding: 4:4:4; 105 million pixels/s there, 100 on the CPU, and encoding: 50 million pixels/s there, 100 on the CPU")
    assert summary.converted == 3


def test_decoding_and_encoding_are_chosen_each_for_itself(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 3)
    summary = run(Codec(), rates=(CPU, SLOWER, CPU, FASTER))
    assert summary.jpeg.startswith("decoded on the CPU (4:4:4; 105 million") and "; 3 encoded on cuda:0 (300 million" in summary.jpeg


def test_asked_for_by_name_it_is_used_unmeasured(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs(tmp_path / "in", 3)
    monkeypatch.setattr(jpeg_choice, "rate", None)
    assert run(Codec(), jpeg="gpu").jpeg == "3 decoded on cuda:0 (4:4:4); 3 encoded on cuda:0 (--quality 95)"


def test_on_a_cpu_nothing_is_chosen_and_nobody_asked(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 3)
    summary = run(Codec(raises=AssertionError()), device="cpu")
    assert (summary.converted, summary.jpeg) == (3, "")


def test_cpu_asks_nobody(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 3)
    codec = Codec()
    assert run(codec, jpeg="cpu").jpeg == "on the CPU, as asked"
    assert codec.batches == codec.encoded == []


def test_files_too_few_load_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs(tmp_path / "in", 2)
    monkeypatch.setattr(jpeg_choice, "codec_for", lambda device: pytest.fail("asked"))
    plan = Plan(tmp_path, [Job(str(tmp_path / "in/000.jpg"), "000.jpg", "jpeg")] * 2)
    assert jpeg_choice.choose(ConvertOptions(), plan, ["cuda:0"], {}).told() == "on the CPU: 2 JPEG files are too few to be worth loading the GPU's codec"


def test_without_jpeg_files_nothing_is_loaded(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(noise(6, 9)).save(tmp_path / "in/a.png")
    assert run(Codec(raises=AssertionError())).jpeg == ""
    assert run(Codec(raises=AssertionError()), jpeg="gpu", on_exists="overwrite").jpeg == "no JPEG files to decode or encode"


def test_files_of_another_format_that_become_jpeg_are_encoded(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    smooth = np.array(Image.fromarray(noise(4, 5)).resize((40, 32), Image.Resampling.BICUBIC))
    Image.fromarray(smooth).save(tmp_path / "in/a.png")
    assert run(Codec(), jpeg="gpu", format="jpeg").jpeg == "1 encoded on cuda:0 (--quality 95)"


@pytest.mark.parametrize(
    ("codec", "device", "reason"),
    [
        (Codec(), "cpu", "the model runs on the CPU"),
        (Codec(off=9), "cuda:0", r"decoding: of the first 3 files \(4:4:4\) none comes out of cuda:0 as from the CPU"),
        (Codec(raises=RuntimeError("nvjpeg\nfailed")), "cuda:0", r"the codec failed \(RuntimeError: nvjpeg failed\)"),
    ],
)
def test_asked_for_by_name_it_is_refused_with_the_reason(run: Run, tmp_path: Path, codec: Codec, device: str, reason: str) -> None:
    photographs(tmp_path / "in", 3)
    codec.encodes = False
    with pytest.raises(PixlateError, match=f"--jpeg gpu cannot be used: {reason}.*; mend that, or leave --jpeg out"):
        run(codec, device=device, jpeg="gpu")
    assert not (tmp_path / "out").exists()


def test_without_a_plugin_for_the_gpu_it_is_refused_and_auto_takes_the_cpu(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs(tmp_path / "in", 3)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setattr("pixlate_nvjpeg.find_spec", lambda name: None)
    with pytest.raises(
        PixlateError, match=r"no installed plugin decodes JPEG on cuda:0, and Pixlate's own needs torchvision \(pip install 'pixlate\[train\]'\)"
    ):
        run(None, jpeg="gpu")
    assert run(None).jpeg.startswith("on the CPU: no installed plugin decodes JPEG on cuda:0")


def test_several_gpus_leave_it_to_the_cpu(tmp_path: Path) -> None:
    plan = Plan(tmp_path, [Job("a.jpg", "a.jpg", "jpeg")])
    assert jpeg_choice.choose(ConvertOptions(), plan, ["cuda:0", "cuda:0", "cuda:1"], {}).told() == (
        "on the CPU: the model runs on 2 GPUs, and JPEG is done on one only"
    )
    with pytest.raises(PixlateError, match="the model runs on 2 GPUs"):
        jpeg_choice.choose(ConvertOptions(jpeg="gpu"), plan, ["cuda:0", "cuda:1"], {})


def test_on_a_cluster_the_gpu_is_refused() -> None:
    with pytest.raises(PixlateError, match="expected --jpeg auto or cpu with --engine ray"):
        ConvertOptions(jpeg="gpu", engine="ray")


def test_the_hook_is_asked_for_the_gpu_of_the_model_until_one_plugin_answers() -> None:
    class Plugin:
        @pixlate.hookimpl
        def pixlate_jpeg_codec(self, device: str) -> JpegCodec | None:
            asked.append(device)
            return Codec(device)

    asked: list[str] = []
    plugin = Plugin()
    installed().manager.register(plugin)
    try:
        assert [jpeg_choice.codec_for(jpeg_choice._gpu_of([device] * 2)).device for device in ("cuda:1", "tensorrt:0")] == ["cuda:1", "cuda:0"]
    finally:
        installed().manager.unregister(plugin)
    assert asked == ["cuda:1", "cuda:0"]


def test_kinds_that_were_not_tried_or_came_out_otherwise_are_left_to_the_cpu(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs(tmp_path / "in", 3)
    photographs(tmp_path / "in/later", 2, progressive=True)
    Image.fromarray(noise(32, 40)).convert("CMYK").save(tmp_path / "in/z.jpg")
    monkeypatch.setattr(jpeg_choice, "SAMPLES", 3)
    summary = run(Codec(), jpeg="gpu")
    assert summary.converted == 6
    assert summary.jpeg.startswith("3 decoded on cuda:0 (4:4:4); ")


def test_damaged_files_are_refused_as_on_the_cpu(run: Run, tmp_path: Path) -> None:
    source = photographs(tmp_path / "in", 5)
    for name in ("000.jpg", "003.jpg"):
        (source / name).write_bytes((source / name).read_bytes()[:-30])
    summary = run(Codec(), jpeg="gpu")
    assert (summary.converted, summary.failed) == (3, 2)
    assert all("truncated or damaged" in reason for _, reason in summary.failures)
    assert summary.jpeg.startswith("3 decoded on cuda:0")


def test_a_codec_that_fails_amid_the_conversion_costs_no_picture_and_is_told(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 8)
    codec = Codec()

    def fail() -> None:
        if len(codec.batches) > 10:  # eight are tried before
            raise RuntimeError("the GPU has vanished")

    codec.before = fail
    summary = run(codec, jpeg="gpu", format="png", threads=1)
    assert (summary.converted, summary.failed) == (8, 0)
    assert "left to the CPU after the codec failed (RuntimeError: the GPU has vanished)" in summary.jpeg
    for number in range(8):
        source = np.array(load(tmp_path / f"in/{number:03}.jpg"))
        np.testing.assert_array_equal(np.array(load(tmp_path / f"out/{number:03}.png")), nearest(source[None], 2)[0])


def test_an_encoder_of_another_quality_is_not_used(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 3)
    summary = run(Codec(quality=94), jpeg="gpu")
    assert summary.jpeg == "3 decoded on cuda:0 (4:4:4); encoded on the CPU (cuda:0 writes other tables or another subsampling than the CPU)"


def test_an_encoder_of_worse_pictures_is_not_used(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 3)

    class Worse(Codec):
        def encode(self, images: Sequence[Pixels], quality: int, subsampling: Subsampling) -> list[bytes | None]:
            return super().encode([image // 8 * 8 for image in images], quality, subsampling)

    assert "encoded on the CPU (cuda:0 writes worse pictures than the CPU)" in run(Worse(), jpeg="gpu").jpeg


def test_a_quality_the_gpu_does_not_write_is_told(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "in", 3)
    summary = run(Codec(encodes=False), jpeg="gpu", quality=80)
    assert summary.jpeg.endswith("encoded on the CPU (cuda:0 writes no pictures such as these with 4:2:0, which --quality 80 asks for)")


def test_the_command_prints_the_choice_in_one_line(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pixlate.cli.convert import _print_summary

    photographs(tmp_path / "in", 3)
    summary = run(Codec(), jpeg="gpu")
    _print_summary(summary, tmp_path / "out", ConvertOptions())
    assert "JPEG: 3 decoded on cuda:0 (4:4:4); 3 encoded on cuda:0 (--quality 95)\n" in capsys.readouterr().out


def assert_that(true: bool) -> None:
    assert true


def file(seed: int = 0) -> Plain:
    found = plain(jpeg(noise(8, 8, seed=seed), subsampling=0))
    assert found is not None
    return found


def test_threads_that_ask_meanwhile_are_answered_with_one_batch_each_with_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    going = threading.Event()
    codec = Codec(before=lambda: assert_that(going.wait(30)))
    lane = JpegLane(codec)
    lane.kinds = frozenset({"4:4:4"})
    files = [file(seed) for seed in range(9)]
    monkeypatch.setattr(jpeg_lane, "MOST", 5)
    with ThreadPoolExecutor(9) as pool:
        futures = [pool.submit(lane.decode, each) for each in files]
        while len(lane._decoding._waiting) < 8:  # all but the first, which is at work
            time.sleep(0.001)
        going.set()
        made = [future.result(30) for future in futures]
    assert codec.batches == [1, 5, 3] and lane.decoded == 9
    for each, pixels in zip(files, made, strict=True):
        np.testing.assert_array_equal(pixels, np.array(Image.open(BytesIO(each.coded))))


def test_a_batch_is_bounded_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg_lane, "MOST_PIXELS", 130)
    calls: list[int] = []

    def answer(given: Sequence[int]) -> list[int | None]:
        calls.append(len(given))
        return list(given)

    gathered = jpeg_lane._Gathered(answer, lambda given: given)
    gathered._waiting = [jpeg_lane._Request(size) for size in (64, 64, 64, 500, 3)]
    assert gathered(1) == 1
    assert calls == [2, 1, 1, 2]


@pytest.mark.parametrize("raised", [RuntimeError("boom"), SystemExit("boom")])
def test_a_codec_that_raises_is_not_asked_again(raised: BaseException) -> None:
    asked: list[int] = []

    class Broken(Codec):
        def decode(self, files: Sequence[bytes]) -> list[Pixels | None]:
            asked.append(len(files))
            raise raised

    lane = JpegLane(Broken())
    lane.kinds = frozenset({"4:4:4"})
    assert [lane.decode(file()) for _ in range(3)] == [None, None, None]
    assert asked == [1] and lane.failure == f"{type(raised).__name__}: boom"
    assert lane.encode(noise(8, 8), 95, "4:4:4") is None


def test_a_codec_that_answers_too_little_is_not_asked_again() -> None:
    class Short(Codec):
        def decode(self, files: Sequence[bytes]) -> list[Pixels | None]:
            return []

    lane = JpegLane(Short())
    lane.kinds = frozenset({"4:4:4"})
    assert lane.decode(file()) is None
    assert lane.failure == "ValueError: expected 1 answers, got 0"


def test_a_rate_counts_the_whole_pool() -> None:
    """Four threads that sleep are four times as fast as one."""
    alone, together = (jpeg_choice.rate(lambda item: time.sleep(0.05), range(8), 8, threads) for threads in (1, 4))
    assert alone <= 20 and 2 * alone < together <= 80
