"""Ready models by name and version, and the files of those that are made on first use."""

import tempfile
import warnings
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.inference.added import added
from pixlate.inference.digests import remembered_digest
from pixlate.inference.files import files_of_model
from pixlate.places.paths import digest_file
from pixlate.plugin.manager import installed
from pixlate.plugin.model_card import ModelCard
from pixlate.system.locking import locked
from pixlate.system.user import models_folder


def cards() -> dict[str, ModelCard]:
    """Return the ready models by name: those of all plugins, and those that the user has added."""
    return {name: record.card for name, record in added().items()} | _offered()


def _offered() -> dict[str, ModelCard]:
    """Return the models of packages that can be used here."""
    return {name: card for name, card in installed().offered(ModelCard).items() if not card.unavailable}


def hidden() -> list[str]:
    """Return a sentence for each added model whose name a package has come to use."""
    both = sorted(added().keys() & _offered().keys())
    return [f"the model {name} that you have added is hidden by one of a package; remove it with `pixlate models remove {name}`" for name in both]


def named(model: str) -> tuple[ModelCard, int] | None:
    """Return the card and version that ``NAME`` or ``NAME@VERSION`` names, or None where no ready model has that name.

    Raises:
        PixlateError: The model has no such version.
    """
    ready = cards()
    if model in ready:
        return ready[model], ready[model].version
    name, at, number = model.rpartition("@")
    if not at or name not in ready:
        return None
    card = ready[name]
    versions = [*sorted(card.earlier), card.version]
    if number not in map(str, versions):
        each = ", ".join(f"{name}@{version}" for version in versions)
        raise PixlateError(f"expected a version of the model {name} ({each}), got {model!r}; {name} alone is the newest")
    return card, int(number)


def identified(model: str | Path) -> str:
    """Return a model as reports name it: a ready one with its version, such as ``upscale-x4@2``, a file by its path."""
    found = named(str(model))
    return str(model) if found is None else f"{found[0].name}@{found[1]}"


def identified_if_any(model: str | Path | None) -> str | None:
    """Return None for none, and any other model as :func:`identified` does."""
    return None if model is None else identified(model)


def other_versions(model: str | Path) -> dict[str, Path]:
    """Return the files of the other versions of a ready model, as far as they exist, by names such as ``upscale-x4@1``."""
    found = named(str(model))
    if found is None:
        return {}
    card, chosen = found
    files = {**card.earlier, card.version: card.path}
    return {f"{card.name}@{number}": path for number, path in files.items() if number != chosen and path.is_file()}


def unavailable(model: str) -> str:
    """Return the sentence that refuses a model that a package offers but that cannot be used here; nothing where there is none of that name."""
    name = model.partition("@")[0]
    card = installed().offered(ModelCard).get(name)
    return f"the model {name} cannot be used here: {card.unavailable}" if card is not None and card.unavailable and name not in added() else ""


def unknown(model: str, file: bool = True) -> str:
    """Return the sentence that refuses what is no ready model's name, nor a path where a ``file`` would do."""
    if lacking := unavailable(model):
        return lacking
    from difflib import get_close_matches

    ready = cards()
    near = get_close_matches(model.partition("@")[0].lower(), ready, 1)
    there = "`pixlate convert --model` takes files" if not file and Path(model).is_file() else ""
    reason = installed().why("model", model) or there or (f"did you mean {near[0]}?" if near else "see `pixlate models`")
    return f"expected a model's name ({', '.join(sorted(ready)) or 'none is installed'}){' or a file' if file else ''}, got {model!r}; {reason}"


def file_of(card: ModelCard, version: int) -> Path:
    """Return the file of a version of a ready model, made first where it is the first time.

    Raises:
        PixlateError: The file is missing, or cannot be made.
    """
    path = card.path if version == card.version else card.earlier[version]
    if version == card.version and card.make is not None:
        _require_made(card, path)
    if missing := [file for file in files_of_model(path) if not file.is_file()]:
        remedy = "remove it with `pixlate models remove`, and add it again" if path.parent == models_folder() else "install the package that ships it again"
        raise PixlateError(f"expected the file of the model {card.name} at {missing[0]}, but it is missing; {remedy}")
    return path


def digest_beside(path: Path) -> Path:
    """Return where the SHA-256 of a file that was made is kept."""
    return path.with_name(f"{path.name}.sha256")


def _require_made(card: ModelCard, path: Path) -> None:
    """Make a card's file unless it exists whole."""
    damaged = path.is_file()
    if damaged and _whole(path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            damaged = path.is_file()
            if damaged and _whole(path):  # another process has made it meanwhile
                return
            if damaged:
                warnings.warn(f"{path} is not as it was made and is made again", stacklevel=2)
            _write(card, path)
    except OSError as error:
        raise PixlateError(
            f"the model {card.name} is made on first use, and {path.parent} does not take it ({error.strerror or error}); free some space there, change its "
            "permissions, or name another folder with PIXLATE_CACHE"
        ) from error


def _write(card: ModelCard, path: Path) -> None:
    """Write a card's file beside its place, then its digest, then give it its name."""
    assert card.make is not None
    with tempfile.TemporaryDirectory(prefix=f".making-{path.name}-", dir=path.parent, ignore_cleanup_errors=True) as folder:
        part = Path(folder) / path.name
        card.make(part)
        if not part.is_file():
            raise PixlateError(f"the plugin of the model {card.name} has made no file at {part}; update the plugin")
        digest = Path(folder) / "digest"
        digest.write_text(f"{digest_file(part)}  {path.name}\n", encoding="utf-8")
        digest.replace(digest_beside(path))
        part.replace(path)


def _whole(path: Path) -> bool:
    """Return whether a file that was made is as its digest says."""
    try:
        return digest_beside(path).read_text(encoding="utf-8").split()[:1] == [remembered_digest(path)]
    except (OSError, UnicodeError):
        return False
