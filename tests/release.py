"""Builds wheel and sdist and tries them in clean environments, one for each extra, one after the other; ``make release-check`` runs it.

The wheel is made from the sdist, so that both are tried. Packages come from the index that pip is configured for. Each environment is deleted after
its check; one with PyTorch takes 6 GB. What every check printed is kept in ``dist/release-check/``.
"""

import argparse
import mimetypes
import os
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

ROOT = Path(__file__).parent.parent
BASE = "base"
"""The installation without an extra."""
MODEL = ("--model", "upscale-x2")
PATIENCE = 3600
"""Most seconds for a command, pip's among them."""
BESIDE = "from pixlate.system.extras import BESIDE; print(BESIDE.get({extra!r}, ''))"
WITHOUT_TORCH = "import importlib.util as u, sys; sys.exit('PyTorch is installed' if u.find_spec('torch') else 0)"
REMOTE = """
import fsspec, pathlib, pixlate
memory = fsspec.filesystem("memory")
for path in pathlib.Path("small").iterdir():
    memory.pipe_file(f"/in/{path.name}", path.read_bytes())
summary = pixlate.convert("memory://in", "memory://out", "upscale-x2")
assert summary.exit_code == 0 and summary.converted == len(memory.find("/in")) > 0, summary
assert {path.rpartition("/")[2] for path in memory.find("/in")} <= {path.rpartition("/")[2] for path in memory.find("/out")}
"""
HEIC = """
import pathlib, PIL.Image, pillow_heif, rawpy, OpenEXR
picture = PIL.Image.open(sorted(pathlib.Path("small").iterdir())[0]).convert("RGB")
pathlib.Path("photos").mkdir()
pillow_heif.from_pillow(picture).save("photos/a.heic")
"""
FILM = """
import av, numpy as np
with av.open("film.mp4", "w") as film:
    stream = film.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(3):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 80 * number, np.uint8), format="rgb24")
        film.mux(stream.encode(frame))
    film.mux(stream.encode())
"""
FRAMES = """
import av
with av.open("large.mp4") as film:
    sizes = [(frame.width, frame.height) for frame in film.decode(video=0)]
assert sizes == [(128, 96)] * 3, sizes
"""
CUDA = """
import ctypes, os, pathlib, onnxruntime
onnxruntime.preload_dlls()
folder = pathlib.Path(onnxruntime.__file__).parent / "capi"
for name in ("shared", "cuda"):
    try:
        ctypes.CDLL(str(folder / f"libonnxruntime_providers_{name}.so"))
    except OSError as error:
        assert "libcuda.so.1" in str(error), error  # the driver's, which no package brings
"""
UPSCALER = """
import torch
from spandrel.architectures.Compact import Compact
torch.save(Compact(num_feat=8, num_conv=2, upscale=2).state_dict(), "upscaler.pth")
"""


@dataclass(frozen=True)
class Place:
    """A clean environment with the wheel and one extra, and a folder to work in that has ``small/`` with pictures."""

    environment: Path
    folder: Path
    sdist: Path
    """The sdist, unpacked."""
    log: IO[str]
    """Receives what is run and printed."""

    @property
    def variables(self) -> dict[str, str]:
        """Variables of a user who has just installed Pixlate: none of its own, nor of another environment."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIXLATE_", "PYTHON", "VIRTUAL_ENV"))}
        path = os.pathsep.join((str(self.program("python").parent), os.environ["PATH"]))
        trackers = {"WANDB_MODE": "offline", "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": (self.folder / "mlruns").as_uri()}
        return kept | trackers | {"PATH": path, "PIXLATE_CACHE": str(self.folder / "cache")}

    def program(self, name: str) -> Path:
        """Return a program of the environment."""
        return self.environment / ("Scripts" if os.name == "nt" else "bin") / name

    def run(self, *words: object, code: int = 0, cwd: Path | None = None) -> str:
        """Run a program of the environment, expect its exit code, and return what it printed."""
        command = [str(self.program(str(words[0]))), *map(str, words[1:])]
        print("$", *words, file=self.log, flush=True)
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        print(done.stdout, file=self.log, flush=True)
        assert done.returncode == code, f"expected exit code {code} of `{' '.join(map(str, words))[:200]}`, got {done.returncode}: {done.stdout[-600:]}"
        return done.stdout

    def convert(self, *words: object) -> None:
        """Run ``pixlate convert`` on the small pictures, and expect one output for each."""
        out = self.folder / f"out-{time.monotonic_ns()}"
        self.run("pixlate", "convert", "small", out, *words)
        made = [path for path in out.iterdir() if not path.name.startswith(".")]
        assert len(made) == len(list((self.folder / "small").iterdir())) > 0, f"expected an output for each picture, got {made}"

    @contextmanager
    def started(self, *words: object) -> Iterator[subprocess.Popen[str]]:
        """Run a command of Pixlate's in the background, and end it as Ctrl-C does."""
        print("$ pixlate", *words, "&", file=self.log, flush=True)
        command = [str(self.program("pixlate")), *map(str, words)]
        process = subprocess.Popen(command, cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, stderr=self.log, text=True)
        try:
            yield process
            process.terminate()
            process.wait(timeout=120)
        finally:
            process.kill()
            process.communicate()


