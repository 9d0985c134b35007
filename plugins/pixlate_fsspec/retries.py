"""Retries transient errors with exponential backoff, and reports persistent ones in one sentence."""

import errno
import random
import re
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
_ABOUT_FILES = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_FINAL = (PixlateError, NotImplementedError, ValueError, MemoryError, *_ABOUT_FILES, *_BUGS)
_NO_CREDENTIALS = re.compile("(No|Partial|Default)CredentialsError|RefreshError|ClientAuthenticationError|TokenRetrievalError")
"""Names of the exceptions of the clients, which need not be installed."""
_DENIED = {"401", "403", "Forbidden", "Unauthorized", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}

T = TypeVar("T")


def steady(act: Callable[[], T], give_up: Callable[[], bool] = lambda: False) -> T:
    """Call a function over the network; retry transient errors with exponential backoff, and raise what the last attempt raised.

    Args:
        act: May be called several times.
        give_up: Ends the waiting, so that a conversion that stops need not wait.
    """
    wait, started = FIRST_WAIT, time.monotonic()
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except Exception as error:
            if isinstance(error, _FINAL) or _denial(error) or getattr(error, "errno", None) in {*FULL, errno.ENAMETOOLONG}:
                raise
            until = time.monotonic() + wait * random.uniform(0.75, 1.25)  # noqa: S311 - spreads the attempts of many machines
            while time.monotonic() < until and not give_up():
                time.sleep(min(_STEP, wait))
            if give_up() or time.monotonic() - started > RETRY_SECONDS:
                raise
        wait *= 2
    return act()


def cause(error: BaseException) -> str:
    """Return why an operation on a URL failed, for the brackets of a sentence."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    words = " ".join(text.split()).rstrip(".")[:160] or type(error).__name__
    if denial := _denial(error):
        return f"{denial}: {words}"
    if isinstance(error, FileNotFoundError):
        return "not there"
    return "this kind of URL can only be read" if isinstance(error, NotImplementedError) else words


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turn errors raised inside into the refusal of a URL that cannot be used, in one sentence; bugs are raised unchanged."""
    try:
        yield
    except (PixlateError, *_BUGS):
        raise
    except Exception as error:
        todo = "give credentials the way its protocol takes them, see docs/cluster.md" if _denial(error) else "check the URL, the network and the credentials"
        raise PixlateError(f"{name} cannot be used ({cause(error)}); {todo}") from error


def _denial(error: BaseException) -> str:
    """Return why access was refused, or nothing where something else was wrong."""
    if _NO_CREDENTIALS.fullmatch(type(error).__name__):
        return "no credentials"
    codes = {str(getattr(error, name, "")) for name in ("status", "code", "status_code")}
    words = any(word in str(error) for word in ("Forbidden", "AccessDenied", "Anonymous caller"))
    return "access denied" if isinstance(error, PermissionError) or codes & _DENIED or words else ""
