"""``pixlate cache``: what Pixlate made for itself, and can make again."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

from cyclopts import App

from pixlate.errors import PixlateError
from pixlate.system.locking import UNSUPPORTED, lock_file
from pixlate.system.text import file_size
from pixlate.system.user import TAG, TAGGED, cache_folder

app = App(
    name="cache",
    help="Files that Pixlate made for itself, such as models that are made on first use, checksums of models, models that OpenVINO compiled, engines of TensorRT and a "
    "teacher's pictures.",
    help_format="plaintext",
)


@app.command
def clear() -> int:
    """Remove what Pixlate has made in its cache, and say how much space that freed; what else is there stays."""
    folder = cache_folder()
    try:
        count, freed = clear_folder(folder)
    except OSError as error:
        raise PixlateError(f"{error.filename or folder} cannot be removed ({error.strerror or error}); check its permissions") from error
    print(f"removed {count} {'file' if count == 1 else 'files'} from {folder}, {file_size(freed)}" if count else f"there is nothing of Pixlate in {folder}")
    return 0


def clear_folder(folder: Path) -> tuple[int, int]:
    """Remove the files that were made in a folder and below; return how many, and their bytes.

    They are those that locks name, unless one is being made, and those that have a digest, or a folder of one, for a name in folders that are tagged as a cache of Pixlate.
    """
    count, freed, used = _clear_tagged(folder)
    for lock in sorted(folder.rglob(".*.lock")):
        name = lock.name[1 : -len(".lock")]
        digest = lock.with_name(f"{name}.sha256")
        if lock.is_symlink() or not lock.is_file() or not _is_digest_of(digest, name):
            continue
        with lock.open("ab", buffering=0) as file:
            try:
                lock_file(file)
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise
            for path in (lock.with_name(name), digest):
                if path.is_file():
                    count, freed = count + 1, freed + path.lstat().st_size
                    path.unlink()
            for half in lock.parent.glob(f".making-{name}-*"):
                shutil.rmtree(half)
        lock.unlink(missing_ok=True)
        used |= {lock.parent, folder}
    for emptied in sorted(used, reverse=True):
        with suppress(OSError):  # it holds something
            emptied.rmdir()
    return count, freed


def _clear_tagged(folder: Path) -> tuple[int, int, set[Path]]:
    """Remove the files of tagged folders; return how many, their bytes, and the folders that may be empty now. A training that uses them makes them again."""
    count = freed = 0
    used: set[Path] = set()
    for tag in sorted(folder.rglob(TAG)):
        if tag.is_symlink() or not tag.is_file() or tag.read_bytes() != TAGGED:
            continue
        for path in tag.parent.rglob("*"):
            made = re.match(r"\.?[0-9a-f]{64}", path.name) or re.fullmatch("[0-9a-f]{16}", path.parent.name)
            if made and path.is_file() and not path.is_symlink():
                with suppress(FileNotFoundError):  # a training has given it its name meanwhile
                    freed, count = freed + path.lstat().st_size, count + 1
                    path.unlink()
                used.add(path.parent)
        tag.unlink()
        used |= {tag.parent, folder}
    return count, freed, used


def _is_digest_of(path: Path, name: str) -> bool:
    """Return whether a file is the digest of one that was made, or is not there because none was."""
    try:
        words = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return not path.with_name(name).exists()
    except (OSError, UnicodeError):
        return False
    return len(words) == 2 and len(words[0]) == 64 and words[1] == name
