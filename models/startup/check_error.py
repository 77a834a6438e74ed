"""A failed check of the start, as an exception with its result."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Protocol

from ..errors import ModelError
from .check_results import Failed, InferenceMode


class Check(Protocol):
    """A class of check_results."""

    check: ClassVar[str]
    mistake: ClassVar[int]


class CheckError(ModelError):
    """Ends the start. `result` says which check failed."""

    def __init__(self, text: str, result: Failed) -> None:
        super().__init__(text)
        self.result = result

    def __reduce__(self) -> tuple[type["CheckError"], tuple[str, Failed]]:
        # audit and plan start models in another process, which pickles its errors.
        return CheckError, (str(self), self.result)


@contextmanager
def failing(check: type[Check]) -> Iterator[None]:
    """Make every ModelError of a block a CheckError of this check."""
    try:
        yield
    except CheckError:
        raise
    except ModelError as error:
        # It replaces the other error, and keeps its cause, which is usually user code.
        raise CheckError(str(error), Failed(check.check, check.mistake, error.what)) from error.__cause__


@contextmanager
def noting(note: str) -> Iterator[None]:
    """Add a note to every ModelError of a block, but for those of the inference mode: they hold for any rows."""
    try:
        yield
    except ModelError as error:
        if isinstance(error, CheckError) and error.result.check == InferenceMode.check:
            raise
        raise noted(error, note) from error.__cause__


def noted(error: ModelError, note: str) -> ModelError:
    """Return an error with a note in its help; unchanged if it has it already."""
    if note in str(error):
        return error
    text = f"{error}; {note}" if error.help else f"{error}\nhelp: {note}"
    return CheckError(text, error.result) if isinstance(error, CheckError) else ModelError(text)
