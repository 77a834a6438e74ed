"""When a server that was asked to stop is given up: a moment after its last answer, and never later than a limit.

HAProxy takes no new connections from then on, and ends with its last answer. Serve and Ray would then take seconds more
to end processes that have nothing to do any more.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from configs.drain import drain_s
from configs.problems import mapping

# For the gRPC proxy and the replicas, which are idle by then, and their destructors.
_AFTER_ANSWERS_S = 2.0
# Beyond the time that the config gives the requests in progress.
_SPARE_S = 20.0


class Stop:
    """A stop that was asked for; `haproxies` returns those that still run."""

    def __init__(self, raw: Mapping[str, Any], haproxies: Callable[[], Collection[int]], now_s: float) -> None:
        self._haproxies = haproxies
        self._answering = bool(haproxies())
        variables = mapping(raw, "controller_options", "runtime_env", "env_vars")
        self._ends_s = now_s + drain_s(variables) + _SPARE_S

    def over(self, now_s: float) -> bool:
        """Whether whatever is still there may be killed."""
        if self._answering and not self._haproxies():
            self._answering = False
            self._ends_s = min(self._ends_s, now_s + _AFTER_ANSWERS_S)
        return now_s >= self._ends_s
