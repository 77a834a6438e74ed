"""Bounds what an export may take of a start, and of its log."""

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch.overrides import TorchFunctionMode

_LOGGERS = ("torch.export._trace", "torch.fx.experimental.symbolic_shapes", "torch._export.non_strict_utils")


class TooLongError(Exception):
    """A forward took longer than it may."""


class Deadline(TorchFunctionMode):
    """Ends a forward at the first call of torch after the deadline."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if time.monotonic() > self.deadline:
            raise TooLongError
        return function(*args, **(kwargs or {}))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what torch prints and logs of a failed export off the log; what other threads write goes on."""
    thread, stderr = threading.get_ident(), sys.stderr

    class Others:
        def write(self, text: str) -> int:
            return len(text) if threading.get_ident() == thread else stderr.write(text)

        def __getattr__(self, name: str) -> Any:
            return getattr(stderr, name)

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for each in loggers:
        each.addFilter(of_others)
    others: Any = Others()
    sys.stderr = others
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if sys.stderr is others:
            sys.stderr = stderr
        for each in loggers:
            each.removeFilter(of_others)
