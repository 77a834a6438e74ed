"""Has Serve's controller build all applications of a deployment in one process.

Serve builds each in a process of its own, which imports Serve again: with eight models these imports cost more than the
models' own starts. A process still serves one deployment alone, so that the next one sees changed code.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .names import Part, fields, usable, values

PART = Part(
    "the process that builds applications",
    "each application is built in a process of its own, so a config of several models starts later",
    (
        *values("ray.serve._private.application_state", "build_serve_application"),
        *fields("ray.remote_function", "RemoteFunction", "_function"),
    ),
)
# An application of the user's own may do anything at its import, so it keeps its own process.
_OURS = ("deployments.app:model", "deployments.app:root")
# The controller asks for all builds of a deployment at once.
_TOGETHER_S = 1.0
_log = logging.getLogger("ray.serve")


class ApplicationBuilder:
    """Runs in that process."""

    def build(self, *args: Any) -> Any:
        from ray.serve._private.application_state import build_serve_application

        function: Any = build_serve_application
        return function._function(*args)


class Builds:
    """Stands for Serve's remote function: `.options(...).remote(import_path, ...)`."""

    def __init__(
        self, serve_s: Any, start: Callable[[Mapping[str, Any]], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._serve_s, self._start, self._clock = serve_s, start, clock
        self._lock = threading.Lock()
        # Each with the options and the time of its start.
        self._builders: list[tuple[Mapping[str, Any], float, Any]] = []

    def options(self, **given: Any) -> "_Call":
        return _Call(lambda args: self._remote(given, args))

    def _remote(self, given: Mapping[str, Any], args: tuple[Any, ...]) -> Any:
        if args[0] not in _OURS:
            return self._serve_s.options(**given).remote(*args)
        with self._lock:
            recent = (each for each in self._builders if each[0] == given and self._clock() - each[1] <= _TOGETHER_S)
            if (builder := next(recent, None)) is None:
                builder = given, self._clock(), self._start(given)
                self._builders.append(builder)
                timer = threading.Timer(2 * _TOGETHER_S, self._let_go, [builder])
                timer.daemon = True
                timer.start()
            return builder[2].build.remote(*args)

    def _let_go(self, builder: tuple[Mapping[str, Any], float, Any]) -> None:
        # Ray ends an actor without a handle, once it has done what it was asked for.
        with self._lock:
            self._builders.remove(builder)


class _Call:
    def __init__(self, call: Callable[[tuple[Any, ...]], Any]) -> None:
        self._call = call

    def remote(self, *args: Any) -> Any:
        return self._call(args)


def share_process() -> None:
    """Do so in this process, which is the controller's."""
    if not usable(PART):
        return
    try:
        from ray.serve._private import application_state

        private: Any = application_state
        private.build_serve_application = Builds(private.build_serve_application, _start)
    except Exception:  # The controller would not start.
        _log.exception("pitstop's builder does not fit this Ray: each application is built in a process of its own")


def _start(given: Mapping[str, Any]) -> Any:
    import ray

    # As Serve's own: three times in all, should the process die.
    return ray.remote(num_cpus=0, max_restarts=3, max_task_retries=3)(ApplicationBuilder).options(**given).remote()
