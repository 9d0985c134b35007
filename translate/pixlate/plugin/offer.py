"""Values that plugins offer: one that cannot be constructed does not affect the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, cast

from pixlate.options.checks import check_offer

_asking: ContextVar[bool] = ContextVar("asking", default=False)


class _OfferMeta(type):
    """Makes values; see :class:`Offer`."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            if not _asking.get():
                raise
            value = object.__new__(cast("type[Any]", cls))
            object.__setattr__(value, "name", kwargs.get("name", args[0] if args else None))
            object.__setattr__(value, "refusal", " ".join(str(error).split()))
            return value


class Offer(metaclass=_OfferMeta):
    """Base of the dataclasses that plugins offer.

    A value that refuses its arguments raises where it is created, like any other. While plugins are loaded and called, it is created with only its
    name and the refusal, so that the plugin's other values are still made, and the manager leaves out this one.
    """

    name: str
    kind: ClassVar[str]
    """What such a value is, in sentences; the hook ``pixlate_{kind}s`` collects them."""
    refusal: ClassVar[str] = ""
    """Why the value cannot be used, on the value itself."""

    def __init_subclass__(cls, kind: str = "") -> None:
        super().__init_subclass__()
        if kind:  # which a plugin's own subclass of a contract inherits
            cls.kind = kind

    def __post_init__(self) -> None:
        check_offer(self)


@contextmanager
def asking() -> Iterator[None]:
    """Let values that cannot be made carry their refusal instead of raising it."""
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)
