"""What each open page has on this machine: the pictures dropped on it, and what became of them; gone when the page is closed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock, Thread

from pixlate.errors import PixlateError
from pixlate.images import ImageFile
from pixlate.places.local import HOME
from pixlate.system.folder import replacing
from pixlate_web.options import WebOptions
from pixlate_web.temporary import TemporaryFolder, remove_abandoned
from pixlate_web.work import Work


@dataclass(frozen=True)
class Dropped:
    """A picture that was dropped on a page."""

    number: int
    path: Path
    size: tuple[int, int]
    """Width and height in pixels."""

    @property
    def name(self) -> str:
        """Its file name."""
        return self.path.name


@dataclass
class Session:
    """An open page.

    Each picture is in a folder of its own, so that two of one name, or two whose outputs would have one name, do not meet.
    """

    folder: Path
    """Exists once something was dropped."""
    most: int
    key: str = field(default_factory=lambda: token_urlsafe(16))
    """Names the page in addresses; whoever knows it may see what is on the page."""
    pictures: dict[int, Dropped] = field(default_factory=dict)
    work: Work | None = None
    """The newest translation of the pictures."""
    conversion: Work | None = None
    """The newest conversion of a folder."""
    closed: bool = False

    def __post_init__(self) -> None:
        self.lock = Lock()
        self._next = self._uploads = 0

    @contextmanager
    def place(self, name: str) -> Iterator[tuple[int, Path]]:
        """Context in which a picture is written to a path under a number; if it raises, or the page was closed meanwhile, nothing is left of it.

        Raises:
            PixlateError: The page has as many pictures as it may, or is closed.
        """
        with self.lock:
            self._require_open()
            if len(self.pictures) + self._uploads >= self.most:
                raise PixlateError(f"expected at most {self.most} pictures on the page, got one more; take some off, or convert a folder")
            self._next += 1
            self._uploads += 1
            number = self._next
            folder = self.folder / "new" / f"{number:06}"
            folder.mkdir(parents=True)
        try:
            yield number, folder / name
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with self.lock:
                self._uploads -= 1
                self._remove_if_closed()

    def require_idle(self, work: Work | None) -> None:
        """Refuse another conversion while one of the same tab runs, or where the page is closed; the caller holds the lock.

        Raises:
            PixlateError: So it is.
        """
        self._require_open()
        if work is not None and not work.ended:
            raise PixlateError("expected to wait for the conversion that runs, got another; cancel that first")

    def _require_open(self) -> None:
        if self.closed:
            raise PixlateError("expected an open page, got one that was closed; load it again")

    def keep(self, number: int, written: Path, size: tuple[int, int]) -> Dropped:
        """Take a picture in that was written whole: a translation sees it from now on."""
        with self.lock:
            path = self.folder / "in" / f"{number:06}" / written.name
            path.parent.mkdir(parents=True)
            written.replace(path)
            self.pictures[number] = Dropped(number, path, size)
            return self.pictures[number]

    def drop(self, number: int) -> None:
        """Take a picture off the page."""
        with self.lock:
            picture = self.pictures.pop(number, None)
        if picture is not None:
            shutil.rmtree(picture.path.parent, ignore_errors=True)
            shutil.rmtree(self._mask(picture).parent, ignore_errors=True)

    def paint(self, number: int, data: bytes) -> None:
        """Keep the mask of a picture, a PNG file of its size: white is what a model fills.

        Raises:
            PixlateError: The picture is no longer there, or this is no such file.
        """
        with self.lock:
            picture = self.pictures.get(number)
        if picture is None:
            raise PixlateError("expected the mask of a picture on the page, got one of a picture that was taken off; choose another")
        with ImageFile(data, max_pixels=max(1, picture.size[0] * picture.size[1])) as file:
            if file.format.name != "png" or file.size != picture.size:
                raise PixlateError(
                    f"expected a PNG file of {picture.size[0]}x{picture.size[1]}, as the picture, got {file.format.title} of {file.size[0]}x{file.size[1]}; paint it again"
                )
        path = self._mask(picture)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(data)

    def masks(self) -> Path:
        """Return the folder of the masks that were painted.

        Raises:
            PixlateError: There are none.
        """
        if not any(self._mask(each).is_file() for each in self.pictures.values()):
            raise PixlateError("expected a painted mask, since this model fills what is marked, got none; paint over a part of the picture")
        return self.folder / "masks"

    def _mask(self, picture: Dropped) -> Path:
        return self.folder / "masks" / f"{picture.number:06}" / f"{picture.path.stem}.png"

    def new_output(self) -> Path:
        """Return the folder for the outputs of a translation; those of the one before are removed."""
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        return out

    def output_of(self, number: int) -> Path | None:
        """Return the finished output of a picture of the page, or None where there is none."""
        folder = self.folder / "out" / f"{number:06}"
        return next((path for path in sorted(folder.glob("*")) if path.is_file()), None) if folder.is_dir() else None

    @property
    def outputs(self) -> list[Path]:
        """The finished outputs, in the order in which the pictures were dropped."""
        out = self.folder / "out"
        return sorted(path for path in out.rglob("*") if path.is_file() and HOME not in path.relative_to(out).parts) if out.is_dir() else []

    def close(self) -> None:
        """Cancel its work, and remove what it has when nothing of it runs any more."""
        with self.lock:
            self.closed = True
            running = [work for work in (self.work, self.conversion) if work is not None]
        for work in running:
            work.cancel()
        for work in running:
            work.wait()
        with self.lock:
            self._remove_if_closed()

    def _remove_if_closed(self) -> None:
        if self.closed and not self._uploads:
            shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """All open pages, and the folder that holds what was dropped on them."""

    def __init__(self, options: WebOptions) -> None:
        remove_abandoned()
        self._folder = TemporaryFolder()
        self.root = self._folder.path
        self._options, self._lock = options, Lock()
        self._by_page: dict[str, Session] = {}
        self._by_key: dict[str, Session] = {}
        self._closing: list[Thread] = []

    def of_page(self, page: str) -> Session:
        """Return the session of a page, by the name that Gradio gives it; a new one at the first call."""
        with self._lock:
            if page not in self._by_page:
                session = Session(self.root / token_urlsafe(8), self._options.max_files)
                self._by_page[page] = self._by_key[session.key] = session
            return self._by_page[page]

    def of_key(self, key: str) -> Session | None:
        """Return the session with a key, or None where there is none (any more)."""
        with self._lock:
            return self._by_key.get(key)

    def close(self, page: str) -> None:
        """Close the session of a page, if it has one, without waiting for its end."""
        with self._lock:
            session = self._by_page.pop(page, None)
            if session is None:
                return
            self._by_key.pop(session.key, None)
            thread = Thread(target=session.close, name="closing", daemon=True)
            self._closing = [each for each in self._closing if each.is_alive()] + [thread]
            thread.start()

    def close_all(self, join: Callable[[Thread], bool]) -> bool:
        """Close every session; return whether all had ended when ``join`` has waited for each, and remove the folder."""
        for page in list(self._by_page):
            self.close(page)
        ended = [join(thread) for thread in self._closing]  # each is waited for
        self._folder.remove()
        return all(ended)
