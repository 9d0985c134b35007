"""Films through a model: every frame, at its time, in its colours, with all else that the film holds."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import Nearest, Run, nearest, noise, outputs
from tests.pixlate_video.conftest import decoded, film, hashes, luma, probed, stream, times

import pixlate
from pixlate.convert import ConvertOptions, convert
from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator

Make = Callable[..., None]
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
SAME = ModelSpec(method="same", scale=1, tiling_exact=True, halo=0)


def psnr(first: np.ndarray, second: np.ndarray, peak: float = 255) -> float:
    error = np.mean((first.astype(np.float64) - second) ** 2)
    return float(10 * np.log10(peak**2 / max(error, 1e-9)))


def enlarged(frames: np.ndarray) -> np.ndarray:
    return frames.repeat(2, axis=1).repeat(2, axis=2)


def test_every_frame_of_a_lossless_film_is_exactly_the_models(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0")
    summary = run(source, tmp_path / "out", lossless=True)
    assert (summary.converted, summary.failed) == (1, 0)
    np.testing.assert_array_equal(decoded(tmp_path / "out" / "a.mkv"), nearest(decoded(source), 2))
    assert times(tmp_path / "out" / "a.mkv") == times(source)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.m4v"])
def test_a_film_keeps_frames_times_and_sound_in_every_container(name: str, ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    sound = ("-f", "lavfi", "-i", "sine=440:duration=2", *H264, "-c:a", "aac", "-metadata", "title=hello", "-metadata:s:a", "language=fra")
    source = film(ffmpeg, tmp_path / name, *sound, source="testsrc2=size=64x48:rate=30000/1001:duration=2")
    summary = run(source, tmp_path / "out")
    assert (summary.converted, summary.notes) == (1, {})
    made = tmp_path / "out" / name
    assert times(made) == times(source) and len(times(made)) == 60
    assert (stream(made)["width"], stream(made)["height"], stream(made)["codec_name"], stream(made)["pix_fmt"]) == (128, 96, "h264", "yuv420p")
    assert hashes(made, "a") == hashes(source, "a")
    assert probed(made)["format"]["tags"]["title"] == "hello" and stream(made, "audio")["tags"]["language"] == "fra"
    assert psnr(luma(made), enlarged(luma(source))) > 38
    assert abs(float(probed(made)["format"]["duration"]) - float(probed(source)["format"]["duration"])) < 0.03


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_variable_frame_rate_is_kept_to_the_tick(suffix: str, ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    stretched = ("-vf", "setpts=(N+N*N/7)/25/TB", "-vsync", "vfr", "-enc_time_base", "1/90000", *H264)
    source = film(ffmpeg, tmp_path / f"a.{suffix}", *stretched)
    run(source, tmp_path / "out")
    found = times(tmp_path / "out" / source.name)
    assert found == times(source) and len(set(np.round(np.diff(found), 3))) > 10


def test_subtitles_chapters_and_metadata_are_copied(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,200\nfirst words\n\n2\n00:00:01,300 --> 00:00:01,900\nlast words\n")
    (tmp_path / "a.txt").write_text(
        ";FFMETADATA1\ntitle=Two parts\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=Two\n"
    )
    for suffix, codec in (("mkv", "srt"), ("mp4", "mov_text")):
        film(ffmpeg, tmp_path / f"plain.{suffix}", *H264)
        given = ("-i", tmp_path / f"plain.{suffix}", "-i", tmp_path / "a.srt", "-i", tmp_path / "a.txt")
        source = tmp_path / f"a.{suffix}"
        ffmpeg(*given, "-map", "0:v", "-map", "1:s", "-map_metadata", "2", "-c:v", "copy", "-c:s", codec, "-metadata:s:s", "language=deu", source)
        assert run(source, tmp_path / "out").notes == {}
        made = tmp_path / "out" / source.name
        assert hashes(made, "s") == hashes(source, "s") and stream(made, "subtitle")["tags"]["language"] == "deu"
        found = [(chapter["start_time"], chapter["end_time"], chapter["tags"]["title"]) for chapter in probed(made)["chapters"]]
        assert found == [("0.000000", "1.000000", "One"), ("1.000000", "2.000000", "Two")]
        assert {key.lower(): value for key, value in probed(made)["format"]["tags"].items()}["title"] == "Two parts"


def test_what_the_container_cannot_hold_is_named(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,200\nwords\n")
    film(ffmpeg, tmp_path / "plain.mkv", *H264)
    ffmpeg("-i", tmp_path / "plain.mkv", "-i", tmp_path / "a.srt", "-c:v", "copy", "-c:s", "srt", tmp_path / "a.mkv")
    summary = run(tmp_path / "a.mkv", tmp_path / "a.mp4")
    assert summary.converted == 1 and list(summary.notes) == ["MP4 cannot hold subtitles (subrip), which was left out; .mkv holds most"]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_film_is_converted_upright(turn: int, ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    film(ffmpeg, tmp_path / "lying.mp4", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p")
    ffmpeg("-i", tmp_path / "lying.mp4", "-c", "copy", "-metadata:s:v", f"rotate={turn}", tmp_path / "a.mp4")
    upright = decoded(tmp_path / "a.mp4")  # ffmpeg turns it by itself
    assert run(tmp_path / "a.mp4", tmp_path / "out").converted == 1
    made = stream(tmp_path / "out" / "a.mp4")
    assert not made.get("side_data_list") and (made["width"], made["height"]) == ((96, 128) if turn != 180 else (128, 96))
    assert psnr(decoded(tmp_path / "out" / "a.mp4"), nearest(upright, 2)) > 36


def test_pixels_that_are_not_square_stay_so(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4", *H264, "-vf", "setsar=16/11")
    run(source, tmp_path / "out")
    assert stream(tmp_path / "out" / "a.mp4")["sample_aspect_ratio"] == "16:11"


@pytest.mark.parametrize(
    ("space", "primaries", "transfer"), [("bt709", "bt709", "bt709"), ("smpte170m", "smpte170m", "smpte170m"), ("bt2020nc", "bt2020", "smpte2084")]
)
@pytest.mark.parametrize("range", ["tv", "pc"])
@pytest.mark.parametrize("samples", ["yuv420p", "yuv420p10le"])
def test_colours_and_what_a_film_says_of_them_are_kept(
    samples: str, range: str, space: str, primaries: str, transfer: str, ffmpeg: Make, tmp_path: Path, run: Run
) -> None:
    """The luma and colour samples of flat patches come out as they were, whatever matrix and range they are in."""
    tags = ("-colorspace", space, "-color_primaries", primaries, "-color_trc", transfer, "-color_range", range)
    scaled = ("-vf", f"scale=out_color_matrix={'bt2020' if space == 'bt2020nc' else space}:out_range={range}")
    source = film(
        ffmpeg, tmp_path / "a.mp4", *scaled, "-c:v", "libx264", "-qp", "1", "-pix_fmt", samples, *tags, source="smptebars=size=224x96:rate=5:duration=1"
    )
    summary = run(source, tmp_path / "out", quality=100)
    made = tmp_path / "out" / "a.mp4"
    assert [stream(made)[key] for key in ("color_space", "color_primaries", "color_transfer", "color_range")] == [space, primaries, transfer, range]
    assert stream(made)["pix_fmt"].replace("yuvj", "yuv") == samples
    assert bool(summary.notes) == (transfer == "smpte2084")
    deep = samples.endswith("10le")
    before, after = (planes(path, samples) for path in (source, made))
    for given, found in zip(before, after, strict=True):
        height, width = given.shape
        enlarged = given.repeat(2, 0).repeat(2, 1)
        inside = np.s_[4 : height // 2, 12 : 2 * width // 7 - 12]  # of the first bar
        assert abs(enlarged[inside].astype(int) - found[inside]).max() <= (3 if deep else 2)
        for bar in (1, 2, 3, 4, 5, 6):
            columns = slice(bar * 2 * width // 7 + 12, (bar + 1) * 2 * width // 7 - 12)
            assert abs(enlarged[4 : height // 2, columns].mean() - found[4 : height // 2, columns].mean()) < (2.5 if deep else 1.2)


def planes(path: Path, samples: str) -> list[np.ndarray]:
    """Return luma and colours of the first frame as ffmpeg decodes them."""
    shape = stream(path)
    height, width = shape["height"], shape["width"]
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", samples, "-"]
    raw = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, "<u2" if "10" in samples else np.uint8)
    luma, blue, red = np.split(raw, [height * width, height * width * 5 // 4])
    return [luma.reshape(height, width), blue.reshape(height // 2, width // 2), red.reshape(height // 2, width // 2)]


def test_ten_bits_stay_ten_bits(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    """A ramp of 10 bits keeps more levels than 8 bits have."""
    ramp = np.broadcast_to(np.linspace(64, 940, 512).astype("<u2"), (5, 32, 512))
    grey = np.full((16, 256), 512, "<u2").tobytes()
    (tmp_path / "a.yuv").write_bytes(b"".join(frame.tobytes() + grey + grey for frame in ramp))
    source = tmp_path / "a.mkv"
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", "512x32", "-r", "5", "-i", tmp_path / "a.yuv")
    ffmpeg(*raw, "-c:v", "libx265", "-x265-params", "log-level=none:lossless=1", source)
    run(source, tmp_path / "out", quality=100)
    made = stream(tmp_path / "out" / "a.mkv")
    assert (made["codec_name"], made["pix_fmt"]) == ("hevc", "yuv420p10le")
    before, after = (planes(path, "yuv420p10le")[0] for path in (source, tmp_path / "out" / "a.mkv"))
    assert len(np.unique(before)) > 300, "the source is no ramp of 10 bits"
    assert abs(before.repeat(2, 0).repeat(2, 1).astype(int) - after).mean() < 1.5 and len(np.unique(after)) > 300


@pytest.mark.parametrize(
    ("encoder", "suffix", "codec"),
    [("libx265", "mp4", "hevc"), ("libaom-av1", "mkv", "av1"), ("libvpx-vp9", "webm", "vp9"), ("mpeg4", "mp4", "h264"), ("libvpx", "webm", "vp9")],
)
def test_the_codec_of_the_source_is_kept_where_there_is_an_encoder(encoder: str, suffix: str, codec: str, ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    extra = ("-cpu-used", "8") if encoder == "libaom-av1" else ("-x265-params", "log-level=none") if encoder == "libx265" else ()
    source = film(ffmpeg, tmp_path / f"a.{suffix}", "-c:v", encoder, *extra, "-pix_fmt", "yuv420p", "-t", "1")
    summary = run(source, tmp_path / "out", quality=80)
    made = tmp_path / "out" / source.name
    assert stream(made)["codec_name"] == codec and times(made) == times(source)
    assert bool(summary.notes) == (encoder in ("mpeg4", "libvpx"))
    assert psnr(luma(made), enlarged(luma(source))) > 30


@pytest.mark.parametrize(("encoder", "codec", "width", "height"), [
    ("libx265", "h264", 24, 18), ("libx265", "h264", 18, 48), ("libx265", "hevc", 32, 32), ("libaom-av1", "h264", 2, 2), ("libaom-av1", "av1", 8, 8),
])  # fmt: skip
def test_a_film_too_small_for_its_encoder_gets_another_codec_with_a_note(
    encoder: str, codec: str, width: int, height: int, ffmpeg: Make, tmp_path: Path, run: Run
) -> None:
    size = f"testsrc=size={width}x{height}:rate=10:duration=0.5"
    # a source as small as this one is encoded in blocks of 16, which x265 takes
    extra = ("-x265-params", "log-level=none:ctu=16:min-cu-size=8") if encoder == "libx265" else ("-cpu-used", "8")
    source = film(ffmpeg, tmp_path / "a.mp4", "-c:v", encoder, *extra, "-pix_fmt", "yuv420p", source=size)
    summary = run(source, tmp_path / "out", quality=90)
    made = stream(tmp_path / "out" / "a.mp4")
    assert (made["codec_name"], made["width"], made["height"]) == (codec, 2 * width, 2 * height)
    name = {"libx265": "HEVC", "libaom-av1": "AV1"}[encoder]
    assert list(summary.notes) == ([f"the video was {name}, and is written as H.264"] if codec == "h264" else [])
    assert times(tmp_path / "out" / "a.mp4") == times(source)


def test_quality_is_a_size(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4")
    sizes = []
    for quality in (30, 75, 95, 100):
        run(source, tmp_path / f"{quality}", quality=quality)
        sizes.append((tmp_path / f"{quality}" / "a.mp4").stat().st_size)
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] / 3


@pytest.mark.parametrize(("suffix", "samples"), [("mkv", "yuv420p"), ("mp4", "yuv444p")])
def test_odd_sides_are_kept_or_made_even_with_a_note(suffix: str, samples: str, ffmpeg: Make, tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    codec = ("-c:v", "ffv1") if suffix == "mkv" else ("-c:v", "libx264")
    source = film(ffmpeg, tmp_path / f"a.{suffix}", *codec, "-pix_fmt", samples, source="testsrc=size=63x47:rate=25:duration=1")
    summary = convert(source, tmp_path / "out", use(Nearest(SAME)), ConvertOptions())
    made = tmp_path / "out" / source.name
    size = stream(made)["width"], stream(made)["height"]
    if samples == "yuv444p":
        assert size == (63, 47) and summary.notes == {}
    else:
        assert size == (64, 48) and any("row or column at the edge was repeated" in note for note in summary.notes)
    assert psnr(luma(made)[:, :47, :63], luma(source)) > 34


def test_an_interlaced_film_is_made_whole_first_and_a_note_says_so(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    lines = ("-vf", "tinterlace=interleave_top,fieldorder=tff", "-c:v", "libx264", "-flags", "+ildct+ilme", "-x264opts", "tff=1", "-pix_fmt", "yuv420p")
    source = film(ffmpeg, tmp_path / "a.mp4", *lines, source="testsrc2=size=64x48:rate=50:duration=2")
    assert stream(source)["field_order"] in ("tt", "tb")
    summary = run(source, tmp_path / "out")
    assert any("interlaced" in note for note in summary.notes)
    made = tmp_path / "out" / "a.mp4"
    assert times(made) == times(source) and stream(made).get("field_order", "progressive") in ("progressive", "unknown")
    ffmpeg("-i", source, "-vf", "bwdif=mode=send_frame", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", tmp_path / "whole.mp4")
    assert psnr(luma(made), enlarged(luma(tmp_path / "whole.mp4"))) > 34


def test_animations_become_films_and_films_animations(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    frames = [Image.fromarray(np.full((20, 32, 3), 12 * index, np.uint8)) for index in range(10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[40, 80] * 5, loop=0)
    assert run(tmp_path / "a.gif", tmp_path / "a.mp4").converted == 1
    assert times(tmp_path / "a.mp4") == pytest.approx([0, 0.04, 0.12, 0.16, 0.24, 0.28, 0.36, 0.40, 0.48, 0.52])
    assert decoded(tmp_path / "a.mp4").mean(axis=(1, 2, 3)) == pytest.approx([12 * index for index in range(10)], abs=2)
    source = film(ffmpeg, tmp_path / "b.mp4", source="testsrc2=size=64x48:rate=20:duration=1")
    for suffix in ("gif", "webp", "png"):
        assert run(source, tmp_path / f"b.{suffix}").converted == 1
        with Image.open(tmp_path / f"b.{suffix}") as image:
            image.seek(3)
            image.load()
            assert (getattr(image, "n_frames", 0), image.size, image.info["duration"]) == (20, (128, 96), 50)


def test_the_first_picture_of_a_film_alone(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv444p")
    run(source, tmp_path / "out", frames="first")
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert psnr(np.asarray(image), nearest(decoded(source)[:1], 2)[0]) > 40


def test_a_folder_may_mix_pictures_and_films(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    (tmp_path / "in").mkdir()
    film(ffmpeg, tmp_path / "in" / "a.mp4")
    Image.fromarray(noise(9, 14)).save(tmp_path / "in" / "b.png")
    film(ffmpeg, tmp_path / "in" / "c.avi", "-c:v", "mpeg4")
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary.converted == 3 and sorted(outputs(tmp_path / "out")) == ["a.mp4", "b.png", "c.mkv"]
    assert "written as Matroska, since .avi can only be read" in summary.notes


def test_one_picture_is_no_film_and_a_film_no_single_picture(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4", "-t", "0.2")
    Image.fromarray(noise(9, 14)).save(tmp_path / "b.jpg")
    with pytest.raises(PixlateError, match=r"expected a format that holds several pictures \(.*mp4.*\) for the film .*a.mp4, got JPEG"):
        run(source, tmp_path / "out.jpg")
    with pytest.raises(PixlateError, match="expected a film or an animation for MP4, got a single picture"):
        run(tmp_path / "b.jpg", tmp_path / "out.mp4")
    summary = run([source, tmp_path / "b.jpg"], tmp_path / "out", format="mp4")
    assert (summary.converted, summary.failed) == (1, 1)


def test_films_are_no_pictures_to_learn_from() -> None:
    assert ".mp4" not in installed().image_formats() and ".mp4" in installed().image_formats(films=True)


def test_without_pyav_films_are_left_out_and_the_sentence_says_how_to_install(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import pixlate_video

    monkeypatch.setattr(pixlate_video, "find_spec", lambda name: None)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    Image.fromarray(noise(9, 14)).save(tmp_path / "in" / "b.png")
    summary = run(tmp_path / "in", tmp_path / "out")
    assert (summary.converted, summary.failed, summary.ignored) == (1, 0, {".mp4": 1})
    assert any("films were left out" in caution and "pixlate[video]" in caution for caution in summary.cautions)
    with pytest.raises(PixlateError, match=r"is a film, and the package that reads and writes films is missing; run: pip install 'pixlate\[video\]'"):
        run(tmp_path / "in" / "a.mp4", tmp_path / "out.mp4")
    with pytest.raises(PixlateError, match=r"pixlate\[video\]"):
        run(tmp_path / "in" / "a.mp4", tmp_path / "other")


def test_the_film_says_what_made_it(ffmpeg: Make, tmp_path: Path, run: Run) -> None:
    for suffix in ("mp4", "mkv"):
        run(film(ffmpeg, tmp_path / f"a.{suffix}", "-t", "0.4"), tmp_path / "out")
        assert b"algorithmicallyEnhanced" in (tmp_path / "out" / f"a.{suffix}").read_bytes()
        run(tmp_path / f"a.{suffix}", tmp_path / "plain", strip_metadata=True)
        assert b"algorithmicallyEnhanced" not in (tmp_path / "plain" / f"a.{suffix}").read_bytes()


def test_the_python_call_converts_a_film(ffmpeg: Make, tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    source = film(ffmpeg, tmp_path / "a.mp4", "-t", "0.4")
    summary = pixlate.convert(source, tmp_path / "b.mp4", use(Nearest()))
    assert summary.converted == 1 and len(times(tmp_path / "b.mp4")) == 10
