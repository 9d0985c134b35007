"""Films that are damaged, or are none: a sentence, or all that can be read of them, and never a stop for the other files."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import Run, noise, outputs
from tests.pixlate_video.conftest import film, luma, stream, times

from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.plugin.image_format import DamagedFrames, Frame
from pixlate.plugin.manager import installed

Make = Callable[..., None]


def refused(path: Path, run: Run, out: Path) -> str:
    """Convert a bad film beside a good picture; return what is said of the film."""
    good = path.with_name("good.png")
    Image.fromarray(noise(9, 14)).save(good)
    summary = run([path, good], out)
    assert (summary.converted, summary.failed) == (1, 1) and list(outputs(out)) == ["good.png"]
    assert not list((out / ".pixlate").glob("kept/*/*/*")) and not list((out / ".pixlate").glob("parts/*"))
    return summary.failures[0][1]


def test_a_film_without_video_is_a_sentence(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    for suffix, codec in (("mp4", "aac"), ("mkv", "aac"), ("webm", "libopus")):
        ffmpeg("-f", "lavfi", "-i", "sine=440:duration=1", "-c:a", codec, tmp_path / f"a.{suffix}")
        reason = refused(tmp_path / f"a.{suffix}", run, tmp_path / f"out-{suffix}")
        assert reason == "expected a film, got a file without video (sound alone); leave it out"


def test_a_song_with_a_cover_is_no_film(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    Image.fromarray(noise(32, 32)).save(tmp_path / "cover.png")
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "sine=440:duration=1",
        "-i",
        tmp_path / "cover.png",
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "png",
        "-disposition:v",
        "attached_pic",
        tmp_path / "a.mp4",
    )
    assert "without video" in refused(tmp_path / "a.mp4", run, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"hello, I am no film at all\n" * 20, b"\0\0\0\x20ftypisom" + bytes(200), b"\x1a\x45\xdf\xa3" + bytes(300)])
def test_what_is_no_film_is_a_sentence(content: bytes, tmp_path: Path, run: Run) -> None:
    for suffix in ("mp4", "mkv", "avi", "m2ts"):
        (tmp_path / f"a.{suffix}").write_bytes(content)
        reason = refused(tmp_path / f"a.{suffix}", run, tmp_path / f"out-{suffix}")
        assert reason.endswith(("from its source", "leave it out", "convert it first", "as PNG first", "converts films")), reason


def test_a_playlist_named_as_a_film_opens_no_other_file(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    film(ffmpeg, tmp_path / "secret.ts", "-t", "0.4", "-c:v", "libx264", "-f", "mpegts")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n"
    for name, text in (("a.mp4", playlist), ("b.mkv", playlist), ("c.mkv", f"ffconcat version 1.0\nfile {tmp_path}/secret.ts\n")):
        (tmp_path / name).write_text(text)
        refused(tmp_path / name, run, tmp_path / f"out-{name[0]}")


def test_a_film_cut_short_is_converted_as_far_as_it_goes(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    whole = film(ffmpeg, tmp_path / "whole.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "10", "-bf", "0", "-movflags", "+faststart")
    (tmp_path / "a.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    summary = run(tmp_path / "a.mp4", tmp_path / "out")
    found = times(tmp_path / "out" / "a.mp4")
    assert 10 < len(found) < 50 and found == times(whole)[: len(found)]
    (note,) = summary.notes
    lost = re.match(r"(\d+) frames could not be read and were left out, the first at 0:00:0", note)
    # of a frame that is cut in two, which depends on the encoder, the decoder may say nothing
    assert summary.converted == 1 and lost and 50 - len(found) - int(lost[1]) in (0, 1), note


def test_a_film_whose_index_is_lost_is_a_sentence_or_whole(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    """MP4 cannot be read without its index, which is at the end; AVI and Matroska can."""
    whole = film(ffmpeg, tmp_path / "whole.mp4")
    (tmp_path / "a.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    reason = refused(tmp_path / "a.mp4", run, tmp_path / "out")
    assert "damaged" in reason and reason.endswith("copy it again from its source")
    source = film(ffmpeg, tmp_path / "b.avi", "-c:v", "mpeg4")
    data = source.read_bytes()
    source.write_bytes(data[: data.rindex(b"idx1")] + b"idx1" + random.Random(1).randbytes(len(data) - data.rindex(b"idx1") - 4))
    assert run(source, tmp_path / "out").converted == 1 and len(times(tmp_path / "out" / "b.mkv")) == 50
    source = film(ffmpeg, tmp_path / "c.mkv")
    data = source.read_bytes()
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    source.write_bytes(data[:cues])
    assert run(source, tmp_path / "out").converted == 1 and len(times(tmp_path / "out" / "c.mkv")) == 50


def test_a_wrong_duration_changes_nothing_but_the_estimate(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mkv")
    data = bytearray(source.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3  # Duration, 8 bytes of floating point
    expected = times(source)
    for milliseconds in (1.0, 9e12):
        data[place : place + 8] = np.array([milliseconds], ">f8").tobytes()
        source.write_bytes(data)
        assert run(source, tmp_path / f"{milliseconds:g}").converted == 1
        assert times(tmp_path / f"{milliseconds:g}" / "a.mkv") == expected


@pytest.mark.parametrize(
    "codec", [("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "12"), ("-c:v", "mpeg2video", "-q:v", "2"), ("-c:v", "libvpx-vp9", "-g", "12")]
)
def test_damaged_frames_are_counted_and_the_film_goes_on(codec: tuple[str, ...], ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mkv", *codec, source="testsrc2=size=320x240:rate=25:duration=2")
    clean = luma(source)
    data, draw = bytearray(source.read_bytes()), random.Random(5)
    for place in range(len(data) // 3, len(data) // 2, 200):
        data[place] ^= draw.randrange(1, 256)
    source.write_bytes(data)
    summary = run(source, tmp_path / "out")
    assert summary.converted == 1
    assert any("damaged frame" in note or "could not be read" in note for note in summary.notes), summary.notes
    found = luma(tmp_path / "out" / "a.mkv")
    assert len(found) > 30
    assert abs(found[0, ::2, ::2].astype(int) - clean[0]).mean() < 5 and abs(found[-1, ::2, ::2].astype(int) - clean[-1]).mean() < 12, (
        "the end is not what it was"
    )
    stamps = times(tmp_path / "out" / "a.mkv")
    assert len(set(stamps)) == len(stamps) and stamps[-1] == pytest.approx(1.96, abs=0.05)


def test_any_damage_is_frames_or_a_sentence(ffmpeg: Make, tmp_path: Path) -> None:
    known = installed().image_formats(films=True)
    for suffix in ("mp4", "mkv", "avi"):
        source = film(ffmpeg, tmp_path / f"a.{suffix}", *(("-c:v", "mpeg4") if suffix == "avi" else ("-c:v", "libx264", "-pix_fmt", "yuv420p")), "-t", "0.5")
        data, draw = source.read_bytes(), random.Random(8)
        for _ in range(25):
            damaged = bytearray(data)
            for _ in range(draw.choice((1, 3, 30))):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            cut = draw.choice((len(damaged), draw.randrange(1, len(damaged))))
            source.write_bytes(damaged[:cut])
            try:
                with ImageFile(source, max_pixels=10**6, formats=known) as file:
                    for frame in file.frames(whole=True):
                        assert isinstance(frame, Frame | DamagedFrames)
            except PixlateError as error:
                assert str(error)


def test_a_film_of_more_pixels_than_are_allowed_is_refused_before_the_model(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4", "-t", "0.2")
    summary = run(source, tmp_path / "out", max_pixels=1000)
    assert "expected at most 0.001 million pixels, got 64 x 48" in summary.failures[0][1]


def test_a_film_that_changes_its_size_is_converted_at_the_first(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    for name, size in (("a", "64x48"), ("b", "96x72")):
        film(ffmpeg, tmp_path / f"{name}.m2ts", "-c:v", "mpeg2video", "-q:v", "2", "-f", "mpegts", source=f"testsrc2=size={size}:rate=25:duration=1")
    (tmp_path / "both.m2ts").write_bytes((tmp_path / "a.m2ts").read_bytes() + (tmp_path / "b.m2ts").read_bytes())
    summary = run(tmp_path / "both.m2ts", tmp_path / "out")
    assert summary.converted == 1 and any("changes its size" in note for note in summary.notes)
    assert stream(tmp_path / "out" / "both.mkv")["width"] == 128 and len(times(tmp_path / "out" / "both.mkv")) > 45
