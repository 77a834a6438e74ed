"""The autoscaling policy: Ray Serve's controller calls it ten times a second for each model that scales.

An exception here would stop the controller's loop, and with it every other model. So if a report cannot be read, the
number of replicas stays as it is, and one line in the controller's log says why.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

from .decide import Load, needed

# What replicas report (metrics/autoscaling_stats.py).
WAITING, RUNNING, COMING, LOOP, STARTED = "rows_waiting", "rows_running", "rows_per_s", "loop_share", "started_s"
FORWARD = "forward_ms_"
TARGET = "target_queue_ms"
_KEYS = (WAITING, RUNNING, COMING, LOOP, STARTED)
# By name: Ray copies this package by value, and a logger travels as its name.
_log = logging.getLogger("ray.serve")


class TargetQueue:
    """An autoscaling policy for Serve: as many replicas as keep rows from waiting longer than the target.

    The target is `targets.queue_ms` in the replicas' `user_config`, which they report, so it changes in place. Bounds,
    delays and factors of `autoscaling_config` are applied to its decision by Serve.
    """

    def __init__(self) -> None:
        self._told: set[str] = set()

    def __call__(self, ctx: Any) -> tuple[int, dict[str, Any]]:
        """Return the number of replicas wanted, and no state; `ctx` is Serve's AutoscalingContext."""
        keep = 1
        try:
            keep = int(ctx.target_num_replicas)
            return self._decide(ctx, keep), {}
        except Exception as error:  # Nothing may reach the controller.
            self._tell(f"{type(error).__name__}: {error}; keeping {keep} replicas", getattr(ctx, "app_name", "?"))
            return keep, {}

    def _decide(self, ctx: Any, keep: int) -> int:
        metrics = ctx.aggregated_metrics or {}
        loads = read(metrics)
        if not loads or ctx.current_num_replicas == 0:
            return keep
        target_ms = target(metrics)
        if target_ms is None:
            self._tell(f"user_config.targets.queue_ms is not set; keeping {keep} replicas", ctx.app_name)
            return keep
        smallest = min(min(load.forward_ms.values()) for load in loads)
        if smallest > target_ms:
            what = f"a forward takes {smallest:.3g} ms, so targets.queue_ms {target_ms:g} cannot be met"
            self._tell(f"{what}: raise it, or make the model faster", ctx.app_name)
        wanted = needed(loads, target_ms, max(0.0, float(ctx.total_queued_requests or 0)))
        # Averages have rounding errors in the last digits, which must not add a replica.
        return math.ceil(wanted - 1e-6)

    def _tell(self, what: str, app_name: object) -> None:
        kind = what.partition(" ")[0]
        if kind not in self._told:
            self._told.add(kind)
            _log.warning("autoscaling of %s: %s (told once)", app_name, what)


def read(metrics: Mapping[str, Mapping[Any, float]]) -> list[Load]:
    """Return what each replica reports, out of Serve's mapping of metric to replica to mean.

    A replica that has not reported yet, or reports nonsense, is left out.
    """
    times: dict[Any, dict[int, float]] = {}
    for key, by_replica in metrics.items():
        if key.startswith(FORWARD):
            for replica, ms in by_replica.items():
                if _good(ms) and ms > 0:
                    times.setdefault(replica, {})[int(key.removeprefix(FORWARD))] = ms
    loads = []
    for replica, forward_ms in times.items():
        told = [metrics.get(key, {}).get(replica) for key in _KEYS]
        numbers = [float(value) for value in told if value is not None and _good(value)]
        if len(numbers) == len(_KEYS):
            waiting, running, coming, loop, started_s = numbers
            loads.append(Load(waiting, running, coming, loop, started_s, forward_ms))
    return loads


def target(metrics: Mapping[str, Mapping[Any, float]]) -> float | None:
    """Return how long a row may wait until its forward begins, in ms; None where no replica has a target.

    Where replicas report several, it is the shortest. Each is Serve's mean over `look_back_period_s`, so a changed one
    takes effect step by step within that time.
    """
    return min((ms for ms in metrics.get(TARGET, {}).values() if _good(ms) and ms > 0), default=None)


def _good(value: float) -> bool:
    return math.isfinite(value) and value >= 0
