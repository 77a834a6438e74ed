"""Calls user code: networks, factories, hooks, and the import of their modules.

It may raise anything. SystemExit or CancelledError would end an event loop or a thread that serves other requests too,
and a future refuses StopIteration, so each becomes a UserCodeError here. Only a KeyboardInterrupt in the main thread
passes: there it is Ctrl-C at a command-line tool, since replicas run user code in other threads.
"""

import asyncio
import sysconfig
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from configs.code_files import PROJECT, advise_import, as_written

from .errors import ModelError

P = ParamSpec("P")
T = TypeVar("T")

# Python, what is installed, and this project, but for the networks in models/zoo/.
_NOT_THE_USERS = (
    *(f"{sysconfig.get_paths()[kind]}/" for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
    *(f"{PROJECT / part}/" for part in ("configs", "deployments", "pitstop")),
    *(str(file) for file in (PROJECT / "models").rglob("*.py") if file.parent != PROJECT / "models" / "zoo"),
)


class UserCodeError(Exception):
    """User code raised what is no ordinary exception; `raised` is the original."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(_named(raised))
        self.raised = raised


def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call user code; whatever it raises is an Exception that a future can hold."""
    try:
        return function(*args, **kwargs)
    except (StopIteration, StopAsyncIteration) as error:
        raise UserCodeError(error) from error
    except Exception:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        raise UserCodeError(error) from error


def without_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that may run on an event loop or in a thread so that it sees no loop in either.

    Else asyncio.run in a hook would work at the start and for many rows, and fail for few.
    """
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return function(*args, **kwargs)
    finally:
        asyncio._set_running_loop(loop)


def call_at_start(what: str, advice: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call user code in a start; whatever it raises is a ModelError that says what raised, where, and what to do."""
    try:
        return call(function, *args, **kwargs)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{what} raised {described(error)}\nhelp: {import_advice(error) or advice}") from error


def described(error: BaseException) -> str:
    """Return what was raised and the line of the user's that did, as `KeyError: 'x' (mine/net.py, line 12)`."""
    raised = error.raised if isinstance(error, UserCodeError) else error
    frame, named = _frame(raised), as_written(_named(raised))
    if frame is None:
        return named
    path = Path(frame.filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{named} ({shown}, line {frame.lineno})"


def import_advice(error: BaseException) -> str | None:
    """Return what to do about an import that failed in a function of the user's; None where that is not what failed."""
    raised = error.raised if isinstance(error, UserCodeError) else error
    frame = _frame(raised)
    if not isinstance(raised, ImportError) or frame is None:
        return None
    name = as_written(raised.name or "") or (".." if "relative import" in text_of(raised) else "")
    return advise_import(name, Path(frame.filename).parent)


def text_of(error: BaseException) -> str:
    """Return an exception's text; one of the user's may raise where it is asked for it."""
    try:
        return call(str, error)
    except Exception:
        return ""


def _named(error: BaseException) -> str:
    text = text_of(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost line of the user's own files, or of any file where none is among them."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_USERS)]
    return (own or frames)[-1] if frames else None
