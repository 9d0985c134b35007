"""What comes and changes below folders that are watched, as the system reports it, and which of it a user has named."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from glob import has_magic
from pathlib import Path, PurePath
from threading import Event
from typing import Self

from pixlate.errors import PixlateError
from pixlate.places.local import LocalPlace, LocalStore, OwnFiles
from pixlate.places.paths import identity, is_named, walk
from pixlate.plugin.place import Failures, Found, Place, Store
from pixlate.system.extras import import_for

WAKE_MS = 100
"""Milliseconds after which there is an answer, whether anything has changed or not."""
GATHER_MS = 400
"""Most milliseconds for which changes are gathered while more of them come."""
POLL_MS = 1000
"""Milliseconds between two looks at a folder whose system reports no changes."""
BURST = 2000
"""Changes at once from which on some may have been lost: Linux keeps 16,384 that nobody has fetched."""
_REMOTE = re.compile(r"9p|afs|ceph|cifs|fuse\..+|glusterfs|lustre|nfs\d?|smb\d?(fs)?|vboxsf|virtiofs|vmhgfs")
"""File systems on which others write without this machine's knowledge."""
_TEMPORARY = re.compile(r"[.~].*|.*~|.*\.(crdownload|download|part|partial|temp|tmp)(\.[^.]*)?", re.IGNORECASE | re.DOTALL)


def is_temporary(name: str) -> bool:
    """Return whether a file's name is one under which editors, browsers and copying programs write what is not finished."""
    return _TEMPORARY.fullmatch(name) is not None


def is_remote(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Return whether a folder is on a network drive or the like, as far as Linux says."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    kinds: dict[PurePath, str] = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        top = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), before.split()[4])
        kinds[PurePath(top)] = after.split()[0]
    path = PurePath(os.path.realpath(folder))
    return bool(_REMOTE.fullmatch(next((kinds[each] for each in (path, *path.parents) if each in kinds), "")))


class Watched:
    """A folder, glob or file that a user has named, of which what comes is found.

    Args:
        place: What was named.

    Raises:
        PixlateError: It is not on a disk, or there is no folder to watch.
    """

    def __init__(self, place: Place) -> None:
        if not isinstance(place, LocalPlace):
            raise PixlateError(f"expected a folder of this machine to watch, got {place}; leave out --watch, and give the same command from time to time")
        self.place, self.kind = place, place.kind()
        path = place.local
        first = next((index for index, part in enumerate(path.parts) if has_magic(part)), len(path.parts))
        self.like = path.parts[first:] if self.kind == "nothing" else ()
        self.top = path.parent if self.kind == "file" else Path(*path.parts[:first]) if self.like else path
        """The folder, as it was named."""
        self._file = path.name if self.kind == "file" else ""
        self._spellings = dict.fromkeys((self.top.absolute(), Path(os.path.realpath(self.top))))
        self._identity = identity(self.top)
        if self._identity is None or not self.top.is_dir():
            raise PixlateError(f"expected a folder to watch, but {self.top} is not there; make it first")

    @property
    def gone(self) -> bool:
        """Whether the folder is no longer there, or is another one of the same name."""
        return identity(self.top) != self._identity

    def relative(self, path: str) -> PurePath | None:
        """Return a changed path below the folder; None where it is not below it."""
        for top in self._spellings:
            if Path(path).is_relative_to(top):
                return PurePath(path).relative_to(top)
        return None

    def files(self, changed: Iterable[PurePath], out: Store, failures: Failures) -> Iterator[Found]:
        """Yield the files among the changed paths, and below the folders among them, as :meth:`pixlate.plugin.place.Place.files` does."""
        output = out.root if isinstance(out, LocalStore) else None
        own = None if output is None else identity(output)
        made = OwnFiles(self.top, failures)
        for path in changed:
            above = [self.top / folder for folder in path.parents][:-1]
            if any(part.startswith(".") for part in path.parts[:-1]) or (own is not None and own in map(identity, [*above, self.top / path])):
                continue
            whole = self.top / path
            if self.kind != "file" and whole.is_dir():
                hidden = path.name.startswith(".")
                below = iter(()) if hidden else (PurePath(name).relative_to(self.top) for name in walk(whole, output, failures))
            else:
                below = iter((path,))
            for relative in below:
                if is_temporary(relative.name) or (self.like and not is_named(relative.parts, self.like)) or (self._file and str(relative) != self._file):
                    continue
                named = os.path.join(self.top, relative)  # noqa: PTH118 - ./a.png, as the walk names it
                yield Found(LocalPlace(named), relative, named=True) if self._file else made.found(named, relative)


class Changes:
    """Context in which the paths that change below folders are gathered, by the system, also while nobody asks for them.

    Args:
        watched: What is watched.
        stop: Ends :meth:`next` early, once it is set.

    Raises:
        PixlateError: watchfiles is missing, or the system watches no more folders.
    """

    def __init__(self, watched: Sequence[Watched], stop: Event) -> None:
        self._stop = stop
        self.polled = any(is_remote(each.top) for each in watched)
        """Whether the folders are looked through every second, since their system reports no changes of others."""
        recursive = any(each.kind != "file" for each in watched)
        watch = import_for("--watch", "watchfiles", "watch").watch
        self._found: Iterator[set[tuple[int, str]]] = watch(
            *dict.fromkeys(each.top.absolute() for each in watched),
            watch_filter=None,
            debounce=GATHER_MS,
            step=WAKE_MS // 2,
            rust_timeout=WAKE_MS,
            yield_on_timeout=True,
            stop_event=stop,
            force_polling=self.polled or None,
            poll_delay_ms=POLL_MS,
            recursive=recursive,
            ignore_permission_denied=True,
        )

    def __enter__(self) -> Self:
        try:
            self._first = next(self._found, set())  # only now are they watched
        except Exception as error:
            reason = " ".join(str(error).split())
            raise PixlateError(
                f"the system watches no such folder ({reason}); close programs that watch many, raise fs.inotify.max_user_watches, or set WATCHFILES_FORCE_POLLING=1"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        next(self._found, None)

    def next(self) -> set[str]:
        """Return the paths that have changed since the last call, waiting for them for :data:`WAKE_MS` at most."""
        first, self._first = self._first, set()
        return {path for _, path in first or next(self._found, set())}
