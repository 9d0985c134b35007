"""Puts a model into the user's own folder: checked, whole, and found by its name from then on."""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pixlate.errors import PixlateError
from pixlate.inference.added import NAME, SUFFIXES, Added, record_of
from pixlate.inference.files import ncnn_pair
from pixlate.inference.models import load
from pixlate.inference.ready import cards
from pixlate.places.paths import digest_file
from pixlate.system.download import download, is_url, public
from pixlate.system.locking import locked
from pixlate.system.user import models_folder

MOST = 8_000_000_000
"""Most bytes of a downloaded file."""
ABANDONED = 24 * 3600.0
"""Age in seconds of a folder that no command is writing into any more."""
Watch = Callable[[int, int | None], None]


def add(source: str, name: str = "", sha256: str = "", licence: str = "", watch: Watch | None = None) -> Added:
    """Copy or download a model, check that it opens, and record it.

    Args:
        source: Path or address of an ONNX file, of weights, or of one of the two files of ncnn, the other of which is beside it.
        name: What ``--model`` calls it; by default the file's own.
        sha256: Digest that the file must have; of ncnn's two, that of the ``.bin``.
        licence: Terms of use; by default those that the file states.
        watch: Sees the progress of a download.

    Raises:
        PixlateError: No such file, a name or digest that is not right, a file that no plugin opens, or a folder that cannot be written.
    """
    stem, suffix = _named(source, sha256)
    name, digest = name or stem, sha256.strip().lower()
    _require_free(name)
    if digest and (len(digest) != 64 or set(digest) - set("0123456789abcdef")):
        raise PixlateError(f"expected --sha256 to be 64 hexadecimal digits, got {sha256!r}; copy the whole checksum")
    folder = models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        with tempfile.TemporaryDirectory(prefix=".adding-", dir=folder) as part:
            staged = [Path(part) / f"{name}{ending}" for ending in ((".param", ".bin") if suffix == ".param" else (suffix,))]
            for path in staged:
                _fetch(source, path, watch)
            found = digest_file(staged[-1])
            if digest and found != digest:
                raise PixlateError(f"expected the SHA-256 {digest}, got {found}: the file is damaged or another; nothing was added")
            origin = public(source) if is_url(source) else str(Path(source).expanduser().absolute())
            try:
                spec = load(staged[0], "cpu").spec
            except PixlateError as error:
                sentence = str(error)
                for path in staged:
                    sentence = sentence.replace(str(path), origin if origin.lower().endswith(path.suffix) else origin.rpartition(".")[0] + path.suffix)
                raise PixlateError(sentence) from error
            record = Added(name, suffix, found, origin, licence or spec.provenance.licence, spec.to_json())
            with locked(folder / "models"):
                _require_free(name)
                for path in staged:
                    path.replace(folder / path.name)
                draft = Path(part) / "record"
                draft.write_text(record.text(), encoding="utf-8")
                draft.replace(record_of(name))
    except OSError as error:
        where = folder if error.filename2 else error.filename or folder  # copying names the source first, and the disk of the other is full
        raise PixlateError(
            f"the model cannot be added ({where}: {error.strerror or error}); check permissions and space, or name a folder with PIXLATE_MODELS"
        ) from error
    return record


def _sweep(folder: Path) -> None:
    """Remove what commands that were killed have left half done."""
    for part in folder.glob(".adding-*"):
        if part.is_dir() and time.time() - part.stat().st_mtime > ABANDONED:
            shutil.rmtree(part, ignore_errors=True)


def _named(source: str, sha256: str) -> tuple[str, str]:
    """Return name and suffix of what is to be added, or refuse it."""
    path = Path(source)
    if is_url(source):
        parts = urlsplit(source)
        if parts.scheme not in ("http", "https"):
            raise PixlateError(f"expected an address of https, got {public(source)}; download the file, and add it by its path")
        if parts.scheme == "http" and not sha256:
            raise PixlateError(f"{public(source)} may be changed on its way; take an address of https, or give --sha256")
        path = Path(unquote(parts.path))
        page = (parts.hostname or "").removeprefix("www.") == "openmodeldb.info"
        if page and path.suffix.lower() not in (*SUFFIXES, ".bin"):
            raise PixlateError(
                f"expected the address of a model file, but {public(source)} is a page of OpenModelDB; take the link of its Download button, which ends in "
                ".safetensors, .pth or .onnx"
            )
    elif not source:
        raise PixlateError("expected the path or address of a model file, got an empty text; write: pixlate models add FILE")
    elif not path.expanduser().is_file():
        raise PixlateError(f"expected a model file, but {source} is not there or is no file; check its path")
    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, ".bin"):
        remedy = "unpack it first" if suffix in (".zip", ".7z", ".rar", ".gz") else "take another file of the model"
        raise PixlateError(f"expected a file that ends in {', '.join(SUFFIXES)} or .bin, got {path.name!r}; {remedy}")
    return path.stem, ".param" if suffix == ".bin" else suffix


def _require_free(name: str) -> None:
    """Refuse a name that cannot be one, or that another model has."""
    if not NAME.fullmatch(name) or name.endswith("."):
        raise PixlateError(f"expected a name of letters, digits, `.`, `_`, `+` and `-`, at most 100, got {name!r}; give one with --name")
    taken = {each.casefold(): card for each, card in cards().items()}
    if (card := taken.get(name.casefold())) is not None:
        own = card.path.parent == models_folder()
        remedy = f"remove it with `pixlate models remove {card.name}`, or give another with --name" if own else "give another with --name"
        raise PixlateError(f"there is a model named {card.name}; {remedy}")


def _fetch(source: str, path: Path, watch: Watch | None) -> None:
    """Copy or download a file, of ncnn the one with the suffix of ``path``."""
    if is_url(source):
        parts = urlsplit(source)
        if parts.path.lower().endswith((".param", ".bin")):
            parts = parts._replace(path=parts.path.rpartition(".")[0] + path.suffix)
        download(parts.geturl(), path, MOST, watch)
        return
    given = Path(source).expanduser()
    if given.suffix.lower() in (".param", ".bin"):
        layers, weights = ncnn_pair(given) or (given.with_suffix(".param"), given)
        given = layers if path.suffix == ".param" else weights
        if not given.is_file():
            raise PixlateError(
                f"a model of ncnn is a .param and a .bin of the same name, but {given} is not there; put both into one folder, "
                "or name a file of PyTorch weights .pth"
            )
    shutil.copyfile(given, path)
