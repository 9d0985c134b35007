"""How a request ends without its answer: error responses, and clients that have gone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import JSONResponse


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - most are the client's to correct
    """An error response: a status, a code for programs and one sentence."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ClientGone(Exception):  # noqa: N818 - nobody is left to answer
    """The client closed its connection before its answer was ready."""


def answer(refusal: Refusal) -> JSONResponse:
    """Return the answer for a refusal."""
    return JSONResponse({"error": {"code": refusal.code, "message": refusal.message}}, refusal.status, dict(refusal.headers))


def stopping() -> Refusal:
    """Return the answer to a request that comes, or is not finished, when the server ends."""
    return Refusal(503, "stopping", "the server is stopping; send the picture again to another one, or to this one when it is back", {"Retry-After": "5"})


def internal() -> Refusal:
    """Return the answer where the server itself is at fault."""
    return Refusal(500, "internal", "unexpected error in the server, whose log has the reason; tell whoever runs it")


def too_large_for_memory() -> Refusal:
    """Return the answer to a picture that does not fit."""
    return Refusal(413, "too_large_for_memory", "the picture needs more memory than this server has; send a smaller one")


def late(seconds: float) -> Refusal:
    """Return the answer to a picture that was accepted and is not done in time."""
    sentence = f"the picture was not done within the {seconds:g} s this server works on one; send a smaller one, or try again when it is less busy"
    return Refusal(503, "late", sentence, {"Retry-After": "30"})
