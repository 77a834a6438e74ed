"""Errors of a start: Serve gets a message of two lines, and the replica's log the traceback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import ModelError
from models.user_code import described

_log = logging.getLogger("pitstop")


@contextmanager
def starting(name: str) -> Iterator[None]:
    """Raise every error as a ModelError without a cause: Serve would show the whole chain of tracebacks."""
    try:
        yield
    except ModelError as error:
        if error.__cause__ is not None:
            _log.error("%s cannot start", name, exc_info=error)
        raise ModelError(str(error)) from None
    except Exception as error:  # Networks and libraries may raise anything.
        _log.error("%s cannot start", name, exc_info=error)
        raise ModelError(
            f"the start of {name} raised {described(error)}\nhelp: the replica's log has the traceback"
        ) from None
