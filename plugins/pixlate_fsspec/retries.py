"""Retries transient errors with exponential backoff, and reports persistent ones in one sentence."""

import errno
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pixlate.errors import PixlateError
from pixlate.plugin.place import FULL

ATTEMPTS = 5
FIRST_WAIT = 0.5
"""Seconds before the second attempt; doubled for each further one."""
RETRY_SECONDS = 20.0
"""Seconds after which there is no further attempt; clients have attempts of their own, too."""
_STEP = 0.1
_BUGS = (TypeError, AttributeError, NameError, AssertionError)
_FINAL = (
    PixlateError,
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    NotImplementedError,
    ValueError,
    MemoryError,
    *_BUGS,
)
_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "DefaultCredentialsError",
    "RefreshError",
    "ClientAuthenticationError",
    "TokenRetrievalError",
}
_DENIED = {"401", "403", "Forbidden", "Unauthorized", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}

T = TypeVar("T")


def steady(act: Callable[[], T], give_up: Callable[[], bool] = lambda: False) -> T:
    """Call a function over the network; retry transient errors with exponential backoff.

    Args:
        act: May be called several times.
        give_up: Ends the waiting, so that a conversion that stops need not wait.

    Raises:
        Exception: What the last attempt raised.
    """
    wait, started = FIRST_WAIT, time.monotonic()
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except Exception as error:
            until = time.monotonic() + wait * random.uniform(0.75, 1.25)  # noqa: S311 - spreads the attempts of many machines
            while time.monotonic() < until and not is_final(error) and not give_up():
                time.sleep(min(_STEP, wait))
            if is_final(error) or give_up() or time.monotonic() - started > RETRY_SECONDS:
                raise
        wait *= 2
    return act()


def is_final(error: BaseException) -> bool:
    """Return whether an error is persistent."""
    if isinstance(error, _FINAL) or _is_about_access(error):
        return True
    return isinstance(error, OSError) and error.errno in {*FULL, errno.ENAMETOOLONG}


def _is_about_access(error: BaseException) -> bool:
    if type(error).__name__ in _NO_CREDENTIALS:
        return True
    codes = {str(getattr(error, name, "")) for name in ("status", "code", "status_code")}
    return bool(codes & _DENIED) or any(word in str(error) for word in ("Forbidden", "AccessDenied", "Anonymous caller"))


def cause(error: BaseException) -> str:
    """Return why an operation on a URL failed, for the brackets of a sentence."""
    if type(error).__name__ in _NO_CREDENTIALS:
        return f"no credentials: {_words(error)}"
    if isinstance(error, PermissionError) or _is_about_access(error):
        return f"access denied: {_words(error)}"
    if isinstance(error, FileNotFoundError):
        return "not there"
    return "this kind of URL can only be read" if isinstance(error, NotImplementedError) else _words(error)


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Refuse a URL that cannot be used, in one sentence; bugs are raised unchanged.

    Raises:
        PixlateError: Of what was raised inside.
    """
    try:
        yield
    except (PixlateError, *_BUGS):
        raise
    except Exception as error:
        denied = isinstance(error, PermissionError) or _is_about_access(error)
        todo = "give credentials the way its protocol takes them, see docs/cluster.md" if denied else "check the URL, the network and the credentials"
        raise PixlateError(f"{name} cannot be used ({cause(error)}); {todo}") from error


def _words(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".")[:160] or type(error).__name__