def base(place: Place) -> None:
    """converts pictures in every way the base install promises, without PyTorch"""
    place.run("python", "-c", WITHOUT_TORCH)
    for words in ((), ("--version",), ("models",), ("plugins",)):
        place.run("pixlate", *words)
    assert "problem" not in place.run("pixlate", "doctor")
    for name in ("png", "jpeg", "webp", "avif", "tiff", "npy"):
        place.convert(*MODEL, "--format", name)
    place.convert(*MODEL, "--scale", "1.5", "--strength", "0.5")
    place.convert("--model", "clean", "--then", "upscale-x2", "--report", "report.json", "--sheet", "sheet.png")
    said = place.run("pixlate", "train", "srgan", "small", code=2)
    assert "pip install 'pixlate[train]'" in said, said


def train(place: Place) -> None:
    """makes two steps of Pix2Pix, exports the run, and converts with it"""
    toy = ("--grey", "--channels-in", 1, "--steps", 2, "--channels", 4, "--depth", 5, "--patch", 32, "--resize", 32, "--hold-out", 1, "--batch", 1)
    place.run("pixlate", "train", "pix2pix", "small", *toy, "--out", "run")
    place.run("pixlate", "export", "run", "model.onnx")
    place.convert("--model", "model.onnx")
    place.run("pixlate", "evaluate", "model.onnx", "small", "--layout", "grey")


def serve(place: Place) -> None:
    """starts, answers with a picture, and ends cleanly"""
    with place.started("serve", "upscale-x2", "--port", 0) as server:
        assert server.stdout is not None
        address = server.stdout.readline().partition(" on ")[2].split()[0]
        picture = sorted((place.folder / "small").iterdir())[0]
        kind = {"Content-Type": str(mimetypes.guess_type(picture)[0])}
        request = urllib.request.Request(f"{address}/v1/models/upscale-x2:translate?format=png", picture.read_bytes(), kind)
        with urllib.request.urlopen(request, timeout=300) as answer:
            assert answer.read().startswith(b"\x89PNG")
    assert server.returncode == 0, f"expected exit code 0 of the server, got {server.returncode}"


def web(place: Place) -> None:
    """serves its page"""
    with place.started("web", "small", "--port", 0, "--no-open") as server:
        assert server.stdout is not None
        address = server.stdout.readline().partition(" is at ")[2].split()[0]
        with urllib.request.urlopen(address, timeout=300) as answer:
            assert b"/pixlate/page.js" in answer.read()


def watch(place: Place) -> None:
    """converts a picture that comes into a folder"""
    coming, out = place.folder / "coming", place.folder / "out"
    coming.mkdir()
    with place.started("convert", coming, out, *MODEL, "--watch"):
        first = sorted((place.folder / "small").iterdir())[0]
        shutil.copy(first, coming)
        until = time.monotonic() + 300
        while not (out / first.name).exists():
            assert time.monotonic() < until, "expected the picture that came to be converted within five minutes"
            time.sleep(1)


def _formats(place: Place) -> None:
    place.run("python", "-c", HEIC)
    place.run("pixlate", "convert", "photos", "out", *MODEL, "--format", "png")
    assert (place.folder / "out/a.png").is_file()


def _video(place: Place) -> None:
    place.run("python", "-c", FILM)
    place.run("pixlate", "convert", "film.mp4", "large.mp4", *MODEL)
    place.run("python", "-c", FRAMES)


def _openvino(place: Place) -> None:
    place.convert(*MODEL, "--runtime", "openvino")
    place.convert(*MODEL, "--runtime", "openvino", "--arithmetic", "float32")


def _track(place: Place, tracker: str, written: str) -> None:
    shutil.copytree(place.sdist / "tests/fixtures/0.1/runs/pix2pix", place.folder / "run")
    place.run("pixlate", "track", "run", "--to", tracker)
    assert list(place.folder.glob(written)), f"expected {written} to be written"


def _edges(place: Place) -> None:
    place.run("pixlate", "data", "edges", "small", "drawn", "--strengths", "0.35")
    assert list((place.folder / "drawn").rglob("*.png"))


def _spandrel(place: Place) -> None:
    place.run("python", "-c", UPSCALER)
    place.run("pixlate", "import", "upscaler.pth", "upscaler.onnx")
    place.convert("--model", "upscaler.onnx")


