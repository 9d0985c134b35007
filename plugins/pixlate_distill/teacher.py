"""The model that a student learns from, and the cache of its pictures."""

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

import pixlate
from pixlate.data.degradation import Degradation
from pixlate.data.pixels import UnreadableImage
from pixlate.images import Pixels
from pixlate.inference.executor import Executor
from pixlate.inference.files import digest_model
from pixlate.inference.models import find
from pixlate.inference.pictures import channels_made
from pixlate.inference.ready import named
from pixlate.places.paths import digest_file, make_folders
from pixlate.plugin.spec import ModelSpec
from pixlate.system.user import cache_folder, tag
from pixlate_distill import COST
from pixlate_distill.options import DistillData

UNSEEN = {"patch", "hold_out", "workers", "cache", "damaged", "transforms", "teacher", "cache_folder", "degrade_validation"} | {
    *("crops", "variants", "rescale", "teacher_sees")
}
"""Options that do not change what a crop of a photograph and its variant are, or that the rest of its name says."""
ABANDONED = 24 * 3600.0
"""Age in seconds of a half-written file that a killed run has left."""
Lesson = tuple[Pixels, ...]
"""Source, the teacher's picture, and the photograph: 8-bit (height, width, 3), the last two larger by the student's scale."""


class Teacher:
    """A model of RGB pictures, opened when it is first needed.

    Args:
        options: Its name or path, and how its pictures are reduced.

    Raises:
        PixlateError: There is no such model, or it takes and gives something else than RGB pictures.
    """

    def __init__(self, options: DistillData) -> None:
        if not options.teacher:
            raise pixlate.PixlateError("expected --teacher with the model to learn from, got none; name one of `pixlate models` or a model file")
        self.options = options
        path = find(options.teacher)
        self.name, self.path, self.sha256 = Path(options.teacher).name, path, digest_model(path)
        self._executor = Executor(pixlate.load(options.teacher), "auto", "auto")
        self.spec = spec = self._executor.spec
        if not spec.takes_image or spec.conditions:
            names = ", ".join(each.name for each in spec.conditions)
            raise pixlate.PixlateError(f"expected a teacher that takes a picture alone, got {self.name}, which takes {names}; choose another")
        if (spec.channels_in, spec.channels_out) != (3, 3):
            raise pixlate.PixlateError(
                f"expected a teacher of 3 channels in and out, got {self.name} of {spec.channels_in} and {spec.channels_out}; choose one of RGB pictures"
            )
        if spec.scale % options.reduce:
            raise pixlate.PixlateError(f"expected --reduce to divide the scale of {self.name}, {spec.scale}, got {options.reduce}; choose one that does")
        self.scale = spec.scale // options.reduce
        """Of its pictures, reduced: that of the student."""
        self._lock = threading.Lock()

    def facts(self) -> dict[str, Any]:
        """Return what the student must know of it, and what it costs, which two small pictures measure."""
        from pixlate_distill.costs import translator_costs

        ready = named(self.options.teacher)
        licence = (ready[0].licence if ready else "") or self.spec.provenance.licence
        costs = {f"{COST}{name}": value for name, value in translator_costs(self._executor, self.path).items()}
        degraded = self.scale > 1 or Degradation(self.options, self.scale).active
        return {
            "scale": self.scale,
            "teacher": self.name,
            "sha256": self.sha256,
            "licence": licence,
            "keeps_grey": channels_made(1, self.spec) == 1,
            "sources": "degraded" if degraded else "photographs",
            **costs,
        }

    def require_spec(self, spec: ModelSpec) -> None:
        """Refuse a student of another scale, and one that began with another teacher."""
        if spec.scale != self.scale:
            raise pixlate.PixlateError(
                f"expected a teacher of scale {spec.scale * self.options.reduce} for a student of scale {spec.scale}, got {self.name} of {self.spec.scale}; "
                "name the one that the run began with, or start a new run"
            )
        if spec.provenance.teacher and self.sha256 not in spec.provenance.teacher:
            raise pixlate.PixlateError(
                f"expected the teacher that the run began with ({spec.provenance.teacher}), got {self.name}, whose SHA-256 is {self.sha256}; "
                "restore it, or start a new run"
            )

    def __call__(self, source: Pixels) -> Pixels:
        """Return its picture of a source, 8-bit (height * scale, width * scale, 3), one source at a time whichever thread asks; large ones run in tiles."""
        with self._lock:
            picture: Pixels = self._executor(source[None])[0]
        times = self.options.reduce
        if times == 1:
            return picture
        height, width = (side // times for side in picture.shape[:2])
        means: NDArray[np.float32] = picture.reshape(height, times, width, times, 3).mean(axis=(1, 3), dtype=np.float32)
        levels: NDArray[np.uint8] = np.rint(means).astype(np.uint8)
        return levels


class Lessons:
    """Keeps on disk, without loss, what a teacher made: one whole file for each crop, written under a temporary name.

    A file's name is a digest of the teacher, of the photograph's contents and of the options that what is in it depends on, where they are not the defaults: an
    option that a newer Pixlate brings does not make the teacher work again.

    Args:
        teacher: Whose pictures are kept.
        options: Where they are kept, and how sources are made.
    """

    def __init__(self, teacher: Teacher, options: DistillData) -> None:
        self.folder = Path(options.cache_folder).expanduser() if options.cache_folder else cache_folder() / "distill"
        seen = {each.name: value for each in fields(options) if each.name not in UNSEEN and (value := getattr(options, each.name)) != each.default}
        self._common = f"{teacher.sha256} {sorted(seen.items())}"
        self._digests: dict[Path, str] = {}
        self._lock = threading.Lock()
        for part in self.folder.glob("??/.*.part"):
            with suppress(OSError):  # another run removes it too
                if time.time() - part.stat().st_mtime > ABANDONED:
                    part.unlink()

    def seed(self, path: Path, *rest: object) -> int:
        """Return a number from the contents of a photograph and more, for everything random about a crop of it."""
        return int(hashlib.sha256(f"{self._digest(path)} {rest}".encode()).hexdigest()[:16], 16)

    def get(self, path: Path, rest: tuple[object, ...], make: Callable[[], Lesson]) -> Lesson:
        """Return what is kept of a crop of a photograph, or make and keep it; a file that is damaged is made again.

        Raises:
            PixlateError: Nothing can be written into the folder.
        """
        name = hashlib.sha256(f"{self._common} {self._digest(path)} {rest}".encode()).hexdigest()
        file = self.folder / name[:2] / f"{name}.npz"
        try:
            with file.open("rb") as stream, np.load(stream) as kept:
                return kept["source"], kept["target"], kept["truth"]
        except Exception:  # noqa: BLE001 - a damaged file makes NumPy, zipfile and zlib raise a dozen kinds
            lesson = make()
        try:
            try:
                self._keep(file, lesson)
            except FileNotFoundError:  # `pixlate cache clear` has removed the folder meanwhile
                self._keep(file, lesson)
        except OSError as error:
            sentence = f"{self.folder} cannot be written ({error.strerror}); make room there or name another --cache-folder: what is kept is not made again"
            raise pixlate.PixlateError(sentence) from error
        return lesson

    def _keep(self, file: Path, lesson: Lesson) -> None:
        """Write a lesson under a temporary name, then give it its own."""
        make_folders(file.parent)
        tag(self.folder)
        part = file.with_name(f".{file.stem}-{uuid4().hex}.part")
        try:
            with part.open("xb") as written:
                np.savez_compressed(written, source=lesson[0], target=lesson[1], truth=lesson[2])
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)

    def _digest(self, path: Path) -> str:
        with self._lock:
            if path not in self._digests:
                try:
                    self._digests[path] = digest_file(path)
                except OSError as error:
                    raise UnreadableImage(f"{path}: it cannot be read ({error.strerror})") from error
            return self._digests[path]
