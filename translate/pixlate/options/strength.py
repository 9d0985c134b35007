"""What ``strength`` and ``blend_with`` of a conversion, an evaluation and a server mean together."""

from pixlate.errors import PixlateError
from pixlate.options.checks import misfit


def check_strength(strength: float | None, blend_with: object = None, *, name: str = "--strength") -> None:
    """Refuse a strength that is no number from 0 to 1, and a second model to blend the first with without a strength."""
    if blend_with is not None and strength is None:
        raise PixlateError(f"expected {name} with {blend_with}, the model to blend with, got none; give {name} 0.5, or another number from 0 to 1")
    if strength is not None and (misfit(strength, float) or not 0 <= strength <= 1):
        raise PixlateError(f"expected {name} from 0 to 1 (the model alone), got {strength!r}; choose a number in between")


def output_strength(strength: float | None, blend_with: object = None) -> float:
    """Return how much of the model's output is in the result, from 0 to 1, the rest being its source; with a second model, the strength is that of weights."""
    return 1.0 if strength is None or blend_with is not None else strength
