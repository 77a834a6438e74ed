"""Ray Serve's own autoscaling, on a clock of ours: its aggregation, policy, factors, delays and bounds, none rewritten.

Only what decides is here. Serve reads the time from the module `time`; a run puts its own in that place.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from ray.serve.config import AutoscalingConfig

from deployments.ray_compat import autoscaling

# Far from 0, as the time of day is.
_BEGIN_S = 1e6
_RECORD_FACTOR = 0.2  # RAY_SERVE_AUTOSCALING_METRIC_RECORD_INTERVAL_FACTOR


class Controller:
    """Decides for one deployment."""

    def __init__(self, config: AutoscalingConfig) -> None:
        self.config = config
        self.target = config.min_replicas
        autoscaling.check()
        self._state = autoscaling.deployment_state(config)

    def report(self, replica: Any, metrics: Mapping[str, Any], now_s: float) -> None:
        self._state.record_request_metrics_for_replica(autoscaling.replica_report(replica, metrics, now_s))

    def decide(self, running: list[Any]) -> int:
        self._state.update_running_replica_ids(running)
        self.target = int(self._state.get_decision_num_replicas(self.target))
        return self.target

    def stopped(self, replica: Any) -> None:
        self._state.on_replica_stopped(replica)


class Reporter:
    """One replica's metrics, recorded and pushed as often as Serve does it."""

    def __init__(self, controller: Controller, name: str, now_s: float) -> None:
        self.id = autoscaling.replica_id(name)
        config = controller.config
        self._controller = controller
        self._record_s = min(config.look_back_period_s * _RECORD_FACTOR, config.metrics_interval_s)
        self._store = autoscaling.metrics_store()
        self._ongoing = autoscaling.ongoing_key()
        self._next_record_s = self._next_push_s = now_s

    def due(self, now_s: float) -> bool:
        return now_s >= self._next_record_s

    def record(self, ongoing: int, stats: Mapping[str, float], now_s: float) -> None:
        self._next_record_s += self._record_s
        at_s = _BEGIN_S + now_s
        self._store.add_metrics_point({self._ongoing: ongoing, **stats}, at_s)
        if now_s >= self._next_push_s:
            config = self._controller.config
            self._next_push_s += config.metrics_interval_s
            self._store.prune_keys_and_compact_data(at_s - config.look_back_period_s)
            self._controller.report(self.id, self._store.data, at_s)


@contextmanager
def time_of(clock: "Clock") -> Iterator[None]:
    """Let Serve's autoscaling read this clock."""
    modules = autoscaling.modules_with_a_clock()
    before = [module.time for module in modules]
    ours = SimpleNamespace(time=lambda: _BEGIN_S + clock.now_s, monotonic=lambda: clock.now_s)
    for module in modules:
        module.time = ours
    try:
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            module.time = own


class Clock:
    """Time in seconds since the run began."""

    def __init__(self) -> None:
        self.now_s = 0.0
