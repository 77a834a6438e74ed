"""Has Serve's controller build pitstop's applications of a deployment in one process.

Serve builds each in a process of its own, which imports Serve again. One that is shared imports no code of the user's:
a build of ours reads the YAML's args alone. It takes builds for a second, and no application twice, which only a later
deployment asks for. Of another application of that one it may build pitstop's own code as it was a second before.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray

from .names import Part, fields, usable, values

PART = Part(
    "the process that builds applications",
    "each application is built in a process of its own, which imports Serve again",
    (
        *values("ray.serve._private.application_state", "build_serve_application"),
        *fields("ray.remote_function", "RemoteFunction", "_function"),
    ),
)
# What is the user's own may do anything at its import, so its application keeps its own process.
_OURS = ("deployments.app:model", "deployments.app:root")
_KNOWN = ("deployments.", "ray.serve.")
# Serve's arguments from here on name policies, routers and actors that the build imports too.
_ALSO_IMPORTED = 5
# The controller asks for all builds of a deployment at once.
_TOGETHER_S = 1.0
_log = logging.getLogger("ray.serve")


class ApplicationBuilder:
    """Runs in that process, one build after the other."""

    # As Serve's own: four times in all, should the process die or the build raise.
    @ray.method(max_task_retries=3, retry_exceptions=True)
    def build(self, *args: Any) -> Any:
        from ray.serve._private.application_state import build_serve_application

        function: Any = build_serve_application
        return function._function(*args)


@dataclass(eq=False)
class _Builder:
    """A handle to one, its options, the time of its start, and the applications that it was asked for."""

    given: Mapping[str, Any]
    started_s: float
    actor: Any
    names: set[str] = field(default_factory=set)


class Builds:
    """Stands for Serve's remote function: `.options(...).remote(import_path, ...)`."""

    def __init__(
        self, serve_s: Any, start: Callable[[Mapping[str, Any]], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._serve_s, self._start, self._clock = serve_s, start, clock
        self._lock = threading.Lock()
        self._builders: list[_Builder] = []

    def options(self, **given: Any) -> "_Call":
        return _Call(lambda args: self._remote(given, args))

    def _remote(self, given: Mapping[str, Any], args: tuple[Any, ...]) -> Any:
        if args[0] not in _OURS or not all(path.startswith(_KNOWN) for path in _named(args[_ALSO_IMPORTED:])):
            return self._serve_s.options(**given).remote(*args)
        name = args[2]
        with self._lock:
            fitting = (each for each in reversed(self._builders) if each.given == given and self._fits(each, name))
            if (builder := next(fitting, None)) is None:
                builder = _Builder(given, self._clock(), self._start(given))
                self._builders.append(builder)
                timer = threading.Timer(2 * _TOGETHER_S, self._let_go, [builder])
                timer.daemon = True
                timer.start()
            builder.names.add(name)
            return builder.actor.build.remote(*args)

    def _fits(self, builder: _Builder, name: str) -> bool:
        return name not in builder.names and self._clock() - builder.started_s <= _TOGETHER_S

    def _let_go(self, builder: _Builder) -> None:
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
    return ray.remote(num_cpus=0, max_restarts=3)(ApplicationBuilder).options(**given).remote()


def _named(given: Any) -> Iterator[str]:
    """Yield the import paths in arguments of Serve's."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping):
        yield from _named(tuple(given.values()))
    elif isinstance(given, tuple):
        for each in given:
            yield from _named(each)
