"""Films made by the ffmpeg program, which Pixlate does not use, and what it says of films."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.pixlate.conftest import Nearest, Run, onnx_model, run, use

__all__ = ["Nearest", "Run", "onnx_model", "run", "use"]

pytest.importorskip("av", reason="PyAV is not installed")
SOURCE = "testsrc2=size=64x48:rate=25:duration=2"
EXACT = ("-sws_flags", "accurate_rnd+full_chroma_int+full_chroma_inp+bicubic")


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., None]:
    """Run the ffmpeg program."""
    if which("ffmpeg") is None or which("ffprobe") is None:
        pytest.skip("the ffmpeg program is not installed, which makes the films (Debian: apt-get install ffmpeg)")

    def start(*words: object) -> None:
        subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, words)], check=True, timeout=300)

    return start


def film(ffmpeg: Callable[..., None], path: Path, *words: object, source: str = SOURCE) -> Path:
    """Make a film of a moving pattern; words are those of ffmpeg for the output."""
    ffmpeg("-f", "lavfi", "-i", source, *(words or ("-c:v", "libx264", "-pix_fmt", "yuv420p")), path)
    return path


def probed(path: Path, *words: str) -> dict[str, Any]:
    """Return what ffprobe says of a film."""
    asked = words or ("-show_streams", "-show_format", "-show_chapters")
    printed = subprocess.run(["ffprobe", "-v", "error", "-of", "json", *asked, str(path)], check=True, capture_output=True, timeout=300).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


def stream(path: Path, kind: str = "video") -> dict[str, Any]:
    """Return what ffprobe says of the first stream of a kind."""
    return next(each for each in probed(path)["streams"] if each["codec_type"] == kind)


def times(path: Path) -> list[float]:
    """Return when each frame is shown, in seconds."""
    packets = probed(path, "-select_streams", "v:0", "-show_entries", "packet=pts_time")["packets"]
    return sorted(float(packet["pts_time"]) for packet in packets)


def decoded(path: Path, samples: str = "rgb24", *words: str) -> NDArray[Any]:
    """Return the frames that ffmpeg decodes: (frames, height, width, 3), or of ``gray`` formats the luma without a channel axis."""
    shape = stream(path)
    width, height = shape["width"], shape["height"]
    turned = any(abs(int(side.get("rotation", 0))) % 180 for side in shape.get("side_data_list", []))
    width, height = (height, width) if turned else (width, height)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-vsync", "0", *words, *EXACT, "-f", "rawvideo", "-pix_fmt", samples, "-"]
    raw = subprocess.run(command, check=True, capture_output=True, timeout=300).stdout
    kind = np.dtype("<u2" if "48" in samples or "16" in samples or "10" in samples else np.uint8)
    return np.frombuffer(raw, kind).reshape(-1, height, width, *(() if samples.startswith("gray") else (3,)))


def luma(path: Path) -> NDArray[Any]:
    """Return the luma that ffmpeg decodes, (frames, height, width): colours of neighbours are mixed where several pixels share one."""
    return decoded(path, "gray")


def hashes(path: Path, kind: str) -> list[tuple[str, str, str]]:
    """Return of each packet of a stream when it is, how long it lasts, and the hash of its data."""
    found = probed(path, "-select_streams", f"{kind}:0", "-show_packets", "-show_data_hash", "sha256")["packets"]
    return [(packet.get("pts_time", ""), packet.get("duration_time", ""), packet["data_hash"]) for packet in found]
