from typing import Any

import pytest

from deployments.autoscaling.policy import read
from deployments.batching.batch_result import BatchResult
from deployments.metrics.autoscaling_stats import Recorder
from deployments.metrics.statistics import Stats
from models.signature import Shape


class Replica:
    """A recorder on clocks that stand still until they are moved."""

    def __init__(self, raw_ms: dict[Shape, float]) -> None:
        self.stats = Stats()
        self.now_s = self.cpu_s = 0.0
        self.recorder = Recorder(self.stats, raw_ms)
        self.offered = 0
        self.look()

    def ran(self, rows: int, size: int, forward_s: float, idle_s: float = 0) -> None:
        self.stats.ran(BatchResult([], rows, (size, ()), forward_s=forward_s, idle_s=idle_s))

    def look(self, waiting: int = 0, limit: int = 8) -> dict[str, float]:
        return self.recorder.look(waiting, self.offered, limit, clock=lambda: self.now_s, cpu=lambda: self.cpu_s)


@pytest.fixture
def replica() -> Replica:
    return Replica({(1, ()): 100.0, (8, ()): 200.0})


def test_it_tells_of_the_time_since_the_last_look(replica: Replica) -> None:
    replica.now_s, replica.cpu_s, replica.offered = 2.0, 0.5, 40
    for _ in range(4):
        replica.ran(8, 8, 0.25)
    found = replica.look(waiting=3)
    assert found["rows_waiting"] == 3
    assert found["rows_per_s"] == 20
    assert found["loop_share"] == 0.25
    # Eight rows at a time, half of the time.
    assert found["rows_running"] == 4
    replica.now_s = 4.0
    assert replica.look()["rows_per_s"] == 0


def test_a_size_counts_with_the_warm_up_s_time_until_it_has_run(replica: Replica) -> None:
    replica.now_s = 1.0
    replica.ran(7, 8, 0.25)
    replica.ran(8, 8, 0.35)
    found = replica.look()
    assert found["forward_ms_1"] == 100
    assert found["forward_ms_8"] == pytest.approx(300)
    replica.now_s = 2.0
    assert replica.look()["forward_ms_8"] == pytest.approx(300)


def test_what_lies_between_two_forwards_is_added(replica: Replica) -> None:
    replica.now_s = 1.0
    replica.ran(1, 1, 0.1, idle_s=0.02)
    replica.ran(1, 1, 0.1)
    assert replica.look()["forward_ms_1"] == pytest.approx(110)


def test_sizes_above_the_limit_are_left_out_but_never_all(replica: Replica) -> None:
    assert "forward_ms_8" not in replica.look(limit=4)
    assert [key for key in Replica({(4, ()): 9.0}).look(limit=2) if key.startswith("forward")] == ["forward_ms_4"]


def test_of_several_lengths_the_slowest_counts() -> None:
    assert Replica({(1, (16,)): 5.0, (1, (64,)): 20.0}).look()["forward_ms_1"] == 20


def test_a_failed_forward_of_a_size_that_is_not_warmed_is_no_size(replica: Replica) -> None:
    replica.now_s = 1.0
    replica.ran(3, 3, 9.0)
    assert "forward_ms_3" not in replica.look()


def test_the_policy_reads_what_a_replica_tells(replica: Replica) -> None:
    told: dict[str, Any] = replica.look(waiting=2)
    [load] = read({key: {"a": value} for key, value in told.items()})
    assert (load.rows_waiting, load.forward_ms) == (2, {1: 100.0, 8: 200.0})
    assert all(isinstance(value, int | float) for value in told.values())
