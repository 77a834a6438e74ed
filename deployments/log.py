"""Sends our log to stderr, which Ray brings to the terminal of `serve run` and to the replica's log file.

Serve's own level is WARNING for the sake of speed (it formats a record per request); what we say at the start is not.
"""

import logging
import sys


def set_up() -> logging.Logger:
    log = logging.getLogger("pitstop")
    if not log.handlers:
        handler = logging.StreamHandler(sys.__stderr__)
        handler.setFormatter(logging.Formatter("%(levelname)s pitstop: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return log