CHECKS: dict[str, tuple[str, Callable[[Place], object]]] = {
    BASE: (str(base.__doc__), base),
    "cuda": ("brings every library that ONNX Runtime loads on a GPU but the driver's", lambda place: place.run("python", "-c", CUDA)),
    "openvino": ("converts with OpenVINO", _openvino),
    "remote": ("converts from and to memory://", lambda place: place.run("python", "-c", REMOTE)),
    "formats": ("reads a HEIC", _formats),
    "cluster": ("converts on a Ray cluster of this machine", lambda place: place.convert(*MODEL, "--engine", "ray")),
    "video": ("converts a film of three frames", _video),
    "serve": (str(serve.__doc__), serve),
    "web": (str(web.__doc__), web),
    "watch": (str(watch.__doc__), watch),
    "demo": ("enlarges four photographs", lambda place: place.run("pixlate", "demo", "shown")),
    "wandb": ("sends a run, offline", lambda place: _track(place, "wandb", "run/wandb/offline-run-*")),
    "mlflow": ("sends a run to a store in a folder", lambda place: _track(place, "mlflow", "mlruns/*")),
    "docs": ("builds the site", lambda place: place.run("python", "docs/website/make.py", cwd=place.sdist)),
    "realesrgan": ("converts with Real-ESRGAN's model", lambda place: place.convert("--model", "real-esrgan-video-x2")),
    "train": (str(train.__doc__), train),
    "spandrel": ("imports a community upscaler and converts with it", _spandrel),
    "edges": ("draws photographs with HED", _edges),
    "dev": ("checks the architecture", lambda place: place.run("python", "-m", "pytest", "-q", "tests/test_architecture.py", cwd=place.sdist)),
}
"""Extra -> what its check shows, and the check; those with PyTorch come last."""


def extras() -> list[str]:
    """Return the extras of ``pyproject.toml``."""
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it; return the wheel, and the folder the sdist is unpacked in.

    Args:
        folder: Where the sdist is unpacked; both files are written to ``dist/``.
    """
    for old in (ROOT / "dist").glob("pixlate-*"):
        old.unlink()
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", ROOT / "dist", ROOT], check=True, stdout=subprocess.DEVNULL)
    (sdist,), (wheel,) = ((ROOT / "dist").glob(f"pixlate-*{suffix}") for suffix in (".tar.gz", ".whl"))
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return wheel, folder / sdist.name.removesuffix(".tar.gz")


def install(place: Place, wheel: Path, extra: str) -> None:
    """Make the environment, and install the wheel with an extra and what comes beside it."""
    subprocess.run([sys.executable, "-m", "venv", place.environment], check=True)
    named = f"{wheel}[{extra}]" if extra != BASE else str(wheel)
    place.run("python", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-compile", named)
    if beside := place.run("python", "-c", BESIDE.format(extra=extra)).strip():
        place.run("python", "-m", *beside.split())
    place.run("pixlate", "demo", "shown")
    shutil.copytree(place.folder / "shown/small", place.folder / "small")
    shutil.rmtree(place.folder / "shown")


def attempt(wheel: Path, sdist: Path, extra: str) -> str:
    """Try one extra in an environment of its own, which is deleted; return what went wrong, or nothing."""
    (logs := ROOT / "dist/release-check").mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="pixlate-release-", ignore_cleanup_errors=True) as folder, (logs / f"{extra}.txt").open("w") as log:
        place = Place(Path(folder) / "environment", Path(folder) / "work", sdist, log)
        place.folder.mkdir()
        try:
            install(place, wheel, extra)
            CHECKS[extra][1](place)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other extras are tried
            print(repr(error), file=log)
            return f"{type(error).__name__}: {error}"
    return ""


def main(words: Sequence[str] | None = None) -> int:
    """Try the extras named, or all; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*", help=f"extras to try, or {BASE} for none; all of pyproject.toml where none is named")
    chosen = parser.parse_args(words).extras or [BASE, *sorted(extras(), key=list(CHECKS).index)]
    if unknown := [extra for extra in chosen if extra not in CHECKS]:
        parser.error(f"expected extras among {', '.join(CHECKS)}, got {', '.join(unknown)}")
    with TemporaryDirectory(prefix="pixlate-release-") as folder:
        wheel, sdist = build(Path(folder))
        print(f"built {wheel.name} from its sdist")
        failed = []
        for extra in chosen:
            begun = time.monotonic()
            if problem := attempt(wheel, sdist, extra):
                failed.append(extra)
            print(f"{extra:<10} {'FAILED' if problem else 'ok':<6} {time.monotonic() - begun:5.0f} s  {problem or CHECKS[extra][0]}", flush=True)
    print(f"failed: {', '.join(failed)}; see dist/release-check/" if failed else "all that was tried works")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
