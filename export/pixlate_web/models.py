"""The models that the page offers, as cards: what each is for, how much it enlarges, its licence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixlate.errors import PixlateError
from pixlate.inference.added import added
from pixlate.inference.models import load
from pixlate.inference.ready import cards
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.spec import ModelInput, ModelSpec
from pixlate.system.text import printable


@dataclass(frozen=True)
class Offered:
    """A model of the page."""

    model: str
    """As ``--model`` names it."""
    text: str
    """Lines of its card: name, what it is for, and the rest."""
    conditions: tuple[ModelInput, ...] = ()
    """What it takes besides a picture."""
    enlarges: bool = False

    @property
    def takes_mask(self) -> bool:
        """Whether a mask says which parts of a picture it fills."""
        return any(each.kind == "mask" for each in self.conditions)


def offered(files: Sequence[Path]) -> list[Offered]:
    """Return the files that the page was started with, then the ready models that take a picture, and no reference: those that enlarge first, demonstrations last.

    Raises:
        PixlateError: A file cannot be opened, takes no picture, or needs a reference.
    """
    of_files = []
    for file in files:
        spec = load(file, "cpu").spec
        if not spec.takes_image:
            raise PixlateError(f"expected --model files that take a picture, got {file}, which draws its own; write: pixlate sample {file} out/ --count 64")
        if reference := next((each.name for each in spec.conditions if each.kind == "reference"), ""):
            raise PixlateError(
                f"expected --model files that take one picture, got {file}, which takes a {reference} too; use `pixlate convert --set {reference}=FILE`"
            )
        of_files.append(Offered(str(file), _lines(file.name, f"your file in {file.resolve().parent.name}", spec, ""), spec.conditions))
    ready = sorted(cards().items())
    found = [(card, model) for name, card in ready if (model := _ready(name, card)) is not None]
    return of_files + [model for _, model in sorted(found, key=lambda each: (each[0].demonstration, not each[0].path.is_file(), not each[1].enlarges))]


def _ready(name: str, card: ModelCard) -> Offered | None:
    """Return a ready model, or None where it cannot be opened, takes no picture, or needs a reference, for which the page has no field."""
    summary = f"demonstration: {card.summary}" if card.demonstration else card.summary
    if not card.path.is_file():
        return Offered(name, _lines(name, summary, None, card.licence)) if card.make is not None else None
    try:
        spec = ModelSpec.from_json(record.spec) if (record := added().get(name)) is not None else load(name, "cpu").spec
    except PixlateError:  # `pixlate models` says why
        return None
    if not spec.takes_image or any(each.kind == "reference" for each in spec.conditions):
        return None
    return Offered(name, _lines(name, summary, spec, card.licence), spec.conditions, spec.scale > 1)


def _lines(name: str, summary: str, spec: ModelSpec | None, licence: str) -> str:
    size = "made on first use, which takes a while" if spec is None else f"{spec.scale} times the size" if spec.scale > 1 else "same size"
    terms = licence or ("" if spec is None else spec.provenance.licence) or "none stated"
    return printable(name) + "\n" + printable(summary) + "\n" + printable(f"{size}; licence: {terms}")
