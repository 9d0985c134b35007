"""Error responses: a status, a code for programs and one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RETRY_S = 1
"""Least seconds after which a client is asked to try again."""


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - most are the client's to correct
    """An error response."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ClientGone(Exception):  # noqa: N818 - nobody is left to answer
    """The client closed its connection before its answer was ready."""


def stopping() -> Refusal:
    """Return the answer to a request that comes, or is not finished, when the server ends."""
    return Refusal(503, "stopping", "the server is stopping; send the picture again to another one, or to this one when it is back", {"Retry-After": "5"})


def broken() -> Refusal:
    """Return the answer where a model fails on a picture that it translated before."""
    return Refusal(503, "model_broken", "the model has stopped working on this server; tell whoever runs it, and try again later", {"Retry-After": "30"})


def internal() -> Refusal:
    """Return the answer where the server itself is at fault."""
    return Refusal(500, "internal", "unexpected error in the server, whose log has the reason; tell whoever runs it")


def too_large_for_memory() -> Refusal:
    """Return the answer to a picture that does not fit."""
    return Refusal(413, "too_large_for_memory", "the picture needs more memory than this server has; send a smaller one")
