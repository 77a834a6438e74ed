"""Work in a process of its own: a crash, an exit or a hang there is told here, and ends nothing else.

`run` starts a fresh interpreter, hands it an order and yields what it reports. Run as a module, this file is the child.
What the work prints goes into a file, so that it mixes with no output of ours; where it fails, its last lines are told.
Its temporary files lie in a folder of its own, which is removed after its end, however it ended.
"""

import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from models import cache

from .project import PROJECT

_POLL_S = 0.1
_DONE = "done"
_SHOWN = 200
Report = Callable[[Any], None]


class EndedError(Exception):
    """The process ended, or was ended, before its work was done. The text is a predicate: `ended with signal 11`.

    `crashed`: a signal that was not ours ended it.
    """

    def __init__(self, how: str, crashed: bool = False) -> None:
        super().__init__(how)
        self.crashed = crashed


class TooSlowError(EndedError):
    """It was ended, since it had said nothing for too long."""


def run(
    target: str,
    order: Any,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    printed: IO[bytes] | None = None,
) -> Iterator[Any]:
    """Run `target` in a new process and yield what it reports, in order.

    Args:
        target: `package.module:function`; it is called with the order and with a function that reports.
        order: anything that can be pickled.
        limit_s: how long it may be silent; one that says nothing for longer is ended.
        environment: variables besides those of this process.
        printed: a file for what it prints, which the caller may read.

    Raises:
        EndedError: a signal, an exit, an exception or the limit ended it.
    """
    ours, theirs = Pipe()
    with (
        nullcontext(printed) if printed else tempfile.TemporaryFile() as said,
        tempfile.TemporaryDirectory(prefix="pitstop-", dir=cache.temporary(), ignore_cleanup_errors=True) as folder,
    ):
        process = _start(target, theirs, environment or {}, said, folder)
        theirs.close()
        try:
            with suppress(BrokenPipeError):
                ours.send(order)
            while (message := _next(ours, process, limit_s, said)) != _DONE:
                yield message[0]
        finally:
            # With it go the processes that it started, such as those of torch.compile.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            ours.close()


def how_it_ended(returncode: int, last_line: str = "") -> str:
    """Return the end of a process as a predicate."""
    if returncode < 0:
        memory = ": out of memory?" if -returncode == signal.SIGKILL else ""
        return f"ended the process with signal {-returncode} ({signal.Signals(-returncode).name}){memory}"
    if returncode == 1 and last_line:
        return f"failed ({last_line[:_SHOWN]})"
    return f"ended the process with exit status {returncode}"


def _start(
    target: str, theirs: Connection, environment: Mapping[str, str], said: IO[bytes], folder: str
) -> "subprocess.Popen[bytes]":
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    # Our packages first: `models` and `configs` are names that a user's folder may have too.
    path = os.pathsep.join(filter(None, [str(PROJECT), str(Path.cwd()), *given, *sys.path]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pitstop.child_process", target, str(theirs.fileno()), folder],
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        pass_fds=[theirs.fileno()],
        env={**_kernels(environment), **os.environ, **environment, "PYTHONPATH": path, "TMPDIR": folder},
        # Ctrl-C is for the parent, which then ends the child.
        start_new_session=True,
    )


def _kernels(environment: Mapping[str, str]) -> dict[str, str]:
    """Return where torch.compile keeps its kernels for processes to come, among the temporary files of all."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # A container's user without a name.
        user = f"uid_{os.getuid()}"
    return {"TORCHINDUCTOR_CACHE_DIR": f"{environment.get('TMPDIR') or tempfile.gettempdir()}/torchinductor_{user}"}


def _next(ours: Connection, process: "subprocess.Popen[bytes]", limit_s: float, said: IO[bytes]) -> Any:
    ends = time.monotonic() + limit_s
    # Asked in turns, since a process that the child started may keep its end of the pipe open.
    while not ours.poll(_POLL_S):
        if process.poll() is not None and not ours.poll():
            raise _ended(process, said)
        if time.monotonic() > ends:
            raise TooSlowError(f"took longer than {limit_s:.0f} s")
    try:
        return ours.recv()
    except (EOFError, ConnectionResetError):
        raise _ended(process, said) from None


def _ended(process: "subprocess.Popen[bytes]", said: IO[bytes]) -> EndedError:
    code = process.wait()
    return EndedError(how_it_ended(code, _last_line(said)), crashed=code < 0)


def last_lines(printed: IO[bytes], count: int) -> list[str]:
    """Return the last lines of what was printed, as many as that; none of them empty."""
    printed.seek(0)
    lines = printed.read().decode("utf-8", "replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-count:]


def _last_line(printed: IO[bytes]) -> str:
    return "".join(last_lines(printed, 1)).strip()


def main() -> None:
    """The child: do the work, then say that it is done."""
    target, descriptor, folder = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)
    pipe = Connection(int(descriptor))
    order = pipe.recv()
    threading.Thread(target=_end_with_parent, args=(pipe, folder), daemon=True).start()
    own, (module, _, name) = os.getpid(), target.partition(":")

    def report(message: object) -> None:
        # A process that the work has forked, and that goes on here, has nothing to say to the parent.
        if os.getpid() != own:
            os._exit(0)
        pipe.send(message)

    try:
        getattr(import_module(module), name)(order, lambda message: report((message,)))
    finally:
        if os.getpid() != own:
            os._exit(0)
    report(_DONE)


def _end_with_parent(pipe: Connection, folder: str) -> None:
    with suppress(EOFError, OSError):
        pipe.recv()
    shutil.rmtree(folder, ignore_errors=True)
    # With the processes that it started, such as a compiler's.
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
