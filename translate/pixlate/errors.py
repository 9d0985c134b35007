"""Errors that the user can fix, and one that the executor handles."""


class PixlateError(Exception):
    """A mistake or limit the user can fix: one line that says what was expected, what was received and what to do.

    The command line prints the line without a traceback and ends with exit code 2.
    """


class Unsupported(PixlateError):  # noqa: N818 - the name says what happened, as below
    """An image of a kind that is not read; it may be a good one."""


class Damaged(PixlateError):  # noqa: N818 - as above
    """A file, or a part of one, whose bytes are not those that were once written."""


class OverLimit(PixlateError):  # noqa: N818 - as above
    """An image that claims more than one of the limits on size, parts or cost."""


class OutOfDeviceMemory(RuntimeError):  # noqa: N818 - the name says what happened, as in torch and CuPy
    """Raised by a translator when a batch does not fit; the caller retries with a smaller one."""


class DeviceLost(PixlateError):  # noqa: N818 - as above
    """Raised by a translator when its device has failed; anything else on it would fail too, so a conversion stops."""
