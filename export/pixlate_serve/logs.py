"""What the server prints on standard error: lines of text or JSON objects, with the id of the request they are about."""

import json
import logging
import re
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request that is worked on."""
_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,100}")
log = logging.getLogger("pixlate_serve")


def id_of(given: str) -> str:
    """Return the id that a client or proxy gives its request, or a new one where it gives none that is fit for logs and metrics."""
    return given if _SANE.fullmatch(given) else secrets.token_hex(8)


def configure(format: Literal["text", "json"], log_requests: bool) -> None:
    """Print what the server and its libraries log; warnings of Python too where the lines are JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else Text("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(format == "json")
    for name in ("uvicorn.error", "python_multipart"):  # they warn of what a client sends, which has its answer
        logging.getLogger(name).setLevel(logging.ERROR)
    log.setLevel(logging.INFO if log_requests else logging.WARNING)


def log_answer(client: str, method: str, path: str, status: int, seconds: float, model: str) -> None:
    """Log an answer, where answers are logged."""
    milliseconds = round(seconds * 1000)
    fields = {"client": client, "method": method, "path": path, "status": status, "ms": milliseconds, "model": model}
    shown = f" by {model}" if model else ""
    log.info("%s %s %s %d %d ms%s", client, method, path, status, milliseconds, shown, extra={"fields": fields})


class Text(logging.Formatter):
    """A line of text, with the id of the request at its end."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the message and the id."""
        message = super().formatMessage(record)
        return f"{message} [{request_id.get()}]" if request_id.get() else message


class JsonLines(logging.Formatter):
    """One JSON object in a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object: time, level, message, the id of the request, the fields of an answer, and the traceback of an unexpected error."""
        values: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if request_id.get():
            values["request_id"] = request_id.get()
        values |= getattr(record, "fields", {})
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values)
