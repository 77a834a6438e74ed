"""Sends our log to stderr, which Ray copies to the terminal of `serve run` and to the replica's log file.

Serve's own logger is at WARNING for speed, since it formats a record per request; ours is at INFO.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

import orjson

_MOST = 20_000


def set_up() -> logging.Logger:
    log = logging.getLogger("pitstop")
    if not log.handlers:
        handler = _Handler(sys.__stderr__)
        handler.setFormatter(Formatter("%(levelname)s pitstop: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return log


def access_log() -> Callable[[dict[str, Any]], None]:
    """Return what writes a request into the log, as one line of JSON."""
    log = logging.getLogger("pitstop.access")
    if not log.handlers:
        handler = _Handler(sys.__stderr__)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False

    def write(line: dict[str, Any]) -> None:
        log.info("%s", orjson.dumps(line).decode())

    return write


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name.
        """Do nothing: if user code closed stderr, logging itself would raise, and a request would get no answer."""


class Formatter(logging.Formatter):
    """Writes a traceback as lines.

    logging has it printed, and Serve puts a print of its own into every replica, which writes the tuple of what it is
    given (ray/serve/_private/logging_utils.py, redirected_print, in Ray 2.60).
    """

    def formatException(  # noqa: N802  # logging's name.
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        text = "".join(traceback.format_exception(ei[1])).rstrip("\n")
        # Keep the end, which names the exception; its text may be of any length.
        return text if len(text) <= _MOST else f"{text[: _MOST // 2]}\n[…]\n{text[-_MOST // 2 :]}"
